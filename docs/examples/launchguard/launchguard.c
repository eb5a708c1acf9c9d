/*
 * launchguard.c: which program is it? Not by its command line, which lies, but by the file that it runs from.
 *
 * A process starts with a create for FILE_EXECUTE: from \inbox\ there is none. What gets further is named by the file
 * object that the process notify routine is given, through FltGetFileNameInformationUnsafe, however the file was
 * called when it was opened; miner.exe is denied by CreationStatus. Who writes is named by the same means, with the
 * file object that PsReferenceProcessFilePointer gives.
 */

#include <ntifs.h>
#include <fltKernel.h>

static PFLT_FILTER Filter;
static const UNICODE_STRING Inbox = RTL_CONSTANT_STRING(L"\\inbox\\");
static const UNICODE_STRING Miner = RTL_CONSTANT_STRING(L"miner.exe");

NTKERNELAPI NTSTATUS NTAPI PsReferenceProcessFilePointer(PEPROCESS Process, PFILE_OBJECT *FileObject);

static NTSTATUS
NameOf(PFILE_OBJECT Image, PFLT_FILE_NAME_INFORMATION *Name)
{
    NTSTATUS Status =
        FltGetFileNameInformationUnsafe(Image, NULL, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, Name);

    if (NT_SUCCESS(Status)) {
        Status = FltParseFileNameInformation(*Name);
        if (!NT_SUCCESS(Status)) {
            FltReleaseFileNameInformation(*Name);
        }
    }
    return Status;
}

static VOID NTAPI
ProcessNotify(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO Info)
{
    PFLT_FILE_NAME_INFORMATION Name;

    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(ProcessId);
    PAGED_CODE();
    if (Info == NULL || Info->FileObject == NULL || !NT_SUCCESS(NameOf(Info->FileObject, &Name))) {
        return;
    }
    if (RtlEqualUnicodeString(&Name->FinalComponent, &Miner, TRUE)) {
        Info->CreationStatus = STATUS_VIRUS_INFECTED;
    }
    DbgPrint("launchguard: %wZ %s\n", &Name->Name, NT_SUCCESS(Info->CreationStatus) ? "starts" : "does not start");
    FltReleaseFileNameInformation(Name);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    FLT_PREOP_CALLBACK_STATUS Result = FLT_PREOP_SUCCESS_NO_CALLBACK;
    PFLT_FILE_NAME_INFORMATION Name;

    UNREFERENCED_PARAMETER(Objects);
    *CompletionContext = NULL;
    if (!FlagOn(Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess, FILE_EXECUTE) ||
        FlagOn(Data->Iopb->Parameters.Create.Options, FILE_DIRECTORY_FILE) ||
        !NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        return Result;
    }
    if (NT_SUCCESS(FltParseFileNameInformation(Name)) && RtlPrefixUnicodeString(&Inbox, &Name->ParentDir, TRUE)) {
        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
        Data->IoStatus.Information = 0;
        Result = FLT_PREOP_COMPLETE;
    }
    FltReleaseFileNameInformation(Name);
    return Result;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    PFLT_FILE_NAME_INFORMATION Name;
    PFILE_OBJECT Image;

    UNREFERENCED_PARAMETER(Objects);
    *CompletionContext = NULL;
    if (KeGetCurrentIrql() != PASSIVE_LEVEL ||
        !NT_SUCCESS(PsReferenceProcessFilePointer(FltGetRequestorProcess(Data), &Image))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (NT_SUCCESS(NameOf(Image, &Name))) {
        DbgPrint("launchguard: %wZ writes\n", &Name->FinalComponent);
        FltReleaseFileNameInformation(Name);
    }
    ObDereferenceObject(Image);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_CREATE, 0, PreCreate, NULL},
    {IRP_MJ_WRITE, FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO, PreWrite, NULL},
    {IRP_MJ_OPERATION_END},
};

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PsSetCreateProcessNotifyRoutineEx(ProcessNotify, TRUE);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
    .InstanceQueryTeardownCallback = QueryTeardown,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = PsSetCreateProcessNotifyRoutineEx(ProcessNotify, FALSE);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (NT_SUCCESS(Status)) {
            return Status;
        }
        PsSetCreateProcessNotifyRoutineEx(ProcessNotify, TRUE);
    }
    FltUnregisterFilter(Filter);
    return Status;
}
