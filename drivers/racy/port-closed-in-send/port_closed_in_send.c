/*
 * port_closed_in_send.c: tells its service of each create.
 *
 * The race: the port is looked at, the service disconnects and the port is closed, and the message is sent on a port
 * that is none any more. Mended: port and disconnection are under a lock.
 */

#include "racy.h"

static PFLT_PORT ServerPort, ClientPort;
static ERESOURCE Lock;

static VOID
Tell(PFLT_CALLBACK_DATA Data)
{
    ULONG Message = Data->Iopb->MajorFunction;
    LARGE_INTEGER Timeout = {.QuadPart = -10000};

#ifdef MENDED
    FltAcquireResourceShared(&Lock);
    if (ClientPort != NULL) {
        FltSendMessage(Filter, &ClientPort, &Message, sizeof(Message), NULL, NULL, &Timeout);
    }
    FltReleaseResource(&Lock);
#else
    PFLT_PORT Port = ClientPort;

    if (Port != NULL) {
        FltSendMessage(Filter, &Port, &Message, sizeof(Message), NULL, NULL, &Timeout);
    }
#endif
}

static NTSTATUS FLTAPI
Connect(PFLT_PORT Port, PVOID ServerPortCookie, PVOID Context, ULONG SizeOfContext, PVOID *Cookie)
{
    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(SizeOfContext);
    *Cookie = NULL;
    ClientPort = Port;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Disconnect(PVOID Cookie)
{
    UNREFERENCED_PARAMETER(Cookie);
#ifdef MENDED
    FltAcquireResourceExclusive(&Lock);
    FltCloseClientPort(Filter, &ClientPort);
    FltReleaseResource(&Lock);
#else
    FltCloseClientPort(Filter, &ClientPort);
#endif
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    Tell(Data);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS
Start(VOID)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\racy");
    OBJECT_ATTRIBUTES Attributes;
    PSECURITY_DESCRIPTOR Security;
    NTSTATUS Status = FltBuildDefaultSecurityDescriptor(&Security, FLT_PORT_ALL_ACCESS);

    ExInitializeResourceLite(&Lock);
    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, Security);
        Status = FltCreateCommunicationPort(Filter, &ServerPort, &Attributes, NULL, Connect, Disconnect, NULL, 1);
        FltFreeSecurityDescriptor(Security);
    }
    return Status;
}

static VOID
ClosePort(VOID)
{
    FltCloseCommunicationPort(ServerPort);
}

static VOID
DeleteLock(VOID)
{
    ExDeleteResourceLite(&Lock);
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PreOperation = PreCreate},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {
    .Operations = Operations, .Start = Start, .BeforeUnregister = ClosePort, .AfterUnregister = DeleteLock};
