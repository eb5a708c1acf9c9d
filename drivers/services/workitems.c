/*
 * workitems.c: what work items refuse, and where they run.
 */

#include "services.h"

static KEVENT TornDown, Ran;
static LONG Runs;

VOID
InitializeWork(VOID)
{
    KeInitializeEvent(&TornDown, NotificationEvent, FALSE);
    KeInitializeEvent(&Ran, SynchronizationEvent, FALSE);
}

/* Never runs: everything that is queued with it is refused. */
static VOID FLTAPI
Deferred(PFLT_DEFERRED_IO_WORKITEM Item, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Context);
    Say("the deferred routine ran\n");
    FltFreeDeferredIoWorkItem(Item);
}

static VOID
QueueDeferred(PFLT_CALLBACK_DATA Data, PCSTR Where)
{
    PFLT_DEFERRED_IO_WORKITEM Item = FltAllocateDeferredIoWorkItem();
    NTSTATUS Status;

    if (Item == NULL) {
        return;
    }
    Status = FltQueueDeferredIoWorkItem(Item, Data, Deferred, DelayedWorkQueue, NULL);
    if (!NT_SUCCESS(Status)) {
        FltFreeDeferredIoWorkItem(Item);
    }
    Say("deferred %s: 0x%08x\n", Where, Status);
}

VOID
AskDeferred(PFLT_CALLBACK_DATA Data)
{
    QueueDeferred(Data, "for fast I/O");
}

VOID
AskDeferredWithTopLevelIrp(PFLT_CALLBACK_DATA Data)
{
    PIRP Before = IoGetTopLevelIrp();

    IoSetTopLevelIrp((PIRP)FSRTL_FSP_TOP_LEVEL_IRP);
    QueueDeferred(Data, "with a top-level IRP");
    IoSetTopLevelIrp(Before);
}

VOID
TeardownHasStarted(VOID)
{
    KeSetEvent(&TornDown, IO_NO_INCREMENT, FALSE);
}

VOID
AskDeferredInTeardown(PFLT_CALLBACK_DATA Data)
{
    LARGE_INTEGER FiveSeconds = {.QuadPart = -50000000};

    KeWaitForSingleObject(&TornDown, Executive, KernelMode, FALSE, &FiveSeconds);
    QueueDeferred(Data, "in teardown");
}

/* Runs twice with one item: it may be queued again as soon as its routine runs. */
static VOID FLTAPI
Generic(PFLT_GENERIC_WORKITEM Item, PVOID FltObject, PVOID Context)
{
    LONG Run = InterlockedIncrement(&Runs);

    Say("generic run %d: IRQL %u, %s\n", Run, KeGetCurrentIrql(),
        PsGetCurrentProcess() == PsInitialSystemProcess ? "system process" : "another process");
    if (Run % 2 != 0) {
        FltQueueGenericWorkItem(Item, FltObject, Generic, DelayedWorkQueue, Context);
        return;
    }
    FltFreeGenericWorkItem(Item);
    KeSetEvent(&Ran, IO_NO_INCREMENT, FALSE);
}

VOID
AskGeneric(PCFLT_RELATED_OBJECTS FltObjects)
{
    PFLT_GENERIC_WORKITEM Item = FltAllocateGenericWorkItem();

    if (Item == NULL) {
        return;
    }
    if (NT_SUCCESS(FltQueueGenericWorkItem(Item, FltObjects->Instance, Generic, DelayedWorkQueue, NULL))) {
        KeWaitForSingleObject(&Ran, Executive, KernelMode, FALSE, NULL);
    } else {
        FltFreeGenericWorkItem(Item);
    }
}

VOID
AskGenericInUnload(VOID)
{
    PFLT_GENERIC_WORKITEM Item = FltAllocateGenericWorkItem();

    if (Item == NULL) {
        return;
    }
    Say("generic in unload: 0x%08x\n", FltQueueGenericWorkItem(Item, Filter, Generic, DelayedWorkQueue, NULL));
    FltFreeGenericWorkItem(Item);
}

static VOID FLTAPI
Slow(PFLT_GENERIC_WORKITEM Item, PVOID FltObject, PVOID Context)
{
    LARGE_INTEGER Delay = {.QuadPart = -2000000}; /* 200 ms */

    UNREFERENCED_PARAMETER(FltObject);
    UNREFERENCED_PARAMETER(Context);
    KeDelayExecutionThread(KernelMode, FALSE, &Delay);
    Say("the slow item is done\n");
    FltFreeGenericWorkItem(Item);
}

VOID
QueueSlowItem(VOID)
{
    PFLT_GENERIC_WORKITEM Item = FltAllocateGenericWorkItem();

    if (Item != NULL && !NT_SUCCESS(FltQueueGenericWorkItem(Item, Filter, Slow, DelayedWorkQueue, NULL))) {
        FltFreeGenericWorkItem(Item);
    }
}
