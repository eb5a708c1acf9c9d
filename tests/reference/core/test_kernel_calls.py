"""What only the kernel asks of a file: contexts on it, control codes and attributes of the kernel's own, its clusters."""

from pathlib import Path

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
#define U(Name, Text) UNICODE_STRING Name = RTL_CONSTANT_STRING(Text)
#define ALL (FILE_READ_DATA | FILE_WRITE_DATA | FILE_READ_EA | FILE_WRITE_EA | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES | SYNCHRONIZE)
static LONG Freed, Ran;

static NTSTATUS Open(PCWSTR Text, ULONG Disposition, ULONG Options, PHANDLE Handle, PFILE_OBJECT *File)
{
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    UNICODE_STRING Name;
    NTSTATUS Status;

    RtlInitUnicodeString(&Name, Text);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = ZwCreateFile(Handle, ALL, &Attributes, &Iosb, NULL, 0, 7, Disposition, FILE_SYNCHRONOUS_IO_NONALERT | Options, NULL, 0);
    if (NT_SUCCESS(Status)) {
        ObReferenceObjectByHandle(*Handle, 0, *IoFileObjectType, KernelMode, (PVOID *)File, NULL);
    }
    return Status;
}

static VOID Close(HANDLE Handle, PFILE_OBJECT File)
{
    ObDereferenceObject(File);
    ZwClose(Handle);
}

static VOID NTAPI FreeContext(PVOID Context) { CHECK(((PFSRTL_PER_FILE_CONTEXT)Context)->OwnerId == &Freed); InterlockedIncrement(&Freed); }

EXPORT ULONG Contexts(void)
{
    static FSRTL_PER_FILE_CONTEXT First, Second, Third;
    FSRTL_ADVANCED_FCB_HEADER Without;
    PVOID Mine = NULL, *Where;
    HANDLE Handle, Stream;
    PFILE_OBJECT File, Other;

    CHECK(Open(L"\\??\\V:\\contexts.bin", FILE_CREATE, 0, &Handle, &File) == STATUS_SUCCESS);
    CHECK(Open(L"\\??\\V:\\contexts.bin:stream", FILE_CREATE, 0, &Stream, &Other) == STATUS_SUCCESS);
    CHECK(FsRtlSupportsPerFileContexts(File));
    Where = FsRtlGetPerFileContextPointer(File);
    CHECK(Where == FsRtlGetPerFileContextPointer(Other) && File->FsContext != Other->FsContext);
    FsRtlInitPerFileContext(&First, &Freed, &First, FreeContext);
    FsRtlInitPerFileContext(&Second, &Freed, &Second, FreeContext);
    CHECK(FsRtlLookupPerFileContext(Where, NULL, NULL) == NULL && FsRtlRemovePerFileContext(Where, &Freed, NULL) == NULL);
    CHECK(FsRtlInsertPerFileContext(Where, &First) == STATUS_SUCCESS && FsRtlInsertPerFileContext(Where, &Second) == STATUS_SUCCESS);
    CHECK(FsRtlLookupPerFileContext(Where, &Freed, NULL) == &Second && FsRtlLookupPerFileContext(Where, &Freed, &First) == &First);
    CHECK(FsRtlLookupPerFileContext(Where, &Ran, NULL) == NULL);
    CHECK(FsRtlRemovePerFileContext(Where, &Freed, &Second) == &Second && FsRtlLookupPerFileContext(Where, NULL, NULL) == &First);
    Close(Handle, File);
    CHECK(Freed == 0); /* the file is open by its stream */
    Close(Stream, Other);
    CHECK(Freed == 1);
    CHECK(FsRtlInsertPerFileContext(NULL, &First) == STATUS_INVALID_DEVICE_REQUEST && FsRtlLookupPerFileContext(NULL, NULL, NULL) == NULL);
    FsRtlInitPerFileContext(&Third, &Freed, NULL, FreeContext);
    CHECK(FsRtlInsertPerFileContext(&Mine, &Third) == STATUS_SUCCESS && Mine != NULL); /* as a file system has it */
    FsRtlTeardownPerFileContexts(&Mine);
    CHECK(Freed == 2 && Mine == NULL);
    FsRtlTeardownPerFileContexts(&Mine);
    RtlZeroMemory(&Without, sizeof(Without));
    return Checks;
}

