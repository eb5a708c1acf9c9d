/*
 * contexts.c: what becomes of contexts that are set twice, and when they are cleaned up.
 */

#include "services.h"

typedef struct _NUMBERED {
    ULONG Number;
} NUMBERED, *PNUMBERED;

static VOID FLTAPI
Cleanup(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE Type)
{
    UNREFERENCED_PARAMETER(Type);
    Say("cleanup of context %u\n", ((PNUMBERED)Context)->Number);
}

const FLT_CONTEXT_REGISTRATION ContextRegistration[] = {
    {.ContextType = FLT_STREAMHANDLE_CONTEXT,
     .ContextCleanupCallback = Cleanup,
     .Size = sizeof(NUMBERED),
     .PoolTag = SERVICES_TAG},
    {.ContextType = FLT_INSTANCE_CONTEXT,
     .ContextCleanupCallback = Cleanup,
     .Size = sizeof(NUMBERED),
     .PoolTag = SERVICES_TAG},
    {.ContextType = FLT_CONTEXT_END},
};

static NTSTATUS
Allocate(FLT_CONTEXT_TYPE Type, SIZE_T Size, ULONG Number, PNUMBERED *Context)
{
    NTSTATUS Status = FltAllocateContext(Filter, Type, Size, NonPagedPoolNx, (PFLT_CONTEXT *)Context);

    if (NT_SUCCESS(Status)) {
        (*Context)->Number = Number;
    }
    return Status;
}

static ULONG
NumberOf(PFLT_CONTEXT Context)
{
    return Context != NULL ? ((PNUMBERED)Context)->Number : 0;
}

static VOID
Release(PFLT_CONTEXT Context)
{
    if (Context != NULL) {
        FltReleaseContext(Context);
    }
}

/* Before a create is finished there is no stream to have a context (CTX-04). */
VOID
AskContextBeforeCreate(PCFLT_RELATED_OBJECTS FltObjects)
{
    PFLT_CONTEXT Context = NULL;
    NTSTATUS Status = FltGetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, &Context);

    Say("get in pre-create: 0x%08x\n", Status);
    Release(Context);
    if (NT_SUCCESS(FltAllocateContext(Filter, FLT_STREAMHANDLE_CONTEXT, sizeof(NUMBERED), NonPagedPoolNx, &Context))) {
        ((PNUMBERED)Context)->Number = 0;
        Status = FltSetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject,
                                           FLT_SET_CONTEXT_REPLACE_IF_EXISTS, Context, NULL);
        Say("set in pre-create: 0x%08x\n", Status);
        FltReleaseContext(Context);
    }
}

static VOID
Set(PCFLT_RELATED_OBJECTS FltObjects, PCSTR How, FLT_SET_CONTEXT_OPERATION Operation, PNUMBERED Context)
{
    PFLT_CONTEXT Old = NULL;
    NTSTATUS Status = FltSetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, Operation, Context, &Old);

    Say("%s %u: 0x%08x, old %u\n", How, Context->Number, Status, NumberOf(Old));
    Release(Old);
}

VOID
AskContexts(PCFLT_RELATED_OBJECTS FltObjects)
{
    PNUMBERED First, Second, OfInstance, None = NULL;
    NTSTATUS Status;

    Say("undeclared: 0x%08x\n", Allocate(FLT_FILE_CONTEXT, sizeof(NUMBERED), 0, &None));
    Say("of another size: 0x%08x\n", Allocate(FLT_STREAMHANDLE_CONTEXT, 2 * sizeof(NUMBERED), 0, &None));
    if (NT_SUCCESS(Allocate(FLT_INSTANCE_CONTEXT, sizeof(NUMBERED), 3, &OfInstance))) {
        Status = FltSetInstanceContext(FltObjects->Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, OfInstance, NULL);
        Say("of the instance: 0x%08x\n", Status);
        FltReleaseContext(OfInstance);
    }
    if (!NT_SUCCESS(Allocate(FLT_STREAMHANDLE_CONTEXT, sizeof(NUMBERED), 1, &First))) {
        return;
    }
    if (NT_SUCCESS(Allocate(FLT_STREAMHANDLE_CONTEXT, sizeof(NUMBERED), 2, &Second))) {
        Set(FltObjects, "keep", FLT_SET_CONTEXT_KEEP_IF_EXISTS, First);
        Set(FltObjects, "keep", FLT_SET_CONTEXT_KEEP_IF_EXISTS, Second);
        Set(FltObjects, "replace", FLT_SET_CONTEXT_REPLACE_IF_EXISTS, Second);
        Set(FltObjects, "replace", FLT_SET_CONTEXT_REPLACE_IF_EXISTS, Second);
        FltReleaseContext(Second); /* the file object has it still */
    }
    Say("releasing context 1\n");
    FltReleaseContext(First); /* nobody has it any more */
    Say("released context 1\n");
}
