/*
 * Wrong on purpose (PRE-COMP-11): completes with success and leaves IoStatus.Information as it came.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_COMPLETE) {
        Data->IoStatus.Status = STATUS_SUCCESS; /* how many bytes? */
        return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_COMPLETE);
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_COMPLETE),
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
