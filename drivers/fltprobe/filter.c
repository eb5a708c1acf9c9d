/*
 * filter.c: the minifilters a script speaks to: their ports, their rings, and fltlib's load and attach calls.
 */

#include "probe.h"

#define DRAIN_EVENTS 256
#define POLL_TICKS (1 * TICKS_PER_MS)

PROBE_FILTER Filters[MAXIMUM_FILTERS];
ULONG FilterCount;

PROBE_FILTER *
FindFilter(const PROBE_LINE *Line, const char *Label)
{
    ULONG Index;

    for (Index = 0; Index < FilterCount; Index++) {
        if (SameText(Filters[Index].Label, Label)) {
            return &Filters[Index];
        }
    }
    ScriptError(Line, "no `filter` line connects to", Label);
}

void
InitializeRequest(FLTLAB_REQUEST *Request, ULONG Command, ULONG Size)
{
    Request->Version = FLTLAB_VERSION;
    Request->Command = Command;
    Request->Size = Size;
    Request->Reserved = 0;
}

NTSTATUS
Send(const PROBE_FILTER *Filter, PVOID In, ULONG InSize, PVOID Out, ULONG OutSize, ULONG *Returned)
{
    DWORD Count = 0;
    HRESULT Result = FilterSendMessage(Filter->Port, In, InSize, Out, OutSize, &Count);

    if (Returned != NULL) {
        *Returned = Count;
    }
    return (NTSTATUS)Result;
}

static void
Keep(PROBE_FILTER *Filter, const FLTLAB_EVENT *Events, ULONG Count)
{
    if (Filter->EventCount + Count > Filter->EventRoom) {
        FLTLAB_EVENT *Larger;

        Filter->EventRoom = (Filter->EventRoom + Count) * 2;
        Larger = AllocatePages(Filter->EventRoom * sizeof(FLTLAB_EVENT));
        memcpy(Larger, Filter->Events, Filter->EventCount * sizeof(FLTLAB_EVENT));
        Filter->Events = Larger;
    }
    memcpy(Filter->Events + Filter->EventCount, Events, Count * sizeof(FLTLAB_EVENT));
    Filter->EventCount += Count;
}

/* Take every event out of the ring. A minifilter that is gone has nothing more to say. */
void
Drain(PROBE_FILTER *Filter)
{
    static const ULONG Size = FIELD_OFFSET(FLTLAB_DRAIN_REPLY, Events) + DRAIN_EVENTS * sizeof(FLTLAB_EVENT);
    FLTLAB_DRAIN_REPLY *Reply;
    FLTLAB_REQUEST Request;
    ULONG Returned;

    if (Filter->Reply == NULL) {
        Filter->Reply = AllocatePages(Size);
    }
    Reply = Filter->Reply;
    InitializeRequest(&Request, FLTLAB_COMMAND_DRAIN, sizeof(Request));
    do {
        Reply->Count = 0;
        if (Send(Filter, &Request, sizeof(Request), Reply, Size, &Returned) < 0) {
            return;
        }
        Filter->Dropped = Reply->Dropped;
        Filter->Outstanding = Reply->Outstanding;
        Keep(Filter, Reply->Events, Reply->Count);
    } while (Reply->Count > 0);
}

/* filter <label> [\port] */
void
FilterVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Label = Word(Line, 1, "a label");
    const char *Name = Line->Count > 2 ? Line->Words[2] : Join("\\fltlab-", Label);
    FLTLAB_REQUEST Request;
    PROBE_FILTER *Filter;

    if (FilterCount == MAXIMUM_FILTERS) {
        ScriptError(Line, "more than 16 minifilters in one script", NULL);
    }
    Filter = &Filters[FilterCount];
    Step->Status = (NTSTATUS)FilterConnectCommunicationPort(Wide(Name, NULL), 0, NULL, 0, NULL, &Filter->Port);
    if (Step->Status < 0) {
        ScriptError(Line, "no connection to the control port (is the minifilter loaded?)", Name);
    }
    Filter->Label = Label;
    FilterCount++;
    InitializeRequest(&Request, FLTLAB_COMMAND_CLEAR, sizeof(Request));
    Step->Status = Send(Filter, &Request, sizeof(Request), NULL, 0, NULL);
    if (Step->Status < 0) {
        ScriptError(Line, "the minifilter does not speak this version of fltlab's control protocol", Label);
    }
}

