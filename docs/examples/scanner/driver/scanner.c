/*
 * scanner.c: a scanner. After each successful open it reads the beginning of the file, sends it to its service, and
 * takes the open back where the service calls it bad. Without a service, or an answer in time, every file is good.
 */

#include <fltKernel.h>
#include "scanner.h"

#define TAG 'nacS'

static PFLT_FILTER Filter;
static PFLT_PORT Server;
static PFLT_PORT Client;
static PEPROCESS Scanning;

static NTSTATUS FLTAPI
Connect(PFLT_PORT ClientPort, PVOID ServerPortCookie, PVOID Context, ULONG Size, PVOID *ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Size);
    *ConnectionCookie = NULL;
    Scanning = PsGetCurrentProcess();
    Client = ClientPort;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Disconnect(PVOID ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ConnectionCookie);
    FltCloseClientPort(Filter, &Client);
    Scanning = NULL;
}

/* Whether the service calls a file bad. */
static BOOLEAN
IsBad(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PFLT_FILE_NAME_INFORMATION Name)
{
    LARGE_INTEGER Timeout = {.QuadPart = -20000000};
    LARGE_INTEGER Offset = {.QuadPart = 0};
    SCANNER_QUESTION *Question = ExAllocatePoolZero(NonPagedPoolNx, sizeof(*Question), TAG);
    SCANNER_ANSWER Answer = {FALSE};
    ULONG Length = sizeof(Answer);
    NTSTATUS Status;
    ULONG Bytes = 0;

    if (Question == NULL) {
        return FALSE;
    }
    Status = FltReadFile(Objects->Instance, Objects->FileObject, &Offset, sizeof(Question->Content), Question->Content,
                         FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &Bytes, NULL, NULL);
    if (NT_SUCCESS(Status)) {
        Question->Process = FltGetRequestorProcessId(Data);
        Question->Bytes = Bytes;
        RtlCopyMemory(Question->Name, Name->Name.Buffer,
                      min(Name->Name.Length, sizeof(Question->Name) - sizeof(WCHAR)));
        Status = FltSendMessage(Filter, &Client, Question, sizeof(*Question), &Answer, &Length, &Timeout);
    }
    ExFreePoolWithTag(Question, TAG);
    return Status == STATUS_SUCCESS && Answer.Bad;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID CompletionContext,
           FLT_POST_OPERATION_FLAGS Flags)
{
    PFLT_FILE_NAME_INFORMATION Name;
    BOOLEAN Directory = TRUE;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status) || Client == NULL ||
        PsGetCurrentProcess() == Scanning ||
        !NT_SUCCESS(FltIsDirectory(Objects->FileObject, Objects->Instance, &Directory)) || Directory ||
        !NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (IsBad(Data, Objects, Name)) {
        FltCancelFileOpen(Objects->Instance, Objects->FileObject);
        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
        Data->IoStatus.Information = 0;
    }
    FltReleaseFileNameInformation(Name);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, NULL, PostCreate}, {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltCloseCommunicationPort(Server);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(SCANNER_PORT);
    PSECURITY_DESCRIPTOR Descriptor;
    OBJECT_ATTRIBUTES Attributes;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltBuildDefaultSecurityDescriptor(&Descriptor, FLT_PORT_ALL_ACCESS);
    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, Descriptor);
        Status = FltCreateCommunicationPort(Filter, &Server, &Attributes, NULL, Connect, Disconnect, NULL, 1);
        FltFreeSecurityDescriptor(Descriptor);
    }
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltCloseCommunicationPort(Server);
        }
    }
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(Filter);
    }
    return Status;
}
