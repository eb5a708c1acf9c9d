/*
 * queue.c: parking operations for the driver's own thread, in a cancel-safe callback data queue or in a plain list.
 *
 * Each instance has a queue, guarded by its QueueLock, which the filter manager takes and releases through our
 * callbacks; the list has its own lock. The thread is made when the first rule needs it. It looks into the queues of all
 * instances under QueuesLock, so that none of them comes or goes meanwhile. Lock order: QueuesLock, QueueLock.
 */

#include "pending.h"

static struct {
    BOOLEAN Started;
    BOOLEAN Stopping;
    PKTHREAD Thread;
    KEVENT Work;
    KSPIN_LOCK ListLock;
    LIST_ENTRY List; /* of LAB_OPERATION.QueueLink */
} Worker;

static KSPIN_LOCK QueuesLock; /* guards QueueReady of all instances; zero is its initial state */
static LONG Starting;         /* 1: somebody starts the thread, or has */

/*
 * The queue's callbacks. Insert, remove and peek run with the lock held.
 */

static PLAB_INSTANCE
InstanceOf(PFLT_CALLBACK_DATA_QUEUE Queue)
{
    return CONTAINING_RECORD(Queue, LAB_INSTANCE, Queue);
}

static NTSTATUS FLTAPI
QueueInsert(PFLT_CALLBACK_DATA_QUEUE Queue, PFLT_CALLBACK_DATA Data, PVOID InsertContext)
{
    Data->QueueContext[0] = InsertContext;
    InsertTailList(&InstanceOf(Queue)->QueueHead, &Data->QueueLinks);
    return STATUS_SUCCESS;
}

static VOID FLTAPI
QueueRemove(PFLT_CALLBACK_DATA_QUEUE Queue, PFLT_CALLBACK_DATA Data)
{
    UNREFERENCED_PARAMETER(Queue);
    RemoveEntryList(&Data->QueueLinks);
}

/* The next one that is not held. */
static PFLT_CALLBACK_DATA FLTAPI
QueuePeek(PFLT_CALLBACK_DATA_QUEUE Queue, PFLT_CALLBACK_DATA Data, PVOID PeekContext)
{
    PLIST_ENTRY Head = &InstanceOf(Queue)->QueueHead;
    PLIST_ENTRY Link = Data != NULL ? Data->QueueLinks.Flink : Head->Flink;

    UNREFERENCED_PARAMETER(PeekContext);
    for (; Link != Head; Link = Link->Flink) {
        Data = CONTAINING_RECORD(Link, FLT_CALLBACK_DATA, QueueLinks);
        if (!((PLAB_OPERATION)Data->QueueContext[0])->Held) {
            return Data;
        }
    }
    return NULL;
}

static VOID FLTAPI
QueueAcquire(PFLT_CALLBACK_DATA_QUEUE Queue, PKIRQL Irql)
{
    KeAcquireSpinLock(&InstanceOf(Queue)->QueueLock, Irql);
}

static VOID FLTAPI
QueueRelease(PFLT_CALLBACK_DATA_QUEUE Queue, KIRQL Irql)
{
    KeReleaseSpinLock(&InstanceOf(Queue)->QueueLock, Irql);
}

static VOID FLTAPI
QueueCompleteCanceled(PFLT_CALLBACK_DATA_QUEUE Queue, PFLT_CALLBACK_DATA Data)
{
    UNREFERENCED_PARAMETER(Queue);
    CarryOnCancelled(Data->QueueContext[0]);
}

static VOID
SetReady(PLAB_INSTANCE Instance, BOOLEAN Ready)
{
    KIRQL Irql;

    KeAcquireSpinLock(&QueuesLock, &Irql);
    Instance->QueueReady = Ready;
    KeReleaseSpinLock(&QueuesLock, Irql);
}

NTSTATUS
InitializeQueue(PLAB_INSTANCE Instance)
{
    NTSTATUS Status;

    KeInitializeSpinLock(&Instance->QueueLock);
    InitializeListHead(&Instance->QueueHead);
    Status = FltCbdqInitialize(Instance->Instance, &Instance->Queue, QueueInsert, QueueRemove, QueuePeek, QueueAcquire,
                               QueueRelease, QueueCompleteCanceled);
    if (NT_SUCCESS(Status)) {
        SetReady(Instance, TRUE);
    }
    return Status;
}

/* At teardown: no more inserts; what is in the queue is released and taken out by the thread (TEAR-03). */
VOID
DisableQueue(PLAB_INSTANCE Instance)
{
    FltCbdqDisable(&Instance->Queue);
}

