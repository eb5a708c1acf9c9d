/*
 * Wrong on purpose (POST-PEND-02): freezes the completion of fast I/O.
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
    if (Match.RuleId != 0 && FLT_IS_FASTIO_OPERATION(Data)) {
        LabRecordPost(Data, FltObjects, &Match, FLT_POSTOP_MORE_PROCESSING_REQUIRED, CompletionContext, Flags);
        return FLT_POSTOP_MORE_PROCESSING_REQUIRED;
    }
    return LabFinishPost(Data, FltObjects, &Match, CompletionContext, Flags);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_WITH_CALLBACK),
    .PostActions = LAB_ACTION(FLTLAB_POST_PEND),
    .PreOperation = WrongPreOperation,
    .PostOperation = WrongPostOperation,
};
