/*
 * port.c: the service of a driver under test: connections to its own communication ports, messages taken and answered.
 *
 * A step takes one message (get-message, reply), or threads answer by rules as a service does (answer, serve). All that
 * was taken is reported. Only what is documented of fltlib is used, so that it is the same on Windows.
 */

#include "probe.h"

#define MAXIMUM_MESSAGE 0x10000
#define MAXIMUM_ANSWERS 64
#define MAXIMUM_SERVERS 16
#define REPLY_ROOM 0x1000
#define POLL_TICKS (1 * TICKS_PER_MS)
#define ANY_PLACE MAXDWORD
#define IO_PENDING ((HRESULT)0x800703E5L) /* HRESULT_FROM_WIN32(ERROR_IO_PENDING) */

/* What a service answers to messages that have certain bytes. */
typedef struct _PROBE_ANSWER {
    const UCHAR *Contains;
    ULONG ContainsLength;
    ULONG At; /* where; ANY_PLACE for anywhere */
    const UCHAR *Data;
    ULONG DataLength;
    NTSTATUS Status;
    LONGLONG Delay;
    BOOLEAN Silent;
    ULONG Left;
} PROBE_ANSWER;

struct _PROBE_PORT {
    const char *Name;
    HANDLE Handle;
    PROBE_ANSWER Answers[MAXIMUM_ANSWERS];
    ULONG AnswerCount;
    volatile LONG Lock; /* of Answers[].Left and Messages */
    PROBE_MESSAGE *First;
    PROBE_MESSAGE **Last;
    ULONG MessageCount;
    PROBE_MESSAGE *Latest; /* of get-message */
};

/* FILTER_MESSAGE_HEADER and FILTER_REPLY_HEADER */
typedef struct _MESSAGE_HEADER {
    ULONG ReplyLength;
    ULONGLONG MessageId;
} MESSAGE_HEADER;

typedef struct _REPLY_HEADER {
    NTSTATUS Status;
    ULONGLONG MessageId;
} REPLY_HEADER;

PROBE_PORT *Ports[MAXIMUM_PORTS];
ULONG PortCount;

static void
Enter(PROBE_PORT *Port)
{
    while (__sync_lock_test_and_set(&Port->Lock, 1)) {
        Sleep100ns(1);
    }
}

static void
Leave(PROBE_PORT *Port)
{
    __sync_lock_release(&Port->Lock);
}

static PROBE_PORT *
NewPort(const PROBE_LINE *Line, const char *Name, HANDLE Handle)
{
    PROBE_PORT *Port;

    if (PortCount == MAXIMUM_PORTS) {
        ScriptError(Line, "more than 16 ports in one script", NULL);
    }
    Port = Allocate(sizeof(PROBE_PORT));
    Port->Name = Name;
    Port->Handle = Handle;
    Port->Last = &Port->First;
    Ports[PortCount++] = Port;
    return Port;
}

/* The newest port of that name; a `filter` line's connection is one too. */
static PROBE_PORT *
FindPort(const PROBE_LINE *Line)
{
    const char *Name = Line->Words[1];
    ULONG Index;

    for (Index = PortCount; Index > 0; Index--) {
        if (SameText(Ports[Index - 1]->Name, Name)) {
            return Ports[Index - 1];
        }
    }
    for (Index = 0; Index < FilterCount; Index++) {
        if (SameText(Filters[Index].Label, Name)) {
            return NewPort(Line, Name, Filters[Index].Port);
        }
    }
    ScriptError(Line, "no `connect` line names this port", Name);
}

/* The bytes of key=<hexadecimal>; none if it is not given. */
static const UCHAR *
BytesOf(const PROBE_LINE *Line, const char *Key, ULONG *Length)
{
    const char *Text = Value(Line, Key);
    UCHAR *Result;

    *Length = Text != NULL ? (ULONG)TextLength(Text) / 2 : 0;
    if (Text == NULL) {
        return NULL;
    }
    Result = Allocate(*Length + 1);
    Bytes(Line, Key, Text, Result);
    return Result;
}

/* connect <port> <name> [context=<hex>]; the status is an HRESULT */
void
ConnectVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONG Length;
    const UCHAR *Context = BytesOf(Line, "context", &Length);
    PROBE_PORT *Port = NewPort(Line, Line->Words[1], NULL);

    if (Length > MAXWORD) {
        ScriptError(Line, "a context is at most 65535 bytes", NULL);
    }
    Step->Status = (NTSTATUS)FilterConnectCommunicationPort(Wide(Line->Words[2], NULL), 0, Context, (WORD)Length, NULL,
                                                            &Port->Handle);
}

/* disconnect <port> */
void
DisconnectVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_PORT *Port = FindPort(Line);

    Step->Status = NtClose(Port->Handle);
    Port->Handle = NULL;
}

/* Whoever serves one ends with it. */
void
ClosePorts(void)
{
    while (PortCount > 0) {
        NtClose(Ports[--PortCount]->Handle);
    }
}

