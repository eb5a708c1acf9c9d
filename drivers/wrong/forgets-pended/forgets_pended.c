/*
 * Wrong on purpose (PRE-PEND-02): pends an operation and forgets it.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_PEND && FLT_IS_IRP_OPERATION(Data)) {
        LabRecordPre(Data, FltObjects, &Match, FLT_PREOP_PENDING, NULL);
        return FLT_PREOP_PENDING; /* nobody has it now */
    }
    return LabPassDown(Data, FltObjects, &Match, FLT_PREOP_SUCCESS_NO_CALLBACK, CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_PEND),
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
