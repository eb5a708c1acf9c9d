/*
 * dispatch.c: DriverEntry, how IRPs reach the routines of the other files, and how they leave.
 *
 * An IRP that may not wait in the thread that brought it goes on in a system worker thread (LabFsPost).
 */

#include "labfs.h"

PDEVICE_OBJECT LabFsControlDevice;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD LabFsUnload;
static DRIVER_DISPATCH LabFsDispatch;
static WORKER_THREAD_ROUTINE LabFsPosted;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif

typedef struct _POSTED {
    WORK_QUEUE_ITEM Item;
    PDEVICE_OBJECT Device;
    PIRP Irp;
} POSTED;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\LabFs");
    NTSTATUS Status;
    ULONG Major;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = IoCreateDevice(DriverObject, 0, &Name, FILE_DEVICE_DISK_FILE_SYSTEM, 0, FALSE, &LabFsControlDevice);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    for (Major = 0; Major <= IRP_MJ_MAXIMUM_FUNCTION; Major++) {
        DriverObject->MajorFunction[Major] = LabFsDispatch;
    }
    DriverObject->FastIoDispatch = &LabFsFastIo;
    DriverObject->DriverUnload = LabFsUnload;
    IoRegisterFileSystem(LabFsControlDevice);
    return STATUS_SUCCESS;
}

/* Only before a volume was mounted: a file system that is in use stays. */
static void NTAPI
LabFsUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    IoUnregisterFileSystem(LabFsControlDevice);
    IoDeleteDevice(LabFsControlDevice);
}

NTSTATUS
LabFsComplete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, NT_SUCCESS(Status) ? IO_DISK_INCREMENT : IO_NO_INCREMENT);
    return Status;
}

/* What a control device or an IRP without a file is asked for. */
static NTSTATUS
Control(PDEVICE_OBJECT Device, PIRP Irp, UCHAR Major)
{
    switch (Major) {
    case IRP_MJ_CREATE:
        return LabFsComplete(Irp, STATUS_SUCCESS, FILE_OPENED);
    case IRP_MJ_CLEANUP:
    case IRP_MJ_CLOSE:
        return LabFsComplete(Irp, STATUS_SUCCESS, 0);
    case IRP_MJ_FILE_SYSTEM_CONTROL:
        return LabFsFileSystemControl(Device, Irp);
    default:
        return LabFsComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

/* The two routines of a FILE_LOCK; what completes an IRP of a lock or an unlock is this one then. */
NTSTATUS NTAPI
LabFsLockDone(PVOID Context, PIRP Irp)
{
    UCHAR Minor = IoGetCurrentIrpStackLocation(Irp)->MinorFunction;
    NTSTATUS Status = Irp->IoStatus.Status;

    DbgPrint("labfs lock %u of %u: %08x\n", Minor, ((FCB *)Context)->Entry, Status);
    return LabFsComplete(Irp, Status, 0);
}

VOID NTAPI
LabFsUnlocked(PVOID Context, PFILE_LOCK_INFO Info)
{
    DbgPrint("labfs unlocked %u to %u: %u\n", (ULONG)Info->StartingByte.QuadPart, (ULONG)Info->EndingByte.QuadPart,
             Context != NULL);
}

static NTSTATUS
LockControl(PIRP Irp)
{
    FCB *Fcb = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;

    if (Fcb == NULL || IsRoot(Fcb)) {
        return LabFsComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    /* It completes the IRP, now or when the lock can be had. */
    return FsRtlProcessFileLock(&Fcb->Locks, Irp, Fcb);
}

static NTSTATUS
Route(PDEVICE_OBJECT Device, PIRP Irp)
{
    UCHAR Major = IoGetCurrentIrpStackLocation(Irp)->MajorFunction;

    if (Device == LabFsControlDevice) {
        return Control(Device, Irp, Major);
    }
    switch (Major) {
    case IRP_MJ_CREATE:
        return LabFsCreate(Device, Irp);
    case IRP_MJ_CLEANUP:
        return LabFsCleanup(Device, Irp);
    case IRP_MJ_CLOSE:
        return LabFsClose(Device, Irp);
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        return LabFsTransfer(Device, Irp);
    case IRP_MJ_FLUSH_BUFFERS:
        return LabFsFlush(Device, Irp);
    case IRP_MJ_QUERY_INFORMATION:
        return LabFsQueryInformation(Device, Irp);
    case IRP_MJ_SET_INFORMATION:
        return LabFsSetInformation(Device, Irp);
    case IRP_MJ_QUERY_VOLUME_INFORMATION:
        return LabFsQueryVolumeInformation(Device, Irp);
    case IRP_MJ_DIRECTORY_CONTROL:
        return LabFsDirectoryControl(Device, Irp);
    case IRP_MJ_LOCK_CONTROL:
        return LockControl(Irp);
    case IRP_MJ_FILE_SYSTEM_CONTROL:
        return LabFsFileSystemControl(Device, Irp);
    default:
        return LabFsComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS NTAPI
LabFsDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    BOOLEAN TopLevel = IoGetTopLevelIrp() == NULL;
    NTSTATUS Status;

    FsRtlEnterFileSystem();
    if (TopLevel) {
        IoSetTopLevelIrp(Irp);
    }
    Status = Route(Device, Irp);
    if (TopLevel) {
        IoSetTopLevelIrp(NULL);
    }
    FsRtlExitFileSystem();
    return Status;
}

static void NTAPI
LabFsPosted(PVOID Context)
{
    POSTED *Posted = Context;
    PDEVICE_OBJECT Device = Posted->Device;
    PIRP Irp = Posted->Irp;

    ExFreePoolWithTag(Posted, LABFS_TAG);
    LabFsDispatch(Device, Irp);
}

/* Go on in a system worker thread, where an operation may wait; STATUS_PENDING. */
NTSTATUS
LabFsPost(PDEVICE_OBJECT Device, PIRP Irp)
{
    POSTED *Posted = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(POSTED), LABFS_TAG);

    if (Posted == NULL) {
        return LabFsComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    Posted->Device = Device;
    Posted->Irp = Irp;
    IoMarkIrpPending(Irp);
    ExInitializeWorkItem(&Posted->Item, LabFsPosted, Posted);
    ExQueueWorkItem(&Posted->Item, CriticalWorkQueue);
    return STATUS_PENDING;
}

/* The buffer's address is good in every process and at every IRQL afterwards, by way of Irp->MdlAddress. */
NTSTATUS
LabFsLockUserBuffer(PIRP Irp, ULONG Length, LOCK_OPERATION Operation)
{
    PMDL Mdl;

    if (Irp->MdlAddress != NULL || Length == 0) {
        return STATUS_SUCCESS;
    }
    Mdl = IoAllocateMdl(Irp->UserBuffer, Length, FALSE, FALSE, Irp);
    if (Mdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    __try {
        MmProbeAndLockPages(Mdl, Irp->RequestorMode, Operation);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        NTSTATUS Status = GetExceptionCode();

        IoFreeMdl(Mdl);
        Irp->MdlAddress = NULL;
        return FsRtlIsNtstatusExpected(Status) ? Status : STATUS_INVALID_USER_BUFFER;
    }
    return STATUS_SUCCESS;
}

PVOID
LabFsUserBuffer(PIRP Irp)
{
    if (Irp->MdlAddress == NULL) {
        return Irp->UserBuffer;
    }
    return MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority | MdlMappingNoExecute);
}