static ULONG MakeEa(PUCHAR Buffer, PCSTR Name, UCHAR Value)
{
    PFILE_FULL_EA_INFORMATION Ea = (PFILE_FULL_EA_INFORMATION)Buffer;

    RtlZeroMemory(Buffer, 64);
    Ea->EaNameLength = (UCHAR)strlen(Name);
    Ea->EaValueLength = 1;
    RtlCopyMemory(Ea->EaName, Name, Ea->EaNameLength + 1);
    Ea->EaName[Ea->EaNameLength + 1] = Value;
    return FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName) + Ea->EaNameLength + 2;
}

EXPORT ULONG KernelEas(void)
{
    UCHAR Buffer[128], Out[128];
    ULONG Length, Returned = 0;
    IO_STATUS_BLOCK Iosb;
    HANDLE Handle;
    PFILE_OBJECT File;
    LARGE_INTEGER Offset = { .QuadPart = 0 };

    CHECK(Open(L"\\??\\V:\\eas.bin", FILE_CREATE, 0, &Handle, &File) == STATUS_SUCCESS);
    Length = MakeEa(Buffer, "$Kernel.Purge.Trust", 7);
    CHECK(ZwSetEaFile(Handle, &Iosb, Buffer, Length) == STATUS_SUCCESS); /* ignored: it is no kernel call */
    CHECK(FsRtlQueryKernelEaFile(File, Out, sizeof(Out), FALSE, NULL, 0, NULL, TRUE, &Returned) == STATUS_NO_EAS_ON_FILE);
    CHECK(FsRtlSetKernelEaFile(File, Buffer, Length) == STATUS_SUCCESS);
    CHECK(FsRtlQueryKernelEaFile(File, Out, sizeof(Out), FALSE, NULL, 0, NULL, TRUE, &Returned) == STATUS_SUCCESS && Returned == Length);
    CHECK(Out[Length - 1] == 7 && RtlEqualMemory(((PFILE_FULL_EA_INFORMATION)Out)->EaName, "$KERNEL.PURGE.TRUST", 20));
    Length = MakeEa(Buffer, "$Kernel.Kept", 8);
    CHECK(FsRtlSetKernelEaFile(File, Buffer, Length) == STATUS_SUCCESS);
    ((PFILE_FULL_EA_INFORMATION)Buffer)->NextEntryOffset = 64;
    CHECK(FsRtlSetKernelEaFile(File, Buffer, 64 + MakeEa(Buffer + 64, "PLAIN", 9)) == STATUS_INTERMIXED_KERNEL_EA_OPERATION);
    CHECK(ZwWriteFile(Handle, NULL, NULL, NULL, &Iosb, Buffer, 10, &Offset, NULL) == STATUS_SUCCESS); /* what vouched for its data is gone */
    CHECK(ZwQueryEaFile(Handle, &Iosb, Out, sizeof(Out), FALSE, NULL, 0, NULL, TRUE) == STATUS_SUCCESS && Iosb.Information == Length);
    CHECK(RtlEqualMemory(((PFILE_FULL_EA_INFORMATION)Out)->EaName, "$KERNEL.KEPT", 13));
    Close(Handle, File);
    return Checks;
}

