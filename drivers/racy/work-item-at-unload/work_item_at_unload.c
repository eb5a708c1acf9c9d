/*
 * work_item_at_unload.c: notes each create from a system worker thread, and waits for those at its unload.
 *
 * The race: the work item says that it is done, the unload goes on, and the item still runs driver code that is gone.
 * Mended: the work item belongs to the filter, whose unregistration waits for it.
 */

#include "racy.h"

typedef struct _NOTE {
#ifdef MENDED
    PFLT_GENERIC_WORKITEM Item;
#else
    WORK_QUEUE_ITEM Item;
#endif
    ULONG Disposition;
} NOTE, *PNOTE;

static LONG Outstanding = 1;
static KEVENT Idle;
static ULONG Noted;

static VOID
Leave(VOID)
{
    if (InterlockedDecrement(&Outstanding) == 0) {
        KeSetEvent(&Idle, IO_NO_INCREMENT, FALSE);
    }
}

static VOID
Keep(PNOTE Note)
{
    Noted += Note->Disposition;
    Leave();
    ExFreePoolWithTag(Note, RACY_TAG);
}

#ifdef MENDED
static VOID FLTAPI
Work(PFLT_GENERIC_WORKITEM Item, PVOID FltObject, PVOID Context)
{
    UNREFERENCED_PARAMETER(FltObject);
    FltFreeGenericWorkItem(Item);
    Keep(Context);
}
#else
static VOID
Work(PVOID Context)
{
    Keep(Context);
}
#endif

static VOID
Queue(PNOTE Note)
{
    InterlockedIncrement(&Outstanding);
#ifdef MENDED
    Note->Item = FltAllocateGenericWorkItem();
    if (Note->Item != NULL && NT_SUCCESS(FltQueueGenericWorkItem(Note->Item, Filter, Work, DelayedWorkQueue, Note))) {
        return;
    }
    if (Note->Item != NULL) {
        FltFreeGenericWorkItem(Note->Item);
    }
    Keep(Note);
#else
    ExInitializeWorkItem(&Note->Item, Work, Note);
    ExQueueWorkItem(&Note->Item, DelayedWorkQueue);
#endif
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PNOTE Note = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Note), RACY_TAG);

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (Note != NULL) {
        Note->Disposition = Data->Iopb->Parameters.Create.Options >> 24;
        Queue(Note);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS
Start(VOID)
{
    KeInitializeEvent(&Idle, NotificationEvent, FALSE);
    return STATUS_SUCCESS;
}

static VOID
WaitUntilIdle(VOID)
{
    Leave();
    KeWaitForSingleObject(&Idle, Executive, KernelMode, FALSE, NULL);
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PreOperation = PreCreate},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Start = Start, .AfterUnregister = WaitUntilIdle};