/* send-message <port> [data=<hex>] [room=<n>]: FilterSendMessage; `data` is what came back, `information` how much */
void
SendMessageVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_PORT *Port = FindPort(Line);
    ULONG Room = BufferLength(Line, "room", 0);
    ULONG Length;
    const UCHAR *Data = BytesOf(Line, "data", &Length);
    PVOID Buffer = Room != 0 ? AllocatePages(Room) : NULL;
    DWORD Returned = 0;

    Step->Status = (NTSTATUS)FilterSendMessage(Port->Handle, (PVOID)(ULONG_PTR)Data, Length, Buffer, Room, &Returned);
    Step->Information = Returned;
    if (Step->Status >= 0 && Buffer != NULL) {
        SetList(Step, Buffer, Returned, Room);
    }
}

/*
 * Take the next message: its HRESULT, or STATUS_TIMEOUT when Timeout (in 100 ns, NULL for none) is over. Buffer has
 * MAXIMUM_MESSAGE bytes.
 */
static NTSTATUS
Take(PROBE_PORT *Port, MESSAGE_HEADER *Buffer, LARGE_INTEGER *Timeout, PROBE_MESSAGE **Message)
{
    OVERLAPPED Overlapped;
    IO_STATUS_BLOCK IoStatus;
    NTSTATUS Status;
    SIZE_T Length;

    memset(&Overlapped, 0, sizeof(Overlapped));
    Overlapped.hEvent = NewEvent();
    Status = (NTSTATUS)FilterGetMessage(Port->Handle, Buffer, MAXIMUM_MESSAGE, &Overlapped);
    if (Status == IO_PENDING) {
        if (NtWaitForSingleObject(Overlapped.hEvent, FALSE, Timeout) == STATUS_TIMEOUT) {
            NtCancelIoFileEx(Port->Handle, (PIO_STATUS_BLOCK)&Overlapped, &IoStatus);
            NtWaitForSingleObject(Overlapped.hEvent, FALSE, NULL);
        }
        Status = (NTSTATUS)Overlapped.Internal;
        Status = Status == STATUS_CANCELLED && Timeout != NULL ? STATUS_TIMEOUT : Status;
    }
    NtClose(Overlapped.hEvent);
    if (Status != STATUS_SUCCESS) {
        return Status;
    }
    Length = Overlapped.InternalHigh > sizeof(MESSAGE_HEADER) ? Overlapped.InternalHigh - sizeof(MESSAGE_HEADER) : 0;
    *Message = Allocate(sizeof(PROBE_MESSAGE));
    (*Message)->Id = Buffer->MessageId;
    (*Message)->ReplyLength =
        Buffer->ReplyLength > sizeof(REPLY_HEADER) ? Buffer->ReplyLength - (ULONG)sizeof(REPLY_HEADER) : 0;
    (*Message)->At = Counter();
    (*Message)->Length = (ULONG)Length;
    (*Message)->Data = Allocate(Length);
    memcpy((*Message)->Data, Buffer + 1, Length);
    (*Message)->Answer = STATUS_PENDING;
    Enter(Port);
    *Port->Last = *Message;
    Port->Last = &(*Message)->Next;
    Port->MessageCount++;
    Leave(Port);
    return STATUS_SUCCESS;
}

/* Answer a message; the HRESULT, which the report has too. */
static NTSTATUS
Answer(const PROBE_PORT *Port, PROBE_MESSAGE *Message, const UCHAR *Data, ULONG Length, NTSTATUS Status)
{
    REPLY_HEADER *Reply = Allocate(sizeof(REPLY_HEADER) + Length);

    Reply->Status = Status;
    Reply->MessageId = Message->Id;
    memcpy(Reply + 1, Data, Length);
    Message->Answer = (NTSTATUS)FilterReplyMessage(Port->Handle, (PVOID)Reply, (DWORD)sizeof(REPLY_HEADER) + Length);
    return Message->Answer;
}

/* get-message <port> [timeout=<ms>]; `data` is the message without its header, `information` the room for a reply */
void
GetMessageVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_PORT *Port = FindPort(Line);
    LARGE_INTEGER Timeout;
    PROBE_MESSAGE *Message = NULL;

    Timeout.QuadPart = -(LONGLONG)Number32(Line, "timeout", 0) * TICKS_PER_MS;
    Step->Status =
        Take(Port, AllocatePages(MAXIMUM_MESSAGE), Value(Line, "timeout") != NULL ? &Timeout : NULL, &Message);
    if (Message != NULL) {
        Port->Latest = Message;
        Step->Information = Message->ReplyLength;
        SetList(Step, Message->Data, Message->Length, Message->Length);
    }
}

/* reply <port> [data=<hex>] [status=<n>]: to the last message that get-message took */
void
ReplyVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_PORT *Port = FindPort(Line);
    ULONG Length;
    const UCHAR *Data = BytesOf(Line, "data", &Length);

    if (Port->Latest == NULL) {
        ScriptError(Line, "there is no message to reply to: no get-message has taken one from", Port->Name);
    }
    Step->Status = Answer(Port, Port->Latest, Data, Length, (NTSTATUS)Number32(Line, "status", 0));
}