EXPORT ULONG Clusters(void)
{
    struct { LARGE_INTEGER Start, Size; UCHAR Bits[64]; } Bitmap;
    struct { ULONG Count; LARGE_INTEGER Start; struct { LARGE_INTEGER Next, Lcn; } Extents[4]; } Runs;
    LARGE_INTEGER Start = { .QuadPart = 0 }, Offset = { .QuadPart = 0 };
    static UCHAR Data[0x12000];
    FILE_ZERO_DATA_INFORMATION Zero = { .FileOffset.QuadPart = 0, .BeyondFinalZero.QuadPart = 0x10000 };
    HANDLE Handle, Volume;
    PFILE_OBJECT File, OnVolume;
    IO_STATUS_BLOCK Iosb;
    ULONG Returned = 0;
    LONGLONG Lcn;

    CHECK(Open(L"\\??\\V:\\clusters.bin", FILE_CREATE, 0, &Handle, &File) == STATUS_SUCCESS);
    CHECK(Open(L"\\??\\V:", FILE_OPEN, 0, &Volume, &OnVolume) == STATUS_SUCCESS);
    CHECK(FsRtlKernelFsControlFile(File, FSCTL_GET_RETRIEVAL_POINTERS, &Start, sizeof(Start), &Runs, sizeof(Runs), &Returned) == STATUS_END_OF_FILE);
    CHECK(FsRtlKernelFsControlFile(File, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, NULL) == STATUS_SUCCESS);
    CHECK(ZwWriteFile(Handle, NULL, NULL, NULL, &Iosb, Data, sizeof(Data), &Offset, NULL) == STATUS_SUCCESS);
    ZwFlushBuffersFile(Handle, &Iosb);
    CHECK(FsRtlKernelFsControlFile(File, FSCTL_SET_ZERO_DATA, &Zero, sizeof(Zero), NULL, 0, NULL) == STATUS_SUCCESS);
    CHECK(FsRtlKernelFsControlFile(File, FSCTL_GET_RETRIEVAL_POINTERS, &Start, sizeof(Start), &Runs, sizeof(Runs), &Returned) == STATUS_SUCCESS);
    CHECK(Returned == 48 && Runs.Count == 2 && Runs.Extents[0].Next.QuadPart == 16 && Runs.Extents[0].Lcn.QuadPart == -1);
    CHECK(Runs.Extents[1].Next.QuadPart == 18 && Runs.Extents[1].Lcn.QuadPart > 0);
    Lcn = Runs.Extents[1].Lcn.QuadPart;
    CHECK(FsRtlKernelFsControlFile(File, FSCTL_GET_RETRIEVAL_POINTERS, &Start, sizeof(Start), &Runs, 32, &Returned) == STATUS_BUFFER_OVERFLOW && Returned == 32 && Runs.Count == 1);
    CHECK(FsRtlKernelFsControlFile(File, FSCTL_GET_RETRIEVAL_POINTERS, &Start, sizeof(Start), &Runs, 31, &Returned) == STATUS_BUFFER_TOO_SMALL);
    Start.QuadPart = 17;
    CHECK(FsRtlKernelFsControlFile(File, FSCTL_GET_RETRIEVAL_POINTERS, &Start, sizeof(Start), &Runs, sizeof(Runs), &Returned) == STATUS_SUCCESS && Runs.Start.QuadPart == 16 && Runs.Count == 1);
    Start.QuadPart = Lcn;
    CHECK(ZwFsControlFile(Volume, NULL, NULL, NULL, &Iosb, FSCTL_GET_VOLUME_BITMAP, &Start, sizeof(Start), &Bitmap, sizeof(Bitmap)) == STATUS_BUFFER_OVERFLOW);
    CHECK(Iosb.Information == sizeof(Bitmap) && Bitmap.Start.QuadPart == (Lcn & ~7) && Bitmap.Size.QuadPart > 512);
    CHECK(FlagOn(Bitmap.Bits[0], 1 << (Lcn & 7)) && FlagOn(Bitmap.Bits[(Lcn + 1 - Bitmap.Start.QuadPart) / 8], 1 << ((Lcn + 1) & 7)));
    CHECK(FsRtlKernelFsControlFile(File, FSCTL_GET_VOLUME_BITMAP, &Start, sizeof(Start), &Bitmap, sizeof(Bitmap), NULL) == STATUS_INVALID_PARAMETER);
    Start.QuadPart = -8;
    CHECK(FsRtlKernelFsControlFile(OnVolume, FSCTL_GET_VOLUME_BITMAP, &Start, sizeof(Start), &Bitmap, sizeof(Bitmap), NULL) == STATUS_INVALID_PARAMETER);
    CHECK(FsRtlKernelFsControlFile(OnVolume, 0x90234, NULL, 0, &Start, sizeof(Start), &Returned) == STATUS_SUCCESS && Start.QuadPart == 0 && Returned == 8);
    Close(Volume, OnVolume);
    Close(Handle, File);
    return Checks;
}

