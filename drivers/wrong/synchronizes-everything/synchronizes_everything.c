/*
 * Wrong on purpose (PRE-SYNC-07): synchronizes whatever comes, asynchronous reads and writes too.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_SYNCHRONIZE) {
        LabRecordPre(Data, FltObjects, &Match, FLT_PREOP_SYNCHRONIZE, NULL);
        return FLT_PREOP_SYNCHRONIZE;
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_SYNCHRONIZE),
    .RuleFlags = FLTLAB_RULE_PAGING_IO,
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
