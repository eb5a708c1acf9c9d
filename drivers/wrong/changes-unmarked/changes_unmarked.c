/*
 * Wrong on purpose (PARM-03): changes a read offset and does not mark the callback data dirty.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_WITH_CALLBACK && Data->Iopb->MajorFunction == IRP_MJ_READ) {
        Data->Iopb->Parameters.Read.ByteOffset.QuadPart = (LONGLONG)Match.Rule.Offset;
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_WITH_CALLBACK),
    .RuleFlags = FLTLAB_RULE_OFFSET,
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
