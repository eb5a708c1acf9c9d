/*
 * transfer.c: read, write and flush.
 *
 * Non-cached and paging transfers are our IRP, sent on to the disk: it returns STATUS_PENDING, and our completion routine
 * runs where the disk's DPC completes it. Cached ones are copied from and to the content of the file in memory; the
 * first one reads it from the disk, in a system worker thread where the caller's may not wait.
 */

#include "labfs.h"

static IO_COMPLETION_ROUTINE TransferCompleted;

static ULONG
SectorOf(FCB *Fcb, LONGLONG Offset)
{
    return FIRST_SLOT + Fcb->Entry * (SLOT_SIZE / SECTOR) + (ULONG)(Offset / SECTOR);
}

static LONGLONG
FileSize(FCB *Fcb)
{
    return Fcb->Header.FileSize.QuadPart;
}

NTSTATUS
LabFsSetSize(FCB *Fcb, LONGLONG Size)
{
    LONGLONG Old = FileSize(Fcb);
    LARGE_INTEGER Now;

    if (Size > (LONGLONG)SLOT_SIZE) {
        return STATUS_DISK_FULL;
    }
    Fcb->Header.FileSize.QuadPart = Fcb->Header.ValidDataLength.QuadPart = Size;
    if (IsGone(Fcb)) {
        return STATUS_SUCCESS;
    }
    EntryOf(Fcb)->Size = (ULONG)Size;
    KeQuerySystemTime(&Now);
    EntryOf(Fcb)->LastWriteTime = Now.QuadPart;
    if (Fcb->Content != NULL) {
        LONGLONG From = min(Size, Old);

        RtlZeroMemory(Fcb->Content + From, SLOT_SIZE - (SIZE_T)From);
        Fcb->Dirty = TRUE;
    }
    return STATUS_SUCCESS;
}

/* Bring a file into memory. */
static NTSTATUS
LoadContent(FCB *Fcb)
{
    PUCHAR Content;
    NTSTATUS Status;

    if (Fcb->Content != NULL) {
        return STATUS_SUCCESS;
    }
    Content = ExAllocatePoolWithTag(NonPagedPoolNx, SLOT_SIZE, LABFS_TAG);
    if (Content == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(Content, SLOT_SIZE);
    if (FileSize(Fcb) != 0 && !IsGone(Fcb)) {
        ULONG Length = (ULONG)(FileSize(Fcb) + SECTOR - 1) & ~(SECTOR - 1);

        Status = LabFsSectors(Fcb->Vcb->Disk, IRP_MJ_READ, SectorOf(Fcb, 0), Content, Length);
        if (!NT_SUCCESS(Status)) {
            ExFreePoolWithTag(Content, LABFS_TAG);
            return Status;
        }
        RtlZeroMemory(Content + FileSize(Fcb), SLOT_SIZE - (SIZE_T)FileSize(Fcb));
    }
    Fcb->Content = Content;
    return STATUS_SUCCESS;
}

NTSTATUS
LabFsFlushFile(FCB *Fcb)
{
    ULONG Length = (ULONG)(FileSize(Fcb) + SECTOR - 1) & ~(SECTOR - 1);
    NTSTATUS Status = STATUS_SUCCESS;

    if (!Fcb->Dirty || Fcb->Content == NULL || IsGone(Fcb)) {
        return STATUS_SUCCESS;
    }
    if (Length != 0) {
        Status = LabFsSectors(Fcb->Vcb->Disk, IRP_MJ_WRITE, SectorOf(Fcb, 0), Fcb->Content, Length);
    }
    if (NT_SUCCESS(Status)) {
        Fcb->Dirty = FALSE;
    }
    return Status;
}

NTSTATUS
LabFsFlush(PDEVICE_OBJECT Device, PIRP Irp)
{
    FCB *Fcb = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;
    VCB *Vcb = VcbOf(Device);
    NTSTATUS Status = STATUS_SUCCESS;

    if (Fcb != NULL && !IsRoot(Fcb)) {
        ExAcquireResourceExclusiveLite(&Vcb->Lock, TRUE);
        Status = LabFsFlushFile(Fcb);
        if (NT_SUCCESS(Status)) {
            Status = LabFsWriteTable(Vcb);
        }
        ExReleaseResourceLite(&Vcb->Lock);
    }
    return LabFsComplete(Irp, Status, 0);
}

static NTSTATUS NTAPI
TransferCompleted(PDEVICE_OBJECT Device, PIRP Irp, PVOID Information)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    PFILE_OBJECT File = Location->FileObject;

    UNREFERENCED_PARAMETER(Device);
    if (NT_SUCCESS(Irp->IoStatus.Status)) {
        /* The disk moved whole sectors; the requester asked for what the file has of them. */
        Irp->IoStatus.Information = (ULONG_PTR)Information;
        if ((File->Flags & FO_SYNCHRONOUS_IO) != 0 && (Irp->Flags & IRP_PAGING_IO) == 0) {
            LARGE_INTEGER Offset = Location->MajorFunction == IRP_MJ_READ ? Location->Parameters.Read.ByteOffset
                                                                          : Location->Parameters.Write.ByteOffset;
            File->CurrentByteOffset.QuadPart = Offset.QuadPart + (LONGLONG)(ULONG_PTR)Information;
        }
    }
    if (Irp->PendingReturned) {
        IoMarkIrpPending(Irp);
    }
    return STATUS_CONTINUE_COMPLETION;
}

