/*
 * control.c: steps that ask a file system, a driver or a directory for something of its own.
 */

#include "probe.h"

typedef NTSTATUS(NTAPI *CONTROL_SERVICE)(HANDLE File, HANDLE Event, PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,
                                         PIO_STATUS_BLOCK IoStatus, ULONG Code, PVOID In, ULONG InLength, PVOID Out,
                                         ULONG OutLength);

static void
Ask(PROBE_LINE *Line, PROBE_STEP *Step, CONTROL_SERVICE Service, ULONG Code, PVOID In, ULONG InLength, ULONG OutLength)
{
    PVOID Out = AllocatePages(OutLength + 1);
    REQUEST Request;

    Begin(Line, &Request, Out, OutLength);
    Request.Operation->Kept = STEP_LIST_LENGTH;
    Finish(Step, &Request,
           Service(Request.File->Handle, Request.Operation->Handle, NULL, NULL, &Request.Operation->IoStatus, Code,
                   InLength != 0 ? In : NULL, InLength, OutLength != 0 ? Out : NULL, OutLength));
}

static void
Control(PROBE_LINE *Line, PROBE_STEP *Step, CONTROL_SERVICE Service)
{
    ULONG InLength;
    PUCHAR In = GivenBytes(Line, "hex", &InLength);

    if (In == NULL) {
        InLength = BufferLength(Line, "in", 0);
        In = AllocatePages(InLength + 1);
    }
    Ask(Line, Step, Service, Number32(Line, "code", 0), In, InLength, BufferLength(Line, "out", 0));
}

/* fsctl <file> code=0x.. [in=<bytes of zeros>|hex=<bytes>] [out=<room>] [async=] */
void
FsctlVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    Control(Line, Step, NtFsControlFile);
}

/* ioctl <file> code=0x.. [in=<bytes of zeros>|hex=<bytes>] [out=<room>] [async=] */
void
IoctlVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    Control(Line, Step, NtDeviceIoControlFile);
}

/* notify <directory> [filter=] [room=] [tree] [async=] */
void
NotifyVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONG Room = BufferLength(Line, "room", 4096);
    PVOID Buffer = AllocatePages(Room + 1);
    REQUEST Request;

    Begin(Line, &Request, Buffer, Room);
    Request.Operation->Kept = STEP_LIST_LENGTH;
    Finish(Step, &Request,
           NtNotifyChangeDirectoryFile(
               Request.File->Handle, Request.Operation->Handle, NULL, NULL, &Request.Operation->IoStatus, Buffer, Room,
               Bits(Line, "filter", NotifyWords, 0x1 /* FILE_NOTIFY_CHANGE_FILE_NAME */), Has(Line, "tree")));
}

#define FSCTL_OPLOCK_BREAK_ACKNOWLEDGE_CODE 0x9000C
#define FSCTL_OPBATCH_ACK_CLOSE_PENDING_CODE 0x90010
#define FSCTL_OPLOCK_BREAK_ACK_NO_2_CODE 0x90050
#define FSCTL_REQUEST_OPLOCK_CODE 0x90240
#define OPLOCK_REQUEST 0x1
#define OPLOCK_ACKNOWLEDGE 0x2
#define LEGACY_OPLOCK 0x90000 /* from here on a level is a control code of its own */

/* REQUEST_OPLOCK_INPUT_BUFFER; the answer is twice as long. */
typedef struct _OPLOCK_INPUT {
    USHORT Version;
    USHORT Length;
    ULONG Level;
    ULONG Flags;
} OPLOCK_INPUT;

static void
AskOplock(PROBE_LINE *Line, PROBE_STEP *Step, ULONG Level, ULONG Flags)
{
    OPLOCK_INPUT *In = Allocate(sizeof(OPLOCK_INPUT));

    In->Version = 1;
    In->Length = sizeof(OPLOCK_INPUT);
    In->Level = Level;
    In->Flags = Flags;
    Ask(Line, Step, NtFsControlFile, FSCTL_REQUEST_OPLOCK_CODE, In, sizeof(OPLOCK_INPUT), 2 * sizeof(OPLOCK_INPUT));
}

/* oplock <file> level= [async=] */
void
OplockVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONG Level = OneOf(Line, "level=", Value(Line, "level"), OplockWords);

    if (Level >= LEGACY_OPLOCK) {
        Ask(Line, Step, NtFsControlFile, Level, NULL, 0, 0);
    } else {
        AskOplock(Line, Step, Level, OPLOCK_REQUEST);
    }
}

/* acknowledge-oplock <file> [level=] [no-2] [close-pending] [async=]: with a level, of `oplock level=read` and its kin */
void
AcknowledgeOplockVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Text = Value(Line, "level");
    ULONG Level = Text != NULL ? OneOf(Line, "level=", Text, OplockWords) : 0;

    if (Level >= LEGACY_OPLOCK) {
        ScriptError(Line, "a break of this oplock is acknowledged without level=", Text);
    }
    if (Text != NULL) {
        AskOplock(Line, Step, Level, OPLOCK_ACKNOWLEDGE);
        return;
    }
    Ask(Line, Step, NtFsControlFile,
        Has(Line, "no-2")            ? FSCTL_OPLOCK_BREAK_ACK_NO_2_CODE
        : Has(Line, "close-pending") ? FSCTL_OPBATCH_ACK_CLOSE_PENDING_CODE
                                     : FSCTL_OPLOCK_BREAK_ACKNOWLEDGE_CODE,
        NULL, 0, 0);
}
