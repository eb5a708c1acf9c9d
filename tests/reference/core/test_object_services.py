"""Objects, memory, the C library and FsRtl helpers, as a driver calls them."""

DRIVER = r"""
#define TIMER_ALL_ACCESS 0x1F0003
EXPORT ULONG Names(void)
{
    UNICODE_STRING Directory = RTL_CONSTANT_STRING(L"\\Ours"), Link = RTL_CONSTANT_STRING(L"\\Ours\\link");
    UNICODE_STRING Target = RTL_CONSTANT_STRING(L"\\Device\\Null"), Nowhere = RTL_CONSTANT_STRING(L"\\None\\link");
    WCHAR Room[40];
    UNICODE_STRING Read = { 0, 4, Room };
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Handle, Again, Symbolic;
    UCHAR Buffer[512];
    ULONG Context = 0, Length = 0;
    LUID One, Two;

    InitializeObjectAttributes(&Attributes, &Directory, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenDirectoryObject(&Handle, DIRECTORY_QUERY, &Attributes) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwCreateDirectoryObject(&Handle, DIRECTORY_ALL_ACCESS, &Attributes) == STATUS_SUCCESS);
    CHECK(ZwCreateDirectoryObject(&Again, DIRECTORY_ALL_ACCESS, &Attributes) == STATUS_OBJECT_NAME_COLLISION);
    Attributes.Attributes |= OBJ_OPENIF;
    CHECK(ZwCreateDirectoryObject(&Again, DIRECTORY_ALL_ACCESS, &Attributes) == STATUS_OBJECT_NAME_EXISTS);
    ZwClose(Again);
    InitializeObjectAttributes(&Attributes, &Nowhere, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateSymbolicLinkObject(&Symbolic, 1, &Attributes, &Target) == STATUS_OBJECT_PATH_NOT_FOUND);
    InitializeObjectAttributes(&Attributes, &Link, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateSymbolicLinkObject(&Symbolic, 1, &Attributes, &Target) == STATUS_SUCCESS);
    CHECK(ZwOpenSymbolicLinkObject(&Again, GENERIC_READ, &Attributes) == STATUS_SUCCESS);
    CHECK(ZwQuerySymbolicLinkObject(Again, &Read, &Length) == STATUS_BUFFER_TOO_SMALL && Length == Target.Length);
    Read.MaximumLength = sizeof(Room);
    CHECK(ZwQuerySymbolicLinkObject(Again, &Read, &Length) == 0 && RtlEqualUnicodeString(&Read, &Target, FALSE));
    CHECK(ZwQueryObject(Again, 2, Buffer, sizeof(Buffer), &Length) == STATUS_SUCCESS);
    CHECK(((PUNICODE_STRING)Buffer)->Length == sizeof(L"SymbolicLink") - 2);
    CHECK(ZwQueryObject(Again, 0, Buffer, 4, &Length) == STATUS_INFO_LENGTH_MISMATCH && Length == 0x38);
    ZwClose(Again);
    CHECK(ZwQueryDirectoryObject(Handle, Buffer, sizeof(Buffer), TRUE, TRUE, &Context, &Length) == STATUS_SUCCESS);
    CHECK(((PUNICODE_STRING)Buffer)->Length == 8 && Context == 1);
    CHECK(ZwQueryDirectoryObject(Handle, Buffer, sizeof(Buffer), TRUE, FALSE, &Context, &Length)
          == STATUS_NO_MORE_ENTRIES);
    CHECK(ZwMakeTemporaryObject(Symbolic) == STATUS_SUCCESS);
    ZwClose(Symbolic);
    InitializeObjectAttributes(&Attributes, &Link, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenSymbolicLinkObject(&Again, GENERIC_READ, &Attributes) == STATUS_OBJECT_NAME_NOT_FOUND);
    ZwClose(Handle);
    InitializeObjectAttributes(&Attributes, &Directory, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenDirectoryObject(&Handle, DIRECTORY_QUERY, &Attributes) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwAllocateLocallyUniqueId(&One) == 0 && ZwAllocateLocallyUniqueId(&Two) == 0);
    CHECK(!RtlEqualLuid(&One, &Two));
    return Checks;
}

EXPORT ULONG Timers(void)
{
    OBJECT_ATTRIBUTES Attributes;
    LARGE_INTEGER Due = { .QuadPart = -10000 };
    BOOLEAN State = TRUE;
    HANDLE Timer;

    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateTimer(&Timer, TIMER_ALL_ACCESS, &Attributes, 7) == STATUS_INVALID_PARAMETER);
    CHECK(ZwCreateTimer(&Timer, TIMER_ALL_ACCESS, &Attributes, NotificationTimer) == STATUS_SUCCESS);
    CHECK(ZwSetTimer(Timer, &Due, NULL, NULL, FALSE, 0, &State) == STATUS_SUCCESS && !State);
    CHECK(ZwWaitForSingleObject(Timer, FALSE, NULL) == STATUS_SUCCESS);
    CHECK(ZwCancelTimer(Timer, &State) == STATUS_SUCCESS && State);
    ZwClose(Timer);
    return Checks;
}

EXPORT ULONG Objects(void)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Driver\\test"), Missing = RTL_CONSTANT_STRING(L"\\Device\\NoSuch");
    PVOID Object = NULL;

    CHECK(ObReferenceObjectByName(&Missing, 0, NULL, 0, NULL, KernelMode, NULL, &Object)
          == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ObReferenceObjectByName(&Name, 0, NULL, 0, NULL, KernelMode, NULL, &Object) == STATUS_SUCCESS);
    CHECK(((PDRIVER_OBJECT)Object)->DriverStart != NULL);
    CHECK(ObGetObjectType(PsGetCurrentProcess()) == *PsProcessType);
    CHECK(ObIsKernelHandle((HANDLE)(ULONG_PTR)0xFFFFFFFF80000104) && !ObIsKernelHandle((HANDLE)0x104));
    return Checks;
}

EXPORT ULONG Memory(void)
{
    MM_COPY_ADDRESS From;
    UCHAR Bytes[8] = { 0 };
    SIZE_T Copied = 9;
    PHYSICAL_ADDRESS Low = { .QuadPart = 0 }, High = { .QuadPart = -1 };
    PMDL Mdl;
    PUCHAR Pages;

    From.VirtualAddress = (PVOID)Memory;
    CHECK(MmCopyMemory(Bytes, From, 8, MM_COPY_MEMORY_VIRTUAL, &Copied) == 0 && Copied == 8);
    CHECK(RtlEqualMemory(Bytes, (PVOID)Memory, 8));
    From.VirtualAddress = (PVOID)(ULONG_PTR)0xFFFFF90000000000;
    CHECK(MmCopyMemory(Bytes, From, 8, MM_COPY_MEMORY_VIRTUAL, &Copied) == STATUS_ACCESS_VIOLATION && Copied == 0);
    From.PhysicalAddress = MmGetPhysicalAddress((PVOID)Memory);
    CHECK(MmCopyMemory(Bytes, From, 8, MM_COPY_MEMORY_PHYSICAL, &Copied) == 0);
    CHECK(RtlEqualMemory(Bytes, (PVOID)Memory, 8));
    CHECK(MmIsNonPagedSystemAddressValid(&Bytes) && !MmIsNonPagedSystemAddressValid(NULL));
    Mdl = MmAllocatePagesForMdl(Low, High, Low, 5000);
    CHECK(Mdl != NULL && MmGetMdlByteCount(Mdl) == 8192);
    Pages = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority);
    CHECK(Pages != NULL && Pages[8191] == 0);
    MmFreePagesFromMdl(Mdl);
    ExFreePool(Mdl);
    Pages = MmAllocateContiguousMemory(100, High);
    CHECK(Pages != NULL && ((ULONG_PTR)Pages & 0xFFF) == 0);
    MmFreeContiguousMemory(Pages);
    return Checks;
}

EXPORT ULONG Virtual(void)
{
    PVOID Base = NULL, Again;
    SIZE_T Size = 5000;

    CHECK(ZwAllocateVirtualMemory(NtCurrentProcess(), &Base, 0, &Size, MEM_COMMIT, PAGE_READWRITE) == STATUS_SUCCESS);
    CHECK(Base != NULL && Size == 8192 && (ULONG_PTR)Base <= (ULONG_PTR)MmHighestUserAddress);
    *(PULONG)Base = 7;
    Size = 0;
    Again = Base;
    CHECK(ZwFreeVirtualMemory(NtCurrentProcess(), &Base, &Size, MEM_RELEASE) == STATUS_SUCCESS && Size == 8192);
    CHECK(ZwFreeVirtualMemory(NtCurrentProcess(), &Again, &Size, MEM_RELEASE) == STATUS_MEMORY_NOT_ALLOCATED);
    return Checks;
}

static IO_CSQ Csq;
static LIST_ENTRY Irps;
static KSPIN_LOCK IrpLock;
static PIRP Cancelled;

static VOID NTAPI CsqInsert(PIO_CSQ Queue, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Queue);
    InsertTailList(&Irps, &Irp->Tail.Overlay.ListEntry);
}

static VOID NTAPI CsqRemove(PIO_CSQ Queue, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Queue);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
}

static PIRP NTAPI CsqPeek(PIO_CSQ Queue, PIRP Irp, PVOID Context)
{
    PLIST_ENTRY Next = Irp != NULL ? Irp->Tail.Overlay.ListEntry.Flink : Irps.Flink;
    UNREFERENCED_PARAMETER(Queue);
    UNREFERENCED_PARAMETER(Context);
    return Next == &Irps ? NULL : CONTAINING_RECORD(Next, IRP, Tail.Overlay.ListEntry);
}

static VOID NTAPI CsqAcquire(PIO_CSQ Queue, PKIRQL Irql)
{
    UNREFERENCED_PARAMETER(Queue);
    KeAcquireSpinLock(&IrpLock, Irql);
}

static VOID NTAPI CsqRelease(PIO_CSQ Queue, KIRQL Irql)
{
    UNREFERENCED_PARAMETER(Queue);
    KeReleaseSpinLock(&IrpLock, Irql);
}

static VOID NTAPI CsqCancelled(PIO_CSQ Queue, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Queue);
    Cancelled = Irp;
}

EXPORT ULONG CancelSafe(void)
{
    PIRP One = IoAllocateIrp(1, FALSE), Two = IoAllocateIrp(1, FALSE), Three = IoAllocateIrp(1, FALSE);
    IO_CSQ_IRP_CONTEXT Context;

    InitializeListHead(&Irps);
    CHECK(IoCsqInitialize(&Csq, CsqInsert, CsqRemove, CsqPeek, CsqAcquire, CsqRelease, CsqCancelled) == 0);
    IoSetNextIrpStackLocation(One);
    IoSetNextIrpStackLocation(Two);
    IoSetNextIrpStackLocation(Three);
    IoCsqInsertIrp(&Csq, One, NULL);
    IoCsqInsertIrp(&Csq, Two, &Context);
    IoCsqInsertIrp(&Csq, Three, NULL);
    CHECK(IoCancelIrp(One) && Cancelled == One && KeGetCurrentIrql() == PASSIVE_LEVEL);
    CHECK(IoCsqRemoveIrp(&Csq, &Context) == Two && IoCsqRemoveIrp(&Csq, &Context) == NULL);
    CHECK(IoCsqRemoveNextIrp(&Csq, NULL) == Three && IoCsqRemoveNextIrp(&Csq, NULL) == NULL);
    Cancelled = NULL;
    CHECK(!IoCancelIrp(Two) && Cancelled == NULL);
    IoCsqInsertIrp(&Csq, Two, NULL);
    CHECK(Cancelled == Two && IsListEmpty(&Irps));
    IoFreeIrp(One);
    IoFreeIrp(Two);
    IoFreeIrp(Three);
    return Checks;
}

int __cdecl _snprintf_s(char *, size_t, size_t, const char *, ...);
int __cdecl _itoa_s(int, char *, size_t, int);
int __cdecl wcsncat_s(wchar_t *, size_t, const wchar_t *, size_t);
char *__cdecl strtok_s(char *, const char *, char **);
void __cdecl qsort(void *, size_t, size_t, int(__cdecl *)(const void *, const void *));
void *__cdecl bsearch(const void *, const void *, size_t, size_t, int(__cdecl *)(const void *, const void *));
wchar_t *__cdecl _wcsupr(wchar_t *);
size_t __cdecl wcstombs(char *, const wchar_t *, size_t);
int __cdecl strncpy_s(char *, size_t, const char *, size_t);

static int __cdecl Compare(const void *First, const void *Second) { return *(const int *)First - *(const int *)Second; }

EXPORT ULONG Library(void)
{
    int Numbers[5] = { 5, 3, 9, 1, 3 }, Key = 9;
    char Text[16] = "a,b;c", *Context = NULL, Small[4];
    WCHAR Wide[8] = L"ab";

    qsort(Numbers, 5, sizeof(int), Compare);
    CHECK(Numbers[0] == 1 && Numbers[1] == 3 && Numbers[2] == 3 && Numbers[4] == 9);
    CHECK(bsearch(&Key, Numbers, 5, sizeof(int), Compare) == &Numbers[4]);
    Key = 4;
    CHECK(bsearch(&Key, Numbers, 5, sizeof(int), Compare) == NULL);
    CHECK(*strtok_s(Text, ",;", &Context) == 'a' && *strtok_s(NULL, ",;", &Context) == 'b');
    CHECK(*strtok_s(NULL, ",;", &Context) == 'c' && strtok_s(NULL, ",;", &Context) == NULL);
    CHECK(_itoa_s(-17, Text, sizeof(Text), 10) == 0 && Text[0] == '-' && Text[2] == '7');
    CHECK(_itoa_s(1234, Small, sizeof(Small), 10) == 34 && Small[0] == 0);
    CHECK(wcsncat_s(Wide, 8, L"cdef", 2) == 0 && Wide[3] == L'd' && Wide[4] == 0);
    CHECK(*_wcsupr(Wide) == L'A' && wcstombs(Text, Wide, sizeof(Text)) == 4 && Text[3] == 'D');
    CHECK(_snprintf_s(Small, sizeof(Small), (size_t)-1, "%d", 12345) == -1 && Small[2] == '3' && Small[3] == 0);
    CHECK(_snprintf_s(Text, sizeof(Text), 5, "%s", "four") == 4 && Text[4] == 0);
    CHECK(strncpy_s(Small, sizeof(Small), "abcdef", (size_t)-1) == 80 && Small[2] == 'c' && Small[3] == 0);
    return Checks;
}

EXPORT ULONG Helpers(void)
{
    UNICODE_STRING Path = RTL_CONSTANT_STRING(L"\\one\\two\\three"), First, Rest;
    LARGE_INTEGER Now = { .QuadPart = 0 };
    IO_REMOVE_LOCK Lock;
    KEVENT Event;
    struct { ULONG Tag; USHORT Size, Reserved; UCHAR Data[4]; } Reparse = { IO_REPARSE_TAG_SYMLINK, 4, 0, { 0 } };

    FsRtlDissectName(Path, &First, &Rest);
    CHECK(First.Length == 6 && First.Buffer == Path.Buffer + 1 && Rest.Length == 18 && Rest.Buffer == Path.Buffer + 5);
    CHECK(FsRtlValidateReparsePointBuffer(12, (PVOID)&Reparse) == STATUS_SUCCESS);
    CHECK(FsRtlValidateReparsePointBuffer(11, (PVOID)&Reparse) == STATUS_IO_REPARSE_DATA_INVALID);
    CHECK(FsRtlIsTotalDeviceFailure(STATUS_DEVICE_NOT_READY) && !FsRtlIsTotalDeviceFailure(STATUS_ACCESS_DENIED));
    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    CHECK(FsRtlCancellableWaitForSingleObject(&Event, &Now, NULL) == STATUS_TIMEOUT);
    KeSetEvent(&Event, 0, FALSE);
    CHECK(FsRtlCancellableWaitForSingleObject(&Event, NULL, NULL) == STATUS_SUCCESS);
    IoInitializeRemoveLock(&Lock, TAG, 0, 0);
    CHECK(IoAcquireRemoveLock(&Lock, NULL) == STATUS_SUCCESS && IoAcquireRemoveLock(&Lock, NULL) == STATUS_SUCCESS);
    IoReleaseRemoveLock(&Lock, NULL);
    IoReleaseRemoveLockAndWait(&Lock, NULL);
    CHECK(IoAcquireRemoveLock(&Lock, NULL) == STATUS_DELETE_PENDING);
    return Checks;
}

EXPORT ULONG Files(PDRIVER_OBJECT Self)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\made.txt"), Guid;
    POBJECT_NAME_INFORMATION Dos = NULL;
    FILE_STANDARD_INFORMATION Standard;
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    PFILE_OBJECT File;
    PDEVICE_OBJECT Device;
    ULONG Length = 0;
    IO_DRIVER_CREATE_CONTEXT Context;
    PDEVICE_OBJECT Bare;
    HANDLE Handle;

    CHECK(IoCreateDevice(Self, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Bare) == STATUS_SUCCESS);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(IoCreateFile(&Handle, FILE_GENERIC_WRITE, &Attributes, &Iosb, NULL, 0, 0, FILE_CREATE,
                       FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0, CreateFileTypeNone, NULL, 0) == STATUS_SUCCESS);
    CHECK(ObReferenceObjectByHandle(Handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&File, NULL) == STATUS_SUCCESS);
    CHECK(IoQueryFileInformation(File, FileStandardInformation, sizeof(Standard), &Standard, &Length) == 0);
    CHECK(Standard.NumberOfLinks == 1 && Length == sizeof(Standard));
    CHECK(IoQueryFileDosDeviceName(File, &Dos) == 0 && Dos->Name.Length == 22 && Dos->Name.Buffer[0] == L'V');
    ExFreePool(Dos);
    CHECK(IoVolumeDeviceToGuidPath(File->DeviceObject, &Guid) == STATUS_SUCCESS && Guid.Buffer[4] == L'V');
    ExFreePool(Guid.Buffer);
    Device = IoGetBaseFileSystemDeviceObject(File);
    ZwClose(Handle);
    CHECK(IoCreateFileSpecifyDeviceObjectHint(&Handle, FILE_GENERIC_READ, &Attributes, &Iosb, NULL, 0, 0, FILE_OPEN, 0,
                                              NULL, 0, CreateFileTypeNone, NULL, 0, Device) == STATUS_SUCCESS);
    ZwClose(Handle);
    // With a driver create context: the create begins at the device that it names, here one that has no files.
    IoInitializeDriverCreateContext(&Context);
    CHECK(IoCreateFileEx(&Handle, FILE_GENERIC_READ, &Attributes, &Iosb, NULL, 0, 0, FILE_OPEN, 0, NULL, 0,
                         CreateFileTypeNone, NULL, 0, &Context) == STATUS_SUCCESS);
    ZwClose(Handle);
    Context.DeviceObjectHint = Bare;
    CHECK(IoCreateFileEx(&Handle, FILE_GENERIC_READ, &Attributes, &Iosb, NULL, 0, 0, FILE_OPEN, 0, NULL, 0,
                         CreateFileTypeNone, NULL, 0, &Context) == STATUS_INVALID_DEVICE_REQUEST);
    IoDeleteDevice(Bare);
    ObDereferenceObject(File);
    return Checks;
}
"""


def test_objects_memory_and_the_library(load):
    machine = load(DRIVER)

    for function in ("Names", "Timers", "Objects", "Memory", "Virtual", "CancelSafe", "Library", "Helpers"):
        machine.check(function)

    assert machine.unload() == []


def test_files_by_the_routines_of_the_io_manager(load, tmp_path):
    machine = load(DRIVER, volumes={"V:": tmp_path})

    machine.check("Files", machine.driver.object.address)

    assert machine.unload() == []
    assert (tmp_path / "made.txt").exists()
