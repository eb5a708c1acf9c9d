/*
 * prefetch.c: reads ahead. When a handle reads past the cache, block after block, the driver reads the next block into
 * its own buffer by asynchronous I/O below itself, and gives the following read what it has already. Whatever writes to
 * the file makes the buffer worthless.
 */

#include <fltKernel.h>

#define PREFETCH_TAG 'fprP'
#define MOST_AHEAD 0x10000

typedef enum _STATE { Empty, Reading, Full } STATE;

typedef struct _HANDLE_CONTEXT {
    FAST_MUTEX Lock;
    PFLT_INSTANCE Instance;
    STATE State;
    LONGLONG Expected; /* where a sequential reader goes on */
    LARGE_INTEGER Offset;
    ULONG Length; /* of what is asked for, then of what came */
    PVOID Buffer;
    KEVENT Done;
} HANDLE_CONTEXT, *PHANDLE_CONTEXT;

static PFLT_FILTER Filter;
static volatile LONG Given;

_Function_class_(PFLT_CONTEXT_CLEANUP_CALLBACK) static VOID FLTAPI
    CleanupContext(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE ContextType)
{
    PHANDLE_CONTEXT Handle = Context;

    UNREFERENCED_PARAMETER(ContextType);
    NT_ASSERT(Handle->State != Reading); /* a read that is under way has a reference */
    if (Handle->Buffer != NULL) {
        FltFreePoolAlignedWithTag(Handle->Instance, Handle->Buffer, PREFETCH_TAG);
    }
}

/* The read ahead has come back, at any IRQL up to DISPATCH_LEVEL. */
static VOID FLTAPI
ReadAheadDone(_In_ PFLT_CALLBACK_DATA Data, _In_ PFLT_CONTEXT Context)
{
    PHANDLE_CONTEXT Handle = Context;

    Handle->Length = NT_SUCCESS(Data->IoStatus.Status) ? (ULONG)Data->IoStatus.Information : 0;
    KeSetEvent(&Handle->Done, IO_NO_INCREMENT, FALSE);
    FltFreeCallbackData(Data);
    FltReleaseContext(Handle);
}

static VOID
ReadAhead(_Inout_ PHANDLE_CONTEXT Handle, _In_ PFILE_OBJECT File, _In_ LONGLONG Offset, _In_ ULONG Length)
{
    PFLT_CALLBACK_DATA Data;

    if (Handle->Buffer == NULL) {
        Handle->Buffer = FltAllocatePoolAlignedWithTag(Handle->Instance, NonPagedPoolNx, MOST_AHEAD, PREFETCH_TAG);
    }
    if (Handle->Buffer == NULL || Length > MOST_AHEAD ||
        !NT_SUCCESS(FltAllocateCallbackData(Handle->Instance, File, &Data))) {
        return;
    }
    Handle->Offset.QuadPart = Offset;
    Handle->Length = 0;
    Handle->State = Reading;
    KeClearEvent(&Handle->Done);
    Data->Iopb->MajorFunction = IRP_MJ_READ;
    Data->Iopb->IrpFlags = IRP_READ_OPERATION | IRP_NOCACHE;
    Data->Iopb->Parameters.Read.ByteOffset = Handle->Offset;
    Data->Iopb->Parameters.Read.Length = Length;
    Data->Iopb->Parameters.Read.ReadBuffer = Handle->Buffer;
    FltReferenceContext(Handle);
    FltPerformAsynchronousIo(Data, ReadAheadDone, Handle); /* the callback is called whatever it answers */
}

/* Wait for what is under way, which is not cancelled. */
static VOID
Settle(_Inout_ PHANDLE_CONTEXT Handle)
{
    if (Handle->State == Reading) {
        KeWaitForSingleObject(&Handle->Done, Executive, KernelMode, FALSE, NULL);
        Handle->State = Full;
    }
}

/* Give a read what was read ahead for it; how much, 0 if there is nothing for it. */
static ULONG
Take(_Inout_ PHANDLE_CONTEXT Handle, _Inout_ PFLT_CALLBACK_DATA Data)
{
    PFLT_PARAMETERS Read = &Data->Iopb->Parameters;
    PVOID Buffer;
    ULONG Bytes = 0;

    Settle(Handle);
    if (Handle->State == Full && Handle->Offset.QuadPart == Read->Read.ByteOffset.QuadPart &&
        Handle->Length == Read->Read.Length) {
        Buffer = Read->Read.MdlAddress != NULL
                     ? MmGetSystemAddressForMdlSafe(Read->Read.MdlAddress, NormalPagePriority | MdlMappingNoExecute)
                     : Read->Read.ReadBuffer;
        __try {
            if (Buffer != NULL) {
                RtlCopyMemory(Buffer, Handle->Buffer, Handle->Length);
                Bytes = Handle->Length;
            }
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            Bytes = 0;
        }
    }
    Handle->State = Empty;
    return Bytes;
}

