/*
 * observer.c: records every operation and its completion, and changes nothing.
 *
 * Loaded above and below the minifilter under test, it shows what the filter manager does around it. A rule can make it
 * leave out the postoperation callback, leave a token as completion context, or hold an operation back where it is.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
ObserverPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    LabMatchPre(Data, &Match);
    LabActInPre(Data, FltObjects, &Match);
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_NO_CALLBACK) | LAB_ACTION(FLTLAB_DO_WITH_CALLBACK),
    .RuleFlags = FLTLAB_RULE_PAGING_IO | FLTLAB_RULE_HOLD | FLTLAB_RULE_CONTEXT | FLTLAB_RULE_POST_HOLD,
    .PreOperation = ObserverPreOperation,
    .PostOperation = LabPostOperation,
};
