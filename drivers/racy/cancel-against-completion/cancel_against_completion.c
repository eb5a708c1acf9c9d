/*
 * cancel_against_completion.c: holds reads back until the file is written, and lets them be canceled meanwhile.
 *
 * The race: the write takes a read off the list and completes it, whatever FltClearCancelCompletion says: its cancel
 * callback may run, or have run already. Mended: then the read is the callback's.
 */

#include "racy.h"

static FAST_MUTEX Lock;
static PFLT_CALLBACK_DATA Held;

static VOID
CompleteHeld(PFLT_CALLBACK_DATA Data, NTSTATUS Status)
{
    Data->IoStatus.Status = Status;
    Data->IoStatus.Information = 0;
    FltCompletePendedPreOperation(Data, FLT_PREOP_COMPLETE, NULL);
}

static VOID FLTAPI
Canceled(PFLT_CALLBACK_DATA Data)
{
    ExAcquireFastMutex(&Lock);
    if (Held == Data) {
        Held = NULL;
    }
    ExReleaseFastMutex(&Lock);
    CompleteHeld(Data, STATUS_CANCELLED);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!IsOrdinaryIrp(Data) || !CanBeHeld(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    ExAcquireFastMutex(&Lock);
    if (Held != NULL || !NT_SUCCESS(FltSetCancelCompletion(Data, Canceled))) {
        ExReleaseFastMutex(&Lock);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Held = Data;
    ExReleaseFastMutex(&Lock);
    return FLT_PREOP_PENDING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFLT_CALLBACK_DATA Read;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!IsOrdinaryIrp(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    ExAcquireFastMutex(&Lock);
    Read = Held;
    Held = NULL;
#ifdef MENDED
    if (Read != NULL && !NT_SUCCESS(FltClearCancelCompletion(Read))) {
        Read = NULL;
    }
    ExReleaseFastMutex(&Lock);
#else
    ExReleaseFastMutex(&Lock);
    if (Read != NULL) {
        FltClearCancelCompletion(Read);
    }
#endif
    if (Read != NULL) {
        CompleteHeld(Read, STATUS_END_OF_FILE);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS
Start(VOID)
{
    ExInitializeFastMutex(&Lock);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = PreWrite},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Start = Start};
