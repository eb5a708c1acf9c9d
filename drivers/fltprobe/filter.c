/*
 * filter.c: the minifilters a script speaks to: their ports and their rings.
 */

#include "probe.h"

#define DRAIN_EVENTS 256
#define DRAIN_PATIENCE_MS 1000
#define RELEASE_PATIENCE_MS 200
#define RELEASE_QUIET_MS 5
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
Send(const PROBE_FILTER *Filter, PVOID In, ULONG InSize, PVOID Out, ULONG OutSize)
{
    DWORD Returned;

    return (NTSTATUS)FilterSendMessage(Filter->Port, In, InSize, Out, OutSize, &Returned);
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

/*
 * The ring of a minifilter belongs to one thread at a time. FALSE if another one has been in it for so long that it
 * must be stuck in the minifilter.
 */
BOOLEAN
BeginDrain(PROBE_FILTER *Filter)
{
    ULONG Tries;

    for (Tries = 0; Tries < DRAIN_PATIENCE_MS; Tries++) {
        if (__sync_lock_test_and_set(&Filter->Busy, 1) == 0) {
            return TRUE;
        }
        Sleep100ns(TICKS_PER_MS);
    }
    return FALSE;
}

void
EndDrain(PROBE_FILTER *Filter)
{
    __sync_lock_release(&Filter->Busy);
}

/* Take every event out of the ring, between BeginDrain and EndDrain. A minifilter that is gone has nothing to say. */
void
Drain(PROBE_FILTER *Filter)
{
    static const ULONG Size = FIELD_OFFSET(FLTLAB_DRAIN_REPLY, Events) + DRAIN_EVENTS * sizeof(FLTLAB_EVENT);
    FLTLAB_DRAIN_REPLY *Reply;
    FLTLAB_REQUEST Request;

    if (Filter->Reply == NULL) {
        Filter->Reply = AllocatePages(Size);
    }
    Reply = Filter->Reply;
    InitializeRequest(&Request, FLTLAB_COMMAND_DRAIN, sizeof(Request));
    do {
        Reply->Count = 0;
        Reply->Prints = 0;
        if (Send(Filter, &Request, sizeof(Request), Reply, Size) < 0) {
            return;
        }
        Filter->Dropped = Reply->Dropped;
        Filter->Outstanding = Reply->Outstanding;
        Keep(Filter, Reply->Events, Reply->Count);
    } while (Reply->Count == DRAIN_EVENTS); /* fewer: the ring was empty */
    if (Filter->TakePrints && Reply->Prints != 0) {
        TakePrints(Filter);
    }
}

static NTSTATUS
Clear(const PROBE_FILTER *Filter)
{
    FLTLAB_REQUEST Request;

    InitializeRequest(&Request, FLTLAB_COMMAND_CLEAR, sizeof(Request));
    return Send(Filter, &Request, sizeof(Request), NULL, 0);
}

static NTSTATUS
Release(const PROBE_FILTER *Filter, ULONG RuleId, ULONG *Count)
{
    FLTLAB_RULE_REQUEST Request;
    FLTLAB_RULE_REPLY Reply;
    NTSTATUS Status;

    memset(&Request, 0, sizeof(Request));
    memset(&Reply, 0, sizeof(Reply));
    InitializeRequest(&Request.Header, FLTLAB_COMMAND_RELEASE, sizeof(Request));
    Request.RuleId = RuleId;
    Status = Send(Filter, &Request, sizeof(Request), &Reply, sizeof(Reply));
    *Count = Reply.Count;
    return Status;
}

/* filter <label> [\port] [prints] */
void
FilterVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Label = Line->Words[1];
    const char *Name = Line->Options > 2 ? Line->Words[2] : Join("\\fltlab-", Label);
    PROBE_FILTER *Filter;

    ULONG Index;

    for (Index = 0; Index < FilterCount; Index++) {
        if (SameText(Filters[Index].Label, Label)) {
            ScriptError(Line, "there is a `filter` line already for", Label);
        }
    }
    if (FilterCount == MAXIMUM_FILTERS) {
        ScriptError(Line, "more than 16 minifilters in one script", NULL);
    }
    Filter = &Filters[FilterCount];
    Step->Status = (NTSTATUS)FilterConnectCommunicationPort(Wide(Name, NULL), 0, NULL, 0, NULL, &Filter->Port);
    if (Step->Status < 0) {
        FilterError(Line, "no connection to the control port; is the minifilter loaded?", Name, Step->Status);
    }
    Filter->Label = Label;
    Filter->TakePrints = Has(Line, "prints");
    FilterCount++;
    Step->Status = Clear(Filter);
    if (Step->Status < 0) {
        FilterError(Line, "the minifilter does not speak this version of fltlab's control protocol", Label,
                    Step->Status);
    }
}

