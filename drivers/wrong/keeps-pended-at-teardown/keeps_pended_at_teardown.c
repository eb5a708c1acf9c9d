/*
 * Wrong on purpose (TEAR-03): what it has pended it resumes on RELEASE, but not when the instance is torn down.
 */

#include "common.h"

static struct {
    BOOLEAN TearingDown;
    PFLT_CALLBACK_DATA Pended; /* one at a time */
} Kept;

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    ULONGLONG Sequence;
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_PEND && FLT_IS_IRP_OPERATION(Data) && NT_SUCCESS(LabLockUserBuffer(Data))) {
        Sequence = LabRecordPre(Data, FltObjects, &Match, FLT_PREOP_PENDING, NULL);
        if (InterlockedCompareExchangePointer((PVOID *)&Kept.Pended, Data, NULL) == NULL) {
            return FLT_PREOP_PENDING;
        }
        LabAmend(Sequence, FLT_PREOP_SUCCESS_NO_CALLBACK, (ULONG)STATUS_DEVICE_BUSY);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    return LabPassDown(Data, FltObjects, &Match, FLT_PREOP_SUCCESS_NO_CALLBACK, CompletionContext);
}

static VOID
Teardown(PLAB_INSTANCE Instance)
{
    UNREFERENCED_PARAMETER(Instance);
    Kept.TearingDown = TRUE;
}

/* Called for RELEASE, and for teardown: there it does nothing. */
static VOID
Released(VOID)
{
    PFLT_CALLBACK_DATA Data;

    if (Kept.TearingDown) {
        return;
    }
    Data = InterlockedExchangePointer((PVOID *)&Kept.Pended, NULL);
    if (Data != NULL) {
        FltCompletePendedPreOperation(Data, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
    }
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_PEND),
    .RuleFlags = FLTLAB_RULE_HOLD,
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
    .InstanceTeardownStart = Teardown,
    .Released = Released,
};
