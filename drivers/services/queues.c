/*
 * queues.c: one operation in and out of a callback data queue, within its preoperation callback.
 */

#include "services.h"

#define INSERTED ((NTSTATUS)0x00000321) /* a success of our own */

static struct {
    FLT_CALLBACK_DATA_QUEUE Queue;
    KSPIN_LOCK Lock;
    LIST_ENTRY Head;
    volatile LONG Held;     /* the lock is */
    volatile LONG Unlocked; /* calls without it */
} Q;

static VOID
Note(VOID)
{
    if (!Q.Held) {
        InterlockedIncrement(&Q.Unlocked);
    }
}

static NTSTATUS FLTAPI
Insert(PFLT_CALLBACK_DATA_QUEUE Queue, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Queue);
    UNREFERENCED_PARAMETER(Context);
    Note();
    InsertTailList(&Q.Head, &Data->QueueLinks);
    return INSERTED;
}

static VOID FLTAPI
Remove(PFLT_CALLBACK_DATA_QUEUE Queue, PFLT_CALLBACK_DATA Data)
{
    UNREFERENCED_PARAMETER(Queue);
    Note();
    RemoveEntryList(&Data->QueueLinks);
}

static PFLT_CALLBACK_DATA FLTAPI
Peek(PFLT_CALLBACK_DATA_QUEUE Queue, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    PLIST_ENTRY Next = Data != NULL ? Data->QueueLinks.Flink : Q.Head.Flink;

    UNREFERENCED_PARAMETER(Queue);
    UNREFERENCED_PARAMETER(Context);
    Note();
    return Next != &Q.Head ? CONTAINING_RECORD(Next, FLT_CALLBACK_DATA, QueueLinks) : NULL;
}

static VOID FLTAPI
Acquire(PFLT_CALLBACK_DATA_QUEUE Queue, PKIRQL Irql)
{
    UNREFERENCED_PARAMETER(Queue);
    KeAcquireSpinLock(&Q.Lock, Irql);
    Q.Held = TRUE;
}

static VOID FLTAPI
Release(PFLT_CALLBACK_DATA_QUEUE Queue, KIRQL Irql)
{
    UNREFERENCED_PARAMETER(Queue);
    Q.Held = FALSE;
    KeReleaseSpinLock(&Q.Lock, Irql);
}

/* Cancelled while it is queued: it was in its preoperation callback only, which goes on with it. */
static VOID FLTAPI
CompleteCanceled(PFLT_CALLBACK_DATA_QUEUE Queue, PFLT_CALLBACK_DATA Data)
{
    UNREFERENCED_PARAMETER(Queue);
    UNREFERENCED_PARAMETER(Data);
}

static PCSTR
Found(PFLT_CALLBACK_DATA Data, PFLT_CALLBACK_DATA Expected)
{
    return Data == NULL ? "nothing" : Data == Expected ? "the operation" : "another";
}

VOID
AskQueue(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects)
{
    FLT_CALLBACK_DATA_QUEUE_IO_CONTEXT Context;
    PFLT_CALLBACK_DATA Taken;

    KeInitializeSpinLock(&Q.Lock);
    InitializeListHead(&Q.Head);
    Q.Unlocked = 0;
    if (!NT_SUCCESS(FltCbdqInitialize(FltObjects->Instance, &Q.Queue, Insert, Remove, Peek, Acquire, Release,
                                      CompleteCanceled))) {
        return;
    }
    RtlZeroMemory(&Context, sizeof(Context));
    Say("insert: 0x%08x\n", FltCbdqInsertIo(&Q.Queue, Data, &Context, NULL));
    FltCbdqDisable(&Q.Queue);
    Say("insert when disabled: 0x%08x\n", FltCbdqInsertIo(&Q.Queue, Data, NULL, NULL));
    Taken = FltCbdqRemoveIo(&Q.Queue, &Context); /* what is in it stays there when it is disabled */
    Say("remove: %s\n", Found(Taken, Data));
    Say("remove again: %s\n", Found(FltCbdqRemoveIo(&Q.Queue, &Context), Data));
    FltCbdqEnable(&Q.Queue);
    Say("insert when enabled: 0x%08x\n", FltCbdqInsertIo(&Q.Queue, Data, NULL, NULL));
    Taken = FltCbdqRemoveNextIo(&Q.Queue, NULL);
    Say("remove next: %s\n", Found(Taken, Data));
    Say("remove next again: %s\n", Found(FltCbdqRemoveNextIo(&Q.Queue, NULL), Data));
    Say("calls without the lock: %d\n", Q.Unlocked);
}

/* In the thread that cancels, without any lock: nobody else has the operation (PEND-CAN-01). */
static VOID FLTAPI
Canceled(PFLT_CALLBACK_DATA Data)
{
    Say("the cancel routine is called, the lock %s\n", Q.Held ? "held" : "free");
    Data->IoStatus.Status = STATUS_CANCELLED;
    Data->IoStatus.Information = 0;
    FltCompletePendedPreOperation(Data, FLT_PREOP_COMPLETE, NULL);
}

/* Pends until the requester cancels it. */
BOOLEAN
PendCancelable(PFLT_CALLBACK_DATA Data)
{
    return FLT_IS_IRP_OPERATION(Data) && NT_SUCCESS(FltSetCancelCompletion(Data, Canceled));
}
