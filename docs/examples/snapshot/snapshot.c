/*
 *  snapshot.c
 *
 *  Copy on write: before a block of a file is written for the first time since the driver was loaded, what is in it goes
 *  to the file's stream ":snapshot". Writes are pended and done from work items, since copying takes time; whoever writes
 *  by fast I/O is sent by IRP. Files that have never been written to have no such stream.
 */

#include <fltKernel.h>

#pragma warning(disable : 4100 4201)

#define SNAP_POOL_TAG 'panS'
#define SNAP_BLOCK 0x1000
#define SNAP_BLOCKS 1024 /* what is behind 4 MiB is not kept */
#define SNAP_STREAM L":snapshot"

typedef struct _SNAP_STREAM_CONTEXT {
    ERESOURCE Resource;
    RTL_BITMAP Kept;
    ULONG Bits[SNAP_BLOCKS / 32];
    HANDLE Handle;
    PFILE_OBJECT Store;
} SNAP_STREAM_CONTEXT, *PSNAP_STREAM_CONTEXT;

PFLT_FILTER SnapFilter;

VOID FLTAPI
SnapCleanupContext(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE ContextType)
{
    PSNAP_STREAM_CONTEXT ctx = (PSNAP_STREAM_CONTEXT)Context;

    if (ctx->Store) {
        ObDereferenceObject(ctx->Store);
    }
    if (ctx->Handle) {
        FltClose(ctx->Handle);
    }
    ExDeleteResourceLite(&ctx->Resource);
}

/* The context of the file, made if it has none. Only the unnamed stream is kept. */
NTSTATUS
SnapGetContext(_In_ PCFLT_RELATED_OBJECTS FltObjects, _Outptr_ PSNAP_STREAM_CONTEXT *Context)
{
    PSNAP_STREAM_CONTEXT ctx, old = NULL;
    NTSTATUS status = FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject, (PFLT_CONTEXT *)Context);

    if (status != STATUS_NOT_FOUND) {
        return status;
    }
    status = FltAllocateContext(SnapFilter, FLT_STREAM_CONTEXT, sizeof(*ctx), NonPagedPool, (PFLT_CONTEXT *)&ctx);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    RtlZeroMemory(ctx, sizeof(*ctx));
    ExInitializeResourceLite(&ctx->Resource);
    RtlInitializeBitMap(&ctx->Kept, ctx->Bits, SNAP_BLOCKS);
    status = FltSetStreamContext(FltObjects->Instance, FltObjects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, ctx,
                                 (PFLT_CONTEXT *)&old);
    if (status == STATUS_FLT_CONTEXT_ALREADY_DEFINED) {
        FltReleaseContext(ctx);
        *Context = old;
        return STATUS_SUCCESS;
    }
    if (!NT_SUCCESS(status)) {
        FltReleaseContext(ctx);
        return status;
    }
    *Context = ctx;
    return STATUS_SUCCESS;
}

NTSTATUS
SnapOpenStore(_In_ PFLT_CALLBACK_DATA Data, _In_ PFLT_INSTANCE Instance, _Inout_ PSNAP_STREAM_CONTEXT ctx)
{
    PFLT_FILE_NAME_INFORMATION name;
    OBJECT_ATTRIBUTES oa;
    IO_STATUS_BLOCK iosb;
    UNICODE_STRING path;
    NTSTATUS status;

    status = FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &name);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    path.Length = 0;
    path.MaximumLength = name->Name.Length + sizeof(SNAP_STREAM);
    path.Buffer = ExAllocatePoolWithTag(PagedPool, path.MaximumLength, SNAP_POOL_TAG);
    if (path.Buffer) {
        RtlCopyUnicodeString(&path, &name->Name);
        RtlAppendUnicodeToString(&path, SNAP_STREAM);
        InitializeObjectAttributes(&oa, &path, OBJ_KERNEL_HANDLE, NULL, NULL);
        status =
            FltCreateFileEx(SnapFilter, Instance, &ctx->Handle, &ctx->Store, FILE_WRITE_DATA | SYNCHRONIZE, &oa, &iosb,
                            NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OVERWRITE_IF,
                            FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0, IO_IGNORE_SHARE_ACCESS_CHECK);
        ExFreePoolWithTag(path.Buffer, SNAP_POOL_TAG);
    } else {
        status = STATUS_INSUFFICIENT_RESOURCES;
    }
    FltReleaseFileNameInformation(name);
    return status;
}

