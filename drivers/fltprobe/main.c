/*
 * main.c: reads the script, runs it, reports.
 */

#include "probe.h"

#define READ_LENGTH 0x4000
#define MAXIMUM_SCRIPT 0x100000

static PROBE_STEP StepTable[MAXIMUM_STEPS];
PROBE_STEP *Steps = StepTable;
volatile LONG StepCount;

/* Standard input to its end, with room for one byte more. */
static char *
ReadScript(SIZE_T *Length)
{
    char *Text = AllocatePages(READ_LENGTH + 1);
    SIZE_T Room = READ_LENGTH;
    IO_STATUS_BLOCK IoStatus;

    *Length = 0;
    for (;;) {
        NTSTATUS Status;

        if (*Length == Room) {
            char *Larger;

            if (Room >= MAXIMUM_SCRIPT) {
                Report(EXIT_SCRIPT, "the script is longer than 1 MiB");
            }
            Room *= 4;
            Larger = AllocatePages(Room + 1);
            memcpy(Larger, Text, *Length);
            Text = Larger;
        }
        IoStatus.Information = 0;
        Status = NtReadFile(StandardInput(), NULL, NULL, NULL, &IoStatus, Text + *Length, (ULONG)(Room - *Length), NULL,
                            NULL);
        if (Status == STATUS_PENDING) {
            Status = NtWaitForSingleObject(StandardInput(), FALSE, NULL);
            Status = Status < 0 ? Status : IoStatus.Status;
        }
        if (Status == STATUS_END_OF_FILE || Status == STATUS_PIPE_BROKEN || Status == STATUS_PIPE_EMPTY ||
            (Status >= 0 && IoStatus.Information == 0)) {
            return Text;
        }
        if (Status < 0) {
            Report(EXIT_SCRIPT, "standard input cannot be read");
        }
        *Length += IoStatus.Information;
    }
}

void
FltProbeMain(void)
{
    SIZE_T Length;
    char *Script = ReadScript(&Length);

    StartWatchdog();
    RunScript(Script, Length);
    Report(EXIT_DONE, NULL);
}
