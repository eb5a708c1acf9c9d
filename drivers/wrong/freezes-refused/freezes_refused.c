/*
 * Wrong on purpose (POST-PEND-04): freezes a completion that it could not hand to a work item.
 */

#include "common.h"

static VOID FLTAPI
Routine(PFLT_DEFERRED_IO_WORKITEM WorkItem, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    FltCompletePendedPostOperation(Data);
    FltFreeDeferredIoWorkItem(WorkItem);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    LabMatchPre(Data, &Match);
    LabActInPre(Data, FltObjects, &Match);
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
WrongPostOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                   FLT_POST_OPERATION_FLAGS Flags)
{
    PFLT_DEFERRED_IO_WORKITEM WorkItem;
    LAB_MATCH Match;

    LabMatchPost(Data, FltObjects, CompletionContext, Flags, &Match);
    if (Match.Rule.PostAction == FLTLAB_POST_PEND && FLT_IS_IRP_OPERATION(Data) &&
        !FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        WorkItem = FltAllocateDeferredIoWorkItem();
        if (WorkItem == NULL) {
            return LabFinishPost(Data, FltObjects, &Match, CompletionContext, Flags);
        }
        LabRecordPost(Data, FltObjects, &Match, FLT_POSTOP_MORE_PROCESSING_REQUIRED, CompletionContext, Flags);
        if (!NT_SUCCESS(FltQueueDeferredIoWorkItem(WorkItem, Data, Routine, DelayedWorkQueue, NULL))) {
            FltFreeDeferredIoWorkItem(WorkItem); /* nobody has the completion now */
        }
        return FLT_POSTOP_MORE_PROCESSING_REQUIRED;
    }
    return LabFinishPost(Data, FltObjects, &Match, CompletionContext, Flags);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_WITH_CALLBACK),
    .PostActions = LAB_ACTION(FLTLAB_POST_PEND),
    .RuleFlags = FLTLAB_RULE_PAGING_IO,
    .PreOperation = WrongPreOperation,
    .PostOperation = WrongPostOperation,
};
