/*
 * worm.c: write once, read many. A file in \records that was closed after it was written is retained: it is not opened
 * to be written, not overwritten, deleted, renamed or cut, and its attributes stay. What is retained is marked by the
 * read-only attribute, which only this driver takes away, never.
 */

#include <fltKernel.h>

#define WORM_CHANGES (FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_WRITE_EA | DELETE | WRITE_DAC | WRITE_OWNER)
#define WORM_TAG 'mroW'

typedef struct _WORM_STREAM_CONTEXT {
    BOOLEAN Written;
    BOOLEAN Retained;
} WORM_STREAM_CONTEXT;

static PFLT_FILTER WormFilter;
static const UNICODE_STRING Records = RTL_CONSTANT_STRING(L"\\records\\");

static BOOLEAN
WormIsRecord(PFLT_CALLBACK_DATA Data)
{
    PFLT_FILE_NAME_INFORMATION Name;
    UNICODE_STRING Path;
    BOOLEAN Is = FALSE;

    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        Path.Buffer = Add2Ptr(Name->Name.Buffer, Name->Volume.Length);
        Path.Length = Path.MaximumLength = Name->Name.Length - Name->Volume.Length;
        Is = RtlPrefixUnicodeString(&Records, &Path, TRUE);
        FltReleaseFileNameInformation(Name);
    }
    return Is;
}

static FLT_PREOP_CALLBACK_STATUS
WormDeny(PFLT_CALLBACK_DATA Data)
{
    Data->IoStatus.Status = STATUS_MEDIA_WRITE_PROTECTED;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

/* Whether the file of a name is retained: asked below us, before the create. */
static BOOLEAN
WormIsRetained(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_FILE_NAME_INFORMATION Name;
    FILE_NETWORK_OPEN_INFORMATION Found;
    OBJECT_ATTRIBUTES Attributes;
    BOOLEAN Retained = FALSE;
    IO_STATUS_BLOCK IoStatus;
    PFILE_OBJECT File;
    HANDLE Handle;

    if (!NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        return FALSE;
    }
    InitializeObjectAttributes(&Attributes, &Name->Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (NT_SUCCESS(FltCreateFileEx(WormFilter, Objects->Instance, &Handle, &File, FILE_READ_ATTRIBUTES, &Attributes,
                                   &IoStatus, NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                   FILE_OPEN, FILE_OPEN_REPARSE_POINT, NULL, 0, IO_IGNORE_SHARE_ACCESS_CHECK))) {
        Retained = NT_SUCCESS(FltQueryInformationFile(Objects->Instance, File, &Found, sizeof(Found),
                                                      FileNetworkOpenInformation, NULL)) &&
                   FlagOn(Found.FileAttributes, FILE_ATTRIBUTE_READONLY) &&
                   !FlagOn(Found.FileAttributes, FILE_ATTRIBUTE_DIRECTORY);
        ObDereferenceObject(File);
        FltClose(Handle);
    }
    FltReleaseFileNameInformation(Name);
    return Retained;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WormPreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    ULONG Disposition = Data->Iopb->Parameters.Create.Options >> 24;
    BOOLEAN Changes = FlagOn(Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess, WORM_CHANGES) ||
                      FlagOn(Data->Iopb->Parameters.Create.Options, FILE_DELETE_ON_CLOSE) ||
                      Disposition == FILE_SUPERSEDE || Disposition == FILE_OVERWRITE ||
                      Disposition == FILE_OVERWRITE_IF;

    UNREFERENCED_PARAMETER(CompletionContext);
    PAGED_CODE();
    if (!WormIsRecord(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (Changes && WormIsRetained(Data, Objects)) {
        return WormDeny(Data);
    }
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
WormPostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID CompletionContext,
               FLT_POST_OPERATION_FLAGS Flags)
{
    WORM_STREAM_CONTEXT *Context;
    BOOLEAN Directory;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || Data->IoStatus.Status != STATUS_SUCCESS ||
        !NT_SUCCESS(FltIsDirectory(Objects->FileObject, Objects->Instance, &Directory)) || Directory ||
        !NT_SUCCESS(FltAllocateContext(WormFilter, FLT_STREAM_CONTEXT, sizeof(*Context), PagedPool,
                                       (PFLT_CONTEXT *)&Context))) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    Context->Written = FALSE;
    Context->Retained = FALSE;
    FltSetStreamContext(Objects->Instance, Objects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL);
    FltReleaseContext(Context);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WormPreChange(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    WORM_STREAM_CONTEXT *Context;
    BOOLEAN Retained;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (!NT_SUCCESS(FltGetStreamContext(Objects->Instance, Objects->FileObject, (PFLT_CONTEXT *)&Context))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Retained = Context->Retained;
    if (Data->Iopb->MajorFunction == IRP_MJ_WRITE) {
        Context->Written = TRUE;
    }
    FltReleaseContext(Context);
    return Retained && !FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO) ? WormDeny(Data) : FLT_PREOP_SUCCESS_NO_CALLBACK;
}

/* The first cleanup after a write ends the writing. */
static FLT_PREOP_CALLBACK_STATUS FLTAPI
WormPreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    WORM_STREAM_CONTEXT *Context;
    FILE_BASIC_INFORMATION Basic = {.FileAttributes = FILE_ATTRIBUTE_READONLY};

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(CompletionContext);
    PAGED_CODE();
    if (NT_SUCCESS(FltGetStreamContext(Objects->Instance, Objects->FileObject, (PFLT_CONTEXT *)&Context))) {
        if (Objects->FileObject->WriteAccess && Context->Written && !Context->Retained &&
            NT_SUCCESS(FltSetInformationFile(Objects->Instance, Objects->FileObject, &Basic, sizeof(Basic),
                                             FileBasicInformation))) {
            Context->Retained = TRUE;
        }
        FltReleaseContext(Context);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
WormUnload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    if (!FlagOn(Flags, FLTFL_FILTER_UNLOAD_MANDATORY)) {
        return STATUS_FLT_DO_NOT_DETACH; /* records stay records */
    }
    FltUnregisterFilter(WormFilter);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {FLT_STREAM_CONTEXT, 0, NULL, sizeof(WORM_STREAM_CONTEXT), WORM_TAG},
    {FLT_CONTEXT_END},
};
static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_CREATE, 0, WormPreCreate, WormPostCreate},
    {IRP_MJ_WRITE, 0, WormPreChange, NULL},
    {IRP_MJ_SET_INFORMATION, 0, WormPreChange, NULL},
    {IRP_MJ_SET_EA, 0, WormPreChange, NULL},
    {IRP_MJ_SET_SECURITY, 0, WormPreChange, NULL},
    {IRP_MJ_CLEANUP, 0, WormPreCleanup, NULL},
    {IRP_MJ_OPERATION_END},
};
static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .Flags = FLTFL_REGISTRATION_DO_NOT_SUPPORT_SERVICE_STOP,
    .ContextRegistration = Contexts,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = WormUnload,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &WormFilter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(WormFilter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(WormFilter);
        }
    }
    return Status;
}
