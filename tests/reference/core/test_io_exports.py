"""The I/O manager's exports: IRPs, devices, work items, timers, locks and files, called from machine code."""

from pathlib import Path

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
typedef struct { ULONG Size, Filler; PDRIVER_OBJECT Self; } OURS;
static PDRIVER_OBJECT Self;
static PDEVICE_OBJECT Device;
static LONG Ran, Ticks, Completed;
NTKERNELAPI ULONG NTAPI IoGetRequestorProcessId(PIRP);
NTKERNELAPI BOOLEAN NTAPI IoIsInitiator32bitProcess(PIRP);
NTKERNELAPI PEPROCESS NTAPI IoGetInitiatorProcess(PFILE_OBJECT);
NTKERNELAPI NTSTATUS NTAPI IoCheckDesiredAccess(PACCESS_MASK, ACCESS_MASK);
NTKERNELAPI USHORT NTAPI IoSizeOfIrpEx(PDEVICE_OBJECT, CCHAR);
NTKERNELAPI NTSTATUS NTAPI IoSynchronousCallDriver(PDEVICE_OBJECT, PIRP);
NTKERNELAPI PFILE_OBJECT NTAPI IoCreateStreamFileObject(PFILE_OBJECT, PDEVICE_OBJECT);
NTKERNELAPI PFILE_OBJECT NTAPI IoCreateStreamFileObjectEx(PFILE_OBJECT, PDEVICE_OBJECT, PHANDLE);

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT On, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);

    UNREFERENCED_PARAMETER(On);
    CHECK(Stack->MajorFunction != IRP_MJ_DEVICE_CONTROL || IoGetRequestorProcessId(Irp) == 4);
    CHECK(!IoIs32bitProcess(Irp));
    CHECK(!IoIsInitiator32bitProcess(Irp) && IoGetIoPriorityHint(Irp) == IoPriorityNormal);
    Irp->IoStatus.Information = Stack->MajorFunction == IRP_MJ_DEVICE_CONTROL ? Stack->Parameters.DeviceIoControl.IoControlCode : 7;
    Irp->IoStatus.Status = STATUS_SUCCESS;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI Forward(PDEVICE_OBJECT On, PIRP Irp)
{
    PDEVICE_OBJECT Below = *(PDEVICE_OBJECT *)On->DeviceExtension;

    if (Below == NULL) return Dispatch(On, Irp);
    CHECK(IoForwardAndCatchIrp(Below, Irp) && Irp->IoStatus.Status == STATUS_SUCCESS);
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI Done(PDEVICE_OBJECT On, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(On); UNREFERENCED_PARAMETER(Irp);
    InterlockedIncrement((PLONG)Context);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static VOID NTAPI Work(PDEVICE_OBJECT On, PVOID Context) { UNREFERENCED_PARAMETER(On); InterlockedIncrement(&Ran); KeSetEvent(Context, 0, FALSE); }
static VOID NTAPI WorkEx(PVOID Object, PVOID Context, PIO_WORKITEM Item) { UNREFERENCED_PARAMETER(Object); UNREFERENCED_PARAMETER(Item); InterlockedIncrement(&Ran); KeSetEvent(Context, 0, FALSE); }
static VOID NTAPI Tick(PDEVICE_OBJECT On, PVOID Context) { UNREFERENCED_PARAMETER(On); InterlockedIncrement(Context); }

EXPORT ULONG Devices(void)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Ours");
    PDEVICE_OBJECT Upper, Base, Found = NULL;
    PFILE_OBJECT File = NULL;
    PVOID Extension = NULL;
    KIRQL Irql;

    CHECK(IoCreateDevice(Self, 8, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device) == STATUS_SUCCESS);
    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    CHECK(IoCreateDevice(Self, 8, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Upper) == STATUS_SUCCESS);
    CHECK((*(PDEVICE_OBJECT *)Upper->DeviceExtension = IoAttachDeviceToDeviceStack(Upper, Device)) == Device);
    Upper->Flags &= ~DO_DEVICE_INITIALIZING;
    CHECK(IoGetAttachedDevice(Device) == Upper && (Base = IoGetDeviceAttachmentBaseRef(Upper)) == Device);
    ObDereferenceObject(Base);
    CHECK(IoGetDeviceObjectPointer(&Name, FILE_READ_DATA, &File, &Found) == STATUS_SUCCESS && Found == Upper);
    CHECK(IoGetRelatedDeviceObject(File) == Upper && File->DeviceObject == Device);
    ObDereferenceObject(File);
    CHECK(IoAllocateDriverObjectExtension(Self, Devices, 32, &Extension) == STATUS_SUCCESS && Extension != NULL);
    CHECK(IoGetDriverObjectExtension(Self, Devices) == Extension && IoGetDriverObjectExtension(Self, Dispatch) == NULL);
    CHECK(IoAllocateDriverObjectExtension(Self, Devices, 32, &Extension) == STATUS_OBJECT_NAME_COLLISION);
    IoAcquireCancelSpinLock(&Irql);
    IoReleaseCancelSpinLock(Irql);
    IoAcquireVpbSpinLock(&Irql);
    IoReleaseVpbSpinLock(Irql);
    return Checks;
}

EXPORT ULONG Irps(void)
{
    PDEVICE_OBJECT Top = IoGetAttachedDevice(Device);
    KEVENT Event;
    IO_STATUS_BLOCK Iosb;
    LARGE_INTEGER Offset = { .QuadPart = 0 };
    UCHAR Buffer[16];
    PIRP Irp = IoAllocateIrpEx(Top, Top->StackSize, FALSE), Master;
    PVOID Room;

    CHECK(Irp != NULL && Irp->StackCount == Top->StackSize && IoSizeOfIrpEx(Top, 2) == IoSizeOfIrp(2));
    IoGetNextIrpStackLocation(Irp)->MajorFunction = IRP_MJ_READ;
    CHECK(IoSetCompletionRoutineEx(Top, Irp, Done, &Completed, TRUE, TRUE, TRUE) == STATUS_SUCCESS);
    CHECK(IoCallDriver(Top, Irp) == STATUS_SUCCESS && Completed == 1 && Irp->IoStatus.Information == 7);
    IoReuseIrp(Irp, STATUS_NOT_SUPPORTED);
    CHECK(Irp->IoStatus.Status == STATUS_NOT_SUPPORTED && IoSetIoPriorityHint(Irp, IoPriorityNormal) == STATUS_SUCCESS);
    IoGetNextIrpStackLocation(Irp)->MajorFunction = IRP_MJ_READ;
    CHECK(IoSynchronousCallDriver(Top, Irp) == STATUS_SUCCESS);
    CHECK(IoGetPagingIoPriority(Irp) == 0);
    IoFreeIrp(Irp);
    Room = ExAllocatePoolWithTag(NonPagedPoolNx, IoSizeOfIrp(3), TAG);
    IoInitializeIrp(Room, IoSizeOfIrp(3), 3);
    CHECK(((PIRP)Room)->StackCount == 3);
    ExFreePoolWithTag(Room, TAG);
    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    Irp = IoBuildDeviceIoControlRequest(0x222004, Top, NULL, 0, NULL, 0, FALSE, &Event, &Iosb);
    CHECK(Irp != NULL && IoCallDriver(Top, Irp) == STATUS_SUCCESS && Iosb.Information == 0x222004);
    Irp = IoBuildAsynchronousFsdRequest(IRP_MJ_READ, Top, Buffer, sizeof(Buffer), &Offset, &Iosb);
    CHECK(Irp != NULL);
    IoSetCompletionRoutine(Irp, Done, &Completed, TRUE, TRUE, TRUE);
    IoCallDriver(Top, Irp);
    CHECK(Completed == 2);
    while (Irp->MdlAddress != NULL) {
        PMDL Mdl = Irp->MdlAddress;
        Irp->MdlAddress = Mdl->Next;
        if (Mdl->MdlFlags & MDL_PAGES_LOCKED) MmUnlockPages(Mdl);
        IoFreeMdl(Mdl);
    }
    IoFreeIrp(Irp);
    Master = IoAllocateIrp(2, FALSE);
    IoGetNextIrpStackLocation(Master)->MajorFunction = IRP_MJ_READ;
    IoSetNextIrpStackLocation(Master);
    Irp = IoMakeAssociatedIrp(Master, 2);
    CHECK(Irp != NULL && Irp->AssociatedIrp.MasterIrp == Master && FlagOn(Irp->Flags, IRP_ASSOCIATED_IRP));
    IoFreeIrp(Irp);
    IoFreeIrp(Master);
    CHECK(IoIsValidIrpStatus(STATUS_SUCCESS));
    return Checks;
}

EXPORT ULONG Work_(void)
{
    KEVENT Event;
    PIO_WORKITEM Item = IoAllocateWorkItem(Device), Own;
    LARGE_INTEGER Second = { .QuadPart = -25000000 };

    KeInitializeEvent(&Event, SynchronizationEvent, FALSE);
    IoQueueWorkItem(Item, Work, DelayedWorkQueue, &Event);
    KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    IoQueueWorkItemEx(Item, WorkEx, CriticalWorkQueue, &Event);
    KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    CHECK(Ran == 2);
    IoFreeWorkItem(Item);
    Own = ExAllocatePoolWithTag(NonPagedPoolNx, IoSizeofWorkItem(), TAG);
    IoInitializeWorkItem(Device, Own);
    IoQueueWorkItem(Own, Work, DelayedWorkQueue, &Event);
    KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    CHECK(Ran == 3);
    IoUninitializeWorkItem(Own);
    ExFreePoolWithTag(Own, TAG);
    CHECK(IoInitializeTimer(Device, Tick, &Ticks) == STATUS_SUCCESS);
    IoStartTimer(Device);
    KeDelayExecutionThread(KernelMode, FALSE, &Second);
    IoStopTimer(Device);
    CHECK(Ticks >= 1 && Ticks <= 3);
    return Checks;
}

EXPORT ULONG Locks(void)
{
    IO_REMOVE_LOCK Lock;
    SHARE_ACCESS Share;
    PFILE_OBJECT File = IoCreateStreamFileObjectLite(NULL, Device);

    IoInitializeRemoveLockEx(&Lock, TAG, 0, 0, sizeof(Lock));
    CHECK(IoAcquireRemoveLockEx(&Lock, NULL, __FILE__, __LINE__, sizeof(Lock)) == STATUS_SUCCESS);
    CHECK(IoAcquireRemoveLockEx(&Lock, &Lock, __FILE__, __LINE__, sizeof(Lock)) == STATUS_SUCCESS);
    IoReleaseRemoveLockEx(&Lock, &Lock, sizeof(Lock));
    IoReleaseRemoveLockAndWaitEx(&Lock, NULL, sizeof(Lock));
    CHECK(IoAcquireRemoveLockEx(&Lock, NULL, __FILE__, __LINE__, sizeof(Lock)) == STATUS_DELETE_PENDING);
    CHECK(File != NULL && FlagOn(File->Flags, FO_STREAM_FILE) && File->DeviceObject == Device);
    IoSetShareAccess(FILE_READ_DATA, FILE_SHARE_READ, File, &Share);
    CHECK(Share.OpenCount == 1 && Share.Readers == 1 && File->ReadAccess && File->SharedRead);
    CHECK(!IoIsFileOriginRemote(File) && IoSetFileOrigin(File, TRUE) == STATUS_SUCCESS && IoIsFileOriginRemote(File));
    ObDereferenceObject(File);
    return Checks;
}

EXPORT ULONG Questions(void)
{
    ACCESS_MASK Wanted = GENERIC_READ;
    GUID Activity = { 1 }, Found, Interface = { 2 };
    PWSTR List = NULL;
    UNICODE_STRING Key = { 0, 0, NULL };
    HANDLE Handle = NULL;
    ULONG Error = 0;
    UCHAR Eas[16] = { 0, 0, 0, 0, 0, 1, 2, 0, 'A', 0, 'x', 'y', 0, 0, 0, 0 };
    PIO_ERROR_LOG_PACKET Packet = IoAllocateErrorLogEntry(Self, sizeof(*Packet));

    CHECK(IoCheckDesiredAccess(&Wanted, FILE_GENERIC_READ) == STATUS_SUCCESS && Wanted == FILE_GENERIC_READ);
    CHECK(IoCheckDesiredAccess(&Wanted, SYNCHRONIZE) == STATUS_ACCESS_DENIED);
    CHECK(IoGetFileObjectGenericMapping()->GenericRead == FILE_GENERIC_READ);
    CHECK(IoCheckEaBufferValidity((PFILE_FULL_EA_INFORMATION)Eas, 12, &Error) == STATUS_SUCCESS);
    CHECK(IoCheckEaBufferValidity((PFILE_FULL_EA_INFORMATION)Eas, 6, &Error) == STATUS_EA_LIST_INCONSISTENT);
    CHECK(Packet != NULL);
    IoFreeErrorLogEntry(Packet);
    Packet = IoAllocateErrorLogEntry(Self, sizeof(*Packet));
    IoWriteErrorLogEntry(Packet);
    CHECK(IoGetDeviceInterfaces(&Interface, NULL, 0, &List) == STATUS_SUCCESS && List != NULL && List[0] == 0);
    ExFreePool(List);
    CHECK(IoOpenDriverRegistryKey(Self, DriverRegKeyParameters, KEY_READ, 0, &Handle) == STATUS_SUCCESS);
    ZwClose(Handle);
    CHECK(IoGetInitialStack() != NULL && IoGetActivityIdThread() == NULL);
    CHECK(IoSetActivityIdThread(&Activity) == NULL && IoGetActivityIdThread() == &Activity);
    IoClearActivityIdThread(NULL);
    CHECK(IoGetActivityIdThread() == NULL);
    UNREFERENCED_PARAMETER(Found); UNREFERENCED_PARAMETER(Key);
    return Checks;
}

EXPORT ULONG Files(void)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\file.bin");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    HANDLE Handle, Stream;
    PFILE_OBJECT File = NULL, Made, Other;
    FILE_FS_SIZE_INFORMATION Size;
    ULONG Length = 0;
    struct { USHORT Size, Flags; PDEVICE_OBJECT Target; } Options = { 16, 2, NULL };

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateFile(&Handle, FILE_GENERIC_WRITE, &Attributes, &Iosb, NULL, 0, 0, FILE_CREATE, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0) == 0);
    CHECK(ObReferenceObjectByHandle(Handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&File, NULL) == 0);
    CHECK(IoQueryVolumeInformation(File, FileFsSizeInformation, sizeof(Size), &Size, &Length) == 0 && Size.BytesPerSector == 512);
    CHECK(IoGetInitiatorProcess(File) == NULL || IoGetInitiatorProcess(File) == PsGetCurrentProcess());
    CHECK(IoGetTransactionParameterBlock(File) == NULL);
    Made = IoCreateStreamFileObject(File, NULL);
    CHECK(Made != NULL && Made != File && Made->DeviceObject == File->DeviceObject && Made->Vpb == File->Vpb);
    CHECK(FlagOn(Made->Flags, FO_CLEANUP_COMPLETE) && FlagOn(Made->Flags, FO_STREAM_FILE));
    ObDereferenceObject(Made);
    Made = IoCreateStreamFileObjectEx(File, NULL, &Stream);
    CHECK(Made != NULL && !FlagOn(Made->Flags, FO_CLEANUP_COMPLETE));
    CHECK(ObReferenceObjectByHandle(Stream, 0, NULL, KernelMode, (PVOID *)&Other, NULL) == 0 && Other == Made);
    ObDereferenceObject(Other);
    ZwClose(Stream);
    CHECK(FlagOn(Made->Flags, FO_CLEANUP_COMPLETE));
    ObDereferenceObject(Made);
    CHECK(IoCreateStreamFileObjectEx2((PVOID)&Options, File, NULL, &Made, NULL) == 0 && !FlagOn(Made->Flags, FO_CLEANUP_COMPLETE));
    ObDereferenceObject(Made);
    Options.Size = 8;
    CHECK(IoCreateStreamFileObjectEx2((PVOID)&Options, File, NULL, &Made, NULL) == STATUS_INVALID_PARAMETER);
    CHECK(!FsRtlIsPagingFile(File));
    CHECK(CcGetFileObjectFromSectionPtrs(File->SectionObjectPointer) == NULL);
    CHECK(MmForceSectionClosed(File->SectionObjectPointer, TRUE) && MmDoesFileHaveUserWritableReferences(File->SectionObjectPointer) == 0);
    CHECK(CcWaitForCurrentLazyWriterActivity() == STATUS_SUCCESS);
    ObDereferenceObject(File);
    ZwClose(Handle);
    return Checks;
}

