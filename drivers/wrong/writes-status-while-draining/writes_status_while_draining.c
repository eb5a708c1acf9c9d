/*
 * Wrong on purpose (DRAIN-02): changes the status in a draining postoperation callback.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    LabMatchPre(Data, &Match);
    LabActInPre(Data, FltObjects, &Match);
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
WrongPostOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                   FLT_POST_OPERATION_FLAGS Flags)
{
    LAB_MATCH Match;

    LabMatchPost(Data, FltObjects, CompletionContext, Flags, &Match);
    if (Match.RuleId != 0 && FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
    }
    return LabFinishPost(Data, FltObjects, &Match, CompletionContext, Flags);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_WITH_CALLBACK),
    .RuleFlags = FLTLAB_RULE_CONTEXT,
    .PreOperation = WrongPreOperation,
    .PostOperation = WrongPostOperation,
};
