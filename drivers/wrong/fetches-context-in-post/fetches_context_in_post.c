/*
 * Wrong on purpose (CTX-01): fetches a stream-handle context in its postoperation callback at any IRQL.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    LabMatchPre(Data, &Match);
    return LabPassDown(Data, FltObjects, &Match, FLT_PREOP_SUCCESS_WITH_CALLBACK, CompletionContext);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
WrongPostOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                   FLT_POST_OPERATION_FLAGS Flags)
{
    PFLT_CONTEXT Context = NULL;
    LAB_MATCH Match;
    NTSTATUS Status;

    LabMatchPost(Data, FltObjects, CompletionContext, Flags, &Match);
    if (FlagOn(Match.Rule.Flags, FLTLAB_RULE_POST_CONTEXT) && !FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        Status =
            FltGetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, &Context); /* not asked: IRQL */
        LabRecordCall(FLTLAB_PHASE_CONTEXT, Data, FltObjects->Instance, &Match, Status, Context, 0,
                      FLTLAB_CONTEXT_GET_IN_POST);
        if (NT_SUCCESS(Status)) {
            FltReleaseContext(Context);
        }
        ClearFlag(Match.Rule.Flags, FLTLAB_RULE_POST_CONTEXT);
    }
    return LabFinishPost(Data, FltObjects, &Match, CompletionContext, Flags);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_WITH_CALLBACK),
    .RuleFlags = FLTLAB_RULE_SET_CONTEXT | FLTLAB_RULE_POST_CONTEXT,
    .PreOperation = WrongPreOperation,
    .PostOperation = WrongPostOperation,
};
