/*
 * Wrong on purpose (PRE-SYNC-08): synchronizes change notifications, which may wait for ever.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_SYNCHRONIZE && Data->Iopb->MajorFunction == IRP_MJ_DIRECTORY_CONTROL &&
        Data->Iopb->MinorFunction == IRP_MN_NOTIFY_CHANGE_DIRECTORY) {
        LabRecordPre(Data, FltObjects, &Match, FLT_PREOP_SYNCHRONIZE, NULL);
        return FLT_PREOP_SYNCHRONIZE;
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_SYNCHRONIZE),
    .RuleFlags = FLTLAB_RULE_PAGING_IO,
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
