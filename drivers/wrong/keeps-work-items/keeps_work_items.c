/*
 * Wrong on purpose (PEND-WI-06): allocates work items and never frees them.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.RuleId != 0) {
        (VOID) FltAllocateDeferredIoWorkItem();
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_WITH_CALLBACK) | LAB_ACTION(FLTLAB_DO_PEND),
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
