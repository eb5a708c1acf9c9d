/*
 * pending.c: holds operations back and lets them go later.
 *
 * Scenario "the minifilter must complete or continue processing this operation in the future" (FLT_PREOP_PENDING) of
 * Writing Preoperation Callback Routines, and its counterpart in postoperation, FLT_POSTOP_MORE_PROCESSING_REQUIRED.
 * Four ways to come back: a deferred work item, a generic work item, a cancel-safe queue, a list and a thread of our
 * own.
 */

#include "pending.h"

static NTSTATUS
Park(PLAB_OPERATION Operation, ULONG Mechanism)
{
    switch (Mechanism) {
    case FLTLAB_MECHANISM_GENERIC:
        return ParkInGenericWorkItem(Operation);
    case FLTLAB_MECHANISM_QUEUE:
        return ParkInQueue(Operation);
    case FLTLAB_MECHANISM_THREAD:
        return ParkForThread(Operation);
    default:
        return ParkInDeferredWorkItem(Operation);
    }
}

/* Only IRP-based operations can be pended (PRE-PEND-03), and none once the instance is being torn down (TEAR-03). */
static BOOLEAN
MayPend(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance)
{
    return FLT_IS_IRP_OPERATION(Data) && !LabIsTearingDown(Instance);
}

/*
 * Hands an operation over. The event is recorded before, since the operation may be gone right after, and put right if
 * the operation is refused: paging I/O, a top-level IRP, an instance that is going away.
 */
static NTSTATUS
Pend(PLAB_OPERATION Operation, BOOLEAN Held, ULONG Mechanism, ULONGLONG Sequence, ULONG ReturnedIfRefused)
{
    PFLT_INSTANCE Instance = Operation->Instance;
    NTSTATUS Status;

    LabPark(Operation, Held);
    Status = Park(Operation, Mechanism);
    if (!NT_SUCCESS(Status)) {
        LabUnpark(Operation, FALSE);
        LabAmend(Sequence, ReturnedIfRefused, (ULONG)Status);
    } else if (LabIsTearingDown(Instance)) {
        LabRelease(0, Instance); /* teardown may have begun, and released, before this one was held */
    }
    return Status;
}