EXPORT ULONG ValidData(void)
{
    FILE_END_OF_FILE_INFORMATION End = { .EndOfFile.QuadPart = 0x10000 };
    FILE_VALID_DATA_LENGTH_INFORMATION Valid = { .ValidDataLength.QuadPart = 0x8000 };
    LARGE_INTEGER Offset = { .QuadPart = 0x4000 };
    PFSRTL_COMMON_FCB_HEADER Header;
    IO_STATUS_BLOCK Iosb;
    HANDLE Handle;
    PFILE_OBJECT File;
    UCHAR Byte = 1;

    CHECK(Open(L"\\??\\V:\\valid.bin", FILE_CREATE, 0, &Handle, &File) == STATUS_SUCCESS);
    Header = File->FsContext;
    CHECK(ZwSetInformationFile(Handle, &Iosb, &End, sizeof(End), FileEndOfFileInformation) == STATUS_SUCCESS);
    CHECK(Header->FileSize.QuadPart == 0x10000 && Header->ValidDataLength.QuadPart == 0);
    CHECK(ZwWriteFile(Handle, NULL, NULL, NULL, &Iosb, &Byte, 1, &Offset, NULL) == STATUS_SUCCESS && Header->ValidDataLength.QuadPart == 0x4001);
    CHECK(ZwSetInformationFile(Handle, &Iosb, &Valid, sizeof(Valid), FileValidDataLengthInformation) == STATUS_SUCCESS && Header->ValidDataLength.QuadPart == 0x8000);
    Valid.ValidDataLength.QuadPart = 0x7FFF;
    CHECK(ZwSetInformationFile(Handle, &Iosb, &Valid, sizeof(Valid), FileValidDataLengthInformation) == STATUS_INVALID_PARAMETER);
    Valid.ValidDataLength.QuadPart = 0x10001;
    CHECK(ZwSetInformationFile(Handle, &Iosb, &Valid, sizeof(Valid), FileValidDataLengthInformation) == STATUS_INVALID_PARAMETER);
    End.EndOfFile.QuadPart = 0x2000;
    CHECK(ZwSetInformationFile(Handle, &Iosb, &End, sizeof(End), FileEndOfFileInformation) == STATUS_SUCCESS && Header->ValidDataLength.QuadPart == 0x2000);
    CHECK(FsRtlKernelFsControlFile(File, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, NULL) == STATUS_SUCCESS);
    Valid.ValidDataLength.QuadPart = 0x2000;
    CHECK(ZwSetInformationFile(Handle, &Iosb, &Valid, sizeof(Valid), FileValidDataLengthInformation) == STATUS_INVALID_PARAMETER);
    Close(Handle, File);
    return Checks;
}

EXPORT ULONG Volumes(void)
{
    U(None, L"\\Device\\HarddiskVolume99");
    UCHAR Room[256];
    POBJECT_NAME_INFORMATION Name = (POBJECT_NAME_INFORMATION)Room;
    UNICODE_STRING Path, Prefix = RTL_CONSTANT_STRING(L"\\??\\Volume{");
    GUID First, Second;
    HANDLE Handle;
    PFILE_OBJECT File;
    ULONG Returned;

    CHECK(Open(L"\\??\\V:", FILE_OPEN, 0, &Handle, &File) == STATUS_SUCCESS);
    CHECK(ObQueryNameString(File->DeviceObject, Name, sizeof(Room), &Returned) == STATUS_SUCCESS);
    CHECK(IoVolumeDeviceNameToGuidPath(&Name->Name, &Path) == STATUS_SUCCESS && RtlPrefixUnicodeString(&Prefix, &Path, FALSE));
    ExFreePool(Path.Buffer);
    CHECK(IoVolumeDeviceNameToGuid(&Name->Name, &First) == STATUS_SUCCESS && IoVolumeDeviceToGuid(File->DeviceObject, &Second) == STATUS_SUCCESS);
    CHECK(RtlEqualMemory(&First, &Second, sizeof(GUID)));
    CHECK(IoVolumeDeviceNameToGuidPath(&None, &Path) == STATUS_OBJECT_NAME_NOT_FOUND && IoVolumeDeviceNameToGuid(&None, &First) == STATUS_OBJECT_NAME_NOT_FOUND);
    Close(Handle, File);
    return Checks;
}