/* When teardown is complete: the queue is empty, and the thread does not look into it any more. */
VOID
CloseQueue(PLAB_INSTANCE Instance)
{
    SetReady(Instance, FALSE);
}

NTSTATUS
ParkInQueue(PLAB_OPERATION Operation)
{
    PLAB_INSTANCE Instance = LabFindInstance(Operation->Instance);
    NTSTATUS Status;

    if (Instance == NULL) {
        return STATUS_FLT_DELETING_OBJECT;
    }
    Status = FltCbdqInsertIo(&Instance->Queue, Operation->Data, NULL, Operation);
    if (NT_SUCCESS(Status)) {
        WakeThread();
    }
    return Status;
}

NTSTATUS
ParkForThread(PLAB_OPERATION Operation)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Worker.ListLock, &Irql);
    InsertTailList(&Worker.List, &Operation->QueueLink);
    KeReleaseSpinLock(&Worker.ListLock, Irql);
    WakeThread();
    return STATUS_SUCCESS;
}

/*
 * The thread
 */

static PLAB_OPERATION
TakeFromQueues(VOID)
{
    PFLT_CALLBACK_DATA Data = NULL;
    PLAB_INSTANCE Instance;
    ULONG Index;
    KIRQL Irql;

    KeAcquireSpinLock(&QueuesLock, &Irql);
    for (Index = 0; Index < LAB_MAXIMUM_INSTANCES && Data == NULL; Index++) {
        Instance = LabInstanceAt(Index);
        if (Instance != NULL && Instance->QueueReady) {
            Data = FltCbdqRemoveNextIo(&Instance->Queue, NULL);
        }
    }
    KeReleaseSpinLock(&QueuesLock, Irql);
    return Data != NULL ? Data->QueueContext[0] : NULL;
}

static PLAB_OPERATION
TakeFromList(VOID)
{
    PLAB_OPERATION Operation, Found = NULL;
    PLIST_ENTRY Link;
    KIRQL Irql;

    KeAcquireSpinLock(&Worker.ListLock, &Irql);
    for (Link = Worker.List.Flink; Link != &Worker.List; Link = Link->Flink) {
        Operation = CONTAINING_RECORD(Link, LAB_OPERATION, QueueLink);
        if (!Operation->Held) {
            RemoveEntryList(Link);
            Found = Operation;
            break;
        }
    }
    KeReleaseSpinLock(&Worker.ListLock, Irql);
    return Found;
}

static VOID
ThreadRoutine(PVOID Context)
{
    PLAB_OPERATION Operation;

    UNREFERENCED_PARAMETER(Context);
    while (!Worker.Stopping) {
        KeWaitForSingleObject(&Worker.Work, Executive, KernelMode, FALSE, NULL);
        for (;;) {
            Operation = TakeFromQueues();
            if (Operation != NULL) {
                CarryOn(Operation, FLTLAB_MECHANISM_QUEUE);
                continue;
            }
            Operation = TakeFromList();
            if (Operation == NULL) {
                break;
            }
            CarryOn(Operation, FLTLAB_MECHANISM_THREAD);
        }
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS
StartThread(VOID)
{
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Handle;
    NTSTATUS Status;

    if (InterlockedCompareExchange(&Starting, 1, 0) != 0) {
        /* Not yet: another client adds its first such rule at this moment. */
        return Worker.Started ? STATUS_SUCCESS : STATUS_DEVICE_BUSY;
    }
    KeInitializeEvent(&Worker.Work, SynchronizationEvent, FALSE);
    KeInitializeSpinLock(&Worker.ListLock);
    InitializeListHead(&Worker.List);
    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, &Attributes, NULL, NULL, ThreadRoutine, NULL);
    if (NT_SUCCESS(Status)) {
        ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, (PVOID *)&Worker.Thread, NULL);
        ZwClose(Handle);
        Worker.Started = TRUE;
    } else {
        InterlockedExchange(&Starting, 0);
    }
    return Status;
}

VOID
WakeThread(VOID)
{
    if (Worker.Started) {
        KeSetEvent(&Worker.Work, IO_NO_INCREMENT, FALSE);
    }
}

VOID
StopThread(VOID)
{
    if (!Worker.Started) {
        return;
    }
    Worker.Stopping = TRUE;
    WakeThread();
    KeWaitForSingleObject(Worker.Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Worker.Thread);
}