static FLT_PREOP_CALLBACK_STATUS
PendPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match, PVOID *CompletionContext)
{
    const FLTLAB_RULE *Rule = &Match->Rule;
    FLT_PREOP_CALLBACK_STATUS Returned = FLT_PREOP_PENDING;
    LARGE_INTEGER OneSecond = {.QuadPart = -10000000}; /* should the call wait for us instead */
    PLAB_OPERATION Operation;
    NTSTATUS Status;

    Status = LabLockUserBuffer(Data); /* it goes on in the system process */
    if (!NT_SUCCESS(Status)) {
        LabAmend(LabRecordPre(Data, FltObjects, Match, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL),
                 FLT_PREOP_SUCCESS_NO_CALLBACK, (ULONG)Status);
        LabDropContext(Match);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Operation = LabCreateOperation(Data, FltObjects->Instance, FltObjects->FileObject, Match);
    if (Operation == NULL) {
        return LabPassDown(Data, FltObjects, Match, FLT_PREOP_SUCCESS_NO_CALLBACK, CompletionContext);
    }
    LabReferenceOperation(Operation); /* ours; the other goes with the parked operation */
    Status = Pend(Operation, FlagOn(Rule->Flags, FLTLAB_RULE_HOLD) != 0, Rule->Mechanism,
                  LabRecordPre(Data, FltObjects, Match, FLT_PREOP_PENDING, NULL), FLT_PREOP_SUCCESS_NO_CALLBACK);
    if (!NT_SUCCESS(Status)) { /* not pended, so not PENDING (PEND-WI-05) */
        LabDereferenceOperation(Operation);
        LabDropContext(Match);
        Returned = FLT_PREOP_SUCCESS_NO_CALLBACK;
    } else if (FlagOn(Rule->Flags, FLTLAB_RULE_RACE)) { /* let the resume call win (PRE-PEND-10) */
        KeWaitForSingleObject(&Operation->Resumed, Executive, KernelMode, FALSE, &OneSecond);
    }
    LabDereferenceOperation(Operation);
    return Returned;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PendingPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL; /* must be NULL with FLT_PREOP_PENDING (PRE-PEND-04) */
    LabMatchPre(Data, &Match);
    LabActInPre(Data, FltObjects, &Match);
    if (Match.Rule.Action == FLTLAB_DO_PEND && MayPend(Data, FltObjects->Instance)) {
        return PendPreOperation(Data, FltObjects, &Match, CompletionContext);
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

static FLT_POSTOP_CALLBACK_STATUS
PendPostOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                  FLT_POST_OPERATION_FLAGS Flags, LAB_MATCH *Match)
{
    const FLTLAB_RULE *Rule = &Match->Rule;
    PLAB_OPERATION Operation;
    NTSTATUS Status;

    Operation = LabCreateOperation(Data, FltObjects->Instance, FltObjects->FileObject, Match);
    if (Operation == NULL) {
        return LabFinishPost(Data, FltObjects, Match, CompletionContext, Flags);
    }
    Operation->Post = TRUE;
    Operation->CompletionContext = CompletionContext;
    Status = Pend(Operation, FlagOn(Rule->Flags, FLTLAB_RULE_POST_HOLD) != 0, Rule->PostMechanism,
                  LabRecordPost(Data, FltObjects, Match, FLT_POSTOP_MORE_PROCESSING_REQUIRED, CompletionContext, Flags),
                  FLT_POSTOP_FINISHED_PROCESSING);
    if (!NT_SUCCESS(Status)) { /* finish here (POST-PEND-04) */
        LabDereferenceOperation(Operation);
        LabPostWork(Data, FltObjects->Instance, CompletionContext, Match);
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    return FLT_POSTOP_MORE_PROCESSING_REQUIRED;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PendingPostOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                     FLT_POST_OPERATION_FLAGS Flags)
{
    LAB_MATCH Match;

    LabMatchPost(Data, FltObjects, CompletionContext, Flags, &Match);
    if (Match.Rule.PostAction == FLTLAB_POST_WHEN_SAFE) {
        return LabFinishWhenSafe(Data, FltObjects, &Match, CompletionContext, Flags);
    }
    if (Match.Rule.PostAction == FLTLAB_POST_PEND && !FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) &&
        MayPend(Data, FltObjects->Instance)) {
        return PendPostOperation(Data, FltObjects, CompletionContext, Flags, &Match);
    }
    return LabFinishPost(Data, FltObjects, &Match, CompletionContext, Flags);
}

static NTSTATUS
PendingPrepareRule(const FLTLAB_RULE *Rule)
{
    if (Rule->Resume == FLTLAB_RESUME_SYNCHRONIZE) {
        return STATUS_NOT_SUPPORTED; /* PRE-PEND-08 */
    }
    if (Rule->Resume == FLTLAB_RESUME_COMPLETE && (NTSTATUS)Rule->Status == STATUS_PENDING) {
        return STATUS_INVALID_PARAMETER;
    }
    if (Rule->Mechanism >= FLTLAB_MECHANISM_QUEUE || Rule->PostMechanism >= FLTLAB_MECHANISM_QUEUE) {
        return StartThread();
    }
    return STATUS_SUCCESS;
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_NO_CALLBACK) | LAB_ACTION(FLTLAB_DO_WITH_CALLBACK) | LAB_ACTION(FLTLAB_DO_PEND),
    .PostActions = LAB_ACTION(FLTLAB_POST_FINISH) | LAB_ACTION(FLTLAB_POST_PEND) | LAB_ACTION(FLTLAB_POST_WHEN_SAFE),
    .RuleFlags = FLTLAB_RULE_PAGING_IO | FLTLAB_RULE_HOLD | FLTLAB_RULE_CONTEXT | FLTLAB_RULE_RACE |
                 FLTLAB_RULE_SET_CONTEXT | FLTLAB_RULE_PRE_CONTEXT | FLTLAB_RULE_POST_CONTEXT |
                 FLTLAB_RULE_POST_STATUS | FLTLAB_RULE_POST_HOLD,
    .PreOperation = PendingPreOperation,
    .PostOperation = PendingPostOperation,
    .PrepareRule = PendingPrepareRule,
    .InstanceSetup = InitializeQueue,
    .InstanceTeardownStart = DisableQueue,
    .InstanceTeardownComplete = CloseQueue,
    .Released = WakeThread,
    .Stop = StopThread,
};