/* release <label> [rule=<n>] */
void
ReleaseVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONG Count;

    Step->Status = Release(FindFilter(Line, Line->Words[1]), Number32(Line, "rule", 0), &Count);
    Step->Information = Count;
}

/* Ask again until Wanted is reached or the time is up; STATUS_TIMEOUT then. Information is what was last seen. */
static void
Expect(PROBE_LINE *Line, PROBE_STEP *Step, ULONG (*Seen)(const PROBE_LINE *Line, PROBE_FILTER *Filter))
{
    PROBE_FILTER *Filter = FindFilter(Line, Line->Words[1]);
    ULONGLONG Wanted = Number(Line, "count", 1);
    LONGLONG Left = (LONGLONG)Number32(Line, "timeout", DEFAULT_DEADLINE_MS / 2) * TICKS_PER_MS;

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

/* Reply is all zero for a minifilter that is gone. */
static void
Query(const PROBE_FILTER *Filter, FLTLAB_QUERY_REPLY *Reply)
{
    FLTLAB_REQUEST Request;

    memset(Reply, 0, sizeof(*Reply));
    InitializeRequest(&Request, FLTLAB_COMMAND_QUERY, sizeof(Request));
    Send(Filter, &Request, sizeof(Request), Reply, sizeof(*Reply));
}

static ULONG
Held(const PROBE_LINE *Line, PROBE_FILTER *Filter)
{
    FLTLAB_QUERY_REPLY Reply;

    (void)Line;
    Query(Filter, &Reply);
    return Reply.Held;
}

/* Whether anything of this process was in a minifilter's hands when the rings were drained for the report. */
static BOOLEAN
AnythingOutstanding(void)
{
    ULONG Index;

    for (Index = 0; Index < FilterCount; Index++) {
        if (Filters[Index].Outstanding != 0) {
            return TRUE;
        }
    }
    for (Index = 0; Index < (ULONG)StepCount; Index++) {
        if (!Steps[Index].Ended) {
            return TRUE;
        }
    }
    return FALSE;
}

/*
 * A thread that a minifilter holds in the kernel would keep this process, and so the port, from ending. What is let go
 * before the file system may be held again behind it, and in another minifilter: the rules go first, then go round until
 * nobody has held anything for a while. Where nothing was outstanding, only the rules have to go.
 */
void
ReleaseEverything(void)
{
    ULONG Quiet = AnythingOutstanding() ? 0 : RELEASE_QUIET_MS;
    ULONG Tries;
    ULONG Index;
    ULONG Count;

    for (Index = 0; Index < FilterCount; Index++) {
        Clear(&Filters[Index]);
    }
    for (Tries = 0; Quiet < RELEASE_QUIET_MS && Tries < RELEASE_PATIENCE_MS; Tries++) {
        Quiet++;
        for (Index = 0; Index < FilterCount; Index++) {
            FLTLAB_QUERY_REPLY Reply;

            Release(&Filters[Index], 0, &Count);
            Query(&Filters[Index], &Reply);
            if (Reply.Held + Reply.Outstanding != 0) {
                Quiet = 0;
            }
        }
        Sleep100ns(POLL_TICKS);
    }
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
    ULONG WantedMajor = Major(Line);
    ULONG WantedPhase = Phase(Line);
    ULONG Count = 0;
    ULONG Index;

    if (!BeginDrain(Filter)) {
        return 0;
    }
    Drain(Filter);
    for (Index = 0; Index < Filter->EventCount; Index++) {
        const FLTLAB_EVENT *Event = &Filter->Events[Index];

        if ((WantedMajor == FLTLAB_ANY_FUNCTION || Event->MajorFunction == WantedMajor) &&
            (WantedPhase == 0 || Event->Phase == WantedPhase)) {
            Count++;
        }
    }
    EndDrain(Filter);
    return Count;
}

/* expect-events <label> [major=<name>] [phase=<name>] count=<n> [timeout=<ms>] */
void
ExpectEventsVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    Expect(Line, Step, MatchingEvents);
}

/* What a minifilter has recorded goes with it, so all rings are drained before one goes. */
void
DrainFilters(void)
{
    ULONG Index;

    for (Index = 0; Index < FilterCount; Index++) {
        if (BeginDrain(&Filters[Index])) {
            Drain(&Filters[Index]);
            EndDrain(&Filters[Index]);
        }
    }
}

void
DisconnectFilters(void)
{
    while (FilterCount > 0) {
        NtClose(Filters[--FilterCount].Port);
        memset(&Filters[FilterCount], 0, sizeof(Filters[0]));
    }
}
