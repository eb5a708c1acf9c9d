/*
 * act.c: what a rule does in the callbacks, beyond the status that the preoperation callback returns.
 */

#include "common.h"

/*
 * Preoperation
 */

static VOID
Delay(ULONG Milliseconds)
{
    LARGE_INTEGER Interval;

    Interval.QuadPart = -10000LL * Milliseconds;
    KeDelayExecutionThread(KernelMode, FALSE, &Interval);
}

/* Blocks until RELEASE, or until the instance is torn down. */
static VOID
Hold(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, const LAB_MATCH *Match)
{
    PLAB_OPERATION Operation = LabCreateOperation(Data, Instance, Data->Iopb->TargetFileObject, Match);

    if (Operation == NULL) {
        return;
    }
    LabHold(Operation);
    if (!LabIsTearingDown(Instance)) { /* teardown says so first and releases afterwards: one of us sees the other */
        LabWaitForRelease(Operation);
    }
    LabDereferenceOperation(Operation);
}

/* I/O of our own, on the file and around the offset of the operation: only instances below are shown it (IO-01). */
static VOID
ReadOwn(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, const LAB_MATCH *Match)
{
    FLT_IO_OPERATION_FLAGS Flags = FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET;
    LARGE_INTEGER Offset = {.QuadPart = 0};
    ULONG BytesRead = 0;
    NTSTATUS Status;
    PVOID Buffer;

    if (KeGetCurrentIrql() != PASSIVE_LEVEL || FltObjects->FileObject == NULL) {
        return;
    }
    if (Data->Iopb->MajorFunction == IRP_MJ_READ || Data->Iopb->MajorFunction == IRP_MJ_WRITE) {
        Offset = Data->Iopb->Parameters.Read.ByteOffset;
        Offset.QuadPart -= Offset.QuadPart % FLTLAB_OWN_READ_LENGTH;
    }
    if (FlagOn(FltObjects->FileObject->Flags, FO_NO_INTERMEDIATE_BUFFERING)) {
        Flags |= FLTFL_IO_OPERATION_NON_CACHED;
    }
    Buffer =
        FltAllocatePoolAlignedWithTag(FltObjects->Instance, NonPagedPoolNx, FLTLAB_OWN_READ_LENGTH, LAB_TAG_BUFFER);
    if (Buffer == NULL) {
        return;
    }
    Status = FltReadFile(FltObjects->Instance, FltObjects->FileObject, &Offset, FLTLAB_OWN_READ_LENGTH, Buffer, Flags,
                         &BytesRead, NULL, NULL);
    LabRecordCall(FLTLAB_PHASE_GENERATED_IO, Data, FltObjects->Instance, Match, Status, NULL,
                  (ULONGLONG)Offset.QuadPart, FLTLAB_OWN_READ_LENGTH);
    FltFreePoolAlignedWithTag(FltObjects->Instance, Buffer, LAB_TAG_BUFFER);
}

static BOOLEAN
ChangeOffset(PFLT_IO_PARAMETER_BLOCK Iopb, const FLTLAB_RULE *Rule)
{
    switch (Iopb->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE: /* the same layout */
        Iopb->Parameters.Read.ByteOffset.QuadPart = (LONGLONG)Rule->Offset;
        return TRUE;
    case IRP_MJ_LOCK_CONTROL:
        Iopb->Parameters.LockControl.ByteOffset.QuadPart = (LONGLONG)Rule->Offset;
        return TRUE;
    default:
        return FALSE;
    }
}

/* Of whatever has a buffer with a length. */
static BOOLEAN
ChangeLength(PFLT_CALLBACK_DATA Data, const FLTLAB_RULE *Rule)
{
    ULONG *Length = NULL;

    if (!NT_SUCCESS(FltDecodeParameters(Data, NULL, NULL, &Length, NULL)) || Length == NULL || *Length == 0) {
        return FALSE;
    }
    *Length = Rule->Length;
    return TRUE;
}

static VOID
ChangeParameters(PFLT_CALLBACK_DATA Data, const FLTLAB_RULE *Rule)
{
    BOOLEAN Changed = FALSE;

    if (FlagOn(Rule->Flags, FLTLAB_RULE_OFFSET)) {
        Changed |= ChangeOffset(Data->Iopb, Rule);
    }
    if (FlagOn(Rule->Flags, FLTLAB_RULE_LENGTH)) {
        Changed |= ChangeLength(Data, Rule);
    }
    if (Changed && !FlagOn(Rule->Flags, FLTLAB_RULE_NOT_DIRTY)) {
        FltSetCallbackDataDirty(Data);
    }
}

/* A postoperation callback may run too high to fetch a context, so preoperation does it and passes it on (CTX-02). */
static VOID
FetchContext(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match)
{
    NTSTATUS Status = FltGetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, &Match->Context);

    if (!NT_SUCCESS(Status)) {
        Match->Context = NULL;
    }
    LabRecordCall(FLTLAB_PHASE_CONTEXT, Data, FltObjects->Instance, Match, Status, Match->Context, 0,
                  FLTLAB_CONTEXT_GET_IN_PRE);
}

