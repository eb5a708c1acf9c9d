/*
 * main.c: reads a script, or several one after another, runs each, and reports on the last.
 */

#include "probe.h"

#define READ_LENGTH 0x4000
#define MAXIMUM_SCRIPT 0x100000
#define DIVIDER_LENGTH 4

static const char Divider[DIVIDER_LENGTH + 1] = "---\n"; /* a line that ends a script: another one follows */

static PROBE_STEP StepTable[MAXIMUM_STEPS];
PROBE_STEP *Steps = StepTable;
volatile LONG StepCount;

/* What was read of standard input; Text has room for one byte more than Room. The scripts before Done have been run. */
static char *Text;
static SIZE_T Done;
static SIZE_T Length;
static SIZE_T Room;

static void
MakeRoom(void)
{
    char *Larger;

    if (Done == Length) {
        Done = Length = 0; /* all of it has been run */
    }
    if (Length < Room) {
        return;
    }
    if (Room >= MAXIMUM_SCRIPT) {
        Report(EXIT_SCRIPT, "the script is longer than 1 MiB");
    }
    Room = Room != 0 ? Room * 4 : READ_LENGTH;
    Larger = AllocatePages(Room + 1);
    memcpy(Larger, Text, Length);
    Text = Larger;
}

/* FALSE at the end of standard input. */
static BOOLEAN
ReadMore(void)
{
    IO_STATUS_BLOCK IoStatus;
    NTSTATUS Status;

    MakeRoom();
    IoStatus.Information = 0;
    Status =
        NtReadFile(StandardInput(), NULL, NULL, NULL, &IoStatus, Text + Length, (ULONG)(Room - Length), NULL, NULL);
    if (Status == STATUS_PENDING) {
        Status = NtWaitForSingleObject(StandardInput(), FALSE, NULL);
        Status = Status < 0 ? Status : IoStatus.Status;
    }
    if (Status == STATUS_END_OF_FILE || Status == STATUS_PIPE_BROKEN || Status == STATUS_PIPE_EMPTY ||
        (Status >= 0 && IoStatus.Information == 0)) {
        return FALSE;
    }
    if (Status < 0) {
        Report(EXIT_SCRIPT, "standard input cannot be read");
    }
    Length += IoStatus.Information;
    return TRUE;
}

/* The line of "---" behind the next script, as far as that was read; NULL if there is none. */
static char *
FindDivider(void)
{
    SIZE_T At = Done;

    while (At + DIVIDER_LENGTH <= Length) {
        if (SameStart(Text + At, Divider, DIVIDER_LENGTH)) {
            return Text + At;
        }
        while (At < Length && Text[At++] != '\n') {
        }
    }
    return NULL;
}

void
FltProbeMain(void)
{
    char *End;

    StartWatchdog();
    for (;;) {
        BeginPause();
        while ((End = FindDivider()) == NULL) {
            if (!ReadMore()) {
                RunScript(Text + Done, Length - Done);
                Report(EXIT_DONE, NULL);
            }
        }
        RunScript(Text + Done, End - (Text + Done));
        EndScript();
        Done = End + DIVIDER_LENGTH - Text;
    }
}
