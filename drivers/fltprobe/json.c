/*
 * json.c: the one JSON document that fltprobe writes, and how it ends.
 */

#include "probe.h"

static char *Output;
static SIZE_T OutputLength;
static SIZE_T OutputRoom;
static volatile LONG Reporting;

static PROBE_PROCESS_PARAMETERS *
Parameters(void)
{
    return ((PROBE_PEB *)NtCurrentTeb()->ProcessEnvironmentBlock)->ProcessParameters;
}

HANDLE
StandardInput(void)
{
    return Parameters()->StandardInput;
}

/* Room for so many more bytes, which the caller fills. */
static char *
PutRoom(SIZE_T Length)
{
    char *Room;

    if (OutputLength + Length > OutputRoom) {
        char *Larger;

        OutputRoom = (OutputRoom + Length) * 2 + 0x10000;
        Larger = AllocatePages(OutputRoom);
        memcpy(Larger, Output, OutputLength);
        Output = Larger;
    }
    Room = Output + OutputLength;
    OutputLength += Length;
    return Room;
}

static void
PutBytes(const char *Text, SIZE_T Length)
{
    memcpy(PutRoom(Length), Text, Length);
}

static void
Put(const char *Text)
{
    PutBytes(Text, TextLength(Text));
}

static void
PutNumber(ULONGLONG Value)
{
    char Digits[20];
    ULONG At = sizeof(Digits);

    do {
        Digits[--At] = (char)('0' + Value % 10);
        Value /= 10;
    } while (Value != 0);
    PutBytes(Digits + At, sizeof(Digits) - At);
}

static void
PutHex(const void *Data, SIZE_T Length)
{
    static const char Hex[] = "0123456789abcdef";
    const UCHAR *Bytes = Data;
    char *Room = PutRoom(Length * 2);
    SIZE_T Index;

    for (Index = 0; Index < Length; Index++) {
        *Room++ = Hex[Bytes[Index] >> 4];
        *Room++ = Hex[Bytes[Index] & 15];
    }
}

static void
PutText(const char *Text)
{
    if (Text == NULL) {
        Put("null");
        return;
    }
    Put("\"");
    while (*Text != '\0') {
        SIZE_T Plain = 0;

        while ((UCHAR)Text[Plain] >= 0x20 && Text[Plain] != '"' && Text[Plain] != '\\') {
            Plain++;
        }
        PutBytes(Text, Plain);
        Text += Plain;
        if (*Text == '\0') {
            break;
        }
        if ((UCHAR)*Text < 0x20) {
            Put("\\u00");
            PutHex(Text, 1);
        } else {
            Put("\\");
            PutBytes(Text, 1);
        }
        Text++;
    }
    Put("\"");
}

static void
PutMember(const char *Key, ULONGLONG Value)
{
    Put(",");
    PutText(Key);
    Put(":");
    PutNumber(Value);
}

static void
PutStep(const PROBE_STEP *Step)
{
    Put("{\"line\":");
    PutNumber(Step->Line);
    Put(",\"verb\":");
    PutText(Step->Verb);
    Put(",\"name\":");
    PutText(Step->Name);
    PutMember("status", (ULONG)Step->Status);
    PutMember("information", Step->Information);
    PutMember("thread_id", Step->ThreadId);
    PutMember("begin", (ULONGLONG)Step->Begin);
    PutMember("end", (ULONGLONG)Step->End);
    if (Step->Class != 0) {
        PutMember("class", Step->Class);
    }
    Put(",\"data\":\"");
    PutHex(Step->Data, Step->DataLength);
    Put("\"");
    PutMember("digest", Step->Digest);
    Put(Step->Ended ? ",\"outstanding\":false}" : ",\"outstanding\":true}");
}

static void
PutPrints(const PROBE_FILTER *Filter)
{
    ULONG Index;

    Put(",\"prints\":{\"lost\":");
    PutNumber(Filter->PrintsLost);
    PutMember("status", (ULONG)Filter->PrintsStatus);
    Put(",\"records\":[");
    for (Index = 0; Index < Filter->PrintCount; Index++) {
        const FLTLAB_PRINT *Print = &Filter->Prints[Index];

        Put(Index == 0 ? "\"" : ",\"");
        PutHex(Print, FIELD_OFFSET(FLTLAB_PRINT, Text) + Print->Length);
        Put("\"");
    }
    Put("]}");
}

