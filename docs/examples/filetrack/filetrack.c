/*
 * filetrack.c: follows a file by its id, whatever name it is opened by, and holds a policy for hard links: the files in
 * \protected get no further names. An open by id of one of them is opened by the name that the id stands for, so that
 * the policy of the directory is not gone around.
 *
 * The tracked file's FILE_ID_128 is a file context: one for all its streams and links.
 */

#include <fltKernel.h>

#define FT_TAG 'TdIF'

typedef struct _FT_FILE_CONTEXT {
    FILE_ID_128 FileId;
    ULONGLONG VolumeSerialNumber;
    LONG Opens;
    BOOLEAN Protected;
} FT_FILE_CONTEXT;

static PFLT_FILTER Filter;
static const UNICODE_STRING Protected = RTL_CONSTANT_STRING(L"\\protected\\");

_Must_inspect_result_ static BOOLEAN
FtIsBelowProtected(_In_ PCUNICODE_STRING Name, _In_ PCUNICODE_STRING Volume)
{
    UNICODE_STRING Path;

    if (Name->Length < Volume->Length) {
        return FALSE;
    }
    Path.Buffer = Name->Buffer + Volume->Length / sizeof(WCHAR);
    Path.Length = Path.MaximumLength = Name->Length - Volume->Length;
    return RtlPrefixUnicodeString(&Protected, &Path, TRUE);
}

static NTSTATUS
FtGetContext(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ PFLT_CALLBACK_DATA Data, _Outptr_ FT_FILE_CONTEXT **Found)
{
    PFLT_FILE_NAME_INFORMATION Name;
    FT_FILE_CONTEXT *Old;
    FILE_ID_INFORMATION Id;
    FT_FILE_CONTEXT *New;
    NTSTATUS Status;

    PAGED_CODE();
    Status = FltGetFileContext(Objects->Instance, Objects->FileObject, (PFLT_CONTEXT *)Found);
    if (Status != STATUS_NOT_FOUND) {
        return Status;
    }
    Status = FltQueryInformationFile(Objects->Instance, Objects->FileObject, &Id, sizeof(Id), FileIdInformation, NULL);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltAllocateContext(Filter, FLT_FILE_CONTEXT, sizeof(*New), PagedPool, (PFLT_CONTEXT *)&New);
    if (NT_SUCCESS(Status)) {
        New->FileId = Id.FileId;
        New->VolumeSerialNumber = Id.VolumeSerialNumber;
        New->Opens = 0;
        New->Protected = FtIsBelowProtected(&Name->Name, &Name->Volume);
        Status = FltSetFileContext(Objects->Instance, Objects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, New,
                                   (PFLT_CONTEXT *)&Old);
        if (NT_SUCCESS(Status)) {
            *Found = New;
        } else {
            FltReleaseContext(New);
            if (Status == STATUS_FLT_CONTEXT_ALREADY_DEFINED) {
                *Found = Old;
                Status = STATUS_SUCCESS;
            }
        }
    }
    FltReleaseFileNameInformation(Name);
    return Status;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
FtPostCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS Objects, _In_opt_ PVOID CompletionContext,
             _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    FT_FILE_CONTEXT *Context;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status) ||
        Data->IoStatus.Status == STATUS_REPARSE || FlagOn(Data->Iopb->OperationFlags, SL_OPEN_TARGET_DIRECTORY) ||
        !FltSupportsFileContexts(Objects->FileObject) || !NT_SUCCESS(FtGetContext(Objects, Data, &Context))) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    DbgPrint("filetrack: %I64x open %d%s%s\n", *(PULONGLONG)Context->FileId.Identifier,
             InterlockedIncrement(&Context->Opens), Context->Protected ? " protected" : "",
             FlagOn(Data->Iopb->Parameters.Create.Options, FILE_OPEN_BY_FILE_ID) ? " by id" : "");
    if (Context->Protected && FlagOn(Data->Iopb->Parameters.Create.Options, FILE_OPEN_BY_FILE_ID) &&
        FlagOn(Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess, FILE_WRITE_DATA | DELETE)) {
        FltCancelFileOpen(Objects->Instance, Objects->FileObject);
        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
        Data->IoStatus.Information = 0;
    }
    FltReleaseContext(Context);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
FtPreSetInformation(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS Objects,
                    _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    FILE_INFORMATION_CLASS Class = Data->Iopb->Parameters.SetFileInformation.FileInformationClass;
    PFLT_FILE_NAME_INFORMATION Target;
    PFILE_LINK_INFORMATION Link = Data->Iopb->Parameters.SetFileInformation.InfoBuffer;
    FT_FILE_CONTEXT *Context;
    BOOLEAN Refused;

    UNREFERENCED_PARAMETER(CompletionContext);
    PAGED_CODE();
    if ((Class != FileLinkInformation && Class != FileLinkInformationEx) ||
        !NT_SUCCESS(FltGetFileContext(Objects->Instance, Objects->FileObject, (PFLT_CONTEXT *)&Context))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Refused = Context->Protected;
    FltReleaseContext(Context);
    if (!Refused && NT_SUCCESS(FltGetDestinationFileNameInformation(
                        Objects->Instance, Objects->FileObject, Link->RootDirectory, Link->FileName,
                        Link->FileNameLength, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Target))) {
        if (NT_SUCCESS(FltParseFileNameInformation(Target))) {
            Refused = FtIsBelowProtected(&Target->Name, &Target->Volume);
        }
        FltReleaseFileNameInformation(Target);
    }
    if (!Refused) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Data->IoStatus.Status = STATUS_TOO_MANY_LINKS;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static NTSTATUS FLTAPI
FtUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {.ContextType = FLT_FILE_CONTEXT, .Size = sizeof(FT_FILE_CONTEXT), .PoolTag = FT_TAG},
    {.ContextType = FLT_CONTEXT_END},
};
static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PostOperation = FtPostCreate},
    {.MajorFunction = IRP_MJ_SET_INFORMATION, .PreOperation = FtPreSetInformation},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};
static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = Contexts,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = FtUnload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltStartFiltering(Filter);
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(Filter);
    }
    return Status;
}
