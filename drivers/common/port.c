/*
 * port.c: the control port, \<service name>, through which fltprobe sets rules and takes events.
 *
 * The buffers of a message are addresses of the caller's process: probed by the filter manager, but neither locked nor
 * trusted, so they are read once and written inside __try.
 */

#include "common.h"

#define MAXIMUM_CONNECTIONS 8
#define EVENTS_AT_A_TIME 64 /* what DRAIN copies through a non-paged buffer while it holds the ring's lock */

static PFLT_PORT ServerPort;
static FAST_MUTEX ClientsLock;
static PFLT_PORT Clients[MAXIMUM_CONNECTIONS]; /* the address of an entry is the connection's cookie */

static NTSTATUS FLTAPI
Connect(PFLT_PORT ClientPort, PVOID ServerPortCookie, PVOID ConnectionContext, ULONG SizeOfContext,
        PVOID *ConnectionPortCookie)
{
    NTSTATUS Status = STATUS_CONNECTION_COUNT_LIMIT;
    ULONG Index;

    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(ConnectionContext);
    UNREFERENCED_PARAMETER(SizeOfContext);
    ExAcquireFastMutex(&ClientsLock);
    for (Index = 0; Index < MAXIMUM_CONNECTIONS; Index++) {
        if (Clients[Index] == NULL) {
            Clients[Index] = ClientPort;
            *ConnectionPortCookie = &Clients[Index];
            Status = STATUS_SUCCESS;
            break;
        }
    }
    ExReleaseFastMutex(&ClientsLock);
    return Status;
}

static VOID
Clear(VOID)
{
    LabClearRules();
    LabForgetHolds();
    LabRelease(0, NULL);
    LabClearCounters();
}

/* Whoever set the rules is gone: nothing may stay held. The events stay, for whoever asks next. */
static VOID FLTAPI
Disconnect(PVOID ConnectionCookie)
{
    PFLT_PORT *Client = ConnectionCookie;
    BOOLEAN Last = TRUE;
    ULONG Index;

    FltCloseClientPort(Lab.Filter, Client); /* sets it to NULL */
    ExAcquireFastMutex(&ClientsLock);
    for (Index = 0; Index < MAXIMUM_CONNECTIONS; Index++) {
        if (Clients[Index] != NULL) {
            Last = FALSE;
        }
    }
    ExReleaseFastMutex(&ClientsLock);
    if (Last) {
        Clear();
    }
}

/*
 * Commands. Each gets the message in kernel memory and leaves a reply of at most sizeof(LAB_REPLY) bytes there.
 */

typedef union _LAB_MESSAGE {
    FLTLAB_REQUEST Header;
    FLTLAB_ADD_RULE AddRule;
    FLTLAB_RULE_REQUEST Rule;
} LAB_MESSAGE;

typedef union _LAB_REPLY {
    FLTLAB_RULE_REPLY Rule;
    FLTLAB_QUERY_REPLY Query;
} LAB_REPLY;

