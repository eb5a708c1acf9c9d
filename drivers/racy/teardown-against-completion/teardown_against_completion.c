/*
 * teardown_against_completion.c: holds reads back until a file is cleaned up, and lets them go when its instance goes.
 *
 * The race: the teardown has let all go that it found, and a read that was on its way is put on the list after that:
 * nobody lets it go. Mended: who holds looks, under the lock of the list, whether the instance goes.
 */

#include "racy.h"

typedef struct _HELD {
    struct _HELD *Next;
    PFLT_CALLBACK_DATA Data;
} HELD, *PHELD;

static FAST_MUTEX Lock;
static PHELD List;
static BOOLEAN Going;

static BOOLEAN
Hold(PHELD Held)
{
    BOOLEAN Holds = TRUE;

    ExAcquireFastMutex(&Lock);
#ifdef MENDED
    Holds = (BOOLEAN)!Going;
#endif
    if (Holds) {
        Held->Next = List;
        List = Held;
    }
    ExReleaseFastMutex(&Lock);
    return Holds;
}

static VOID
LetAllGo(BOOLEAN InstanceGoes)
{
    PHELD Held, Next;

    ExAcquireFastMutex(&Lock);
    Going |= InstanceGoes;
    Held = List;
    List = NULL;
    ExReleaseFastMutex(&Lock);
    for (; Held != NULL; Held = Next) {
        Next = Held->Next;
        FltCompletePendedPreOperation(Held->Data, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
        ExFreePoolWithTag(Held, RACY_TAG);
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PHELD Held;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!IsOrdinaryIrp(Data) || Going || !CanBeHeld(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Held = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Held), RACY_TAG);
    if (Held == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Held->Data = Data;
    if (!Hold(Held)) {
        ExFreePoolWithTag(Held, RACY_TAG);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    return FLT_PREOP_PENDING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    LetAllGo(FALSE);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static VOID FLTAPI
TeardownStart(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Reason);
    LetAllGo(TRUE);
}

static NTSTATUS
Start(VOID)
{
    ExInitializeFastMutex(&Lock);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {.MajorFunction = IRP_MJ_CLEANUP, .PreOperation = PreCleanup},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Start = Start, .TeardownStart = TeardownStart};
