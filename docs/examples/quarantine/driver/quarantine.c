/*
 * quarantine.c: after a file was written and closed, its service is asked about it; what that calls bad is moved to
 * \quarantine, where only the service opens it. The move is a rename below ourselves, from a work item: the writer does
 * not wait for the verdict.
 */

#include <fltKernel.h>
#include "quarantine.h"

#define Q_TAG 'nrQ '

typedef struct _JOB {
    PFLT_INSTANCE Instance;
    UNICODE_STRING Path;
    UNICODE_STRING Volume;
    UNICODE_STRING Final;
} JOB, *PJOB;

static struct {
    PFLT_FILTER Filter;
    PFLT_PORT Server;
    PFLT_PORT Client;
    PFLT_PORT Monitor;
    PEPROCESS Service;
    EX_RUNDOWN_REF Rundown;
    QUARANTINE_COUNTS Counts;
} Q;

/* The port */

static NTSTATUS FLTAPI
Connect(_In_ PFLT_PORT ClientPort, _In_opt_ PVOID ServerPortCookie, _In_reads_bytes_opt_(Size) PVOID Context,
        _In_ ULONG Size, _Outptr_result_maybenull_ PVOID *Cookie)
{
    PFLT_PORT *Mine = Size == 0 ? &Q.Client : &Q.Monitor; /* who says something is no service, and only asks */

    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(Context);
    if (InterlockedCompareExchangePointer((PVOID *)Mine, ClientPort, NULL) != NULL) {
        return STATUS_CONNECTION_COUNT_LIMIT;
    }
    if (Mine == &Q.Client) {
        Q.Service = PsGetCurrentProcess();
    }
    *Cookie = Mine;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Disconnect(_In_opt_ PVOID Cookie)
{
    if (Cookie == &Q.Client) {
        Q.Service = NULL;
    }
    FltCloseClientPort(Q.Filter, Cookie);
}

static NTSTATUS FLTAPI
Message(_In_opt_ PVOID Cookie, _In_reads_bytes_opt_(InLength) PVOID In, _In_ ULONG InLength,
        _Out_writes_bytes_to_opt_(OutLength, *Returned) PVOID Out, _In_ ULONG OutLength, _Out_ PULONG Returned)
{
    UNREFERENCED_PARAMETER(Cookie);
    UNREFERENCED_PARAMETER(In);
    UNREFERENCED_PARAMETER(InLength);
    *Returned = 0;
    if (Out == NULL || OutLength < sizeof(Q.Counts)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    __try {
        *(QUARANTINE_COUNTS UNALIGNED *)Out = Q.Counts;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    *Returned = sizeof(Q.Counts);
    return STATUS_SUCCESS;
}

/* The work */

static BOOLEAN
IsBad(_In_ PJOB Job, _In_ PFILE_OBJECT File)
{
    LARGE_INTEGER Timeout = {.QuadPart = -5 * 10000000LL};
    LARGE_INTEGER Start = {.QuadPart = 0};
    QUARANTINE_ANSWER Answer = {VerdictGood};
    ULONG Length = sizeof(Answer);
    FILE_STANDARD_INFORMATION Standard;
    QUARANTINE_QUESTION *Question = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*Question), Q_TAG);
    NTSTATUS Status;

    if (Question == NULL) {
        return FALSE;
    }
    Status = FltReadFile(Job->Instance, File, &Start, sizeof(Question->Head), Question->Head,
                         FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &Question->HeadLength, NULL, NULL);
    if (NT_SUCCESS(Status)) {
        Status =
            FltQueryInformationFile(Job->Instance, File, &Standard, sizeof(Standard), FileStandardInformation, NULL);
    }
    if (NT_SUCCESS(Status)) {
        Question->Size = Standard.EndOfFile.QuadPart;
        RtlCopyMemory(Question->Name, Job->Final.Buffer,
                      min(Job->Final.Length, sizeof(Question->Name) - sizeof(WCHAR)));
        Status = FltSendMessage(Q.Filter, &Q.Client, Question, sizeof(*Question), &Answer, &Length, &Timeout);
        InterlockedIncrement((LONG *)&Q.Counts.Asked);
    }
    ExFreePoolWithTag(Question, Q_TAG);
    return Status == STATUS_SUCCESS && Answer.Verdict == VerdictQuarantine;
}

static NTSTATUS
MoveAway(_In_ PJOB Job, _In_ PFILE_OBJECT File)
{
    static const UNICODE_STRING Directory = RTL_CONSTANT_STRING(QUARANTINE_DIRECTORY);
    ULONG Length = Job->Volume.Length + Directory.Length + Job->Final.Length;
    PFILE_RENAME_INFORMATION Rename;
    NTSTATUS Status;

    Rename = ExAllocatePool2(POOL_FLAG_PAGED, FIELD_OFFSET(FILE_RENAME_INFORMATION, FileName) + Length, Q_TAG);
    if (Rename == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Rename->ReplaceIfExists = TRUE;
    Rename->FileNameLength = Length;
    RtlCopyMemory(Rename->FileName, Job->Volume.Buffer, Job->Volume.Length);
    RtlCopyMemory(Add2Ptr(Rename->FileName, Job->Volume.Length), Directory.Buffer, Directory.Length);
    RtlCopyMemory(Add2Ptr(Rename->FileName, Job->Volume.Length + Directory.Length), Job->Final.Buffer,
                  Job->Final.Length);
    Status = FltSetInformationFile(Job->Instance, File, Rename,
                                   FIELD_OFFSET(FILE_RENAME_INFORMATION, FileName) + Length, FileRenameInformation);
    ExFreePoolWithTag(Rename, Q_TAG);
    if (NT_SUCCESS(Status)) {
        InterlockedIncrement((LONG *)&Q.Counts.Moved);
    }
    return Status;
}

static VOID
Finish(_In_ PJOB Job)
{
    FltObjectDereference(Job->Instance);
    ExFreePoolWithTag(Job, Q_TAG);
    ExReleaseRundownProtection(&Q.Rundown);
}

static VOID FLTAPI
Work(_In_ PFLT_GENERIC_WORKITEM Item, _In_ PVOID FltObject, _In_opt_ PVOID Context)
{
    PJOB Job = Context;
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;
    PFILE_OBJECT File;
    HANDLE Handle;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(FltObject);
    InitializeObjectAttributes(&Attributes, &Job->Path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    Status =
        FltCreateFileEx(Q.Filter, Job->Instance, &Handle, &File, FILE_READ_DATA | DELETE | SYNCHRONIZE, &Attributes,
                        &IoStatus, NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN,
                        FILE_NON_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0, IO_IGNORE_SHARE_ACCESS_CHECK);
    if (NT_SUCCESS(Status)) {
        if (IsBad(Job, File)) {
            MoveAway(Job, File);
        }
        ObDereferenceObject(File);
        FltClose(Handle);
    }
    FltFreeGenericWorkItem(Item);
    Finish(Job);
}

static VOID
Ask(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PFLT_FILE_NAME_INFORMATION Name)
{
    PFLT_GENERIC_WORKITEM Item;
    PJOB Job;

    if (!ExAcquireRundownProtection(&Q.Rundown)) {
        return;
    }
    Job = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(JOB) + Name->Name.Length, Q_TAG);
    if (Job == NULL) {
        ExReleaseRundownProtection(&Q.Rundown);
        return;
    }
    if (!NT_SUCCESS(FltObjectReference(FltObjects->Instance))) {
        ExFreePoolWithTag(Job, Q_TAG);
        ExReleaseRundownProtection(&Q.Rundown);
        return;
    }
    Job->Instance = FltObjects->Instance;
    RtlInitEmptyUnicodeString(&Job->Path, (PWCH)(Job + 1), Name->Name.Length);
    RtlCopyUnicodeString(&Job->Path, &Name->Name);
    Job->Volume = Job->Path;
    Job->Volume.Length = Name->Volume.Length;
    Job->Final.Buffer = Job->Path.Buffer + (Name->FinalComponent.Buffer - Name->Name.Buffer);
    Job->Final.Length = Job->Final.MaximumLength = Name->FinalComponent.Length;
    Item = FltAllocateGenericWorkItem();
    if (Item == NULL) {
        Finish(Job);
    } else if (!NT_SUCCESS(FltQueueGenericWorkItem(Item, FltObjects->Instance, Work, DelayedWorkQueue, Job))) {
        FltFreeGenericWorkItem(Item);
        Finish(Job);
    }
}

/* The operations */

static BOOLEAN
IsInQuarantine(_In_ PFLT_FILE_NAME_INFORMATION Name)
{
    static const UNICODE_STRING Directory = RTL_CONSTANT_STRING(QUARANTINE_DIRECTORY);

    return RtlEqualUnicodeString(&Name->ParentDir, &Directory, TRUE);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _Outptr_ PVOID *CompletionContext)
{
    FLT_PREOP_CALLBACK_STATUS Answer = FLT_PREOP_SUCCESS_NO_CALLBACK;
    PFLT_FILE_NAME_INFORMATION Name;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (Data->RequestorMode == KernelMode || IoThreadToProcess(Data->Thread) == Q.Service ||
        !NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        return Answer;
    }
    if (NT_SUCCESS(FltParseFileNameInformation(Name)) && IsInQuarantine(Name)) {
        Data->IoStatus.Status = STATUS_VIRUS_INFECTED;
        Data->IoStatus.Information = 0;
        Answer = FLT_PREOP_COMPLETE;
    }
    FltReleaseFileNameInformation(Name);
    return Answer;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCleanup(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _Outptr_ PVOID *CompletionContext)
{
    PFLT_FILE_NAME_INFORMATION Name;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (Q.Client == NULL || !FltObjects->FileObject->WriteAccess ||
        !FlagOn(FltObjects->FileObject->Flags, FO_FILE_MODIFIED) ||
        !NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (NT_SUCCESS(FltParseFileNameInformation(Name)) && Name->Stream.Length == 0) {
        Ask(FltObjects, Name);
    }
    FltReleaseFileNameInformation(Name);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltCloseCommunicationPort(Q.Server); /* who waits for an answer is let go */
    ExWaitForRundownProtectionRelease(&Q.Rundown);
    FltUnregisterFilter(Q.Filter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_CREATE, 0, PreCreate, NULL},
    {IRP_MJ_CLEANUP, 0, PreCleanup, NULL},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION Registration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(QUARANTINE_PORT);
    OBJECT_ATTRIBUTES Attributes;
    PSECURITY_DESCRIPTOR Descriptor;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    ExInitializeRundownProtection(&Q.Rundown);
    Status = FltRegisterFilter(DriverObject, &Registration, &Q.Filter);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltBuildDefaultSecurityDescriptor(&Descriptor, FLT_PORT_ALL_ACCESS);
    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, Descriptor);
        Status = FltCreateCommunicationPort(Q.Filter, &Q.Server, &Attributes, NULL, Connect, Disconnect, Message, 2);
        FltFreeSecurityDescriptor(Descriptor);
    }
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Q.Filter);
        if (!NT_SUCCESS(Status)) {
            FltCloseCommunicationPort(Q.Server);
        }
    }
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(Q.Filter);
    }
    return Status;
}