/* Send our IRP to the disk. Length is in whole sectors; Information is what the requester gets. */
static NTSTATUS
SendToDisk(VCB *Vcb, FCB *Fcb, PIRP Irp, LONGLONG Offset, ULONG Length, ULONG Information)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp), Next = IoGetNextIrpStackLocation(Irp);
    BOOLEAN Read = Location->MajorFunction == IRP_MJ_READ;
    NTSTATUS Status = LabFsLockUserBuffer(Irp, Length, Read ? IoWriteAccess : IoReadAccess);

    if (!NT_SUCCESS(Status)) {
        return LabFsComplete(Irp, Status, 0);
    }
    RtlZeroMemory(Next, sizeof(*Next));
    Next->MajorFunction = Location->MajorFunction;
    Next->Parameters.Read.Length = Length;
    Next->Parameters.Read.ByteOffset.QuadPart = (LONGLONG)SectorOf(Fcb, Offset) * SECTOR;
    IoSetCompletionRoutine(Irp, TransferCompleted, (PVOID)(ULONG_PTR)Information, TRUE, TRUE, TRUE);
    IoMarkIrpPending(Irp);
    IoCallDriver(Vcb->Disk, Irp);
    return STATUS_PENDING;
}

static NTSTATUS
NonCached(VCB *Vcb, FCB *Fcb, PIRP Irp, BOOLEAN Read, LONGLONG Offset, ULONG Length)
{
    ULONG Sectors = (Length + SECTOR - 1) & ~(SECTOR - 1);
    BOOLEAN Paging = (Irp->Flags & IRP_PAGING_IO) != 0;
    NTSTATUS Status;

    if (Offset % SECTOR != 0 || (!Paging && Length % SECTOR != 0)) {
        return LabFsComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    Status = LabFsFlushFile(Fcb); /* what was written through the cache comes before */
    if (!NT_SUCCESS(Status)) {
        return LabFsComplete(Irp, Status, 0);
    }
    if (Read) {
        ULONG Left = (ULONG)(FileSize(Fcb) - Offset);

        return SendToDisk(Vcb, Fcb, Irp, Offset, min(Sectors, (Left + SECTOR - 1) & ~(SECTOR - 1)), min(Length, Left));
    }
    if (Fcb->Content != NULL) {
        ExFreePoolWithTag(Fcb->Content, LABFS_TAG); /* and what is in memory is old afterwards */
        Fcb->Content = NULL;
    }
    return SendToDisk(Vcb, Fcb, Irp, Offset, Sectors, Length);
}

static NTSTATUS
Cached(FCB *Fcb, PIRP Irp, BOOLEAN Read, LONGLONG Offset, ULONG Length)
{
    PFILE_OBJECT File = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    PUCHAR Buffer = LabFsUserBuffer(Irp);
    NTSTATUS Status = LoadContent(Fcb);

    if (NT_SUCCESS(Status) && Buffer == NULL) {
        Status = STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!NT_SUCCESS(Status)) {
        return LabFsComplete(Irp, Status, 0);
    }
    if (Read) {
        Length = (ULONG)min((LONGLONG)Length, FileSize(Fcb) - Offset);
    }
    __try {
        if (Read) {
            RtlCopyMemory(Buffer, Fcb->Content + Offset, Length);
        } else {
            RtlCopyMemory(Fcb->Content + Offset, Buffer, Length);
            Fcb->Dirty = TRUE;
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return LabFsComplete(Irp, STATUS_INVALID_USER_BUFFER, 0);
    }
    if (!Read && (File->Flags & FO_WRITE_THROUGH) != 0) {
        Status = LabFsFlushFile(Fcb);
    }
    if (NT_SUCCESS(Status) && (File->Flags & FO_SYNCHRONOUS_IO) != 0) {
        File->CurrentByteOffset.QuadPart = Offset + Length;
    }
    return LabFsComplete(Irp, Status, NT_SUCCESS(Status) ? Length : 0);
}

static NTSTATUS
Transfer(VCB *Vcb, FCB *Fcb, PIRP Irp, BOOLEAN Read)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    LONGLONG Offset = Location->Parameters.Read.ByteOffset.QuadPart;
    ULONG Length = Location->Parameters.Read.Length;
    BOOLEAN Paging = (Irp->Flags & IRP_PAGING_IO) != 0;
    NTSTATUS Status;

    if (!Read && Location->Parameters.Write.ByteOffset.LowPart == FILE_WRITE_TO_END_OF_FILE &&
        Location->Parameters.Write.ByteOffset.HighPart == -1) {
        Offset = FileSize(Fcb);
    }
    if (!Paging &&
        !(Read ? FsRtlCheckLockForReadAccess(&Fcb->Locks, Irp) : FsRtlCheckLockForWriteAccess(&Fcb->Locks, Irp))) {
        return LabFsComplete(Irp, STATUS_FILE_LOCK_CONFLICT, 0);
    }
    if (Length == 0) {
        return LabFsComplete(Irp, STATUS_SUCCESS, 0);
    }
    if (Read && Offset >= FileSize(Fcb)) {
        return LabFsComplete(Irp, STATUS_END_OF_FILE, 0);
    }
    if (!Read && Paging) {
        if (Offset >= FileSize(Fcb)) {
            return LabFsComplete(Irp, STATUS_SUCCESS, 0); /* paging writes never extend a file */
        }
    } else if (!Read && Offset + Length > FileSize(Fcb)) {
        Status = LabFsSetSize(Fcb, Offset + Length);
        if (!NT_SUCCESS(Status)) {
            return LabFsComplete(Irp, Status, 0);
        }
    }
    if (Irp->Flags & (IRP_NOCACHE | IRP_PAGING_IO)) {
        return NonCached(Vcb, Fcb, Irp, Read, Offset, Length);
    }
    return Cached(Fcb, Irp, Read, Offset, Length);
}

NTSTATUS
LabFsTransfer(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    BOOLEAN Read = Location->MajorFunction == IRP_MJ_READ;
    FCB *Fcb = Location->FileObject->FsContext;
    VCB *Vcb = VcbOf(Device);
    NTSTATUS Status;

    if (Fcb == NULL || IsRoot(Fcb) || (IsGone(Fcb) && (Irp->Flags & (IRP_NOCACHE | IRP_PAGING_IO)) != 0)) {
        return LabFsComplete(Irp, Fcb == NULL || IsRoot(Fcb) ? STATUS_INVALID_DEVICE_REQUEST : STATUS_FILE_DELETED, 0);
    }
    /* A cached transfer may have to wait for the disk: not in the thread of someone who asked not to. */
    if ((Irp->Flags & (IRP_NOCACHE | IRP_PAGING_IO)) == 0 && Fcb->Content == NULL && !IoIsOperationSynchronous(Irp)) {
        Status = LabFsLockUserBuffer(Irp, Location->Parameters.Read.Length, Read ? IoWriteAccess : IoReadAccess);
        return NT_SUCCESS(Status) ? LabFsPost(Device, Irp) : LabFsComplete(Irp, Status, 0);
    }
    ExAcquireResourceExclusiveLite(&Vcb->Lock, TRUE);
    Status = Transfer(Vcb, Fcb, Irp, Read);
    ExReleaseResourceLite(&Vcb->Lock);
    return Status;
}

/* The table of fast I/O: a fast read or write is one that finds the file in memory. */
static BOOLEAN NTAPI
FastCheck(PFILE_OBJECT File, PLARGE_INTEGER Offset, ULONG Length, BOOLEAN Wait, ULONG Key, BOOLEAN ForRead,
          PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT Device)
{
    FCB *Fcb = File->FsContext;

    UNREFERENCED_PARAMETER(Wait);
    UNREFERENCED_PARAMETER(IoStatus);
    UNREFERENCED_PARAMETER(Device);
    if (Fcb == NULL || IsRoot(Fcb) || Fcb->Content == NULL) {
        return FALSE;
    }
    if (ForRead) {
        LARGE_INTEGER Size;

        Size.QuadPart = Length;
        return FsRtlFastCheckLockForRead(&Fcb->Locks, Offset, &Size, Key, File, PsGetCurrentProcess());
    }
    return FALSE; /* writes may extend the file: by IRP */
}

static BOOLEAN NTAPI
FastRead(PFILE_OBJECT File, PLARGE_INTEGER Offset, ULONG Length, BOOLEAN Wait, ULONG Key, PVOID Buffer,
         PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT Device)
{
    FCB *Fcb = File->FsContext;
    BOOLEAN Done = FALSE;

    if (!Wait || !FastCheck(File, Offset, Length, Wait, Key, TRUE, IoStatus, Device)) {
        return FALSE;
    }
    FsRtlEnterFileSystem();
    ExAcquireResourceExclusiveLite(&Fcb->Vcb->Lock, TRUE);
    if (Fcb->Content != NULL) {
        Done = TRUE;
        IoStatus->Information = 0;
        if (Offset->QuadPart >= FileSize(Fcb)) {
            IoStatus->Status = STATUS_END_OF_FILE;
        } else {
            Length = (ULONG)min((LONGLONG)Length, FileSize(Fcb) - Offset->QuadPart);
            __try {
                RtlCopyMemory(Buffer, Fcb->Content + Offset->QuadPart, Length);
                IoStatus->Status = STATUS_SUCCESS;
                IoStatus->Information = Length;
                File->CurrentByteOffset.QuadPart = Offset->QuadPart + Length;
            } __except (EXCEPTION_EXECUTE_HANDLER) {
                Done = FALSE; /* the IRP will tell */
            }
        }
    }
    ExReleaseResourceLite(&Fcb->Vcb->Lock);
    FsRtlExitFileSystem();
    return Done;
}

FAST_IO_DISPATCH LabFsFastIo = {
    .SizeOfFastIoDispatch = sizeof(FAST_IO_DISPATCH),
    .FastIoCheckIfPossible = FastCheck,
    .FastIoRead = FastRead,
};
