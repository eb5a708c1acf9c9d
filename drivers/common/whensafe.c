/*
 * whensafe.c: completion processing that must not run at DISPATCH_LEVEL, by FltDoCompletionProcessingWhenSafe.
 */

#include "common.h"

/* Below DISPATCH_LEVEL called within FltDoCompletionProcessingWhenSafe, else later in a worker thread. */
static FLT_POSTOP_CALLBACK_STATUS FLTAPI
SafePostOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                  FLT_POST_OPERATION_FLAGS Flags)
{
    LAB_MATCH Match;

    LabMatchPost(Data, FltObjects, CompletionContext, Flags, &Match);
    LabPostWork(Data, FltObjects->Instance, CompletionContext, &Match);
    LabRecordCall(FLTLAB_PHASE_SAFE_POST, Data, FltObjects->Instance, &Match, FLT_POSTOP_FINISHED_PROCESSING,
                  CompletionContext, 0, 0);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

/*
 * Only for IRP-based operations that are not being drained (POST-SAFE-04); the others finish at once. The event is
 * recorded before the call, since the operation may be gone after it, and put right then: Detail is what the call
 * answered.
 */
FLT_POSTOP_CALLBACK_STATUS
LabFinishWhenSafe(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match, PVOID CompletionContext,
                  FLT_POST_OPERATION_FLAGS Flags)
{
    FLT_POSTOP_CALLBACK_STATUS Returned = FLT_POSTOP_FINISHED_PROCESSING;
    PLAB_OPERATION Operation;
    ULONGLONG Sequence;

    if (!FLT_IS_IRP_OPERATION(Data) || FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        return LabFinishPost(Data, FltObjects, Match, CompletionContext, Flags);
    }
    Operation = LabCreateOperation(Data, FltObjects->Instance, FltObjects->FileObject, Match);
    if (Operation == NULL) {
        return LabFinishPost(Data, FltObjects, Match, CompletionContext, Flags);
    }
    LabRemember(Operation, CompletionContext); /* for the safe callback */
    Sequence = LabRecordPost(Data, FltObjects, Match, Returned, CompletionContext, Flags);
    if (FltDoCompletionProcessingWhenSafe(Data, FltObjects, CompletionContext, Flags, SafePostOperation, &Returned)) {
        LabAmend(Sequence, Returned, TRUE); /* the operation may be gone */
        return Returned;
    }
    LabAmend(Sequence, Returned, FALSE);
    Operation = LabTakeRemembered(Data, FltObjects, CompletionContext, Flags);
    if (Operation != NULL) {
        LabDereferenceOperation(Operation);
    }
    LabPostWork(Data, FltObjects->Instance, CompletionContext, Match); /* not safe: it does what it may here */
    return Returned;
}
