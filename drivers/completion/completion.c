/*
 * completion.c: completes operations in their preoperation callback.
 *
 * Scenario "the minifilter completes the operation itself" (FLT_PREOP_COMPLETE) of Writing Preoperation Callback
 * Routines: the final status goes into IoStatus first, and nobody below is shown the operation.
 */

#include "common.h"

static BOOLEAN
CannotFail(UCHAR Major)
{
    return Major == IRP_MJ_CLEANUP || Major == IRP_MJ_CLOSE;
}

/* The acquire for section synchronization fails for want of resources only, and not of every type (PRE-COMP-13). */
static BOOLEAN
CannotFailSo(PFLT_CALLBACK_DATA Data, NTSTATUS Status)
{
    return Data->Iopb->MajorFunction == IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION && !NT_SUCCESS(Status) &&
           (Status != STATUS_INSUFFICIENT_RESOURCES ||
            Data->Iopb->Parameters.AcquireForSectionSynchronization.SyncType != SyncTypeCreateSection);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
CompletionPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL; /* must be NULL with FLT_PREOP_COMPLETE (PRE-COMP-08) */
    LabMatchPre(Data, &Match);
    LabActInPre(Data, FltObjects, &Match);
    if (Match.Rule.Action != FLTLAB_DO_COMPLETE || CannotFailSo(Data, (NTSTATUS)Match.Rule.Status)) {
        return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
    }
    Data->IoStatus.Status = (NTSTATUS)Match.Rule.Status;
    Data->IoStatus.Information = (ULONG_PTR)Match.Rule.Information;
    if (CannotFail(Data->Iopb->MajorFunction)) {
        Data->IoStatus.Status = STATUS_SUCCESS; /* PRE-COMP-07 */
    }
    return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_COMPLETE);
}

/* Statuses that a minifilter must not complete with (PRE-COMP-05, PRE-COMP-06, PRE-COMP-07). */
static NTSTATUS
CompletionPrepareRule(const FLTLAB_RULE *Rule)
{
    NTSTATUS Status = (NTSTATUS)Rule->Status;

    if (Rule->Action != FLTLAB_DO_COMPLETE) {
        return STATUS_SUCCESS;
    }
    if (Status == STATUS_PENDING || Status == STATUS_FLT_DISALLOW_FAST_IO ||
        (Rule->Major != FLTLAB_ANY_FUNCTION && CannotFail((UCHAR)Rule->Major) && Status != STATUS_SUCCESS)) {
        return STATUS_INVALID_PARAMETER;
    }
    return STATUS_SUCCESS;
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_NO_CALLBACK) | LAB_ACTION(FLTLAB_DO_WITH_CALLBACK) | LAB_ACTION(FLTLAB_DO_COMPLETE),
    .RuleFlags = FLTLAB_RULE_PAGING_IO | FLTLAB_RULE_HOLD | FLTLAB_RULE_CONTEXT | FLTLAB_RULE_POST_STATUS |
                 FLTLAB_RULE_POST_HOLD,
    .PreOperation = CompletionPreOperation,
    .PostOperation = LabPostOperation,
    .PrepareRule = CompletionPrepareRule,
};
