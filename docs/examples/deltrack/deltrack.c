/*++

Module Name:

    deltrack.c

Abstract:

    Tells which files and streams are really gone, in whatever way: delete on close, FileDispositionInformation and
    its Ex form, a rename over the file. What was deleted is known after a cleanup, when the file object says so; it was
    a stream if the file can still be opened by its id. Its name was taken before, when it still had one.

--*/

#include <fltKernel.h>
#include <ntstrsafe.h>

#define DT_CONTEXT_TAG 'xcTD'
#define DT_REPORT_TAG 'prTD'
#define DT_MOST_REPORTS 32

typedef struct _DT_STREAM_CONTEXT {
    //  The name that the file had when its deletion was first asked for.
    PFLT_FILE_NAME_INFORMATION NameInfo;
    //  By what it is found again, and how often it was set to be deleted and back: a race between two
    //  dispositions leaves the answer to the file system.
    LARGE_INTEGER FileId;
    LONG IsDeleted;
} DT_STREAM_CONTEXT, *PDT_STREAM_CONTEXT;

typedef struct _DT_REPORT {
    LIST_ENTRY Links;
    UNICODE_STRING Text;
} DT_REPORT, *PDT_REPORT;

static struct {
    PFLT_FILTER Filter;
    PFLT_PORT Server;
    PFLT_PORT Client;
    LIST_ENTRY Reports;
    EX_PUSH_LOCK Lock;
    ULONG Count;
} Dt;

DRIVER_INITIALIZE DriverEntry;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif

//
//  Reports
//

static VOID
DtReport(_In_ PCSTR What, _In_ PCUNICODE_STRING Name)
{
    ULONG Room = Name->Length + 64 * sizeof(WCHAR);
    PDT_REPORT Report = ExAllocatePoolZero(PagedPool, sizeof(DT_REPORT) + Room, DT_REPORT_TAG);

    PAGED_CODE();
    if (Report == NULL) {
        return;
    }
    RtlInitEmptyUnicodeString(&Report->Text, (PWCH)(Report + 1), (USHORT)Room);
    if (!NT_SUCCESS(RtlUnicodeStringPrintf(&Report->Text, L"%hs %wZ\n", What, Name))) {
        ExFreePoolWithTag(Report, DT_REPORT_TAG);
        return;
    }
    FltAcquirePushLockExclusive(&Dt.Lock);
    InsertTailList(&Dt.Reports, &Report->Links);
    if (++Dt.Count > DT_MOST_REPORTS) {
        Report = CONTAINING_RECORD(RemoveHeadList(&Dt.Reports), DT_REPORT, Links);
        Dt.Count--;
    } else {
        Report = NULL;
    }
    FltReleasePushLock(&Dt.Lock);
    if (Report != NULL) {
        ExFreePoolWithTag(Report, DT_REPORT_TAG);
    }
}

static NTSTATUS FLTAPI
DtMessage(_In_opt_ PVOID PortCookie, _In_reads_bytes_opt_(InputLength) PVOID Input, _In_ ULONG InputLength,
          _Out_writes_bytes_to_opt_(OutputLength, *Returned) PVOID Output, _In_ ULONG OutputLength,
          _Out_ PULONG Returned)
{
    NTSTATUS Status = STATUS_SUCCESS;
    PDT_REPORT Report;
    ULONG At = 0;

    UNREFERENCED_PARAMETER(PortCookie);
    UNREFERENCED_PARAMETER(Input);
    UNREFERENCED_PARAMETER(InputLength);
    PAGED_CODE();

    FltAcquirePushLockExclusive(&Dt.Lock);
    while (!IsListEmpty(&Dt.Reports) && NT_SUCCESS(Status)) {
        Report = CONTAINING_RECORD(Dt.Reports.Flink, DT_REPORT, Links);
        if (Report->Text.Length > OutputLength - At) {
            break;
        }
        __try {
            RtlCopyMemory((PUCHAR)Output + At, Report->Text.Buffer, Report->Text.Length);
            At += Report->Text.Length;
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            Status = GetExceptionCode();
        }
        RemoveEntryList(&Report->Links);
        Dt.Count--;
        ExFreePoolWithTag(Report, DT_REPORT_TAG);
    }
    FltReleasePushLock(&Dt.Lock);
    *Returned = At;
    return Status;
}

static NTSTATUS FLTAPI
DtConnect(_In_ PFLT_PORT ClientPort, _In_opt_ PVOID ServerPortCookie,
          _In_reads_bytes_opt_(SizeOfContext) PVOID ConnectionContext, _In_ ULONG SizeOfContext,
          _Outptr_result_maybenull_ PVOID *ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(ConnectionContext);
    UNREFERENCED_PARAMETER(SizeOfContext);
    *ConnectionCookie = NULL;
    Dt.Client = ClientPort;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
DtDisconnect(_In_opt_ PVOID ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ConnectionCookie);
    FltCloseClientPort(Dt.Filter, &Dt.Client);
}

