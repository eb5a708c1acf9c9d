/*
 * freed_by_both.c: keeps the beginning of what was written last, until a file is cleaned up.
 *
 * The race: two cleanups see that something is kept, and both free it. Mended: who takes it away is who frees it.
 */

#include "racy.h"

static PVOID Kept;

static VOID
Drop(VOID)
{
#ifdef MENDED
    PVOID Mine = InterlockedExchangePointer(&Kept, NULL);

    if (Mine != NULL) {
        ExFreePoolWithTag(Mine, RACY_TAG);
    }
#else
    if (Kept != NULL) {
        ExFreePoolWithTag(Kept, RACY_TAG);
        Kept = NULL;
    }
#endif
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PVOID Mine;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!IsOrdinaryIrp(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Mine = ExAllocatePoolWithTag(NonPagedPoolNx, 64, RACY_TAG);
    if (Mine != NULL) {
        RtlZeroMemory(Mine, 64);
        Mine = InterlockedExchangePointer(&Kept, Mine);
    }
    if (Mine != NULL) {
        ExFreePoolWithTag(Mine, RACY_TAG);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    Drop();
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = PreWrite},
    {.MajorFunction = IRP_MJ_CLEANUP, .PreOperation = PreCleanup},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .AfterUnregister = Drop};
