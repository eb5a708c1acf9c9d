/*
 * passthrough.c: passes every operation down, with or without a postoperation callback.
 *
 * Scenarios "the minifilter does not need to process this operation further" (FLT_PREOP_SUCCESS_NO_CALLBACK) and "the
 * minifilter needs the final status" (FLT_PREOP_SUCCESS_WITH_CALLBACK) of Writing Preoperation Callback Routines. On
 * the way it can change parameters, start I/O of its own, use contexts, and put completion processing off until it is
 * safe (FltDoCompletionProcessingWhenSafe), if a rule asks for it.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PassthroughPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    LabMatchPre(Data, &Match);
    LabActInPre(Data, FltObjects, &Match);
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_NO_CALLBACK) | LAB_ACTION(FLTLAB_DO_WITH_CALLBACK),
    .PostActions = LAB_ACTION(FLTLAB_POST_FINISH) | LAB_ACTION(FLTLAB_POST_WHEN_SAFE),
    .RuleFlags = FLTLAB_RULE_PAGING_IO | FLTLAB_RULE_HOLD | FLTLAB_RULE_CONTEXT | FLTLAB_RULE_READ_OWN |
                 FLTLAB_RULE_OFFSET | FLTLAB_RULE_NOT_DIRTY | FLTLAB_RULE_SET_CONTEXT | FLTLAB_RULE_PRE_CONTEXT |
                 FLTLAB_RULE_POST_CONTEXT | FLTLAB_RULE_POST_STATUS | FLTLAB_RULE_POST_HOLD | FLTLAB_RULE_LENGTH |
                 FLTLAB_RULE_SWAP,
    .PreOperation = PassthroughPreOperation,
    .PostOperation = LabPostOperation,
};