//
//  Contexts
//

static VOID FLTAPI
DtContextCleanup(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE ContextType)
{
    PDT_STREAM_CONTEXT StreamContext = Context;

    UNREFERENCED_PARAMETER(ContextType);
    if (StreamContext->NameInfo != NULL) {
        FltReleaseFileNameInformation(StreamContext->NameInfo);
    }
}

//
//  The context of a file that may be going to be deleted; the caller releases it.
//

static NTSTATUS
DtWatch(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _Outptr_ PDT_STREAM_CONTEXT *Context)
{
    FILE_INTERNAL_INFORMATION Internal;
    PDT_STREAM_CONTEXT New, Old = NULL;
    NTSTATUS Status;

    PAGED_CODE();

    Status = FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject, Context);
    if (Status != STATUS_NOT_FOUND) {
        return Status;
    }
    Status = FltAllocateContext(Dt.Filter, FLT_STREAM_CONTEXT, sizeof(DT_STREAM_CONTEXT), PagedPool, &New);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    RtlZeroMemory(New, sizeof(DT_STREAM_CONTEXT));
    Status = FltQueryInformationFile(FltObjects->Instance, FltObjects->FileObject, &Internal, sizeof(Internal),
                                     FileInternalInformation, NULL);
    if (NT_SUCCESS(Status)) {
        New->FileId = Internal.IndexNumber;
        Status = FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &New->NameInfo);
    }
    if (NT_SUCCESS(Status)) {
        Status = FltSetStreamContext(FltObjects->Instance, FltObjects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, New,
                                     &Old);
        if (Status == STATUS_FLT_CONTEXT_ALREADY_DEFINED) {
            FltReleaseContext(New);
            *Context = Old;
            return STATUS_SUCCESS;
        }
    }
    if (!NT_SUCCESS(Status)) {
        FltReleaseContext(New);
        return Status;
    }
    *Context = New;
    return STATUS_SUCCESS;
}

//
//  Whether the file with this id is still there.
//

