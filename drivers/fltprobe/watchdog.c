/*
 * watchdog.c: the thread that reports when a step does not end.
 *
 * It looks when the running step's time would be up, not at every step, so that a step costs no system call more.
 */

#include "probe.h"

static volatile LONGLONG StepBegan;
static volatile LONGLONG Allowed = DEFAULT_DEADLINE_MS * TICKS_PER_MS;
static HANDLE Changed;

static NTSTATUS NTAPI
WatchdogThread(PVOID Parameter)
{
    LARGE_INTEGER Interval;
    LARGE_INTEGER Now;
    LARGE_INTEGER Frequency;

    (void)Parameter;
    for (;;) {
        LONGLONG Passed;

        NtQueryPerformanceCounter(&Now, &Frequency);
        Passed = (Now.QuadPart - StepBegan) * 10000000 / Frequency.QuadPart;
        if (Passed >= Allowed) {
            Report(EXIT_DEADLINE, NULL);
        }
        Interval.QuadPart = Passed - Allowed;
        NtWaitForSingleObject(Changed, FALSE, &Interval);
    }
}

void
BeginDeadline(void)
{
    StepBegan = Counter();
}

void
StartWatchdog(void)
{
    HANDLE Thread;

    BeginDeadline();
    if (NtCreateEvent(&Changed, EVENT_ALL_ACCESS, NULL, 1 /* SynchronizationEvent */, FALSE) < 0 ||
        RtlCreateUserThread(NtCurrentProcess(), NULL, FALSE, 0, 0, 0, WatchdogThread, NULL, &Thread, NULL) < 0) {
        NtTerminateProcess(NtCurrentProcess(), STATUS_INSUFFICIENT_RESOURCES);
    }
}

/* deadline <ms>: for every step from here on */
void
DeadlineVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONGLONG Milliseconds;

    if (!ParseNumber(Word(Line, 1, "milliseconds"), &Milliseconds) || Milliseconds == 0) {
        ScriptError(Line, "deadline takes milliseconds, not", Line->Words[1]);
    }
    Allowed = (LONGLONG)Milliseconds * TICKS_PER_MS;
    Step->Status = NtSetEvent(Changed, NULL);
}