/* release <label> [rule=<n>] */
void
ReleaseVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_FILTER *Filter = FindFilter(Line, Word(Line, 1, "a label"));
    FLTLAB_RULE_REQUEST Request;
    FLTLAB_RULE_REPLY Reply;

    memset(&Request, 0, sizeof(Request));
    memset(&Reply, 0, sizeof(Reply));
    InitializeRequest(&Request.Header, FLTLAB_COMMAND_RELEASE, sizeof(Request));
    Request.RuleId = (ULONG)Number(Line, "rule", 0);
    Step->Status = Send(Filter, &Request, sizeof(Request), &Reply, sizeof(Reply), NULL);
    Step->Information = Reply.Count;
}

/* Ask again until Wanted is reached or the time is up; STATUS_TIMEOUT then. Information is what was last seen. */
static void
Expect(PROBE_LINE *Line, PROBE_STEP *Step, ULONG (*Seen)(const PROBE_LINE *Line, PROBE_FILTER *Filter))
{
    PROBE_FILTER *Filter = FindFilter(Line, Word(Line, 1, "a label"));
    ULONGLONG Wanted = Number(Line, "count", 1);
    LONGLONG Left = (LONGLONG)Number(Line, "timeout", DEFAULT_DEADLINE_MS / 2) * TICKS_PER_MS;

    for (;;) {
        Step->Information = Seen(Line, Filter);
        if (Step->Information >= Wanted) {
            Step->Status = STATUS_SUCCESS;
            return;
        }
        if (Left <= 0) {
            Step->Status = STATUS_TIMEOUT;
            return;
        }
        Sleep100ns(POLL_TICKS);
        Left -= POLL_TICKS;
    }
}

static ULONG
Held(const PROBE_LINE *Line, PROBE_FILTER *Filter)
{
    FLTLAB_REQUEST Request;
    FLTLAB_QUERY_REPLY Reply;

    (void)Line;
    memset(&Reply, 0, sizeof(Reply));
    InitializeRequest(&Request, FLTLAB_COMMAND_QUERY, sizeof(Request));
    return Send(Filter, &Request, sizeof(Request), &Reply, sizeof(Reply), NULL) < 0 ? 0 : Reply.Held;
}

/* expect-held <label> count=<n> [timeout=<ms>] */
void
ExpectHeldVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    Expect(Line, Step, Held);
}

static ULONG
MatchingEvents(const PROBE_LINE *Line, PROBE_FILTER *Filter)
{
    const char *Major = Value(Line, "major");
    ULONG MajorCode = FLTLAB_ANY_FUNCTION;
    ULONGLONG Phase = Number(Line, "phase", 0);
    ULONG Count = 0;
    ULONG Index;

    if (Major != NULL && !MajorFunction(Major, &MajorCode)) {
        ScriptError(Line, "there is no such major function", Major);
    }
    Drain(Filter);
    for (Index = 0; Index < Filter->EventCount; Index++) {
        const FLTLAB_EVENT *Event = &Filter->Events[Index];

        if ((MajorCode == FLTLAB_ANY_FUNCTION || Event->MajorFunction == MajorCode) &&
            (Phase == 0 || Event->Phase == Phase)) {
            Count++;
        }
    }
    return Count;
}

/* expect-events <label> [major=<name>] [phase=<n>] count=<n> [timeout=<ms>] */
void
ExpectEventsVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    Expect(Line, Step, MatchingEvents);
}

static const WCHAR *
Service(const char *Label)
{
    return Wide(Join("fltlab-", Label), NULL);
}

/* attach <label> [volume=V:] */
void
AttachVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const WCHAR *Name = Service(Word(Line, 1, "a label"));
    const char *Volume = Value(Line, "volume");

    Step->Status = (NTSTATUS)FilterAttach(Name, Wide(Volume != NULL ? Volume : "V:", NULL), NULL, 0, NULL);
}

/* detach <label> [volume=V:] */
void
DetachVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const WCHAR *Name = Service(Word(Line, 1, "a label"));
    const char *Volume = Value(Line, "volume");

    Step->Status = (NTSTATUS)FilterDetach(Name, Wide(Volume != NULL ? Volume : "V:", NULL), NULL);
}

/* load <service> */
void
LoadVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    Step->Status = (NTSTATUS)FilterLoad(Wide(Word(Line, 1, "a service"), NULL));
}

/* unload <service> */
void
UnloadVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    Step->Status = (NTSTATUS)FilterUnload(Wide(Word(Line, 1, "a service"), NULL));
}