VOID
LabActInPre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match)
{
    const FLTLAB_RULE *Rule = &Match->Rule;

    if (Rule->Action != FLTLAB_DO_PEND) { /* pended, it is the parked operation that waits */
        if (Rule->DelayMilliseconds != 0) {
            Delay(Rule->DelayMilliseconds);
        }
        if (FlagOn(Rule->Flags, FLTLAB_RULE_HOLD)) {
            Hold(Data, FltObjects->Instance, Match);
        }
    }
    if (FlagOn(Rule->Flags, FLTLAB_RULE_READ_OWN)) {
        ReadOwn(Data, FltObjects, Match);
    }
    if (FlagOn(Rule->Flags, FLTLAB_RULE_PRE_CONTEXT)) {
        FetchContext(Data, FltObjects, Match);
    }
    ChangeParameters(Data, Rule);
}

/* Of the two ways to pass an operation down: with a postoperation callback, unless the rule says without. */
FLT_PREOP_CALLBACK_STATUS
LabSuccess(const LAB_MATCH *Match)
{
    return Match->Rule.Action == FLTLAB_DO_NO_CALLBACK ? FLT_PREOP_SUCCESS_NO_CALLBACK
                                                       : FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

/*
 * Leaves word for the postoperation callback, and answers the completion context for it: the token the rule asks for,
 * the context that preoperation fetched, or NULL.
 */
PVOID
LabRememberForPost(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, const LAB_MATCH *Match)
{
    PLAB_OPERATION Operation;
    PVOID CompletionContext = NULL;

    if (Match->RuleId == 0) {
        return NULL;
    }
    if (Match->Context != NULL) {
        CompletionContext = Match->Context;
    } else if (FlagOn(Match->Rule.Flags, FLTLAB_RULE_CONTEXT)) {
        CompletionContext = (PVOID)(ULONG_PTR)Match->Rule.Context;
    }
    Operation = LabCreateOperation(Data, Instance, FileObject, Match);
    if (Operation != NULL) {
        if (FlagOn(Match->Rule.Flags, FLTLAB_RULE_SWAP)) {
            Operation->Match.Swap = LabSwapBuffer(Data);
        }
        LabRemember(Operation, CompletionContext);
    } else if (Match->Context != NULL) {
        FltReleaseContext(Match->Context); /* post could not know what it is given */
        CompletionContext = NULL;
    }
    return CompletionContext;
}

/* Gives back the context that preoperation fetched, when no postoperation callback will. */
VOID
LabDropContext(LAB_MATCH *Match)
{
    if (Match->Context != NULL) {
        FltReleaseContext(Match->Context);
        Match->Context = NULL;
    }
}

/* The operation goes on to the next lower filter. Without a postoperation callback there is none to ask for. */
FLT_PREOP_CALLBACK_STATUS
LabPassDown(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match,
            FLT_PREOP_CALLBACK_STATUS Wanted, PVOID *CompletionContext)
{
    UCHAR Major = Data->Iopb->MajorFunction;

    *CompletionContext = NULL;
    if (Wanted == FLT_PREOP_SUCCESS_NO_CALLBACK || !LabHasPost(Major)) {
        Wanted = FLT_PREOP_SUCCESS_NO_CALLBACK;
        LabDropContext(Match);
    } else {
        *CompletionContext = LabRememberForPost(Data, FltObjects->Instance, FltObjects->FileObject, Match);
    }
    LabRecordPre(Data, FltObjects, Match, Wanted, *CompletionContext);
    if (Wanted == FLT_PREOP_SUCCESS_NO_CALLBACK && Major == IRP_MJ_CLOSE) {
        LabForgetName(FltObjects->FileObject);
    }
    return Wanted;
}

/* The operation ends here: completed, or disallowed. The completion context stays NULL. */
FLT_PREOP_CALLBACK_STATUS
LabStopHere(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match,
            FLT_PREOP_CALLBACK_STATUS Wanted)
{
    LabDropContext(Match);
    LabRecordPre(Data, FltObjects, Match, Wanted, NULL);
    return Wanted;
}

/*
 * Postoperation
 */

static LONG ContextNumber;

static VOID
SetContext(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, const LAB_MATCH *Match)
{
    PLAB_CONTEXT Context = NULL;
    NTSTATUS Status;

    if (Data->Iopb->MajorFunction != IRP_MJ_CREATE || !NT_SUCCESS(Data->IoStatus.Status) ||
        Data->IoStatus.Status == STATUS_REPARSE) {
        return;
    }
    Status = FltAllocateContext(Lab.Filter, FLT_STREAMHANDLE_CONTEXT, sizeof(LAB_CONTEXT), NonPagedPoolNx,
                                (PFLT_CONTEXT *)&Context);
    if (NT_SUCCESS(Status)) {
        Context->Magic = LAB_CONTEXT_MAGIC;
        Context->Number = (ULONG)InterlockedIncrement(&ContextNumber);
        Status = FltSetStreamHandleContext(Instance, Data->Iopb->TargetFileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS,
                                           Context, NULL);
    }
    LabRecordCall(FLTLAB_PHASE_CONTEXT, Data, Instance, Match, Status, Context, Context != NULL ? Context->Number : 0,
                  FLTLAB_CONTEXT_SET);
    if (Context != NULL) {
        FltReleaseContext(Context);
    }
}

/* Contexts must not be fetched above APC_LEVEL (CTX-01). */
static VOID
FetchContextInPost(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, const LAB_MATCH *Match)
{
    PLAB_CONTEXT Context = NULL;
    NTSTATUS Status;

    if (KeGetCurrentIrql() > APC_LEVEL) {
        LabRecordCall(FLTLAB_PHASE_CONTEXT, Data, Instance, Match, STATUS_SUCCESS, NULL, 0, FLTLAB_CONTEXT_NOT_SAFE);
        return;
    }
    Status = FltGetStreamHandleContext(Instance, Data->Iopb->TargetFileObject, (PFLT_CONTEXT *)&Context);
    if (!NT_SUCCESS(Status)) {
        Context = NULL;
    }
    LabRecordCall(FLTLAB_PHASE_CONTEXT, Data, Instance, Match, Status, Context, Context != NULL ? Context->Number : 0,
                  FLTLAB_CONTEXT_GET_IN_POST);
    if (Context != NULL) {
        FltReleaseContext(Context);
    }
}

static VOID
UsePassedContext(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, PLAB_CONTEXT Context, const LAB_MATCH *Match)
{
    LabRecordCall(FLTLAB_PHASE_CONTEXT, Data, Instance, Match,
                  Context->Magic == LAB_CONTEXT_MAGIC ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER, Context,
                  Context->Number, FLTLAB_CONTEXT_USED_IN_POST);
    FltReleaseContext(Context); /* at DISPATCH_LEVEL allowed: the context is non-paged */
}

/* The rule's part of completion processing. Not for draining callbacks. */
VOID
LabPostWork(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, PVOID CompletionContext, const LAB_MATCH *Match)
{
    const FLTLAB_RULE *Rule = &Match->Rule;

    if (Match->Swap != NULL) {
        LabGiveBuffer(Data, Match->Swap);
    }
    if (FlagOn(Rule->Flags, FLTLAB_RULE_SET_CONTEXT)) {
        SetContext(Data, Instance, Match);
    }
    if (FlagOn(Rule->Flags, FLTLAB_RULE_POST_CONTEXT)) {
        FetchContextInPost(Data, Instance, Match);
    }
    if (FlagOn(Rule->Flags, FLTLAB_RULE_PRE_CONTEXT) && CompletionContext != NULL) {
        UsePassedContext(Data, Instance, CompletionContext, Match);
    }
    if (FlagOn(Rule->Flags, FLTLAB_RULE_POST_STATUS)) {
        Data->IoStatus.Status = (NTSTATUS)Rule->PostStatus;
        Data->IoStatus.Information = 0;
    }
}

/* Completion processing that finishes here. Draining: only clean up (DRAIN-02). */
FLT_POSTOP_CALLBACK_STATUS
LabFinishPost(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match, PVOID CompletionContext,
              FLT_POST_OPERATION_FLAGS Flags)
{
    UCHAR Major = Data->Iopb->MajorFunction;

    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        if (FlagOn(Match->Rule.Flags, FLTLAB_RULE_PRE_CONTEXT) && CompletionContext != NULL) {
            FltReleaseContext(CompletionContext);
        }
    } else {
        if (FlagOn(Match->Rule.Flags, FLTLAB_RULE_POST_HOLD) && KeGetCurrentIrql() < DISPATCH_LEVEL) {
            Hold(Data, FltObjects->Instance, Match);
        }
        LabPostWork(Data, FltObjects->Instance, CompletionContext, Match);
    }
    LabRecordPost(Data, FltObjects, Match, FLT_POSTOP_FINISHED_PROCESSING, CompletionContext, Flags);
    if (Major == IRP_MJ_CLOSE || (Major == IRP_MJ_CREATE && !NT_SUCCESS(Data->IoStatus.Status))) {
        LabForgetName(FltObjects->FileObject);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

/* The postoperation callback of drivers that have nothing to add. */
FLT_POSTOP_CALLBACK_STATUS FLTAPI
LabPostOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                 FLT_POST_OPERATION_FLAGS Flags)
{
    LAB_MATCH Match;

    LabMatchPost(Data, FltObjects, CompletionContext, Flags, &Match);
    if (Match.Rule.PostAction == FLTLAB_POST_WHEN_SAFE) {
        return LabFinishWhenSafe(Data, FltObjects, &Match, CompletionContext, Flags);
    }
    return LabFinishPost(Data, FltObjects, &Match, CompletionContext, Flags);
}

VOID FLTAPI
LabContextCleanup(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE ContextType)
{
    UNREFERENCED_PARAMETER(Context);
    LabRecordLifecycle(FLTLAB_PHASE_CONTEXT_CLEANUP, NULL, STATUS_SUCCESS, ContextType);
}
