/*
 * shadow.c
 *
 * Readers of a file that has a sibling called <name>.shadow read the sibling. Nothing is reparsed: after the create
 * the driver opens the sibling itself, below itself, keeps it in a context of the handle, and does the reads there.
 */

#include <fltKernel.h>

#define SHADOW_TAG 'wdhS'
#define SHADOW_SUFFIX L".shadow"

typedef struct _SHADOW_CONTEXT {
    HANDLE Handle;
    PFILE_OBJECT FileObject;
} SHADOW_CONTEXT, *PSHADOW_CONTEXT;

static PFLT_FILTER ShadowFilter;

DRIVER_INITIALIZE DriverEntry;

static VOID FLTAPI
ShadowContextCleanup(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE ContextType)
{
    PSHADOW_CONTEXT Shadow = Context;

    PAGED_CODE();
    UNREFERENCED_PARAMETER(ContextType);
    if (Shadow->FileObject) {
        ObDereferenceObject(Shadow->FileObject);
    }
    if (Shadow->Handle) {
        FltClose(Shadow->Handle);
    }
}

static NTSTATUS
ShadowOpen(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PUNICODE_STRING Name, _Inout_ PSHADOW_CONTEXT Shadow)
{
    static const UNICODE_STRING Suffix = RTL_CONSTANT_STRING(SHADOW_SUFFIX);
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;
    UNICODE_STRING Path;
    NTSTATUS Status;

    PAGED_CODE();
    Path.Length = 0;
    Path.MaximumLength = Name->Length + Suffix.Length;
    Path.Buffer = ExAllocatePool2(POOL_FLAG_PAGED, Path.MaximumLength, SHADOW_TAG);
    if (!Path.Buffer) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlAppendUnicodeStringToString(&Path, Name);
    RtlAppendUnicodeStringToString(&Path, &Suffix);

    InitializeObjectAttributes(&Attributes, &Path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    Status = FltCreateFileEx2(
        FltObjects->Filter, FltObjects->Instance, &Shadow->Handle, &Shadow->FileObject, FILE_GENERIC_READ, &Attributes,
        &IoStatus, NULL, FILE_ATTRIBUTE_NORMAL, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN,
        FILE_NON_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0, IO_IGNORE_SHARE_ACCESS_CHECK, NULL);
    ExFreePoolWithTag(Path.Buffer, SHADOW_TAG);
    return Status;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
ShadowPostCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                 _In_opt_ PVOID CompletionContext, _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    PFLT_FILE_NAME_INFORMATION NameInfo = NULL;
    PSHADOW_CONTEXT Shadow = NULL;
    BOOLEAN Directory;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || Data->IoStatus.Status != STATUS_SUCCESS ||
        !FlagOn(Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess, FILE_READ_DATA) ||
        !FltSupportsStreamHandleContexts(FltObjects->FileObject)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (!NT_SUCCESS(FltIsDirectory(FltObjects->FileObject, FltObjects->Instance, &Directory)) || Directory) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }

    Status = FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &NameInfo);
    if (!NT_SUCCESS(Status)) {
        goto Exit;
    }
    Status = FltAllocateContext(FltObjects->Filter, FLT_STREAMHANDLE_CONTEXT, sizeof(*Shadow), PagedPool,
                                (PFLT_CONTEXT *)&Shadow);
    if (!NT_SUCCESS(Status)) {
        goto Exit;
    }
    RtlZeroMemory(Shadow, sizeof(*Shadow));
    Status = ShadowOpen(FltObjects, &NameInfo->Name, Shadow);
    if (!NT_SUCCESS(Status)) {
        goto Exit; // it has no shadow
    }
    Status = FltSetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS,
                                       Shadow, NULL);
Exit:
    if (Shadow) {
        FltReleaseContext(Shadow);
    }
    if (NameInfo) {
        FltReleaseFileNameInformation(NameInfo);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

/* Reads of the cache manager and of views belong to the file, not to a handle: they are not ours. */
static FLT_PREOP_CALLBACK_STATUS FLTAPI
ShadowPreRead(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
              _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    PFLT_IO_PARAMETER_BLOCK Iopb = Data->Iopb;
    FLT_PREOP_CALLBACK_STATUS Answer = FLT_PREOP_COMPLETE;
    PFILE_OBJECT File = FltObjects->FileObject;
    LARGE_INTEGER Offset = Iopb->Parameters.Read.ByteOffset;
    ULONG Length = Iopb->Parameters.Read.Length;
    PSHADOW_CONTEXT Shadow;
    ULONG Bytes = 0;
    PVOID Own = NULL;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Iopb->IrpFlags, IRP_PAGING_IO)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Status = FltGetStreamHandleContext(FltObjects->Instance, File, (PFLT_CONTEXT *)&Shadow);
    if (!NT_SUCCESS(Status)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }

    if (FLT_IS_FASTIO_OPERATION(Data)) {
        Answer = FLT_PREOP_DISALLOW_FASTIO;
        goto Exit;
    }
    if (Offset.HighPart == -1 && Offset.LowPart == FILE_USE_FILE_POINTER_POSITION) {
        Offset = File->CurrentByteOffset;
    }
    Status = STATUS_SUCCESS;
    if (Length != 0) {
        Own = ExAllocatePool2(POOL_FLAG_PAGED, Length, SHADOW_TAG);
        Status = Own == NULL ? STATUS_INSUFFICIENT_RESOURCES
                             : FltReadFile(FltObjects->Instance, Shadow->FileObject, &Offset, Length, Own,
                                           FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &Bytes, NULL, NULL);
    }
    if (NT_SUCCESS(Status) && Bytes != 0) {
        __try {
            PVOID Theirs = Iopb->Parameters.Read.MdlAddress
                               ? MmGetSystemAddressForMdlSafe(Iopb->Parameters.Read.MdlAddress,
                                                              NormalPagePriority | MdlMappingNoExecute)
                               : Iopb->Parameters.Read.ReadBuffer;
            if (Theirs) {
                RtlCopyMemory(Theirs, Own, Bytes);
            } else {
                Status = STATUS_INSUFFICIENT_RESOURCES;
            }
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            Status = GetExceptionCode();
        }
    }
    if (Own) {
        ExFreePoolWithTag(Own, SHADOW_TAG);
    }
    if (NT_SUCCESS(Status) && FlagOn(File->Flags, FO_SYNCHRONOUS_IO)) {
        File->CurrentByteOffset.QuadPart = Offset.QuadPart + Bytes;
    }
    Data->IoStatus.Status = Status;
    Data->IoStatus.Information = NT_SUCCESS(Status) ? Bytes : 0;
Exit:
    FltReleaseContext(Shadow);
    return Answer;
}

static NTSTATUS FLTAPI
ShadowUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    FltUnregisterFilter(ShadowFilter);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {FLT_STREAMHANDLE_CONTEXT, 0, ShadowContextCleanup, sizeof(SHADOW_CONTEXT), SHADOW_TAG}, {FLT_CONTEXT_END}};

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_CREATE, 0, NULL, ShadowPostCreate},
    {IRP_MJ_READ, FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO, ShadowPreRead, NULL},
    {IRP_MJ_OPERATION_END}};

static const FLT_REGISTRATION Registration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, Contexts, Operations, ShadowUnload};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &ShadowFilter);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltStartFiltering(ShadowFilter);
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(ShadowFilter);
    }
    return Status;
}
