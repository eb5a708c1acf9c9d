/*
 * used_after_drain.c: notes in its instance context, from a work item, that a file was closed.
 *
 * The race: the work item is queued for the filter and holds no reference on the instance's table, which goes with the
 * instance when that has drained. Mended: the work item holds the context that the table is in.
 */

#include "racy.h"

typedef struct _INSTANCE_CONTEXT {
    PULONG Table;
} INSTANCE_CONTEXT, *PINSTANCE_CONTEXT;

static PULONG Table;

static VOID FLTAPI
FreeContext(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE Type)
{
    UNREFERENCED_PARAMETER(Type);
#ifdef MENDED
    ExFreePoolWithTag(((PINSTANCE_CONTEXT)Context)->Table, RACY_TAG);
#else
    UNREFERENCED_PARAMETER(Context);
#endif
}

static PINSTANCE_CONTEXT
GetContext(PFLT_INSTANCE Instance)
{
    PINSTANCE_CONTEXT Context = NULL;
    PULONG Made;

    if (NT_SUCCESS(FltGetInstanceContext(Instance, (PFLT_CONTEXT *)&Context))) {
        return Context;
    }
    if (!NT_SUCCESS(FltAllocateContext(Filter, FLT_INSTANCE_CONTEXT, sizeof(*Context), NonPagedPool,
                                       (PFLT_CONTEXT *)&Context))) {
        return NULL;
    }
    Made = ExAllocatePoolWithTag(NonPagedPoolNx, 64, RACY_TAG);
    NT_ASSERT(Made != NULL);
    RtlZeroMemory(Made, 64);
    Context->Table = Made;
    if (!NT_SUCCESS(FltSetInstanceContext(Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL))) {
#ifndef MENDED
        ExFreePoolWithTag(Made, RACY_TAG);
#endif
        FltReleaseContext(Context);
        return NULL;
    }
    Table = Made;
    return Context;
}

static VOID FLTAPI
Work(PFLT_GENERIC_WORKITEM Item, PVOID FltObject, PVOID Parameter)
{
    PULONG Closed = Parameter;
#ifdef MENDED
    PINSTANCE_CONTEXT Context = Parameter;

    Closed = Context->Table;
#endif
    UNREFERENCED_PARAMETER(FltObject);
    InterlockedIncrement((LONG *)&Closed[IRP_MJ_CLOSE]);
#ifdef MENDED
    FltReleaseContext(Context);
#endif
    FltFreeGenericWorkItem(Item);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreClose(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PINSTANCE_CONTEXT Context = GetContext(FltObjects->Instance);
    PFLT_GENERIC_WORKITEM Item;
    PVOID Parameter;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (Context == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
#ifdef MENDED
    Parameter = Context;
    FltReferenceContext(Context);
#else
    Parameter = Context->Table;
#endif
    Item = FltAllocateGenericWorkItem();
    if (Item != NULL && !NT_SUCCESS(FltQueueGenericWorkItem(Item, Filter, Work, DelayedWorkQueue, Parameter))) {
        FltFreeGenericWorkItem(Item);
        Item = NULL;
    }
#ifdef MENDED
    if (Item == NULL) {
        FltReleaseContext(Context);
    }
#endif
    FltReleaseContext(Context);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static VOID FLTAPI
TeardownComplete(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Reason);
#ifndef MENDED
    if (Table != NULL) {
        ExFreePoolWithTag(Table, RACY_TAG);
        Table = NULL;
    }
#endif
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CLOSE, .PreOperation = PreClose},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {.ContextType = FLT_INSTANCE_CONTEXT,
     .ContextCleanupCallback = FreeContext,
     .Size = sizeof(INSTANCE_CONTEXT),
     .PoolTag = RACY_TAG},
    {.ContextType = FLT_CONTEXT_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Contexts = Contexts, .TeardownComplete = TeardownComplete};
