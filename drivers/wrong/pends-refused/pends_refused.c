/*
 * Wrong on purpose (PEND-WI-05): pends an operation that it could not hand to a work item.
 */

#include "common.h"

static VOID FLTAPI
Routine(PFLT_DEFERRED_IO_WORKITEM WorkItem, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    FltCompletePendedPreOperation(Data, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
    FltFreeDeferredIoWorkItem(WorkItem);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFLT_DEFERRED_IO_WORKITEM WorkItem;
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_PEND && FLT_IS_IRP_OPERATION(Data) && NT_SUCCESS(LabLockUserBuffer(Data))) {
        WorkItem = FltAllocateDeferredIoWorkItem();
        if (WorkItem == NULL) {
            return LabPassDown(Data, FltObjects, &Match, FLT_PREOP_SUCCESS_NO_CALLBACK, CompletionContext);
        }
        LabRecordPre(Data, FltObjects, &Match, FLT_PREOP_PENDING, NULL);
        if (!NT_SUCCESS(FltQueueDeferredIoWorkItem(WorkItem, Data, Routine, DelayedWorkQueue, NULL))) {
            FltFreeDeferredIoWorkItem(WorkItem); /* nobody has the operation now */
        }
        return FLT_PREOP_PENDING;
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_PEND),
    .RuleFlags = FLTLAB_RULE_PAGING_IO,
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