static PIRP OplockIrp(UCHAR Major, ULONG Code, PFILE_OBJECT File, PLONG Ended)
{
    PIRP Irp = IoAllocateIrp(2, FALSE);
    PIO_STACK_LOCATION Next = IoGetNextIrpStackLocation(Irp);

    Next->MajorFunction = Major;
    Next->FileObject = File;
    if (Major == IRP_MJ_FILE_SYSTEM_CONTROL) Next->Parameters.FileSystemControl.FsControlCode = Code;
    IoSetCompletionRoutine(Irp, Done, Ended, TRUE, TRUE, TRUE);
    IoSetNextIrpStackLocation(Irp);
    return Irp;
}

EXPORT ULONG Oplocks(void)
{
    PFILE_OBJECT Mine = IoCreateStreamFileObjectLite(NULL, Device), Other = IoCreateStreamFileObjectLite(NULL, Device);
    OPLOCK Oplock;
    LONG Ended = 0, Never = 0;
    PIRP Held = OplockIrp(IRP_MJ_FILE_SYSTEM_CONTROL, FSCTL_REQUEST_BATCH_OPLOCK, Mine, &Ended), Write, Shared;

    FsRtlInitializeOplock(&Oplock);
    CHECK(!FsRtlOplockIsSharedRequest(Held) && FsRtlOplockFsctrl(&Oplock, Held, 1) == STATUS_PENDING);
    CHECK(FsRtlCurrentBatchOplock(&Oplock) && FsRtlCurrentOplockH(&Oplock) && Ended == 0);
    Write = OplockIrp(IRP_MJ_WRITE, 0, Mine, &Never);
    CHECK(FsRtlCheckOplock(&Oplock, Write, NULL, NULL, NULL) == STATUS_SUCCESS && Ended == 0);
    IoGetCurrentIrpStackLocation(Write)->FileObject = Other;
    CHECK(FsRtlCheckOplockEx(&Oplock, Write, OPLOCK_FLAG_COMPLETE_IF_OPLOCKED, NULL, NULL, NULL) == STATUS_OPLOCK_BREAK_IN_PROGRESS);
    CHECK(FsRtlCheckOplock(&Oplock, Write, NULL, NULL, NULL) == STATUS_SUCCESS && Ended == 1);
    CHECK(FsRtlOplockBreakH(&Oplock, Write, 0, NULL, NULL, NULL) == STATUS_SUCCESS);
    CHECK(FsRtlOplockBreakToNone(&Oplock, IoGetCurrentIrpStackLocation(Write), Write, NULL, NULL, NULL) == STATUS_SUCCESS);
    Shared = OplockIrp(IRP_MJ_FILE_SYSTEM_CONTROL, FSCTL_REQUEST_OPLOCK_LEVEL_2, Mine, &Ended);
    CHECK(FsRtlOplockIsSharedRequest(Shared) && FsRtlOplockFsctrlEx(&Oplock, Shared, 0, 0) == STATUS_PENDING);
    CHECK(FsRtlOplockBreakToNoneEx(&Oplock, Write, 0, NULL, NULL, NULL) == STATUS_SUCCESS);
    KeFlushQueuedDpcs();
    { LARGE_INTEGER Soon = { .QuadPart = -100000 }; KeDelayExecutionThread(KernelMode, FALSE, &Soon); }
    CHECK(Ended == 2 && Never == 0 && !FsRtlCurrentOplock(&Oplock));
    FsRtlUninitializeOplock(&Oplock);
    IoFreeIrp(Held);
    IoFreeIrp(Shared);
    IoFreeIrp(Write);
    ObDereferenceObject(Mine);
    ObDereferenceObject(Other);
    return Checks;
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    while (Driver->DeviceObject != NULL) {
        PDEVICE_OBJECT Mine = Driver->DeviceObject;
        if (*(PDEVICE_OBJECT *)Mine->DeviceExtension != NULL) IoDetachDevice(*(PDEVICE_OBJECT *)Mine->DeviceExtension);
        IoDeleteDevice(Mine);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    ULONG Index;

    UNREFERENCED_PARAMETER(Path);
    Self = Driver;
    Driver->DriverUnload = Unload;
    for (Index = 0; Index <= IRP_MJ_MAXIMUM_FUNCTION; Index++) Driver->MajorFunction[Index] = Forward;
    return STATUS_SUCCESS;
}
"""


def test_the_io_manager_answers_as_its_documentation_says(load, tmp_path: Path):
    machine = load(DRIVER, entry=False, volumes={"V:": tmp_path})

    for function in ("Devices", "Irps", "Work_", "Locks", "Questions", "Files", "Oplocks"):
        machine.check(function)
    assert machine.findings == []
    assert machine.unload() == []
