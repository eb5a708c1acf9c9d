/*
 * watchdog.c: the thread that reports when a step does not end.
 *
 * It looks when the running step's time would be up, not at every step, so that a step costs no system call more.
 */

#include "probe.h"

#define REPORT_DEADLINE_MS 60000 /* whoever reads the report may be slow */

static volatile LONGLONG StepBegan;
static volatile LONGLONG Allowed = DEFAULT_DEADLINE_MS * TICKS_PER_MS;
static volatile LONG Pausing;
static volatile LONG Reporting;
static HANDLE Changed;

static NTSTATUS NTAPI
ReportThread(PVOID Parameter)
{
    (void)Parameter;
    Report(EXIT_DEADLINE, NULL);
}

/* The first time, somebody else reports, so that this thread can watch that too. */
static void
DeadlinePassed(void)
{
    HANDLE Thread;

    if (Reporting ||
        RtlCreateUserThread(NtCurrentProcess(), NULL, FALSE, 0, 0, 0, ReportThread, NULL, &Thread, NULL) < 0) {
        NtTerminateProcess(NtCurrentProcess(), EXIT_DEADLINE);
    }
    BeginReport();
}

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
        Passed = Pausing ? 0 : (Now.QuadPart - StepBegan) * 10000000 / Frequency.QuadPart;
        if (Passed >= Allowed) {
            DeadlinePassed();
            continue;
        }
        Interval.QuadPart = Passed - Allowed;
        NtWaitForSingleObject(Changed, FALSE, &Interval);
    }
}

void
BeginReport(void)
{
    Allowed = REPORT_DEADLINE_MS * TICKS_PER_MS;
    StepBegan = Counter();
    Pausing = 0;
    __sync_lock_test_and_set(&Reporting, 1);
}

void
BeginPause(void)
{
    Pausing = 1;
    Allowed = DEFAULT_DEADLINE_MS * TICKS_PER_MS;
}

void
BeginStep(void)
{
    if (Reporting) {
        NtWaitForSingleObject(NewEvent(), FALSE, NULL); /* what was held is let go, and this thread with it: too late */
    }
    StepBegan = Counter();
    Pausing = 0;
}

void
StartWatchdog(void)
{
    HANDLE Thread;

    if (NtCreateEvent(&Changed, EVENT_ALL_ACCESS, NULL, 1 /* SynchronizationEvent */, FALSE) < 0 ||
        RtlCreateUserThread(NtCurrentProcess(), NULL, FALSE, 0, 0, 0, WatchdogThread, NULL, &Thread, NULL) < 0) {
        NtTerminateProcess(NtCurrentProcess(), STATUS_INSUFFICIENT_RESOURCES);
    }
}

/* deadline <ms>: for every step from here on */
void
DeadlineVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    LONGLONG Given = Ticks(Line);

    if (Given == 0) {
        ScriptError(Line, "a deadline of no time", NULL);
    }
    Allowed = Given;
    Step->Status = NtSetEvent(Changed, NULL);
}
