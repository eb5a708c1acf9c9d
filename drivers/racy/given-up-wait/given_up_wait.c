/*
 * given_up_wait.c: has a worker thread look at each create, and waits for the answer, but not for long.
 *
 * The race: the wait is given up, the question is freed, and the worker answers in what is no longer there. Mended: the
 * question is freed by the last of the two.
 */

#include "racy.h"

typedef struct _QUESTION {
    KEVENT Answered;
    LONG References;
    ULONG Options;
    BOOLEAN Deletes;
} QUESTION, *PQUESTION;

static ULONG Deletions;

static VOID
Release(PQUESTION Question)
{
    if (InterlockedDecrement(&Question->References) == 0) {
        ExFreePoolWithTag(Question, RACY_TAG);
    }
}

static VOID FLTAPI
Answer(PFLT_GENERIC_WORKITEM Item, PVOID FltObject, PVOID Context)
{
    PQUESTION Question = Context;

    UNREFERENCED_PARAMETER(FltObject);
    FltFreeGenericWorkItem(Item);
    Question->Deletes = (BOOLEAN)FlagOn(Question->Options, FILE_DELETE_ON_CLOSE);
    KeSetEvent(&Question->Answered, IO_NO_INCREMENT, FALSE);
#ifdef MENDED
    Release(Question);
#endif
}

static BOOLEAN
Ask(PQUESTION Question)
{
    PFLT_GENERIC_WORKITEM Item = FltAllocateGenericWorkItem();

#ifdef MENDED
    InterlockedIncrement(&Question->References);
#endif
    if (Item != NULL && NT_SUCCESS(FltQueueGenericWorkItem(Item, Filter, Answer, DelayedWorkQueue, Question))) {
        return TRUE;
    }
    if (Item != NULL) {
        FltFreeGenericWorkItem(Item);
    }
#ifdef MENDED
    Release(Question);
#endif
    return FALSE;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PQUESTION Question = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Question), RACY_TAG);
    LARGE_INTEGER Timeout = {.QuadPart = -10000 * 20};

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (Question == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    KeInitializeEvent(&Question->Answered, NotificationEvent, FALSE);
    Question->References = 1;
    Question->Options = Data->Iopb->Parameters.Create.Options;
    if (Ask(Question) &&
        KeWaitForSingleObject(&Question->Answered, Executive, KernelMode, FALSE, &Timeout) == STATUS_SUCCESS &&
        Question->Deletes) {
        InterlockedIncrement((LONG *)&Deletions);
    }
    Release(Question);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PreOperation = PreCreate},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations};
