/*
 * Opens \mine.own itself, and does of it what it must not: only reads are its own. \cancelled.own it gives a context and
 * then cancels; for \raised.own it reads at APC_LEVEL, by paging I/O and then as for anybody.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static FSRTL_ADVANCED_FCB_HEADER Fcb;
static LONG Cleaned;

static BOOLEAN
Is(PFILE_OBJECT File, PCWSTR Text)
{
    UNICODE_STRING name;

    RtlInitUnicodeString(&name, Text);
    return RtlEqualUnicodeString(&name, &File->FileName, TRUE);
}

static VOID FLTAPI
Clean(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE Type)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Type);
    InterlockedIncrement(&Cleaned);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    if (!Is(o->FileObject, L"\\mine.own")) {
        return FLT_PREOP_SUCCESS_WITH_CALLBACK;
    }
    o->FileObject->FsContext = &Fcb;
    Data->IoStatus.Status = STATUS_SUCCESS;
    Data->IoStatus.Information = FILE_OPENED;
    return FLT_PREOP_COMPLETE;
}

static VOID
CancelWithContext(PCFLT_RELATED_OBJECTS o)
{
    PFLT_CONTEXT context, found;

    if (NT_SUCCESS(FltAllocateContext(Filter, FLT_STREAM_CONTEXT, 16, NonPagedPoolNx, &context))) {
        FltSetStreamContext(o->Instance, o->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, context, NULL);
        FltReleaseContext(context);
    }
    FltCancelFileOpen(o->Instance, o->FileObject);
    DbgPrint("after the cancel: 0x%08x\n", FltGetStreamContext(o->Instance, o->FileObject, &found));
}

static VOID
ReadAtApcLevel(PCFLT_RELATED_OBJECTS o)
{
    PVOID page = ExAllocatePoolZero(NonPagedPoolNx, PAGE_SIZE, 'nwOT');
    LARGE_INTEGER offset = {.QuadPart = 0};
    ULONG count = 0;
    KIRQL irql;

    if (page == NULL) {
        return;
    }
    KeRaiseIrql(APC_LEVEL, &irql);
    DbgPrint("as paging I/O: 0x%08x\n", FltReadFile(o->Instance, o->FileObject, &offset, PAGE_SIZE, page,
                                                    FLTFL_IO_OPERATION_NON_CACHED | FLTFL_IO_OPERATION_PAGING |
                                                        FLTFL_IO_OPERATION_SYNCHRONOUS_PAGING,
                                                    &count, NULL, NULL));
    FltReadFile(o->Instance, o->FileObject, &offset, PAGE_SIZE, page, 0, &count, NULL, NULL);
    KeLowerIrql(irql);
    ExFreePoolWithTag(page, 'nwOT');
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Context);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (Is(o->FileObject, L"\\cancelled.own")) {
        CancelWithContext(o);
        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
        Data->IoStatus.Information = 0;
    } else if (Is(o->FileObject, L"\\raised.own")) {
        ReadAtApcLevel(o);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    if (o->FileObject->FsContext != &Fcb) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Data->IoStatus.Status = STATUS_END_OF_FILE;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    DbgPrint("contexts gone: %ld\n", Cleaned);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {.ContextType = FLT_STREAM_CONTEXT, .ContextCleanupCallback = Clean, .Size = 16, .PoolTag = 'nwOT'},
    {FLT_CONTEXT_END},
};
static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PreOperation = PreCreate, .PostOperation = PostCreate},
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {IRP_MJ_OPERATION_END},
};
static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = Contexts,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Path);
    status = FltRegisterFilter(Driver, &Registration, &Filter);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return status;
}
