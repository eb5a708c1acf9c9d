/*
 * control.c: steps that ask a file system, a driver or a directory for something of its own.
 */

#include "probe.h"

typedef NTSTATUS(NTAPI *CONTROL_SERVICE)(HANDLE File, HANDLE Event, PIO_APC_ROUTINE ApcRoutine, PVOID ApcContext,
                                         PIO_STATUS_BLOCK IoStatus, ULONG Code, PVOID In, ULONG InLength, PVOID Out,
                                         ULONG OutLength);

static void
Control(PROBE_LINE *Line, PROBE_STEP *Step, CONTROL_SERVICE Service)
{
    const char *Given = Value(Line, "hex");
    ULONG InLength = Given != NULL ? (ULONG)TextLength(Given) / 2 : BufferLength(Line, "in", 0);
    ULONG OutLength = BufferLength(Line, "out", 0);
    PUCHAR In = AllocatePages(InLength + 1);
    PVOID Out = AllocatePages(OutLength + 1);
    REQUEST Request;

    if (Given != NULL) {
        Bytes(Line, "hex", Given, In);
    }
    Begin(Line, &Request, Out, OutLength);
    Finish(Step, &Request,
           Service(Request.File->Handle, Request.Operation->Handle, NULL, NULL, &Request.Operation->IoStatus,
                   Number32(Line, "code", 0), InLength != 0 ? In : NULL, InLength, OutLength != 0 ? Out : NULL,
                   OutLength));
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

/* notify <directory> [filter=0x..] [tree] [async=] */
void
NotifyVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PVOID Buffer = AllocatePages(4096);
    REQUEST Request;

    Begin(Line, &Request, Buffer, 4096);
    Finish(Step, &Request,
           NtNotifyChangeDirectoryFile(
               Request.File->Handle, Request.Operation->Handle, NULL, NULL, &Request.Operation->IoStatus, Buffer, 4096,
               Number32(Line, "filter", 0x1 /* FILE_NOTIFY_CHANGE_FILE_NAME */), Has(Line, "tree")));
}
