/*
 * Wrong on purpose (PRE-COMP-10): resumes a pended operation as completed and leaves IoStatus as it came.
 */

#include "common.h"

static VOID FLTAPI
Routine(PFLT_GENERIC_WORKITEM WorkItem, PVOID FltObject, PVOID Context)
{
    PFLT_CALLBACK_DATA Data = Context;

    UNREFERENCED_PARAMETER(FltObject);
    FltCompletePendedPreOperation(Data, FLT_PREOP_COMPLETE, NULL); /* and IoStatus is as it came */
    FltFreeGenericWorkItem(WorkItem);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFLT_GENERIC_WORKITEM WorkItem;
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_PEND && FLT_IS_IRP_OPERATION(Data) && NT_SUCCESS(LabLockUserBuffer(Data))) {
        WorkItem = FltAllocateGenericWorkItem();
        if (WorkItem == NULL) {
            return LabPassDown(Data, FltObjects, &Match, FLT_PREOP_SUCCESS_NO_CALLBACK, CompletionContext);
        }
        LabRecordPre(Data, FltObjects, &Match, FLT_PREOP_PENDING, *CompletionContext);
        FltQueueGenericWorkItem(WorkItem, FltObjects->Instance, Routine, DelayedWorkQueue, Data);
        return FLT_PREOP_PENDING;
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_PEND),
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
