//
//  SectionBlock - application control at the section
//
//  A file below \downloads\ is not mapped for execution. The decision is made where a section is created
//  (IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION), so a rename of the program to .txt helps nobody. What a name is worth
//  is decided once for a stream, in post-create, and kept in a stream context.
//

#include <fltKernel.h>
#include <dontuse.h>

#define SB_TAG 'lBeS'

typedef enum _SB_VERDICT { SbUnknown, SbClean, SbBlocked } SB_VERDICT;

typedef struct _SB_STREAM {
    SB_VERDICT Verdict;
    LONG Refused;
} SB_STREAM, *PSB_STREAM;

PFLT_FILTER SbFilter;

const UNICODE_STRING SbFolder = RTL_CONSTANT_STRING(L"\\downloads\\");

VOID
SbStreamGone(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE Type)
{
    PSB_STREAM Stream = Context;

    UNREFERENCED_PARAMETER(Type);
    if (Stream->Refused != 0) {
        DbgPrint("SectionBlock: refused %ld times\n", Stream->Refused);
    }
}

FLT_POSTOP_CALLBACK_STATUS
SbPostCreateSafe(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _In_opt_ PVOID Context,
                 _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    PFLT_FILE_NAME_INFORMATION Name = NULL;
    PSB_STREAM Stream = NULL;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);

    Status = FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name);
    if (!NT_SUCCESS(Status)) {
        goto Exit;
    }
    Status = FltParseFileNameInformation(Name);
    if (!NT_SUCCESS(Status) || !RtlPrefixUnicodeString(&SbFolder, &Name->ParentDir, TRUE)) {
        goto Exit;
    }
    Status = FltAllocateContext(SbFilter, FLT_STREAM_CONTEXT, sizeof(SB_STREAM), NonPagedPoolNx, &Stream);
    if (!NT_SUCCESS(Status)) {
        goto Exit;
    }
    Stream->Refused = 0;
    Stream->Verdict = SbBlocked;
    FltSetStreamContext(FltObjects->Instance, FltObjects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Stream, NULL);

Exit:
    if (Stream != NULL) {
        FltReleaseContext(Stream);
    }
    if (Name != NULL) {
        FltReleaseFileNameInformation(Name);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

FLT_POSTOP_CALLBACK_STATUS
SbPostCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _In_opt_ PVOID Context,
             _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    FLT_POSTOP_CALLBACK_STATUS Result = FLT_POSTOP_FINISHED_PROCESSING;

    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status) ||
        !FltSupportsStreamContexts(FltObjects->FileObject)) {
        return Result;
    }
    if (!FltDoCompletionProcessingWhenSafe(Data, FltObjects, Context, Flags, SbPostCreateSafe, &Result)) {
        Data->IoStatus.Status = STATUS_UNSUCCESSFUL;
        Data->IoStatus.Information = 0;
    }
    return Result;
}

FLT_PREOP_CALLBACK_STATUS
SbPreAcquireForSection(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _Outptr_ PVOID *Context)
{
    ULONG Protection = Data->Iopb->Parameters.AcquireForSectionSynchronization.PageProtection;
    FLT_PREOP_CALLBACK_STATUS Result = FLT_PREOP_SUCCESS_NO_CALLBACK;
    PSB_STREAM Stream;

    *Context = NULL;
    if (Data->Iopb->Parameters.AcquireForSectionSynchronization.SyncType != SyncTypeCreateSection ||
        !FlagOn(Protection, PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY)) {
        return Result;
    }
    if (!NT_SUCCESS(FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject, &Stream))) {
        return Result;
    }
    if (Stream->Verdict == SbBlocked) {
        InterlockedIncrement(&Stream->Refused);
        Data->IoStatus.Status = STATUS_INSUFFICIENT_RESOURCES; // the one failure that is documented here
        Data->IoStatus.Information = 0;
        Result = FLT_PREOP_COMPLETE;
    }
    FltReleaseContext(Stream);
    return Result;
}

NTSTATUS
SbUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(SbFilter);
    return STATUS_SUCCESS;
}

NTSTATUS
SbQueryTeardown(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

const FLT_CONTEXT_REGISTRATION SbContexts[] = {
    {FLT_STREAM_CONTEXT, FLTFL_CONTEXT_REGISTRATION_NO_EXACT_SIZE_MATCH, SbStreamGone, sizeof(SB_STREAM), SB_TAG},
    {FLT_CONTEXT_END},
};

const FLT_OPERATION_REGISTRATION SbOperations[] = {
    {IRP_MJ_CREATE, 0, NULL, SbPostCreate},
    {IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION, 0, SbPreAcquireForSection, NULL},
    {IRP_MJ_OPERATION_END},
};

const FLT_REGISTRATION SbRegistration = {sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION,
                                         FLTFL_REGISTRATION_DO_NOT_SUPPORT_SERVICE_STOP, SbContexts, SbOperations,
                                         SbUnload, NULL, SbQueryTeardown};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &SbRegistration, &SbFilter);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltStartFiltering(SbFilter);
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(SbFilter);
    }
    return Status;
}