EXPORT ULONG Addresses(void)
{
    struct { PVOID Base, Allocation; ULONG AllocatedAs, Partition; SIZE_T Size; ULONG State, Protect, Type, Pad; } Basic;
    UCHAR Room[256];
    PUNICODE_STRING Name = (PUNICODE_STRING)Room;
    U(Tail, L"\\mapped.bin");
    LARGE_INTEGER Offset = { .QuadPart = 0 };
    static UCHAR Data[0x3000];
    PVOID Own = NULL, View = NULL;
    SIZE_T Size = 0x2000, Viewed = 0, Returned = 0;
    IO_STATUS_BLOCK Iosb;
    HANDLE Handle, Section;
    PFILE_OBJECT File;

    CHECK(ZwAllocateVirtualMemory(ZwCurrentProcess(), &Own, 0, &Size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE) == STATUS_SUCCESS);
    CHECK(ZwQueryVirtualMemory(ZwCurrentProcess(), (PUCHAR)Own + 0x1234, 0, &Basic, sizeof(Basic), &Returned) == STATUS_SUCCESS && Returned == sizeof(Basic));
    CHECK(Basic.Base == (PUCHAR)Own + 0x1000 && Basic.Allocation == Own && Basic.Size == 0x1000 && Basic.State == MEM_COMMIT);
    CHECK(Basic.Type == MEM_PRIVATE && Basic.Protect == PAGE_READWRITE);
    CHECK(ZwQueryVirtualMemory(ZwCurrentProcess(), Own, 2, Room, sizeof(Room), NULL) == STATUS_INVALID_ADDRESS);
    CHECK(ZwQueryVirtualMemory(ZwCurrentProcess(), Own, 0, &Basic, sizeof(Basic) - 1, NULL) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQueryVirtualMemory(ZwCurrentProcess(), Own, 77, &Basic, sizeof(Basic), NULL) == STATUS_INVALID_INFO_CLASS);
    CHECK(ZwQueryVirtualMemory(ZwCurrentProcess(), Data, 0, &Basic, sizeof(Basic), NULL) == STATUS_INVALID_PARAMETER);
    CHECK(ZwQueryVirtualMemory(ZwCurrentProcess(), (PVOID)0x10000, 0, &Basic, sizeof(Basic), NULL) == STATUS_SUCCESS && Basic.State == MEM_FREE && Basic.Size > 0);
    CHECK(Open(L"\\??\\V:\\mapped.bin", FILE_CREATE, 0, &Handle, &File) == STATUS_SUCCESS);
    CHECK(ZwWriteFile(Handle, NULL, NULL, NULL, &Iosb, Data, sizeof(Data), &Offset, NULL) == STATUS_SUCCESS);
    CHECK(ZwCreateSection(&Section, SECTION_MAP_READ, NULL, NULL, PAGE_READONLY, SEC_COMMIT, Handle) == STATUS_SUCCESS);
    CHECK(ZwMapViewOfSection(Section, ZwCurrentProcess(), &View, 0, 0, NULL, &Viewed, ViewUnmap, 0, PAGE_READONLY) == STATUS_SUCCESS);
    CHECK(ZwQueryVirtualMemory(ZwCurrentProcess(), View, 0, &Basic, sizeof(Basic), NULL) == STATUS_SUCCESS && Basic.Type == MEM_MAPPED && Basic.Protect == PAGE_READONLY && Basic.Size == 0x3000);
    CHECK(ZwQueryVirtualMemory(ZwCurrentProcess(), View, 2, Room, sizeof(Room), NULL) == STATUS_SUCCESS && RtlSuffixUnicodeString(&Tail, Name, FALSE));
    CHECK(ZwQueryVirtualMemory(ZwCurrentProcess(), View, 2, Room, 20, &Returned) == STATUS_BUFFER_OVERFLOW && Returned > 20);
    ZwUnmapViewOfSection(ZwCurrentProcess(), View);
    ZwClose(Section);
    Close(Handle, File);
    Size = 0;
    CHECK(ZwFreeVirtualMemory(ZwCurrentProcess(), &Own, &Size, MEM_RELEASE) == STATUS_SUCCESS);
    return Checks;
}


