/*
 * lost_wake_up.c: reads are let through by a worker thread of the driver, one after the other.
 *
 * The race: the worker finds the list empty, a read is queued and sets the event, and the worker resets it: nobody
 * wakes it for that read any more. Mended: the event is reset before the look.
 */

#include "racy.h"

typedef struct _REQUEST {
    LIST_ENTRY Entry;
    KEVENT Done;
} REQUEST, *PREQUEST;

static LIST_ENTRY Requests;
static FAST_MUTEX Lock;
static KEVENT Work;
static PKTHREAD Worker;
static volatile BOOLEAN Stopping;

static PREQUEST
TakeRequest(VOID)
{
    PREQUEST Request = NULL;

    ExAcquireFastMutex(&Lock);
    if (!IsListEmpty(&Requests)) {
        Request = CONTAINING_RECORD(RemoveHeadList(&Requests), REQUEST, Entry);
    }
    ExReleaseFastMutex(&Lock);
    return Request;
}

static VOID
WorkerThread(PVOID Context)
{
    PREQUEST Request;

    UNREFERENCED_PARAMETER(Context);
    while (!Stopping) {
#ifdef MENDED
        KeClearEvent(&Work);
#endif
        while ((Request = TakeRequest()) != NULL) {
            KeSetEvent(&Request->Done, IO_NO_INCREMENT, FALSE);
        }
        if (Stopping) {
            break;
        }
#ifndef MENDED
        KeClearEvent(&Work);
#endif
        KeWaitForSingleObject(&Work, Executive, KernelMode, FALSE, NULL);
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    REQUEST Request;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (IsOrdinaryIrp(Data)) {
        KeInitializeEvent(&Request.Done, NotificationEvent, FALSE);
        ExAcquireFastMutex(&Lock);
        InsertTailList(&Requests, &Request.Entry);
        ExReleaseFastMutex(&Lock);
        KeSetEvent(&Work, IO_NO_INCREMENT, FALSE);
        KeWaitForSingleObject(&Request.Done, Executive, KernelMode, FALSE, NULL);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS
Start(VOID)
{
    HANDLE Handle;
    NTSTATUS Status;

    InitializeListHead(&Requests);
    ExInitializeFastMutex(&Lock);
    KeInitializeEvent(&Work, NotificationEvent, FALSE);
    Status = PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, WorkerThread, NULL);
    if (NT_SUCCESS(Status)) {
        ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, NULL, KernelMode, (PVOID *)&Worker, NULL);
        ZwClose(Handle);
    }
    return Status;
}

static VOID
EndWorker(VOID)
{
    Stopping = TRUE;
    KeSetEvent(&Work, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(Worker, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Worker);
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Start = Start, .AfterUnregister = EndWorker};