static NTSTATUS
AddRule(LAB_MESSAGE *Message, LAB_REPLY *Reply)
{
    FLTLAB_RULE *Rule = &Message->AddRule.Rule;

    if (Message->Header.Size != sizeof(FLTLAB_ADD_RULE)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (Rule->ProcessId == FLTLAB_THIS_PROCESS) {
        Rule->ProcessId = HandleToULong(PsGetCurrentProcessId());
    }
    return LabAddRule(Rule, &Reply->Rule.RuleId);
}

static VOID
Query(FLTLAB_QUERY_REPLY *Reply)
{
    LabQueryRing(&Reply->Events, &Reply->Dropped, &Reply->Recorded);
    LabCountOperations(&Reply->Held, &Reply->Outstanding, &Reply->PendedTotal, &Reply->ResumedTotal);
    Reply->MatchedTotal = LabMatchedTotal();
    Reply->Instances = LabCountInstances();
}

static NTSTATUS
Execute(LAB_MESSAGE *Message, LAB_REPLY *Reply, ULONG *ReplySize)
{
    NTSTATUS Status = STATUS_SUCCESS;

    switch (Message->Header.Command) {
    case FLTLAB_COMMAND_CLEAR:
        Clear();
        LabClearRing();
        break;
    case FLTLAB_COMMAND_ADD_RULE:
        Status = AddRule(Message, Reply);
        *ReplySize = sizeof(Reply->Rule);
        break;
    case FLTLAB_COMMAND_RELEASE:
    case FLTLAB_COMMAND_REMOVE_RULE:
        if (Message->Header.Size != sizeof(FLTLAB_RULE_REQUEST)) {
            return STATUS_INVALID_PARAMETER;
        }
        if (Message->Header.Command == FLTLAB_COMMAND_REMOVE_RULE) {
            Status = LabRemoveRule(Message->Rule.RuleId);
        } else {
            Reply->Rule.Count = LabRelease(Message->Rule.RuleId, NULL);
            *ReplySize = sizeof(Reply->Rule);
        }
        break;
    case FLTLAB_COMMAND_PRINT:
        DbgPrint("fltlab: printed by %wZ\n", &Lab.ServiceName);
        DbgPrintEx(DPFLTR_DEFAULT_ID, DPFLTR_ERROR_LEVEL, "fltlab: error of %wZ\n", &Lab.ServiceName);
        break;
    case FLTLAB_COMMAND_QUERY:
        Query(&Reply->Query);
        *ReplySize = sizeof(Reply->Query);
        break;
    default:
        Status = STATUS_INVALID_PARAMETER;
        break;
    }
    return Status;
}

/*
 * Buffers of the caller
 */

static NTSTATUS
CopyIn(LAB_MESSAGE *Message, const VOID *Buffer, ULONG Length)
{
    if (Buffer == NULL || Length < sizeof(FLTLAB_REQUEST) || Length > sizeof(*Message)) {
        return STATUS_INVALID_PARAMETER;
    }
    __try {
        RtlCopyMemory(Message, Buffer, Length);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    if (Message->Header.Version != FLTLAB_VERSION) {
        return STATUS_REVISION_MISMATCH;
    }
    return Message->Header.Size == Length ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

static NTSTATUS
CopyOut(PVOID Buffer, const VOID *Data, ULONG Length)
{
    __try {
        RtlCopyMemory(Buffer, Data, Length);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    return STATUS_SUCCESS;
}

/* As many events as the output buffer takes, in portions, since the caller's memory cannot be touched under a lock. */
static NTSTATUS
Drain(PUCHAR Buffer, ULONG Length, ULONG *Returned)
{
    FLTLAB_DRAIN_REPLY Reply;
    FLTLAB_EVENT *Events;
    ULONG Room, Count, Ignored;
    ULONGLONG Recorded;
    NTSTATUS Status = STATUS_SUCCESS;

    if (Buffer == NULL || Length < FLTLAB_DRAIN_HEADER_SIZE + sizeof(FLTLAB_EVENT)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    Events = ExAllocatePoolWithTag(NonPagedPoolNx, EVENTS_AT_A_TIME * sizeof(FLTLAB_EVENT), LAB_TAG_BUFFER);
    if (Events == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(&Reply, sizeof(Reply));
    Room = (Length - FLTLAB_DRAIN_HEADER_SIZE) / sizeof(FLTLAB_EVENT);
    do {
        Count = LabTakeEvents(Events, min(Room - Reply.Count, EVENTS_AT_A_TIME));
        if (Count != 0) {
            Status = CopyOut(Buffer + FLTLAB_DRAIN_HEADER_SIZE + Reply.Count * sizeof(FLTLAB_EVENT), Events,
                             Count * sizeof(FLTLAB_EVENT));
        }
        Reply.Count += Count;
    } while (NT_SUCCESS(Status) && Count == EVENTS_AT_A_TIME && Reply.Count < Room);
    ExFreePoolWithTag(Events, LAB_TAG_BUFFER);

    if (NT_SUCCESS(Status)) {
        LabQueryRing(&Ignored, &Reply.Dropped, &Recorded);
        LabCountOperations(&Ignored, &Reply.Outstanding, &Ignored, &Ignored);
        Reply.Prints = LabCountPrints();
        Status = CopyOut(Buffer, &Reply, FLTLAB_DRAIN_HEADER_SIZE);
        *Returned = NT_SUCCESS(Status) ? FLTLAB_DRAIN_HEADER_SIZE + Reply.Count * (ULONG)sizeof(FLTLAB_EVENT) : 0;
    }
    return Status;
}

static NTSTATUS
TakePrints(PVOID Buffer, ULONG Length, ULONG *Returned)
{
    FLTLAB_PRINTS_REPLY *Reply;
    NTSTATUS Status;

    if (Buffer == NULL || Length < sizeof(*Reply)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    Reply = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Reply), LAB_TAG_BUFFER);
    if (Reply == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = LabTakePrints(Reply);
    if (NT_SUCCESS(Status)) {
        Length = FLTLAB_PRINTS_HEADER_SIZE + Reply->Count * (ULONG)sizeof(FLTLAB_PRINT);
        Status = CopyOut(Buffer, Reply, Length);
        *Returned = NT_SUCCESS(Status) ? Length : 0;
    }
    ExFreePoolWithTag(Reply, LAB_TAG_BUFFER);
    return Status;
}

static NTSTATUS FLTAPI
Message(PVOID PortCookie, PVOID InputBuffer, ULONG InputBufferLength, PVOID OutputBuffer, ULONG OutputBufferLength,
        PULONG ReturnOutputBufferLength)
{
    LAB_MESSAGE Request;
    LAB_REPLY Reply;
    ULONG ReplySize = 0;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(PortCookie);
    *ReturnOutputBufferLength = 0;
    RtlZeroMemory(&Request, sizeof(Request));
    RtlZeroMemory(&Reply, sizeof(Reply));
    Status = CopyIn(&Request, InputBuffer, InputBufferLength);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    if (Request.Header.Command == FLTLAB_COMMAND_DRAIN) {
        return Drain(OutputBuffer, OutputBufferLength, ReturnOutputBufferLength);
    }
    if (Request.Header.Command == FLTLAB_COMMAND_TAKE_PRINTS) {
        return TakePrints(OutputBuffer, OutputBufferLength, ReturnOutputBufferLength);
    }
    Status = Execute(&Request, &Reply, &ReplySize);
    if (NT_SUCCESS(Status) && ReplySize != 0) {
        if (OutputBuffer == NULL || OutputBufferLength < ReplySize) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        Status = CopyOut(OutputBuffer, &Reply, ReplySize);
        *ReturnOutputBufferLength = NT_SUCCESS(Status) ? ReplySize : 0;
    }
    return Status;
}

/*
 * Opening and closing
 */

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, LabOpenPort)
#endif

NTSTATUS
LabOpenPort(VOID)
{
    WCHAR Buffer[ARRAYSIZE(Lab.ServiceNameBuffer) + 1];
    UNICODE_STRING Name = {.Length = 0, .MaximumLength = sizeof(Buffer), .Buffer = Buffer};
    PSECURITY_DESCRIPTOR SecurityDescriptor;
    OBJECT_ATTRIBUTES Attributes;
    NTSTATUS Status;

    ExInitializeFastMutex(&ClientsLock);
    RtlAppendUnicodeToString(&Name, L"\\");
    RtlAppendUnicodeStringToString(&Name, &Lab.ServiceName);

    Status = FltBuildDefaultSecurityDescriptor(&SecurityDescriptor, FLT_PORT_ALL_ACCESS);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, SecurityDescriptor);
    Status = FltCreateCommunicationPort(Lab.Filter, &ServerPort, &Attributes, NULL, Connect, Disconnect, Message,
                                        MAXIMUM_CONNECTIONS);
    FltFreeSecurityDescriptor(SecurityDescriptor);
    return Status;
}

VOID
LabClosePort(VOID)
{
    if (ServerPort != NULL) {
        FltCloseCommunicationPort(ServerPort);
        ServerPort = NULL;
    }
}