static KEVENT Worked;
static VOID NTAPI Worker(PVOID Context) { CHECK(Context == &Worked); KeSetEvent(&Worked, 0, FALSE); }
static HANDLE Watched;
static VOID NTAPI Waiter(PVOID Context)
{
    IO_STATUS_BLOCK Iosb;

    CHECK(ZwNotifyChangeKey(Watched, NULL, NULL, NULL, &Iosb, REG_NOTIFY_CHANGE_LAST_SET, FALSE, NULL, 0, FALSE) == STATUS_NOTIFY_ENUM_DIR);
    KeSetEvent(Context, 0, FALSE);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

EXPORT ULONG Keys(void)
{
    U(Name, L"\\Registry\\Machine\\Software\\Watched"); U(Below, L"Below"); U(Value, L"Value");
    static IO_STATUS_BLOCK Iosb;
    static WORK_QUEUE_ITEM Item;
    static KEVENT Waited;
    OBJECT_ATTRIBUTES Attributes, Under;
    LARGE_INTEGER Now = { .QuadPart = 0 }, Soon = { .QuadPart = -100000 };
    HANDLE Event, Key, Child, Thread;
    ULONG Data = 1;


    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ZwCreateKey(&Key, KEY_ALL_ACCESS, &Attributes, 0, NULL, 0, NULL) == STATUS_SUCCESS);
    CHECK(ZwCreateEvent(&Event, EVENT_ALL_ACCESS, NULL, NotificationEvent, FALSE) == STATUS_SUCCESS);
    CHECK(ZwNotifyChangeKey(Key, NULL, NULL, NULL, &Iosb, 0x100, FALSE, NULL, 0, TRUE) == STATUS_INVALID_PARAMETER);
    CHECK(ZwNotifyChangeKey((HANDLE)0x1234, NULL, NULL, NULL, &Iosb, REG_NOTIFY_CHANGE_NAME, FALSE, NULL, 0, TRUE) == STATUS_INVALID_HANDLE);
    CHECK(ZwNotifyChangeKey(Key, Event, NULL, NULL, &Iosb, REG_NOTIFY_CHANGE_NAME | REG_NOTIFY_CHANGE_LAST_SET, TRUE, NULL, 0, TRUE) == STATUS_PENDING);
    CHECK(ZwWaitForSingleObject(Event, FALSE, &Now) == STATUS_TIMEOUT);
    InitializeObjectAttributes(&Under, &Below, OBJ_KERNEL_HANDLE, Key, NULL);
    CHECK(ZwCreateKey(&Child, KEY_ALL_ACCESS, &Under, 0, NULL, 0, NULL) == STATUS_SUCCESS);
    CHECK(ZwWaitForSingleObject(Event, FALSE, &Now) == STATUS_SUCCESS && Iosb.Status == STATUS_NOTIFY_ENUM_DIR);
    CHECK(ZwSetValueKey(Child, &Value, 0, REG_DWORD, &Data, sizeof(Data)) == STATUS_SUCCESS); /* nobody waits: it is kept */
    KeInitializeEvent(&Worked, NotificationEvent, FALSE);
    ExInitializeWorkItem(&Item, Worker, &Worked);
    CHECK(ZwNotifyChangeKey(Key, NULL, &Item, (PVOID)DelayedWorkQueue, &Iosb, REG_NOTIFY_CHANGE_NAME, TRUE, NULL, 0, TRUE) == STATUS_PENDING);
    CHECK(KeWaitForSingleObject(&Worked, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS && Iosb.Status == STATUS_NOTIFY_ENUM_DIR);
    CHECK(ZwNotifyChangeKey(Key, Event, NULL, NULL, &Iosb, REG_NOTIFY_CHANGE_NAME, TRUE, NULL, 0, TRUE) == STATUS_PENDING);
    ZwClose(Key);
    CHECK(ZwWaitForSingleObject(Event, FALSE, &Now) == STATUS_SUCCESS && Iosb.Status == STATUS_NOTIFY_CLEANUP);
    Watched = Child;
    KeInitializeEvent(&Waited, NotificationEvent, FALSE);
    CHECK(PsCreateSystemThread(&Thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, Waiter, &Waited) == STATUS_SUCCESS);
    KeDelayExecutionThread(KernelMode, FALSE, &Soon);
    CHECK(KeReadStateEvent(&Waited) == 0);
    CHECK(ZwDeleteValueKey(Child, &Value) == STATUS_SUCCESS);
    CHECK(KeWaitForSingleObject(&Waited, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    ZwClose(Thread);
    CHECK(ZwDeleteKey(Child) == STATUS_SUCCESS);
    ZwClose(Child);
    ZwClose(Event);
    return Checks;
}

EXPORT ULONG Directories(void)
{
    struct { USHORT Version, Length; ULONG Level, Flags; } In = { 1, 12, 1 | 2, 1 };
    struct { USHORT Version, Length; ULONG Original, New, Flags; ACCESS_MASK Access; USHORT Share; } Out = { 0 };
    U(Name, L"\\??\\V:\\cached");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb, Kept = { 0 };
    HANDLE Directory, Event, Handle;
    PFILE_OBJECT File;
    LARGE_INTEGER Now = { .QuadPart = 0 };

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateFile(&Directory, FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES, &Attributes, &Iosb, NULL, 0, 7, FILE_CREATE, FILE_DIRECTORY_FILE, NULL, 0) == STATUS_SUCCESS);
    CHECK(ZwCreateEvent(&Event, EVENT_ALL_ACCESS, NULL, NotificationEvent, FALSE) == STATUS_SUCCESS);
    CHECK(ZwFsControlFile(Directory, Event, NULL, NULL, &Kept, FSCTL_REQUEST_OPLOCK, &In, sizeof(In), &Out, sizeof(Out)) == STATUS_PENDING);
    CHECK(Open(L"\\??\\V:\\elsewhere.txt", FILE_CREATE, 0, &Handle, &File) == STATUS_SUCCESS);
    Close(Handle, File);
    CHECK(ZwWaitForSingleObject(Event, FALSE, &Now) == STATUS_TIMEOUT);
    CHECK(Open(L"\\??\\V:\\cached\\child.txt", FILE_CREATE, 0, &Handle, &File) == STATUS_SUCCESS); /* it does not wait for the acknowledgement */
    CHECK(ZwWaitForSingleObject(Event, FALSE, NULL) == STATUS_SUCCESS && Kept.Status == STATUS_SUCCESS);
    CHECK(Out.Original == 3 && Out.New == 0 && FlagOn(Out.Flags, 1));
    Close(Handle, File);
    ZwClose(Directory);
    ZwClose(Event);
    return Checks;
}
"""


def test_what_only_the_kernel_asks_of_files_keys_and_memory(load, tmp_path: Path):
    machine = load(DRIVER, volumes={"V:": tmp_path})

    for function in ("Contexts", "KernelEas", "Clusters", "ValidData", "Volumes", "Addresses", "Keys", "Directories"):
        machine.check(function)
    assert machine.findings == []
    assert machine.unload() == []