static BOOLEAN
DtIsFileThere(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PDT_STREAM_CONTEXT Context)
{
    OBJECT_ATTRIBUTES Attributes;
    UCHAR Buffer[sizeof(LARGE_INTEGER) + 64 * sizeof(WCHAR)];
    UNICODE_STRING Path;
    IO_STATUS_BLOCK IoStatus;
    HANDLE Handle;
    NTSTATUS Status;

    PAGED_CODE();
    //  \Device\HarddiskVolumeN\ and then the eight bytes of the id.
    RtlInitEmptyUnicodeString(&Path, (PWCH)Buffer, sizeof(Buffer));
    if (Context->NameInfo->Volume.Length + sizeof(WCHAR) + sizeof(LARGE_INTEGER) > sizeof(Buffer)) {
        return TRUE;
    }
    RtlCopyUnicodeString(&Path, &Context->NameInfo->Volume);
    RtlAppendUnicodeToString(&Path, L"\\");
    RtlCopyMemory(Add2Ptr(Path.Buffer, Path.Length), &Context->FileId, sizeof(LARGE_INTEGER));
    Path.Length += sizeof(LARGE_INTEGER);

    InitializeObjectAttributes(&Attributes, &Path, OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = FltCreateFile(Dt.Filter, FltObjects->Instance, &Handle, FILE_READ_ATTRIBUTES, &Attributes, &IoStatus, NULL,
                           0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN,
                           FILE_OPEN_BY_FILE_ID | FILE_OPEN_REPARSE_POINT, NULL, 0, IO_IGNORE_SHARE_ACCESS_CHECK);
    if (NT_SUCCESS(Status)) {
        FltClose(Handle);
        return TRUE;
    }
    return Status == STATUS_SHARING_VIOLATION || Status == STATUS_ACCESS_DENIED;
}

//
//  Operations
//

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
DtPostCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _In_opt_ PVOID CompletionContext,
             _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    PDT_STREAM_CONTEXT Context;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || Data->IoStatus.Status != STATUS_SUCCESS ||
        !FlagOn(Data->Iopb->Parameters.Create.Options, FILE_DELETE_ON_CLOSE)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (NT_SUCCESS(DtWatch(Data, FltObjects, &Context))) {
        FltReleaseContext(Context);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
DtPreSetInformation(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                    _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    PDT_STREAM_CONTEXT Context;
    PFLT_FILE_NAME_INFORMATION Target;
    PFILE_RENAME_INFORMATION Rename = Data->Iopb->Parameters.SetFileInformation.InfoBuffer;

    UNREFERENCED_PARAMETER(CompletionContext);

    switch (Data->Iopb->Parameters.SetFileInformation.FileInformationClass) {
    case FileDispositionInformation:
    case FileDispositionInformationEx:

        if (NT_SUCCESS(DtWatch(Data, FltObjects, &Context))) {
            FltReleaseContext(Context);
        }
        return FLT_PREOP_SUCCESS_NO_CALLBACK;

    case FileRenameInformation:
    case FileRenameInformationEx:

        if (NT_SUCCESS(FltGetDestinationFileNameInformation(
                FltObjects->Instance, FltObjects->FileObject, Rename->RootDirectory, Rename->FileName,
                Rename->FileNameLength, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Target))) {
            DtReport(FlagOn(Rename->Flags, FILE_RENAME_REPLACE_IF_EXISTS) ? "rename over" : "rename to", &Target->Name);
            FltReleaseFileNameInformation(Target);
        }
        return FLT_PREOP_SUCCESS_NO_CALLBACK;

    default:

        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
DtPreCleanup(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
             _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    PDT_STREAM_CONTEXT Context;

    UNREFERENCED_PARAMETER(Data);
    if (!NT_SUCCESS(FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject, &Context))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    *CompletionContext = Context;
    return FLT_PREOP_SYNCHRONIZE;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
DtPostCleanup(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PVOID CompletionContext,
              _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    PDT_STREAM_CONTEXT Context = CompletionContext;
    FILE_STANDARD_INFORMATION Standard;
    NTSTATUS Status;

    FLT_ASSERT(Context != NULL);
    if (!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status)) {
        //  A file object that was cleaned up still answers; one of a deleted file says so.
        Status = FltQueryInformationFile(FltObjects->Instance, FltObjects->FileObject, &Standard, sizeof(Standard),
                                         FileStandardInformation, NULL);
        if (Status == STATUS_FILE_DELETED && InterlockedIncrement(&Context->IsDeleted) == 1) {
            DtReport(DtIsFileThere(FltObjects, Context) ? "stream" : "file", &Context->NameInfo->Name);
        }
    }
    FltReleaseContext(Context);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

//
//  Registration
//

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {FLT_STREAM_CONTEXT, 0, DtContextCleanup, sizeof(DT_STREAM_CONTEXT), DT_CONTEXT_TAG}, {FLT_CONTEXT_END}};

static const FLT_OPERATION_REGISTRATION Callbacks[] = {{IRP_MJ_CREATE, 0, NULL, DtPostCreate},
                                                       {IRP_MJ_SET_INFORMATION, 0, DtPreSetInformation, NULL},
                                                       {IRP_MJ_CLEANUP, 0, DtPreCleanup, DtPostCleanup},
                                                       {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
DtUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();

    FltCloseCommunicationPort(Dt.Server);
    FltUnregisterFilter(Dt.Filter);
    while (!IsListEmpty(&Dt.Reports)) {
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&Dt.Reports), DT_REPORT, Links), DT_REPORT_TAG);
    }
    FltDeletePushLock(&Dt.Lock);
    return STATUS_SUCCESS;
}

static const FLT_REGISTRATION Registration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, Contexts, Callbacks, DtUnload};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    DECLARE_CONST_UNICODE_STRING(PortName, L"\\deltrack");
    OBJECT_ATTRIBUTES Attributes;
    PSECURITY_DESCRIPTOR Descriptor;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);

    InitializeListHead(&Dt.Reports);
    FltInitializePushLock(&Dt.Lock);
    Status = FltRegisterFilter(DriverObject, &Registration, &Dt.Filter);
    if (!NT_SUCCESS(Status)) {
        goto Failed;
    }
    Status = FltBuildDefaultSecurityDescriptor(&Descriptor, FLT_PORT_ALL_ACCESS);
    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, (PUNICODE_STRING)&PortName, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE,
                                   NULL, Descriptor);
        Status =
            FltCreateCommunicationPort(Dt.Filter, &Dt.Server, &Attributes, NULL, DtConnect, DtDisconnect, DtMessage, 1);
        FltFreeSecurityDescriptor(Descriptor);
    }
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Dt.Filter);
        if (NT_SUCCESS(Status)) {
            return STATUS_SUCCESS;
        }
        FltCloseCommunicationPort(Dt.Server);
    }
    FltUnregisterFilter(Dt.Filter);

Failed:

    FltDeletePushLock(&Dt.Lock);
    return Status;
}
