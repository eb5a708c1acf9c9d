/*
 * referenced_after_lookup.c: counts the writes from the first create to a cleanup.
 *
 * The race: a write finds the record under the lock and references it behind that; the cleanup between takes the last
 * reference. Mended: what is found is referenced under the lock.
 */

#include "racy.h"

typedef struct _RECORD {
    LONG References;
    ULONG Writes;
} RECORD, *PRECORD;

static FAST_MUTEX Lock;
static PRECORD Current;

static VOID
Release(PRECORD Record)
{
    if (InterlockedDecrement(&Record->References) == 0) {
        ExFreePoolWithTag(Record, RACY_TAG);
    }
}

static PRECORD
Find(VOID)
{
    PRECORD Record;

    ExAcquireFastMutex(&Lock);
    Record = Current;
#ifdef MENDED
    if (Record != NULL) {
        InterlockedIncrement(&Record->References);
    }
    ExReleaseFastMutex(&Lock);
#else
    ExReleaseFastMutex(&Lock);
    if (Record != NULL) {
        InterlockedIncrement(&Record->References);
    }
#endif
    return Record;
}

static VOID
Replace(PRECORD New)
{
    PRECORD Old;

    ExAcquireFastMutex(&Lock);
    Old = Current;
    Current = New;
    ExReleaseFastMutex(&Lock);
    if (Old != NULL) {
        Release(Old);
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PRECORD Record;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    Record = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Record), RACY_TAG);
    if (Record != NULL) {
        Record->References = 1;
        Record->Writes = 0;
        Replace(Record);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PRECORD Record = IsOrdinaryIrp(Data) ? Find() : NULL;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (Record != NULL) {
        InterlockedIncrement((LONG *)&Record->Writes);
        Release(Record);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static VOID
Forget(VOID)
{
    Replace(NULL);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    Forget();
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS
Start(VOID)
{
    ExInitializeFastMutex(&Lock);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PreOperation = PreCreate},
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = PreWrite},
    {.MajorFunction = IRP_MJ_CLEANUP, .PreOperation = PreCleanup},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Start = Start, .AfterUnregister = Forget};
