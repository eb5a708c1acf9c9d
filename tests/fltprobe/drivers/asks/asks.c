/*
 * asks.c: a scanner without a scan. It sends the name of each file that is opened as *.ask to whoever is connected, and
 * prints what FltSendMessage returned; after a second it goes on without an answer, but for \forever.ask.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static PFLT_PORT Server;
static PFLT_PORT Client;

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

/* What is sent comes back from its end to its beginning. */
static NTSTATUS FLTAPI
Message(PVOID PortCookie, PVOID Input, ULONG InputLength, PVOID Output, ULONG OutputLength, PULONG Returned)
{
    NTSTATUS Status = STATUS_SUCCESS;
    ULONG Index;

    UNREFERENCED_PARAMETER(PortCookie);
    *Returned = 0;
    __try {
        for (Index = 0; Index < InputLength && Index < OutputLength; Index++) {
            ((PUCHAR)Output)[Index] = ((PUCHAR)Input)[InputLength - 1 - Index];
        }
        *Returned = InputLength == 13 ? OutputLength + 1 : Index; /* thirteen bytes bring it into error */
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = GetExceptionCode();
    }
    return Status;
}

static BOOLEAN
EndsWith(PUNICODE_STRING Name, PCWSTR Wanted)
{
    UNICODE_STRING Suffix;
    UNICODE_STRING Tail = *Name;

    RtlInitUnicodeString(&Suffix, Wanted);
    if (Tail.Length < Suffix.Length) {
        return FALSE;
    }
    Tail.Buffer += (Tail.Length - Suffix.Length) / sizeof(WCHAR);
    Tail.Length = Suffix.Length;
    return RtlEqualUnicodeString(&Suffix, &Tail, TRUE);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    PUNICODE_STRING Name = &Objects->FileObject->FileName;
    LARGE_INTEGER Second = {.QuadPart = -10000000};
    ULONG Answer = 0;
    ULONG Length = sizeof(Answer);
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (Client != NULL && EndsWith(Name, L".ask")) {
        Status = FltSendMessage(Filter, &Client, Name->Buffer, Name->Length, &Answer, &Length,
                                EndsWith(Name, L"\\forever.ask") ? NULL : &Second);
        DbgPrint("asked %08x %u\n", Status, Answer);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL}, {IRP_MJ_OPERATION_END}};

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
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\fltlab-asks");
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
        Status = FltCreateCommunicationPort(Filter, &Server, &Attributes, NULL, Connect, Disconnect, Message, 1);
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