/* answer <port> [contains=<hex>] [at=<n>] [data=<hex>] [status=<n>] [delay=<ms>] [max=<n>] [silent] */
void
AnswerVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_PORT *Port = FindPort(Line);
    PROBE_ANSWER *Rule = &Port->Answers[Port->AnswerCount];

    if (Port->AnswerCount == MAXIMUM_ANSWERS) {
        ScriptError(Line, "more than 64 answers for one port", Port->Name);
    }
    Rule->Contains = BytesOf(Line, "contains", &Rule->ContainsLength);
    Rule->At = Number32(Line, "at", ANY_PLACE);
    Rule->Data = BytesOf(Line, "data", &Rule->DataLength);
    Rule->Status = (NTSTATUS)Number32(Line, "status", 0);
    Rule->Delay = (LONGLONG)Number32(Line, "delay", 0) * TICKS_PER_MS;
    Rule->Left = Number32(Line, "max", MAXDWORD);
    Rule->Silent = Has(Line, "silent");
    Port->AnswerCount++;
    Step->Status = STATUS_SUCCESS;
}

static BOOLEAN
HasBytes(const PROBE_MESSAGE *Message, const PROBE_ANSWER *Rule)
{
    ULONG Place = Rule->At == ANY_PLACE ? 0 : Rule->At;

    for (; Place + Rule->ContainsLength <= Message->Length && Place + Rule->ContainsLength >= Place; Place++) {
        ULONG Index = 0;

        while (Index < Rule->ContainsLength && Message->Data[Place + Index] == Rule->Contains[Index]) {
            Index++;
        }
        if (Index == Rule->ContainsLength) {
            return TRUE;
        }
        if (Rule->At != ANY_PLACE) {
            break;
        }
    }
    return FALSE;
}

/* The first rule for a message that is not used up; NULL for none: then the answer is all zero. */
static const PROBE_ANSWER *
FindAnswer(PROBE_PORT *Port, const PROBE_MESSAGE *Message)
{
    const PROBE_ANSWER *Found = NULL;
    ULONG Index;

    Enter(Port);
    for (Index = 0; Index < Port->AnswerCount && Found == NULL; Index++) {
        PROBE_ANSWER *Rule = &Port->Answers[Index];

        if (Rule->Left != 0 && HasBytes(Message, Rule)) {
            Rule->Left--;
            Found = Rule;
        }
    }
    Leave(Port);
    return Found;
}

static NTSTATUS NTAPI
ServingThread(PVOID Parameter)
{
    static const UCHAR Nothing[REPLY_ROOM];
    PROBE_PORT *Port = Parameter;
    MESSAGE_HEADER *Buffer = AllocatePages(MAXIMUM_MESSAGE);
    PROBE_MESSAGE *Message;

    while (Take(Port, Buffer, NULL, &Message) == STATUS_SUCCESS) {
        const PROBE_ANSWER *Rule = FindAnswer(Port, Message);
        ULONG Room = Message->ReplyLength < REPLY_ROOM ? Message->ReplyLength : REPLY_ROOM;

        if (Message->ReplyLength == 0 || (Rule != NULL && Rule->Silent)) {
            continue;
        }
        if (Rule == NULL) {
            Answer(Port, Message, Nothing, Room, STATUS_SUCCESS);
            continue;
        }
        if (Rule->Delay != 0) {
            Sleep100ns(Rule->Delay);
        }
        Answer(Port, Message, Rule->Data, Rule->DataLength, Rule->Status);
    }
    RtlExitUserThread(STATUS_SUCCESS);
    return STATUS_SUCCESS;
}

/* serve <port> [threads=<n>]: threads of their own take messages and answer them, until the connection ends */
void
ServeVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_PORT *Port = FindPort(Line);
    ULONG Threads = Number32(Line, "threads", 1);
    HANDLE Thread;

    if (Threads == 0 || Threads > MAXIMUM_SERVERS) {
        ScriptError(Line, "a port is served by 1 to 16 threads", NULL);
    }
    Step->Status = STATUS_SUCCESS;
    while (Threads-- > 0 && Step->Status >= 0) {
        Step->Status =
            RtlCreateUserThread(NtCurrentProcess(), NULL, FALSE, 0, 0, 0, ServingThread, Port, &Thread, NULL);
        if (Step->Status >= 0) {
            NtClose(Thread);
        }
    }
}

/* expect-messages <port> count=<n> [timeout=<ms>]: wait until so many were taken */
void
ExpectMessagesVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_PORT *Port = FindPort(Line);
    ULONG Wanted = Number32(Line, "count", 1);
    LONGLONG Left = (LONGLONG)Number32(Line, "timeout", DEFAULT_DEADLINE_MS / 2) * TICKS_PER_MS;

    while (Port->MessageCount < Wanted && Left > 0) {
        Sleep100ns(POLL_TICKS);
        Left -= POLL_TICKS;
    }
    Step->Information = Port->MessageCount;
    Step->Status = Port->MessageCount < Wanted ? STATUS_TIMEOUT : STATUS_SUCCESS;
}

ULONG
MessagesOf(const PROBE_PORT *Port, const char **Name, const PROBE_MESSAGE **First)
{
    *Name = Port->Name;
    *First = Port->First;
    return Port->MessageCount;
}