NTSTATUS
SnapKeep(_In_ PFLT_CALLBACK_DATA Data, _In_ PFLT_INSTANCE Instance, _Inout_ PSNAP_STREAM_CONTEXT ctx,
         _In_ PFILE_OBJECT File)
{
    LONGLONG from = Data->Iopb->Parameters.Write.ByteOffset.QuadPart;
    LONGLONG last = (from + Data->Iopb->Parameters.Write.Length - 1) / SNAP_BLOCK;
    NTSTATUS status = STATUS_SUCCESS;
    LARGE_INTEGER at;
    ULONG got, put;
    PVOID block;

    block = FltAllocatePoolAlignedWithTag(Instance, NonPagedPool, SNAP_BLOCK, SNAP_POOL_TAG);
    if (!block) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (at.QuadPart = from - from % SNAP_BLOCK; NT_SUCCESS(status) && at.QuadPart / SNAP_BLOCK <= last;
         at.QuadPart += SNAP_BLOCK) {
        if (at.QuadPart / SNAP_BLOCK >= SNAP_BLOCKS || RtlCheckBit(&ctx->Kept, (ULONG)(at.QuadPart / SNAP_BLOCK))) {
            continue;
        }
        status = FltReadFile(Instance, File, &at, SNAP_BLOCK, block, FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &got,
                             NULL, NULL);
        if (status == STATUS_END_OF_FILE) {
            status = STATUS_SUCCESS; /* there was nothing */
        } else if (NT_SUCCESS(status)) {
            if (!ctx->Store) {
                status = SnapOpenStore(Data, Instance, ctx);
            }
            if (NT_SUCCESS(status)) {
                status = FltWriteFile(Instance, ctx->Store, &at, got, block,
                                      FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &put, NULL, NULL);
            }
        }
        if (NT_SUCCESS(status)) {
            RtlSetBit(&ctx->Kept, (ULONG)(at.QuadPart / SNAP_BLOCK));
        }
    }
    FltFreePoolAlignedWithTag(Instance, block, SNAP_POOL_TAG);
    return status;
}

VOID FLTAPI
SnapWorker(_In_ PFLT_DEFERRED_IO_WORKITEM WorkItem, _In_ PFLT_CALLBACK_DATA Data, _In_opt_ PVOID Context)
{
    PSNAP_STREAM_CONTEXT ctx = (PSNAP_STREAM_CONTEXT)Context;
    FLT_PREOP_CALLBACK_STATUS answer = FLT_PREOP_SUCCESS_NO_CALLBACK;
    NTSTATUS status;

    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&ctx->Resource, TRUE);
    status = SnapKeep(Data, Data->Iopb->TargetInstance, ctx, Data->Iopb->TargetFileObject);
    ExReleaseResourceLite(&ctx->Resource);
    KeLeaveCriticalRegion();

    FltReleaseContext(ctx);
    FltFreeDeferredIoWorkItem(WorkItem);
    if (!NT_SUCCESS(status) && status != STATUS_FILE_LOCK_CONFLICT) {
        Data->IoStatus.Status = status; /* better no write than one that cannot be undone */
        Data->IoStatus.Information = 0;
        answer = FLT_PREOP_COMPLETE;
    }
    FltCompletePendedPreOperation(Data, answer, NULL);
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
SnapPreWrite(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
             _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    PFLT_DEFERRED_IO_WORKITEM item;
    PSNAP_STREAM_CONTEXT ctx;
    NTSTATUS status;

    if (FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO) || Data->Iopb->Parameters.Write.Length == 0 ||
        Data->Iopb->Parameters.Write.ByteOffset.QuadPart < 0 || FltObjects->FileObject->FileName.Length == 0 ||
        wcschr(FltObjects->FileObject->FileName.Buffer, L':')) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (FLT_IS_FASTIO_OPERATION(Data)) {
        return FLT_PREOP_DISALLOW_FASTIO;
    }
    status = SnapGetContext(FltObjects, &ctx);
    if (status == STATUS_NOT_SUPPORTED) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    item = NULL;
    if (NT_SUCCESS(status)) {
        item = FltAllocateDeferredIoWorkItem();
        status = item ? FltLockUserBuffer(Data) : STATUS_INSUFFICIENT_RESOURCES;
        if (NT_SUCCESS(status)) {
            status = FltQueueDeferredIoWorkItem(item, Data, SnapWorker, DelayedWorkQueue, ctx);
        }
        if (NT_SUCCESS(status)) {
            return FLT_PREOP_PENDING;
        }
        if (item) {
            FltFreeDeferredIoWorkItem(item);
        }
        FltReleaseContext(ctx);
    }
    Data->IoStatus.Status = status;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

NTSTATUS FLTAPI
SnapUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    FltUnregisterFilter(SnapFilter);
    return STATUS_SUCCESS;
}

NTSTATUS FLTAPI
SnapQueryTeardown(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    return STATUS_SUCCESS;
}

const FLT_CONTEXT_REGISTRATION SnapContexts[] = {
    {FLT_STREAM_CONTEXT, 0, SnapCleanupContext, sizeof(SNAP_STREAM_CONTEXT), SNAP_POOL_TAG}, {FLT_CONTEXT_END}};

const FLT_OPERATION_REGISTRATION SnapCallbacks[] = {{IRP_MJ_WRITE, 0, SnapPreWrite, NULL}, {IRP_MJ_OPERATION_END}};

const FLT_REGISTRATION SnapRegistration = {sizeof(FLT_REGISTRATION),
                                           FLT_REGISTRATION_VERSION,
                                           0,
                                           SnapContexts,
                                           SnapCallbacks,
                                           SnapUnload,
                                           NULL,
                                           SnapQueryTeardown,
                                           NULL,
                                           NULL,
                                           NULL,
                                           NULL,
                                           NULL};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status = FltRegisterFilter(DriverObject, &SnapRegistration, &SnapFilter);

    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(SnapFilter);
        if (!NT_SUCCESS(status)) {
            FltUnregisterFilter(SnapFilter);
        }
    }
    return status;
}
