/*
 * double_checked_init.c: makes its table of sizes when the first file is written, and not before.
 *
 * The race: the flag is set before the table is made; a second write finds the flag set and no table. Mended: who
 * finds no table waits for the lock, and the table is published when it is whole.
 */

#include "racy.h"

#define SLOTS 64

static PULONG Table;
static BOOLEAN Initialized;
static FAST_MUTEX Lock;

static VOID
Initialize(VOID)
{
    ExAcquireFastMutex(&Lock);
#ifdef MENDED
    if (Table == NULL) {
        PULONG Made = ExAllocatePoolWithTag(NonPagedPoolNx, SLOTS * sizeof(ULONG), RACY_TAG);

        if (Made != NULL) {
            RtlZeroMemory(Made, SLOTS * sizeof(ULONG));
            InterlockedExchangePointer((PVOID volatile *)&Table, Made);
            Initialized = TRUE;
        }
    }
#else
    if (!Initialized) {
        Initialized = TRUE;
        Table = ExAllocatePoolWithTag(NonPagedPoolNx, SLOTS * sizeof(ULONG), RACY_TAG);
        RtlZeroMemory(Table, SLOTS * sizeof(ULONG));
    }
#endif
    ExReleaseFastMutex(&Lock);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!IsOrdinaryIrp(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (!Initialized) {
        Initialize();
    }
#ifdef MENDED
    if (Table == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
#endif
    InterlockedIncrement((LONG *)&Table[Data->Iopb->Parameters.Write.Length / 512 % SLOTS]);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS
Start(VOID)
{
    ExInitializeFastMutex(&Lock);
    return STATUS_SUCCESS;
}

static VOID
FreeTable(VOID)
{
    if (Table != NULL) {
        ExFreePoolWithTag(Table, RACY_TAG);
    }
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = PreWrite},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Start = Start, .AfterUnregister = FreeTable};
