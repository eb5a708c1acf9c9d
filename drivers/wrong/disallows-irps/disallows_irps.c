/*
 * Wrong on purpose (PRE-FIO-05): disallows fast I/O where the operation is an IRP.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_DISALLOW_FASTIO) {
        return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_DISALLOW_FASTIO);
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_DISALLOW_FASTIO),
    .RuleFlags = FLTLAB_RULE_PAGING_IO,
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
