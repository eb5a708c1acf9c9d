/*
 * synchronize.c: has completion processing brought back to the thread of the preoperation callback.
 *
 * Scenario "the minifilter needs its postoperation callback in the same thread context" (FLT_PREOP_SYNCHRONIZE) of
 * Writing Preoperation Callback Routines. There the postoperation callback runs at APC_LEVEL or below, so it may fetch
 * contexts (CTX-03). Where synchronizing is not allowed, a rule that asks for it gets a plain postoperation callback.
 */

#include "common.h"

static BOOLEAN
IsOplockRequest(ULONG ControlCode)
{
    switch (ControlCode) {
    case FSCTL_REQUEST_OPLOCK_LEVEL_1:
    case FSCTL_REQUEST_OPLOCK_LEVEL_2:
    case FSCTL_REQUEST_BATCH_OPLOCK:
    case FSCTL_REQUEST_FILTER_OPLOCK:
    case FSCTL_REQUEST_OPLOCK:
        return TRUE;
    default:
        return FALSE;
    }
}

/* What returning FLT_PREOP_SYNCHRONIZE says must not be synchronized (PRE-SYNC-06, PRE-SYNC-07, PRE-SYNC-08). */
static BOOLEAN
MaySynchronize(PFLT_CALLBACK_DATA Data)
{
    PFLT_IO_PARAMETER_BLOCK Iopb = Data->Iopb;

    switch (Iopb->MajorFunction) {
    case IRP_MJ_CREATE: /* the filter manager does it already */
    case IRP_MJ_LOCK_CONTROL:
        return FALSE;
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        return FltIsOperationSynchronous(Data);
    case IRP_MJ_DIRECTORY_CONTROL:
        return Iopb->MinorFunction == IRP_MN_QUERY_DIRECTORY;
    case IRP_MJ_FILE_SYSTEM_CONTROL:
        return Iopb->MinorFunction != IRP_MN_USER_FS_REQUEST ||
               !IsOplockRequest(Iopb->Parameters.FileSystemControl.Common.FsControlCode);
    default:
        return TRUE;
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
SynchronizePreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    FLT_PREOP_CALLBACK_STATUS Status;
    LAB_MATCH Match;

    LabMatchPre(Data, &Match);
    LabActInPre(Data, FltObjects, &Match);
    Status = LabSuccess(&Match);
    if (Match.Rule.Action == FLTLAB_DO_SYNCHRONIZE && MaySynchronize(Data)) {
        Status = FLT_PREOP_SYNCHRONIZE;
    }
    return LabPassDown(Data, FltObjects, &Match, Status, CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions =
        LAB_ACTION(FLTLAB_DO_NO_CALLBACK) | LAB_ACTION(FLTLAB_DO_WITH_CALLBACK) | LAB_ACTION(FLTLAB_DO_SYNCHRONIZE),
    .PostActions = LAB_ACTION(FLTLAB_POST_FINISH) | LAB_ACTION(FLTLAB_POST_WHEN_SAFE),
    .RuleFlags = FLTLAB_RULE_PAGING_IO | FLTLAB_RULE_HOLD | FLTLAB_RULE_CONTEXT | FLTLAB_RULE_SET_CONTEXT |
                 FLTLAB_RULE_PRE_CONTEXT | FLTLAB_RULE_POST_CONTEXT | FLTLAB_RULE_POST_STATUS | FLTLAB_RULE_POST_HOLD,
    .PreOperation = SynchronizePreOperation,
    .PostOperation = LabPostOperation,
};
