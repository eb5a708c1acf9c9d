/*
 * Wrong on purpose (PRE-PASS-02): leaves a completion context where no postoperation callback follows.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_NO_CALLBACK) {
        *CompletionContext = Data;
        LabRecordPre(Data, FltObjects, &Match, FLT_PREOP_SUCCESS_NO_CALLBACK, *CompletionContext);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_NO_CALLBACK),
    .RuleFlags = FLTLAB_RULE_PAGING_IO,
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
