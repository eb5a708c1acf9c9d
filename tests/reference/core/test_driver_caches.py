"""The cache manager as a driver uses it for file objects that are its own: copies, pages lent by MDLs, sizes, its end."""

# ruff: noqa: E501  (C declarations, one line each)

import pytest

from harness.nt import BugCheck
from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

DRIVER = r"""
#define SIZE 0x5000
#define PIECE(At) (LARGE_INTEGER){ .QuadPart = (At) }
static struct { FSRTL_ADVANCED_FCB_HEADER Header; SECTION_OBJECT_POINTERS Sections; FAST_MUTEX Mutex; } Fcb;
static UCHAR Disk[SIZE];
static PDEVICE_OBJECT Device;
static PFILE_OBJECT File;
static HANDLE Handle;
static LONG Reads, Writes, Closed, Acquired, Released, Posted, Failing;
static NTSTATUS Failure;

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT On, PIRP Irp)
{
    PIO_STACK_LOCATION At = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS Status = STATUS_SUCCESS;
    ULONG Length, Offset;

    UNREFERENCED_PARAMETER(On);
    Irp->IoStatus.Information = 0;
    switch (At->MajorFunction) {
    case IRP_MJ_CREATE:
        At->FileObject->FsContext = &Fcb;
        At->FileObject->SectionObjectPointer = &Fcb.Sections;
        File = At->FileObject;
        break;
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        CHECK(FlagOn(Irp->Flags, IRP_PAGING_IO) && FlagOn(Irp->Flags, IRP_NOCACHE) && Irp->MdlAddress != NULL);
        Offset = At->Parameters.Read.ByteOffset.LowPart;
        Length = Offset < SIZE ? min(At->Parameters.Read.Length, SIZE - Offset) : 0;
        if (Failing) {
            Status = Failure;
        } else if (At->MajorFunction == IRP_MJ_READ) {
            InterlockedIncrement(&Reads);
            RtlCopyMemory(MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority), Disk + Offset, Length);
        } else {
            InterlockedIncrement(&Writes);
            RtlCopyMemory(Disk + Offset, MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority), Length);
        }
        Irp->IoStatus.Information = NT_SUCCESS(Status) ? Length : 0;
        break;
    case IRP_MJ_CLOSE:
        InterlockedIncrement(&Closed);
    }
    Irp->IoStatus.Status = Status;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static BOOLEAN NTAPI Acquire(PVOID Context, BOOLEAN Wait) { CHECK(Context == &Fcb && Wait); InterlockedIncrement(&Acquired); return TRUE; }
static VOID NTAPI Release(PVOID Context) { CHECK(Context == &Fcb); InterlockedIncrement(&Released); }
static VOID NTAPI Post(PVOID First, PVOID Second) { CHECK(First == &Posted && Second == NULL); KeSetEvent(First == &Posted ? (PKEVENT)&Fcb.Mutex.Event : NULL, 0, FALSE); InterlockedIncrement(&Posted); }
static CACHE_MANAGER_CALLBACKS Callbacks = { Acquire, Release, Acquire, Release };

EXPORT ULONG Open(void)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Cached"), Path = RTL_CONSTANT_STRING(L"\\Device\\Cached\\file");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    extern PDRIVER_OBJECT Self;

    for (ULONG I = 0; I <= IRP_MJ_MAXIMUM_FUNCTION; I++) Self->MajorFunction[I] = Dispatch;
    for (ULONG I = 0; I < SIZE; I++) Disk[I] = (UCHAR)(I / 16);
    CHECK(IoCreateDevice(Self, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device) == STATUS_SUCCESS);
    ClearFlag(Device->Flags, DO_DEVICE_INITIALIZING);
    ExInitializeFastMutex(&Fcb.Mutex);
    FsRtlSetupAdvancedHeader(&Fcb.Header, &Fcb.Mutex);
    Fcb.Header.FileSize.QuadPart = Fcb.Header.ValidDataLength.QuadPart = Fcb.Header.AllocationSize.QuadPart = SIZE;
    InitializeObjectAttributes(&Attributes, &Path, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateFile(&Handle, FILE_READ_DATA | FILE_WRITE_DATA | SYNCHRONIZE, &Attributes, &Iosb, NULL, 0, 7, FILE_OPEN, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0) == STATUS_SUCCESS);
    CHECK(!CcUninitializeCacheMap(File, NULL, NULL)); /* nothing is cached */
    CHECK(CcSetFileSizesEx(File, (PCC_FILE_SIZES)&Fcb.Header.AllocationSize) == STATUS_SUCCESS);
    return Checks;
}

EXPORT ULONG Copies(void)
{
    LARGE_INTEGER At = PIECE(0x10), End;
    IO_STATUS_BLOCK Iosb = { 0 };
    UCHAR Buffer[64];

    CcInitializeCacheMap(File, (PCC_FILE_SIZES)&Fcb.Header.AllocationSize, FALSE, &Callbacks, &Fcb);
    CHECK(File->PrivateCacheMap != NULL && Fcb.Sections.SharedCacheMap != NULL && CcGetFileObjectFromSectionPtrs(&Fcb.Sections) == File);
    CHECK(!CcCopyRead(File, &At, 64, FALSE, Buffer, &Iosb) && Reads == 0); /* it would have to wait */
    CHECK(CcCopyRead(File, &At, 64, TRUE, Buffer, &Iosb) && Reads == 1 && Iosb.Information == 64 && Buffer[0] == 1 && Buffer[63] == 4);
    CHECK(CcCopyRead(File, &At, 64, FALSE, Buffer, &Iosb) && Reads == 1);
    CHECK(CcCopyReadEx(File, &At, 16, TRUE, Buffer, &Iosb, PsGetCurrentThread()));
    CcFastCopyRead(File, 0x20, 16, 1, Buffer, &Iosb);
    CHECK(Buffer[0] == 2 && Iosb.Information == 16);
    RtlFillMemory(Buffer, sizeof(Buffer), 0xAB);
    CHECK(CcCopyWrite(File, &At, 16, TRUE, Buffer) && CcIsThereDirtyData(Device->Vpb) == FALSE && Disk[0x10] == 1);
    CHECK(CcGetFlushedValidData(&Fcb.Sections, FALSE).QuadPart == 0);
    CcFlushCache(&Fcb.Sections, NULL, 0, &Iosb);
    CHECK(Iosb.Status == STATUS_SUCCESS && Disk[0x10] == 0xAB && Disk[0x20] == 2 && Writes == 1);
    CHECK(CcGetFlushedValidData(&Fcb.Sections, FALSE).QuadPart == MAXLONGLONG);
    CHECK(CcCopyWriteEx(File, &At, 4, TRUE, Buffer, PsGetCurrentThread()));
    CcFastCopyWrite(File, 0x30, 4, Buffer);
    At = PIECE(0x40); End = PIECE(0x50);
    CHECK(CcZeroData(File, &At, &End, TRUE));
    CHECK(CcCopyRead(File, &At, 32, TRUE, Buffer, &Iosb) && Buffer[0] == 0 && Buffer[15] == 0 && Buffer[16] == 5);
    CHECK(CcCanIWrite(File, 0x1000, TRUE, FALSE));
    KeInitializeEvent(&Fcb.Mutex.Event, SynchronizationEvent, FALSE);
    CcDeferWrite(File, Post, &Posted, NULL, 0x1000, FALSE);
    KeWaitForSingleObject(&Fcb.Mutex.Event, Executive, KernelMode, FALSE, NULL);
    CcSetReadAheadGranularity(File, 0x10000); CcSetDirtyPageThreshold(File, 100); CcSetAdditionalCacheAttributes(File, TRUE, FALSE);
    CcScheduleReadAhead(File, &At, 0x1000);
    return Checks;
}

EXPORT ULONG Lent(void)
{
    LARGE_INTEGER At = PIECE(0xFF0);
    IO_STATUS_BLOCK Iosb = { 0 };
    PMDL Mdl = NULL;
    PUCHAR Bytes;

    CcMdlRead(File, &At, 0x20, &Mdl, &Iosb);
    CHECK(Mdl != NULL && MmGetMdlByteCount(Mdl) == 0x20 && Iosb.Information == 0x20);
    Bytes = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority);
    CHECK(Bytes[0] == 0xFF && Bytes[0x10] == 0 && Bytes[0x1F] == 0);
    CHECK(!CcPurgeCacheSection(&Fcb.Sections, NULL, 0, FALSE)); /* they are in use */
    CcMdlReadComplete(File, Mdl);
    CcPrepareMdlWrite(File, &At, 0x20, &Mdl, &Iosb);
    RtlFillMemory(MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority), 0x20, 0x77);
    CcMdlWriteComplete(File, &At, Mdl);
    CcFlushCache(&Fcb.Sections, NULL, 0, &Iosb);
    CHECK(Disk[0xFF0] == 0x77 && Disk[0x100F] == 0x77 && Disk[0x1010] == 1);
    CcPrepareMdlWrite(File, &At, 0x20, &Mdl, &Iosb);
    CcMdlWriteAbort(File, Mdl);
    CHECK(CcPurgeCacheSection(&Fcb.Sections, NULL, 0, FALSE));
    return Checks;
}

EXPORT ULONG Errors(void)
{
    LARGE_INTEGER At = PIECE(0x4000);
    IO_STATUS_BLOCK Iosb = { 0 };
    NTSTATUS Raised = STATUS_SUCCESS;
    UCHAR Buffer[16];

    Failing = 1;
    Failure = STATUS_DISK_CORRUPT_ERROR;
    __try { CcCopyRead(File, &At, 16, TRUE, Buffer, &Iosb); } __except (EXCEPTION_EXECUTE_HANDLER) { Raised = GetExceptionCode(); }
    CHECK(Raised == STATUS_DISK_CORRUPT_ERROR);
    Failing = 0;
    CHECK(CcCopyRead(File, &At, 16, TRUE, Buffer, &Iosb) && Buffer[0] == 0);
    return Checks;
}

EXPORT ULONG End(void)
{
    CC_FILE_SIZES Sizes = { PIECE(0x1000), PIECE(0x800), PIECE(0x800) };
    CACHE_UNINITIALIZE_EVENT Event = { NULL };
    LARGE_INTEGER At = PIECE(0x100);
    UCHAR Byte = 9;

    CcSetFileSizes(File, &Sizes);
    CHECK(CcGetFileSizePointer(File)->QuadPart == 0x800);
    CHECK(CcCopyWrite(File, &At, 1, TRUE, &Byte));
    KeInitializeEvent(&Event.Event, NotificationEvent, FALSE);
    ZwClose(Handle);
    CHECK(Closed == 0);
    CHECK(CcUninitializeCacheMap(File, NULL, &Event) && File->PrivateCacheMap == NULL);
    CHECK(KeWaitForSingleObject(&Event.Event, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    CHECK(Disk[0x100] == 9 && Acquired > 0 && Acquired == Released && Fcb.Sections.SharedCacheMap == NULL && Fcb.Sections.DataSectionObject == NULL);
    return Checks;
}

EXPORT ULONG IsClosed(void) { CHECK(Closed == 1); IoDeleteDevice(Device); return Checks; }

EXPORT ULONG TooFar(void)
{
    LARGE_INTEGER At = PIECE(SIZE - 8);
    IO_STATUS_BLOCK Iosb;
    UCHAR Buffer[16];

    CcInitializeCacheMapEx(File, (PCC_FILE_SIZES)&Fcb.Header.AllocationSize, FALSE, &Callbacks, &Fcb, 0);
    CcCopyRead(File, &At, 16, TRUE, Buffer, &Iosb);
    return Checks;
}

EXPORT ULONG TooEarly(void)
{
    LARGE_INTEGER At = PIECE(0);
    IO_STATUS_BLOCK Iosb;
    UCHAR Buffer[16];

    CcCopyRead(File, &At, 16, TRUE, Buffer, &Iosb);
    return Checks;
}

PDRIVER_OBJECT Self;
static VOID NTAPI Unload(PDRIVER_OBJECT Driver) { UNREFERENCED_PARAMETER(Driver); }
NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path) { UNREFERENCED_PARAMETER(Path); Self = Driver; Driver->DriverUnload = Unload; return STATUS_SUCCESS; }
"""


def test_a_driver_caches_file_objects_of_its_own(load):
    machine = load(DRIVER, entry=False)

    for function in ("Open", "Copies", "Lent", "Errors", "End"):
        machine.check(function)
    machine.kernel.settle()
    machine.check("IsClosed")
    assert machine.findings == []
    assert machine.unload() == []


@pytest.mark.parametrize(
    ("function", "said"),
    [("TooFar", "goes past FileSize 0x5000: CcSetFileSizes"), ("TooEarly", "CcInitializeCacheMap comes first")],
)
def test_what_the_cache_manager_cannot_do_is_a_bug_check(load, function: str, said: str):
    machine = load(DRIVER, entry=False)
    machine.check("Open")

    with pytest.raises(BugCheckStop) as stopped:
        machine.call(function)
    assert stopped.value.code == BugCheck.CACHE_MANAGER
    assert said in str(stopped.value)
