/*
 * double_resume.c: holds a read back until a worker has looked at it, but no longer than a timer allows.
 *
 * The race: worker and timer both see that nobody has let it go yet, and both do. Mended: who claims it lets it go.
 */

#include "racy.h"

typedef struct _HELD {
    PFLT_CALLBACK_DATA Data;
    PFLT_GENERIC_WORKITEM LateItem;
    KTIMER Timer;
    KDPC Dpc;
    LONG Resumed;
    LONG References;
} HELD, *PHELD;

static VOID
Release(PHELD Held)
{
    if (InterlockedDecrement(&Held->References) == 0) {
        FltFreeGenericWorkItem(Held->LateItem);
        ExFreePoolWithTag(Held, RACY_TAG);
    }
}

static VOID
ResumeOnce(PHELD Held)
{
#ifdef MENDED
    if (InterlockedExchange(&Held->Resumed, TRUE) == FALSE) {
        FltCompletePendedPreOperation(Held->Data, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
    }
#else
    if (!Held->Resumed) {
        Held->Resumed = TRUE;
        FltCompletePendedPreOperation(Held->Data, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
    }
#endif
}

static VOID FLTAPI
Late(PFLT_GENERIC_WORKITEM WorkItem, PVOID FltObject, PVOID Context)
{
    UNREFERENCED_PARAMETER(WorkItem);
    UNREFERENCED_PARAMETER(FltObject);
    ResumeOnce(Context);
    Release(Context);
}

static VOID
TimerDpc(PKDPC Dpc, PVOID Context, PVOID First, PVOID Second)
{
    PHELD Held = Context;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
    if (!NT_SUCCESS(FltQueueGenericWorkItem(Held->LateItem, Filter, Late, DelayedWorkQueue, Held))) {
        Release(Held);
    }
}

static VOID FLTAPI
Look(PFLT_GENERIC_WORKITEM WorkItem, PVOID FltObject, PVOID Context)
{
    PHELD Held = Context;

    UNREFERENCED_PARAMETER(FltObject);
    ResumeOnce(Held);
    if (KeCancelTimer(&Held->Timer)) {
        Release(Held);
    }
    Release(Held);
    FltFreeGenericWorkItem(WorkItem);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LARGE_INTEGER Due = {.QuadPart = -20000};
    PFLT_GENERIC_WORKITEM Item;
    PHELD Held;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!IsOrdinaryIrp(Data) || !CanBeHeld(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Held = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Held), RACY_TAG);
    if (Held == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Item = FltAllocateGenericWorkItem();
    Held->LateItem = FltAllocateGenericWorkItem();
    if (Item == NULL || Held->LateItem == NULL) {
        if (Item != NULL) {
            FltFreeGenericWorkItem(Item);
        }
        if (Held->LateItem != NULL) {
            FltFreeGenericWorkItem(Held->LateItem);
        }
        ExFreePoolWithTag(Held, RACY_TAG);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Held->Data = Data;
    Held->Resumed = FALSE;
    Held->References = 2;
    KeInitializeTimer(&Held->Timer);
    KeInitializeDpc(&Held->Dpc, TimerDpc, Held);
    KeSetTimer(&Held->Timer, Due, &Held->Dpc);
    FltQueueGenericWorkItem(Item, Filter, Look, DelayedWorkQueue, Held);
    return FLT_PREOP_PENDING;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations};
