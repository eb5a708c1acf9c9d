/*
 * Wrong on purpose (PRE-PEND-03): pends whatever comes, fast I/O too, and resumes it from a generic work item.
 */

#include "common.h"

static VOID FLTAPI
Routine(PFLT_GENERIC_WORKITEM WorkItem, PVOID FltObject, PVOID Context)
{
    UNREFERENCED_PARAMETER(FltObject);
    FltCompletePendedPreOperation(Context, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
    FltFreeGenericWorkItem(WorkItem);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFLT_GENERIC_WORKITEM WorkItem;
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_PEND) { /* not asked: is it IRP-based? */
        WorkItem = FltAllocateGenericWorkItem();
        if (WorkItem != NULL) {
            LabRecordPre(Data, FltObjects, &Match, FLT_PREOP_PENDING, NULL);
            FltQueueGenericWorkItem(WorkItem, FltObjects->Instance, Routine, DelayedWorkQueue, Data);
            return FLT_PREOP_PENDING;
        }
    }
    return LabPassDown(Data, FltObjects, &Match, FLT_PREOP_SUCCESS_NO_CALLBACK, CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_PEND),
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
