/*
 * print.c: what is printed with DbgPrint while this driver is loaded, by any driver, for fltprobe to take.
 *
 * DbgSetDebugPrintCallback is in no header and no documentation; the kernel exports it since Vista, and it is looked up
 * by name so that a system without it still loads the driver. The callback is given what the Debug Print Filter let
 * through, as counted text, in whatever context it was printed: up to HIGH_LEVEL, where a spin lock, pool and printing
 * are forbidden. So the ring has no lock: a writer reserves a place by compare-exchange and publishes it by the place's
 * Turn; a full ring drops the newest line and counts it, as the event ring does.
 */

#include "common.h"

#define RING_CAPACITY 256u /* a power of two: positions wrap */

typedef VOID (*PRINT_CALLBACK)(PSTRING Output, ULONG ComponentId, ULONG Level);
typedef NTSTATUS (*SET_PRINT_CALLBACK)(PRINT_CALLBACK Callback, BOOLEAN Enable);

/* Turn: n, free for the writer of position n; n + 1, written, for the reader of position n. */
typedef struct _PLACE {
    volatile LONG Turn;
    FLTLAB_PRINT Print;
} PLACE;

static struct {
    PLACE *Places; /* NULL: prints are not asked for */
    volatile LONG Next;
    volatile LONG Oldest;
    volatile LONG Lost;
    NTSTATUS Status; /* of the registration */
    SET_PRINT_CALLBACK SetCallback;
    FAST_MUTEX ReaderLock;
} Prints;

/* Any IRQL: nothing here may wait, allocate, page or print. */
static PLACE *
Reserve(LONG *Position)
{
    LONG Next = Prints.Next;

    for (;;) {
        PLACE *Place = &Prints.Places[(ULONG)Next % RING_CAPACITY];
        LONG Ahead = (LONG)((ULONG)Place->Turn - (ULONG)Next);
        LONG Found;

        if (Ahead < 0) { /* not read yet since the last time round */
            InterlockedIncrement(&Prints.Lost);
            return NULL;
        }
        if (Ahead == 0) {
            Found = InterlockedCompareExchange(&Prints.Next, (LONG)((ULONG)Next + 1), Next);
            if (Found == Next) {
                *Position = Next;
                return Place;
            }
            Next = Found;
        } else {
            Next = Prints.Next;
        }
    }
}

static VOID
OnPrint(PSTRING Output, ULONG ComponentId, ULONG Level)
{
    FLTLAB_PRINT *Print;
    PLACE *Place;
    LONG Position;

    Place = Reserve(&Position);
    if (Place == NULL) {
        return;
    }
    Print = &Place->Print;
    Print->TimeStampCounter = __rdtsc();
    Print->PerformanceCount = (ULONGLONG)KeQueryPerformanceCounter(NULL).QuadPart;
    Print->ComponentId = ComponentId;
    Print->Level = Level;
    Print->ThreadId = HandleToULong(PsGetCurrentThreadId());
    Print->ProcessId = HandleToULong(PsGetCurrentProcessId());
    Print->FullLength = Output->Length;
    Print->Length = (USHORT)min(Output->Length, FLTLAB_PRINT_LENGTH);
    RtlCopyMemory(Print->Text, Output->Buffer, Print->Length);
    RtlZeroMemory(Print->Text + Print->Length, FLTLAB_PRINT_LENGTH - Print->Length); /* all of it goes to user mode */
    InterlockedExchange(&Place->Turn, (LONG)((ULONG)Position + 1));
}

VOID
LabStartPrints(VOID)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"DbgSetDebugPrintCallback");
    ULONG Index;

    if (!LabConfiguration.CapturePrints) {
        return;
    }
    ExInitializeFastMutex(&Prints.ReaderLock);
    Prints.Places = ExAllocatePoolWithTag(NonPagedPoolNx, RING_CAPACITY * sizeof(PLACE), LAB_TAG_RING);
    if (Prints.Places == NULL) {
        Prints.Status = STATUS_INSUFFICIENT_RESOURCES;
        return;
    }
    for (Index = 0; Index < RING_CAPACITY; Index++) {
        Prints.Places[Index].Turn = (LONG)Index;
    }
    Prints.SetCallback = (SET_PRINT_CALLBACK)(ULONG_PTR)MmGetSystemRoutineAddress(&Name);
    Prints.Status = Prints.SetCallback == NULL ? STATUS_PROCEDURE_NOT_FOUND : Prints.SetCallback(OnPrint, TRUE);
}

/*
 * The kernel takes the callback off its list under a lock that it holds shared while it calls them, so nothing of ours
 * runs after this. (Vista and 7 have no such list; fltlab has no images of them.)
 */
VOID
LabStopPrints(VOID)
{
    if (Prints.Places == NULL) {
        return;
    }
    if (Prints.SetCallback != NULL && NT_SUCCESS(Prints.Status)) {
        Prints.SetCallback(OnPrint, FALSE);
    }
    ExFreePoolWithTag(Prints.Places, LAB_TAG_RING);
    Prints.Places = NULL;
}

ULONG
LabCountPrints(VOID)
{
    ULONG Waiting = (ULONG)Prints.Next - (ULONG)Prints.Oldest;

    return Waiting != 0 ? Waiting : Prints.Lost != 0 || !NT_SUCCESS(Prints.Status);
}

NTSTATUS
LabTakePrints(FLTLAB_PRINTS_REPLY *Reply)
{
    RtlZeroMemory(Reply, FLTLAB_PRINTS_HEADER_SIZE);
    Reply->Status = (ULONG)Prints.Status;
    if (Prints.Places == NULL) {
        return LabConfiguration.CapturePrints ? STATUS_SUCCESS : STATUS_NOT_SUPPORTED;
    }
    ExAcquireFastMutex(&Prints.ReaderLock);
    while (Reply->Count < FLTLAB_PRINTS_AT_A_TIME) {
        LONG Oldest = Prints.Oldest;
        PLACE *Place = &Prints.Places[(ULONG)Oldest % RING_CAPACITY];

        if ((ULONG)InterlockedCompareExchange(&Place->Turn, 0, 0) != (ULONG)Oldest + 1) {
            break; /* free, or still being written */
        }
        Reply->Prints[Reply->Count++] = Place->Print;
        InterlockedExchange(&Place->Turn, (LONG)((ULONG)Oldest + RING_CAPACITY));
        Prints.Oldest = (LONG)((ULONG)Oldest + 1);
    }
    Reply->Lost = (ULONG)InterlockedExchange(&Prints.Lost, 0);
    ExReleaseFastMutex(&Prints.ReaderLock);
    return STATUS_SUCCESS;
}
