/*
 * ransom.c: a ransomware guard. Who wants to write or delete a *.doc is looked up by the name of its image, and its
 * service is asked, once for each process, whether it is trusted. Without a service nobody is.
 */

#include <fltKernel.h>

#define TAG 'snaR'
#define MOST_PROCESSES 32

static PFLT_FILTER Filter;
static PFLT_PORT Server;
static PFLT_PORT Client;
static HANDLE Trusted[MOST_PROCESSES];
static ULONG TrustedCount;
static FAST_MUTEX Lock;

NTKERNELAPI NTSTATUS SeLocateProcessImageName(PEPROCESS Process, PUNICODE_STRING *ImageName);

static BOOLEAN
IsKnown(HANDLE Process)
{
    BOOLEAN Known = FALSE;
    ULONG Index;

    ExAcquireFastMutex(&Lock);
    for (Index = 0; Index < TrustedCount && !Known; Index++) {
        Known = Trusted[Index] == Process;
    }
    ExReleaseFastMutex(&Lock);
    return Known;
}

static BOOLEAN
IsTrusted(PFLT_CALLBACK_DATA Data)
{
    HANDLE Process = ULongToHandle(FltGetRequestorProcessId(Data));
    LARGE_INTEGER Timeout = {.QuadPart = -10000000};
    PUNICODE_STRING Image;
    ULONG Verdict = 0;
    ULONG Length = sizeof(Verdict);
    NTSTATUS Status;

    if (Data->RequestorMode == KernelMode || IsKnown(Process)) {
        return TRUE;
    }
    if (!NT_SUCCESS(SeLocateProcessImageName(FltGetRequestorProcess(Data), &Image))) {
        return FALSE;
    }
    Status = FltSendMessage(Filter, &Client, Image->Buffer, Image->Length, &Verdict, &Length, &Timeout);
    ExFreePool(Image);
    if (Status != STATUS_SUCCESS || Verdict == 0) {
        return FALSE;
    }
    ExAcquireFastMutex(&Lock);
    if (TrustedCount < MOST_PROCESSES) {
        Trusted[TrustedCount++] = Process;
    }
    ExReleaseFastMutex(&Lock);
    return TRUE;
}

static BOOLEAN
IsDocument(PFILE_OBJECT File)
{
    UNICODE_STRING Document = RTL_CONSTANT_STRING(L".doc");
    UNICODE_STRING Tail = File->FileName;

    if (Tail.Length < Document.Length) {
        return FALSE;
    }
    Tail.Buffer += (Tail.Length - Document.Length) / sizeof(WCHAR);
    Tail.Length = Document.Length;
    return RtlEqualUnicodeString(&Document, &Tail, TRUE);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    ACCESS_MASK Wanted = Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (!FlagOn(Wanted, FILE_WRITE_DATA | FILE_APPEND_DATA | DELETE) || !IsDocument(Objects->FileObject) ||
        IsTrusted(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Data->IoStatus.Status = STATUS_ACCESS_DENIED;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static VOID
ProcessEnds(HANDLE Parent, HANDLE Process, BOOLEAN Created)
{
    ULONG Index;

    UNREFERENCED_PARAMETER(Parent);
    if (Created) {
        return;
    }
    ExAcquireFastMutex(&Lock);
    for (Index = 0; Index < TrustedCount; Index++) {
        if (Trusted[Index] == Process) {
            Trusted[Index] = Trusted[--TrustedCount];
        }
    }
    ExReleaseFastMutex(&Lock);
}

static NTSTATUS FLTAPI
Connect(PFLT_PORT ClientPort, PVOID ServerPortCookie, PVOID Context, ULONG Size, PVOID *ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Size);
    *ConnectionCookie = NULL;
    Client = ClientPort;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Disconnect(PVOID ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ConnectionCookie);
    FltCloseClientPort(Filter, &Client);
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL}, {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PsSetCreateProcessNotifyRoutine(ProcessEnds, TRUE);
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
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\ransom");
    PSECURITY_DESCRIPTOR Descriptor;
    OBJECT_ATTRIBUTES Attributes;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    ExInitializeFastMutex(&Lock);
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
        Status = PsSetCreateProcessNotifyRoutine(ProcessEnds, FALSE);
        if (NT_SUCCESS(Status)) {
            Status = FltStartFiltering(Filter);
        }
        if (!NT_SUCCESS(Status)) {
            PsSetCreateProcessNotifyRoutine(ProcessEnds, TRUE);
            FltCloseCommunicationPort(Server);
        }
    }
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(Filter);
    }
    return Status;
}
