/*
 * wait.c: events, time, and steps that run beside others, in this process or in another.
 */

#include "probe.h"

typedef struct _SPAWNED {
    PROBE_LINE *Line;
    PROBE_STEP *Step;
    PROBE_NAME *Name;
} SPAWNED;

LONGLONG
Counter(void)
{
    LARGE_INTEGER Now;

    NtQueryPerformanceCounter(&Now, NULL);
    return Now.QuadPart;
}

HANDLE
NewEvent(void)
{
    HANDLE Event = NULL;

    if (NtCreateEvent(&Event, EVENT_ALL_ACCESS, NULL, 0 /* NotificationEvent */, FALSE) < 0) {
        NtTerminateProcess(NtCurrentProcess(), STATUS_INSUFFICIENT_RESOURCES);
    }
    return Event;
}

void
Sleep100ns(LONGLONG Ticks)
{
    LARGE_INTEGER Interval;

    Interval.QuadPart = -Ticks;
    NtDelayExecution(FALSE, &Interval);
}

/* Put what became of an asynchronous operation into a step. */
void
Outcome(PROBE_STEP *Step, PROBE_NAME *Operation)
{
    Step->Status = Operation->IoStatus.Status;
    Step->Class = Operation->Class;
    Step->Information = Operation->IoStatus.Information;
    if (HasAnswer(Step->Status) && Operation->Address != NULL) {
        SetBeginning(Step, Operation->Address, Operation->IoStatus.Information, Operation->Size, Operation->Kept);
    }
}

/* wait <name> [timeout=<ms>]; STATUS_TIMEOUT when the time is up */
void
WaitVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *Event = FindName(Line, NameEvent, Line->Words[1]);
    LONGLONG Timeout = Number32(Line, "timeout", 0);
    LARGE_INTEGER Interval;

    Interval.QuadPart = -Timeout * TICKS_PER_MS;
    Step->Status = NtWaitForSingleObject(Event->Handle, FALSE, Value(Line, "timeout") != NULL ? &Interval : NULL);
    if (Step->Status != STATUS_SUCCESS) {
        return;
    }
    if (Event->Step == NULL) {
        Outcome(Step, Event);
    } else {
        Step->Status = Event->Step->Status;
        Step->Information = Event->Step->Information;
        Step->Data = Event->Step->Data;
        Step->DataLength = Event->Step->DataLength;
        Step->Digest = Event->Step->Digest;
        Step->Class = Event->Step->Class;
    }
}

/* sleep <ms> */
void
SleepVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    Sleep100ns(Ticks(Line));
    Step->Status = STATUS_SUCCESS;
}

static NTSTATUS NTAPI
SpawnedThread(PVOID Parameter)
{
    SPAWNED *Spawned = Parameter;

    RunStep(Spawned->Line, Spawned->Step);
    NtSetEvent(Spawned->Name->Handle, NULL);
    RtlExitUserThread(STATUS_SUCCESS);
    return STATUS_SUCCESS;
}

/* spawn <name> <step ...>: the step runs in a thread of its own, `wait <name>` joins it */
void
SpawnVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    SPAWNED *Spawned = Allocate(sizeof(SPAWNED));
    HANDLE Thread;

    Spawned->Line = Line->Spawned;
    Spawned->Name = NewName(Line, NameEvent, Line->Words[1]);
    Spawned->Name->Handle = NewEvent();
    Spawned->Step = NewStep(Spawned->Line);
    Spawned->Name->Step = Spawned->Step;
    Step->Status = RtlCreateUserThread(NtCurrentProcess(), NULL, FALSE, 0, 0, 0, SpawnedThread, Spawned, &Thread, NULL);
    Spawned->Name->File = Step->Status >= 0 ? Thread : NULL;
}

/* An event that processes share, by its name. */
static HANDLE
SharedEvent(const PROBE_LINE *Line)
{
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Name;
    HANDLE Event = NULL;
    NTSTATUS Status;

    memset(&Attributes, 0, sizeof(Attributes));
    Wide(Join("\\BaseNamedObjects\\", Line->Words[1]), &Name);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_CASE_INSENSITIVE | OBJ_OPENIF, NULL, NULL);
    Status = NtCreateEvent(&Event, EVENT_ALL_ACCESS, &Attributes, 0 /* NotificationEvent */, FALSE);
    if (Status < 0) {
        ScriptError(Line, Join("an event cannot be made: NTSTATUS 0x", NumberText((ULONG)Status, 16)), Line->Words[1]);
    }
    return Event;
}

/* signal <event>: set an event that another process awaits; it stays as long as one of both has named it */
void
SignalVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    Step->Status = NtSetEvent(SharedEvent(Line), NULL);
}

/* await <event> [timeout=<ms>] */
void
AwaitVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    LARGE_INTEGER Timeout;

    Timeout.QuadPart = -(LONGLONG)Number32(Line, "timeout", 0) * TICKS_PER_MS;
    Step->Status = NtWaitForSingleObject(SharedEvent(Line), FALSE, Value(Line, "timeout") != NULL ? &Timeout : NULL);
}
