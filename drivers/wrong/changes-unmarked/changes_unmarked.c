/*
 * Wrong on purpose (PARM-03): changes offsets and lengths and does not mark the callback data dirty.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    SetFlag(Match.Rule.Flags, FLTLAB_RULE_NOT_DIRTY);
    LabActInPre(Data, FltObjects, &Match);
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_WITH_CALLBACK),
    .RuleFlags = FLTLAB_RULE_OFFSET | FLTLAB_RULE_LENGTH,
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
