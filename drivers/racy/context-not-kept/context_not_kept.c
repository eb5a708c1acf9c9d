/*
 * context_not_kept.c: counts the readers of a file in a stream context, which the first of them sets.
 *
 * The race: two readers find none, both make one, and the second takes the place of the first, which goes on to count
 * in a context that is nobody's; its old value is not released. Mended: the one that is there is kept and used.
 */

#include "racy.h"

typedef struct _STREAM_CONTEXT {
    LONG Readers;
} STREAM_CONTEXT, *PSTREAM_CONTEXT;

static NTSTATUS
GetContext(PCFLT_RELATED_OBJECTS FltObjects, PSTREAM_CONTEXT *Found)
{
    PSTREAM_CONTEXT Context, Old = NULL;
    NTSTATUS Status = FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject, (PFLT_CONTEXT *)Found);

    if (Status != STATUS_NOT_FOUND) {
        return Status;
    }
    Status = FltAllocateContext(Filter, FLT_STREAM_CONTEXT, sizeof(*Context), NonPagedPool, (PFLT_CONTEXT *)&Context);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Context->Readers = 0;
#ifdef MENDED
    Status = FltSetStreamContext(FltObjects->Instance, FltObjects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context,
                                 (PFLT_CONTEXT *)&Old);
    if (Status == STATUS_FLT_CONTEXT_ALREADY_DEFINED) {
        FltReleaseContext(Context);
        *Found = Old;
        return STATUS_SUCCESS;
    }
#else
    Status = FltSetStreamContext(FltObjects->Instance, FltObjects->FileObject, FLT_SET_CONTEXT_REPLACE_IF_EXISTS,
                                 Context, (PFLT_CONTEXT *)&Old);
#endif
    if (!NT_SUCCESS(Status)) {
        FltReleaseContext(Context);
        return Status;
    }
    *Found = Context;
    return STATUS_SUCCESS;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PSTREAM_CONTEXT Context;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (IsOrdinaryIrp(Data) && NT_SUCCESS(GetContext(FltObjects, &Context))) {
        InterlockedIncrement(&Context->Readers);
        FltReleaseContext(Context);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {.ContextType = FLT_STREAM_CONTEXT, .Size = sizeof(STREAM_CONTEXT), .PoolTag = RACY_TAG},
    {.ContextType = FLT_CONTEXT_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Contexts = Contexts};