static void
PutFilter(const PROBE_FILTER *Filter)
{
    ULONG Index;

    PutText(Filter->Label);
    Put(":{\"dropped\":");
    PutNumber(Filter->Dropped);
    PutMember("outstanding", Filter->Outstanding);
    Put(",\"events\":[");
    for (Index = 0; Index < Filter->EventCount; Index++) {
        Put(Index == 0 ? "\"" : ",\"");
        PutHex(&Filter->Events[Index], sizeof(FLTLAB_EVENT));
        Put("\"");
    }
    Put("]");
    if (Filter->ToldOfPrints) {
        PutPrints(Filter);
    }
    Put("}");
}

static void
PutPort(const PROBE_PORT *Port)
{
    const PROBE_MESSAGE *Message;
    const char *Name;
    ULONG Count = MessagesOf(Port, &Name, &Message);

    PutText(Name);
    Put(":[");
    for (; Count > 0; Count--, Message = Message->Next) {
        Put("{\"id\":");
        PutNumber(Message->Id);
        PutMember("at", (ULONGLONG)Message->At);
        PutMember("reply_length", Message->ReplyLength);
        PutMember("answer", (ULONG)Message->Answer);
        Put(",\"data\":\"");
        PutHex(Message->Data, Message->Length);
        Put(Count > 1 ? "\"}," : "\"}");
    }
    Put("]");
}

static void
PutPorts(void)
{
    ULONG Index;

    Put(",\"ports\":{");
    for (Index = 0; Index < PortCount; Index++) {
        Put(Index == 0 ? "" : ",");
        PutPort(Ports[Index]);
    }
    Put("}");
}

static void
WriteOutput(void)
{
    IO_STATUS_BLOCK IoStatus;
    SIZE_T Done = 0;

    while (Done < OutputLength) {
        ULONG Length = (ULONG)(OutputLength - Done < 0x8000 ? OutputLength - Done : 0x8000);
        NTSTATUS Status;

        Status =
            NtWriteFile(Parameters()->StandardOutput, NULL, NULL, NULL, &IoStatus, Output + Done, Length, NULL, NULL);
        if (Status == STATUS_PENDING) {
            Status = NtWaitForSingleObject(Parameters()->StandardOutput, FALSE, NULL);
        }
        if (Status < 0) {
            return; /* nobody reads: there is nobody to tell */
        }
        Done += Length;
    }
}

/* Drain the rings, write everything that is known, and end the process. The first caller wins. */
DECLSPEC_NORETURN void
Report(ULONG ExitCode, const char *Error)
{
    LARGE_INTEGER Now;
    LARGE_INTEGER Frequency;
    LONG Index;

    if (__sync_lock_test_and_set(&Reporting, 1)) {
        NtWaitForSingleObject(NewEvent(), FALSE, NULL); /* another thread reports; it ends us */
    }
    BeginReport();
    for (Index = 0; Index < (LONG)FilterCount; Index++) {
        if (BeginDrain(&Filters[Index])) {
            Drain(&Filters[Index]); /* and nobody else does any more */
        }
    }
    NtQueryPerformanceCounter(&Now, &Frequency);
    Put("{\"version\":");
    PutNumber(PROBE_VERSION);
    PutMember("process_id", (ULONG_PTR)NtCurrentTeb()->Reserved1[8]);
    PutMember("thread_id", Steps[0].ThreadId);
    PutMember("frequency", (ULONGLONG)Frequency.QuadPart);
    Put(",\"error\":");
    PutText(Error);
    Put(",\"steps\":[");
    for (Index = 0; Index < StepCount; Index++) {
        Put(Index == 0 ? "" : ",");
        PutStep(&Steps[Index]);
    }
    Put("],\"filters\":{");
    for (Index = 0; Index < (LONG)FilterCount; Index++) {
        Put(Index == 0 ? "" : ",");
        PutFilter(&Filters[Index]);
    }
    Put("}");
    if (PortCount > 0) {
        PutPorts();
    }
    Put("}\n");
    WriteOutput();
    ReleaseEverything();
    for (;;) {
        NtTerminateProcess(NtCurrentProcess(), (NTSTATUS)ExitCode);
    }
}
