/*
 * Wrong on purpose (POST-FAIL-01): fails an operation in its postoperation callback and leaves IoStatus.Information as
 * it was.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    LabMatchPre(Data, &Match);
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
WrongPostOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                   FLT_POST_OPERATION_FLAGS Flags)
{
    LAB_MATCH Match;

    LabMatchPost(Data, FltObjects, CompletionContext, Flags, &Match);
    if (FlagOn(Match.Rule.Flags, FLTLAB_RULE_POST_STATUS) && !FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        Data->IoStatus.Status = (NTSTATUS)Match.Rule.PostStatus; /* so many bytes of nothing */
        ClearFlag(Match.Rule.Flags, FLTLAB_RULE_POST_STATUS);
    }
    return LabFinishPost(Data, FltObjects, &Match, CompletionContext, Flags);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_WITH_CALLBACK),
    .RuleFlags = FLTLAB_RULE_POST_STATUS,
    .PreOperation = WrongPreOperation,
    .PostOperation = WrongPostOperation,
};
