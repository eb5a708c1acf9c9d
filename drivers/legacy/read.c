/*
 * read.c: what a legacy filter may do to reads: pend them, send them again, complete them.
 *
 * A read that goes on in another thread needs its buffer locked first: its address means nothing in another process.
 */

#include "legacy.h"

typedef struct _LEGACY_WORK {
    WORK_QUEUE_ITEM Item;
    PDEVICE_OBJECT Device;
    PIRP Irp;
} LEGACY_WORK, *PLEGACY_WORK;

static IO_COMPLETION_ROUTINE ReadCompleted;
static WORKER_THREAD_ROUTINE SendPended;
static WORKER_THREAD_ROUTINE SendAgain;

static NTSTATUS
LockBuffer(PIRP Irp, ULONG Length)
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
        MmProbeAndLockPages(Mdl, Irp->RequestorMode, IoWriteAccess);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        NTSTATUS Status = GetExceptionCode();

        IoFreeMdl(Mdl);
        Irp->MdlAddress = NULL;
        return Status;
    }
    return STATUS_SUCCESS; /* whoever completes the IRP unlocks and frees its MDL */
}

/* Send a read down. Resend tells our completion routine whether it is to be sent once more. */
static NTSTATUS
SendDown(PDEVICE_OBJECT Device, PIRP Irp, BOOLEAN Resend)
{
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, ReadCompleted, (PVOID)(ULONG_PTR)Resend, TRUE, TRUE, TRUE);
    return IoCallDriver(LegacyBelow(Device), Irp);
}

/* Have a system worker thread go on with a read. */
static NTSTATUS
Queue(PDEVICE_OBJECT Device, PIRP Irp, PWORKER_THREAD_ROUTINE Routine)
{
    PLEGACY_WORK Work = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(LEGACY_WORK), LEGACY_TAG);

    if (Work == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Work->Device = Device;
    Work->Irp = Irp;
    ExInitializeWorkItem(&Work->Item, Routine, Work);
    ExQueueWorkItem(&Work->Item, DelayedWorkQueue);
    return STATUS_SUCCESS;
}

static void
GoOn(PLEGACY_WORK Work, const char *What, BOOLEAN Resend)
{
    PDEVICE_OBJECT Device = Work->Device;
    PIRP Irp = Work->Irp;

    ExFreePoolWithTag(Work, LEGACY_TAG);
    LegacyPrint(What, Irp);
    SendDown(Device, Irp, Resend);
}

static void NTAPI
SendPended(PVOID Context)
{
    GoOn(Context, "sends-pended", (LegacyOptions & LEGACY_RESEND_READS) != 0);
}

static void NTAPI
SendAgain(PVOID Context)
{
    GoOn(Context, "sends-again", FALSE);
}

static NTSTATUS NTAPI
ReadCompleted(PDEVICE_OBJECT Device, PIRP Irp, PVOID Resend)
{
    LegacyPrint("completion", Irp);
    if (Resend != NULL && NT_SUCCESS(Queue(Device, Irp, SendAgain))) {
        return STATUS_MORE_PROCESSING_REQUIRED;
    }
    if (Irp->PendingReturned) {
        IoMarkIrpPending(Irp);
    }
    return STATUS_CONTINUE_COMPLETION;
}

NTSTATUS NTAPI
LegacyRead(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG Length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.Length;
    NTSTATUS Status;

    if (LegacyEnds(Irp)) {
        return LegacyComplete(Irp, STATUS_ACCESS_DENIED);
    }
    if ((Irp->Flags & IRP_PAGING_IO) != 0 || IoGetTopLevelIrp() != NULL) {
        return LegacyPassDown(Device, Irp);
    }
    LegacyPrint("read", Irp);
    if (LegacyOptions & LEGACY_COMPLETE_READS) {
        return LegacyComplete(Irp, STATUS_ACCESS_DENIED);
    }
    if ((LegacyOptions & (LEGACY_PEND_READS | LEGACY_RESEND_READS)) == 0) {
        return LegacyOptions & LEGACY_WATCH_READS ? SendDown(Device, Irp, FALSE) : LegacyPassDown(Device, Irp);
    }
    Status = LockBuffer(Irp, Length);
    if (!NT_SUCCESS(Status)) {
        return LegacyComplete(Irp, Status);
    }
    IoMarkIrpPending(Irp);
    if ((LegacyOptions & LEGACY_PEND_READS) == 0 || !NT_SUCCESS(Queue(Device, Irp, SendPended))) {
        SendDown(Device, Irp, (LegacyOptions & LEGACY_RESEND_READS) != 0);
    }
    return STATUS_PENDING;
}
