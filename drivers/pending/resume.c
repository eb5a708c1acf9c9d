/*
 * resume.c: how a parked operation is carried on, in whatever thread its turn comes.
 */

#include "pending.h"

static FLT_PREOP_CALLBACK_STATUS
PrepareResume(PLAB_OPERATION Operation, PVOID *CompletionContext)
{
    const FLTLAB_RULE *Rule = &Operation->Match.Rule;
    PFLT_CALLBACK_DATA Data = Operation->Data;

    if (Rule->Resume == FLTLAB_RESUME_WITH_CALLBACK && !Operation->TearingDown &&
        LabHasPost(Data->Iopb->MajorFunction)) {
        *CompletionContext = LabRememberForPost(Data, Operation->Instance, Operation->FileObject, &Operation->Match);
        return FLT_PREOP_SUCCESS_WITH_CALLBACK;
    }
    *CompletionContext = NULL; /* with COMPLETE and NO_CALLBACK (PRE-PEND-09) */
    LabDropContext(&Operation->Match);
    if (Rule->Resume == FLTLAB_RESUME_COMPLETE) {
        Data->IoStatus.Status = (NTSTATUS)Rule->Status;
        Data->IoStatus.Information = (ULONG_PTR)Rule->Information;
        return FLT_PREOP_COMPLETE;
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static VOID
ResumePre(PLAB_OPERATION Operation, ULONG Mechanism)
{
    PVOID CompletionContext;
    FLT_PREOP_CALLBACK_STATUS Status = PrepareResume(Operation, &CompletionContext);

    LabRecordStep(FLTLAB_PHASE_RESUME_PRE, Operation, Status, CompletionContext, Mechanism);
    LabUnpark(Operation, TRUE);
    FltCompletePendedPreOperation(Operation->Data, Status, CompletionContext);
    KeSetEvent(&Operation->Resumed, IO_NO_INCREMENT, FALSE);
}

static VOID
ResumePost(PLAB_OPERATION Operation, ULONG Mechanism)
{
    LabPostWork(Operation->Data, Operation->Instance, Operation->CompletionContext, &Operation->Match);
    LabRecordStep(FLTLAB_PHASE_RESUME_POST, Operation, FLT_POSTOP_FINISHED_PROCESSING, Operation->CompletionContext,
                  Mechanism);
    LabUnpark(Operation, TRUE);
    FltCompletePendedPostOperation(Operation->Data);
}

VOID
CarryOn(PLAB_OPERATION Operation, ULONG Mechanism)
{
    LARGE_INTEGER Delay = {.QuadPart = -10000LL * Operation->Match.Rule.DelayMilliseconds};

    LabRecordStep(FLTLAB_PHASE_WORK_ROUTINE, Operation, 0, NULL, Mechanism);
    LabWaitForRelease(Operation);
    if (Operation->Post) {
        ResumePost(Operation, Mechanism);
    } else {
        if (Delay.QuadPart != 0 && !Operation->TearingDown) {
            KeDelayExecutionThread(KernelMode, FALSE, &Delay);
        }
        ResumePre(Operation, Mechanism);
    }
    LabDereferenceOperation(Operation);
}

/* Taken out of the queue because the request was cancelled; up to DISPATCH_LEVEL, where COMPLETE is the only answer. */
VOID
CarryOnCancelled(PLAB_OPERATION Operation)
{
    PFLT_CALLBACK_DATA Data = Operation->Data;

    LabDropContext(&Operation->Match);
    Data->IoStatus.Status = STATUS_CANCELLED;
    Data->IoStatus.Information = 0;
    LabRecordStep(FLTLAB_PHASE_CANCEL, Operation, FLT_PREOP_COMPLETE, NULL, FLTLAB_MECHANISM_QUEUE);
    LabUnpark(Operation, TRUE);
    FltCompletePendedPreOperation(Data, FLT_PREOP_COMPLETE, NULL);
    KeSetEvent(&Operation->Resumed, IO_NO_INCREMENT, FALSE);
    LabDereferenceOperation(Operation);
}
