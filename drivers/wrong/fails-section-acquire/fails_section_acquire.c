/*
 * Wrong on purpose (PRE-COMP-13): fails the acquire for section synchronization with whatever status.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_COMPLETE) {
        Data->IoStatus.Status = STATUS_ACCESS_DENIED; /* not for want of resources */
        Data->IoStatus.Information = 0;
        return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_COMPLETE);
    }
    return LabPassDown(Data, FltObjects, &Match, FLT_PREOP_SUCCESS_NO_CALLBACK, CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_COMPLETE),
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
