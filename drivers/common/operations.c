/*
 * operations.c: the operations this driver has its hands on.
 *
 *   remembered   preoperation matched a rule, postoperation will come and wants to know which
 *   held         a callback blocks until RELEASE
 *   parked       pended in preoperation or postoperation, not resumed yet; perhaps held as well
 *
 * One list under one spin lock. Events are set with the lock held: whoever waits for one takes the operation off the
 * list under the same lock, so it cannot be gone meanwhile.
 */

#include "common.h"

static struct {
    KSPIN_LOCK Lock;
    LIST_ENTRY Head;
    ULONG PendedTotal;
    ULONG ResumedTotal;
} Operations;

VOID
LabInitializeOperations(VOID)
{
    KeInitializeSpinLock(&Operations.Lock);
    InitializeListHead(&Operations.Head);
}

/* NULL if there is no memory; the caller then does as if no rule had matched. The caller owns one reference. */
PLAB_OPERATION
LabCreateOperation(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, const LAB_MATCH *Match)
{
    PLAB_OPERATION Operation;
    KIRQL Irql;

    Operation = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(LAB_OPERATION), LAB_TAG_OPERATION);
    if (Operation == NULL) {
        return NULL;
    }
    RtlZeroMemory(Operation, sizeof(*Operation));
    Operation->References = 1;
    Operation->Data = Data;
    Operation->Instance = Instance;
    Operation->FileObject = FileObject;
    Operation->Match = *Match;
    KeInitializeEvent(&Operation->Released, NotificationEvent, FALSE);
    KeInitializeEvent(&Operation->Resumed, NotificationEvent, FALSE);

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    InsertHeadList(&Operations.Head, &Operation->Link);
    KeReleaseSpinLock(&Operations.Lock, Irql);
    return Operation;
}

VOID
LabReferenceOperation(PLAB_OPERATION Operation)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    Operation->References++;
    KeReleaseSpinLock(&Operations.Lock, Irql);
}

VOID
LabDereferenceOperation(PLAB_OPERATION Operation)
{
    BOOLEAN Last;
    KIRQL Irql;

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    Last = --Operation->References == 0;
    if (Last) {
        RemoveEntryList(&Operation->Link);
    }
    KeReleaseSpinLock(&Operations.Lock, Irql);
    if (Last) {
        ExFreePoolWithTag(Operation, LAB_TAG_OPERATION);
    }
}

/* Until its postoperation callback takes it; the caller's reference goes with it. */
VOID
LabRemember(PLAB_OPERATION Operation, PVOID CompletionContext)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    Operation->CompletionContext = CompletionContext;
    Operation->Remembered = TRUE;
    KeReleaseSpinLock(&Operations.Lock, Irql);
}

/*
 * What preoperation remembered for this postoperation callback, or NULL; the caller gets its reference. A draining
 * callback is given a copy of the callback data, so there the completion context and the file object must do; what has a
 * buffer of ours is not drained (DRAIN-04).
 */
PLAB_OPERATION
LabTakeRemembered(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                  FLT_POST_OPERATION_FLAGS Flags)
{
    PLAB_OPERATION Operation, Found = NULL;
    PLIST_ENTRY Link;
    KIRQL Irql;

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    for (Link = Operations.Head.Flink; Link != &Operations.Head; Link = Link->Flink) {
        Operation = CONTAINING_RECORD(Link, LAB_OPERATION, Link);
        if (!Operation->Remembered || Operation->Instance != FltObjects->Instance ||
            Operation->CompletionContext != CompletionContext) {
            continue;
        }
        if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)
                ? Operation->FileObject == FltObjects->FileObject && Operation->Match.Swap == NULL
                : Operation->Data == Data) {
            Operation->Remembered = FALSE;
            Found = Operation;
            break;
        }
    }
    KeReleaseSpinLock(&Operations.Lock, Irql);
    return Found;
}

/* An operation is about to be pended. */
VOID
LabPark(PLAB_OPERATION Operation, BOOLEAN Held)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    Operation->Parked = TRUE;
    Operation->Held = Held;
    Operations.PendedTotal++;
    if (!Held) {
        KeSetEvent(&Operation->Released, IO_NO_INCREMENT, FALSE);
    }
    KeReleaseSpinLock(&Operations.Lock, Irql);
}

