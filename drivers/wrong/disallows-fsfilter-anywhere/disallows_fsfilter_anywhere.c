/*
 * Wrong on purpose (PRE-FIO-08): disallows FSFilter I/O for operations other than query-open.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_DISALLOW_FSFILTER_IO) {
        return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_DISALLOW_FSFILTER_IO);
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_DISALLOW_FSFILTER_IO),
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
