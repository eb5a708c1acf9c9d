/*
 * ring.c: the event ring.
 *
 * Non-paged and under a spin lock, so that a postoperation callback at DISPATCH_LEVEL can record. A full ring drops
 * the newest event and counts it: what is there stays a gapless beginning, and a gap in Sequence shows the loss.
 */

#include "common.h"

static struct {
    KSPIN_LOCK Lock;
    FLTLAB_EVENT *Events;
    ULONG Capacity;
    ULONG Oldest;
    ULONG Count;
    ULONG Dropped;
    ULONGLONG Sequence; /* of the newest event */
} Ring;

NTSTATUS
LabCreateRing(ULONG Capacity)
{
    KeInitializeSpinLock(&Ring.Lock);
    Ring.Events = ExAllocatePoolWithTag(NonPagedPoolNx, (SIZE_T)Capacity * sizeof(FLTLAB_EVENT), LAB_TAG_RING);
    if (Ring.Events == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Ring.Capacity = Capacity;
    return STATUS_SUCCESS;
}

VOID
LabDeleteRing(VOID)
{
    if (Ring.Events != NULL) {
        ExFreePoolWithTag(Ring.Events, LAB_TAG_RING);
        Ring.Events = NULL;
    }
}

ULONGLONG
LabRecord(FLTLAB_EVENT *Event)
{
    ULONGLONG Sequence;
    KIRQL Irql;

    KeAcquireSpinLock(&Ring.Lock, &Irql);
    Sequence = ++Ring.Sequence;
    Event->Sequence = Sequence;
    Event->TimeStampCounter = __rdtsc();
    Event->PerformanceCount = (ULONGLONG)KeQueryPerformanceCounter(NULL).QuadPart;
    if (Ring.Count == Ring.Capacity) {
        Ring.Dropped++;
    } else {
        Ring.Events[(Ring.Oldest + Ring.Count) % Ring.Capacity] = *Event;
        Ring.Count++;
    }
    KeReleaseSpinLock(&Ring.Lock, Irql);
    return Sequence;
}

/*
 * Corrects an event that says PENDING or MORE_PROCESSING_REQUIRED: it is recorded before the operation is handed to a
 * queue, since the operation may be gone right after, but the queue may refuse it.
 */
VOID
LabAmend(ULONGLONG Sequence, ULONG Returned, ULONG Detail)
{
    FLTLAB_EVENT *Event;
    ULONG Index;
    KIRQL Irql;

    KeAcquireSpinLock(&Ring.Lock, &Irql);
    for (Index = Ring.Count; Index > 0; Index--) { /* it is one of the newest */
        Event = &Ring.Events[(Ring.Oldest + Index - 1) % Ring.Capacity];
        if (Event->Sequence == Sequence) {
            Event->Returned = Returned;
            Event->Detail = Detail;
            break;
        }
    }
    KeReleaseSpinLock(&Ring.Lock, Irql);
}

ULONG
LabTakeEvents(FLTLAB_EVENT *Events, ULONG Count)
{
    ULONG Taken;
    KIRQL Irql;

    KeAcquireSpinLock(&Ring.Lock, &Irql);
    for (Taken = 0; Taken < Count && Ring.Count > 0; Taken++) {
        Events[Taken] = Ring.Events[Ring.Oldest];
        Ring.Oldest = (Ring.Oldest + 1) % Ring.Capacity;
        Ring.Count--;
    }
    KeReleaseSpinLock(&Ring.Lock, Irql);
    return Taken;
}

VOID
LabClearRing(VOID)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Ring.Lock, &Irql);
    Ring.Oldest = 0;
    Ring.Count = 0;
    Ring.Dropped = 0;
    Ring.Sequence = 0;
    KeReleaseSpinLock(&Ring.Lock, Irql);
}

VOID
LabQueryRing(ULONG *Events, ULONG *Dropped, ULONGLONG *Recorded)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Ring.Lock, &Irql);
    *Events = Ring.Count;
    *Dropped = Ring.Dropped;
    *Recorded = Ring.Sequence;
    KeReleaseSpinLock(&Ring.Lock, Irql);
}