/* It is about to be resumed, or pending it was refused. */
VOID
LabUnpark(PLAB_OPERATION Operation, BOOLEAN Resumed)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    Operation->Parked = FALSE;
    Operation->Held = FALSE;
    if (Resumed) {
        Operations.ResumedTotal++;
    } else {
        Operations.PendedTotal--;
    }
    KeReleaseSpinLock(&Operations.Lock, Irql);
}

VOID
LabHold(PLAB_OPERATION Operation)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    Operation->Held = TRUE;
    KeReleaseSpinLock(&Operations.Lock, Irql);
}

VOID
LabWaitForRelease(PLAB_OPERATION Operation)
{
    KeWaitForSingleObject(&Operation->Released, Executive, KernelMode, FALSE, NULL);
}

/*
 * Lets held operations go: those of one rule, or of all (0). With an instance: all of that instance, which is being
 * torn down; those that are not held are marked too, so that their work routines do not linger.
 */
ULONG
LabRelease(ULONG RuleId, PFLT_INSTANCE Instance)
{
    PLAB_OPERATION Operation;
    PLIST_ENTRY Link;
    ULONG Count = 0;
    KIRQL Irql;

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    for (Link = Operations.Head.Flink; Link != &Operations.Head; Link = Link->Flink) {
        Operation = CONTAINING_RECORD(Link, LAB_OPERATION, Link);
        if ((RuleId != 0 && Operation->Match.RuleId != RuleId) ||
            (Instance != NULL && Operation->Instance != Instance)) {
            continue;
        }
        if (Instance != NULL) {
            Operation->TearingDown = TRUE;
        }
        if (Operation->Held) {
            Operation->Held = FALSE;
            KeSetEvent(&Operation->Released, IO_NO_INCREMENT, FALSE);
            Count++;
        }
    }
    KeReleaseSpinLock(&Operations.Lock, Irql);
    if (FltLabDriver.Released != NULL) {
        FltLabDriver.Released();
    }
    return Count;
}

/* The rules are gone: operations on their way keep theirs, but are held no more, as nobody may be left to release them. */
VOID
LabForgetHolds(VOID)
{
    PLIST_ENTRY Link;
    KIRQL Irql;

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    for (Link = Operations.Head.Flink; Link != &Operations.Head; Link = Link->Flink) {
        ClearFlag(CONTAINING_RECORD(Link, LAB_OPERATION, Link)->Match.Rule.Flags,
                  FLTLAB_RULE_HOLD | FLTLAB_RULE_POST_HOLD);
    }
    KeReleaseSpinLock(&Operations.Lock, Irql);
}

VOID
LabCountOperations(ULONG *Held, ULONG *Outstanding, ULONG *PendedTotal, ULONG *ResumedTotal)
{
    PLAB_OPERATION Operation;
    PLIST_ENTRY Link;
    KIRQL Irql;

    *Held = 0;
    *Outstanding = 0;
    KeAcquireSpinLock(&Operations.Lock, &Irql);
    for (Link = Operations.Head.Flink; Link != &Operations.Head; Link = Link->Flink) {
        Operation = CONTAINING_RECORD(Link, LAB_OPERATION, Link);
        *Held += Operation->Held;
        *Outstanding += Operation->Held || Operation->Parked;
    }
    *PendedTotal = Operations.PendedTotal;
    *ResumedTotal = Operations.ResumedTotal;
    KeReleaseSpinLock(&Operations.Lock, Irql);
}

VOID
LabClearCounters(VOID)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Operations.Lock, &Irql);
    Operations.PendedTotal = 0;
    Operations.ResumedTotal = 0;
    KeReleaseSpinLock(&Operations.Lock, Irql);
}

/* At unload, when no callback can run any more: what a filter manager that owes a postoperation call left behind. */
VOID
LabDeleteOperations(VOID)
{
    while (!IsListEmpty(&Operations.Head)) {
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&Operations.Head), LAB_OPERATION, Link), LAB_TAG_OPERATION);
    }
}