static PHANDLE_CONTEXT
ContextOf(_In_ PCFLT_RELATED_OBJECTS FltObjects)
{
    PHANDLE_CONTEXT Handle;

    if (NT_SUCCESS(FltGetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, (PFLT_CONTEXT *)&Handle))) {
        return Handle;
    }
    if (!NT_SUCCESS(FltAllocateContext(Filter, FLT_STREAMHANDLE_CONTEXT, sizeof(*Handle), NonPagedPoolNx,
                                       (PFLT_CONTEXT *)&Handle))) {
        return NULL;
    }
    RtlZeroMemory(Handle, sizeof(*Handle));
    ExInitializeFastMutex(&Handle->Lock);
    KeInitializeEvent(&Handle->Done, NotificationEvent, FALSE);
    Handle->Instance = FltObjects->Instance;
    Handle->Expected = -1;
    if (!NT_SUCCESS(FltSetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject,
                                              FLT_SET_CONTEXT_KEEP_IF_EXISTS, Handle, NULL))) {
        FltReleaseContext(Handle); /* another read was faster: this one goes without */
        return NULL;
    }
    return Handle;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
        _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    LONGLONG Offset = Data->Iopb->Parameters.Read.ByteOffset.QuadPart;
    ULONG Length = Data->Iopb->Parameters.Read.Length;
    PHANDLE_CONTEXT Handle;
    ULONG Bytes = 0;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (!FLT_IS_IRP_OPERATION(Data) || FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO) ||
        !FlagOn(Data->Iopb->IrpFlags, IRP_NOCACHE) || Length == 0 || Offset < 0 ||
        FlagOn(FltObjects->FileObject->Flags, FO_VOLUME_OPEN) || (Handle = ContextOf(FltObjects)) == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    /* Not a fast mutex's APC_LEVEL: the read below it waits, and buffers may be paged. */
    KeEnterCriticalRegion();
    ExAcquireFastMutexUnsafe(&Handle->Lock);
    if (Handle->Expected == Offset) {
        Bytes = Take(Handle, Data);
        ReadAhead(Handle, FltObjects->FileObject, Offset + Length, Length);
    }
    Handle->Expected = Offset + Length;
    ExReleaseFastMutexUnsafe(&Handle->Lock);
    KeLeaveCriticalRegion();
    FltReleaseContext(Handle);
    if (Bytes == 0) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    DbgPrint("prefetch: %u bytes at %I64d, %d times\n", Bytes, Offset, InterlockedIncrement(&Given));
    if (FlagOn(FltObjects->FileObject->Flags, FO_SYNCHRONOUS_IO)) {
        FltObjects->FileObject->CurrentByteOffset.QuadPart = Offset + Bytes;
    }
    Data->IoStatus.Status = STATUS_SUCCESS;
    Data->IoStatus.Information = Bytes;
    return FLT_PREOP_COMPLETE;
}

/* What is written on this handle or before it is closed; another handle's writes are not seen, as one of its users. */
static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWriteOrCleanup(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                  _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    PHANDLE_CONTEXT Handle;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO) ||
        !NT_SUCCESS(FltGetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, (PFLT_CONTEXT *)&Handle))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (FLT_IS_FASTIO_OPERATION(Data)) {
        FltReleaseContext(Handle);
        return FLT_PREOP_DISALLOW_FASTIO;
    }
    KeEnterCriticalRegion();
    ExAcquireFastMutexUnsafe(&Handle->Lock);
    Settle(Handle);
    Handle->State = Empty;
    Handle->Expected = -1;
    ExReleaseFastMutexUnsafe(&Handle->Lock);
    KeLeaveCriticalRegion();
    FltReleaseContext(Handle);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
QueryTeardown(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {FLT_STREAMHANDLE_CONTEXT, 0, CleanupContext, sizeof(HANDLE_CONTEXT), PREFETCH_TAG},
    {FLT_CONTEXT_END},
};

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_READ, 0, PreRead, NULL},
    {IRP_MJ_WRITE, 0, PreWriteOrCleanup, NULL},
    {IRP_MJ_CLEANUP, 0, PreWriteOrCleanup, NULL},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = Contexts,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
    .InstanceQueryTeardownCallback = QueryTeardown,
};

DRIVER_INITIALIZE DriverEntry;

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
