/*
 * Wrong on purpose (PEND-CAN-01): completes a cancelled operation in its cancel routine, and once more in its
 * worker.
 */

#include "../black_box.h"

/* The worker does not ask FltClearCancelCompletion whether the operation is still its own. */
static VOID FLTAPI
Worker(PFLT_GENERIC_WORKITEM WorkItem, PVOID FltObject, PVOID Context)
{
    UNREFERENCED_PARAMETER(FltObject);
    FltCompletePendedPreOperation((PFLT_CALLBACK_DATA)Context, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
    FltFreeGenericWorkItem(WorkItem);
}

static VOID FLTAPI
Canceled(PFLT_CALLBACK_DATA Data)
{
    PFLT_GENERIC_WORKITEM WorkItem = FltAllocateGenericWorkItem();
    PFLT_INSTANCE Instance = Data->Iopb->TargetInstance;

    Data->IoStatus.Status = STATUS_CANCELLED;
    Data->IoStatus.Information = 0;
    FltCompletePendedPreOperation(Data, FLT_PREOP_COMPLETE, NULL);
    if (WorkItem != NULL && !NT_SUCCESS(FltQueueGenericWorkItem(WorkItem, Instance, Worker, DelayedWorkQueue, Data))) {
        FltFreeGenericWorkItem(WorkItem);
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    *CompletionContext = NULL;
    if (FLT_IS_IRP_OPERATION(Data) && !FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO) &&
        NT_SUCCESS(FltSetCancelCompletion(Data, Canceled))) {
        return FLT_PREOP_PENDING;
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};
