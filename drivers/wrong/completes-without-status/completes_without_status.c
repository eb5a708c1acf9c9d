/*
 * Wrong on purpose (PRE-COMP-02): completes an operation and leaves IoStatus as it came.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_COMPLETE) {
        return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_COMPLETE); /* no IoStatus */
    }
    return LabPassDown(Data, FltObjects, &Match, FLT_PREOP_SUCCESS_NO_CALLBACK, CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_COMPLETE),
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
