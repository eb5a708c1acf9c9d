/*
 * Wrong on purpose (PRE-PASS-05): registers no postoperation callback, and asks for one.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    FLT_PREOP_CALLBACK_STATUS Status;
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    switch (Match.Rule.Action) {
    case FLTLAB_DO_WITH_CALLBACK:
        Status = FLT_PREOP_SUCCESS_WITH_CALLBACK;
        break;
    case FLTLAB_DO_SYNCHRONIZE:
        Status = FLT_PREOP_SYNCHRONIZE;
        break;
    default:
        Status = FLT_PREOP_SUCCESS_NO_CALLBACK;
        break;
    }
    LabRecordPre(Data, FltObjects, &Match, Status, NULL);
    return Status;
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_WITH_CALLBACK) | LAB_ACTION(FLTLAB_DO_SYNCHRONIZE),
    .RuleFlags = FLTLAB_RULE_PAGING_IO,
    .PreOperation = WrongPreOperation,
    .PostOperation = NULL,
};
