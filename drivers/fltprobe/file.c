/*
 * file.c: steps on the data of open files.
 *
 * Whether a request becomes an IRP or fast I/O is decided by the I/O manager from the state of handle and cache; there
 * is no word for it here.
 */

#include "probe.h"

/* What came back: Length bytes as the answer says, but not more than the buffer had Room for. Kept are Most of them. */
void
SetBeginning(PROBE_STEP *Step, const void *Data, SIZE_T Length, SIZE_T Room, SIZE_T Most)
{
    const UCHAR *Bytes = Data;
    ULONGLONG Digest = 0xCBF29CE484222325ULL;
    PVOID Kept;
    SIZE_T Index;

    Length = Length < Room ? Length : Room;
    for (Index = 0; Index < Length; Index++) {
        Digest = (Digest ^ Bytes[Index]) * 0x100000001B3ULL;
    }
    Step->Digest = Digest;
    Step->DataLength = (ULONG)(Length < Most ? Length : Most);
    Kept = Allocate(Step->DataLength + 1);
    memcpy(Kept, Data, Step->DataLength);
    Step->Data = Kept;
}

/* The beginning of what was read. */
void
SetData(PROBE_STEP *Step, const void *Data, SIZE_T Length, SIZE_T Room)
{
    SetBeginning(Step, Data, Length, Room, STEP_DATA_LENGTH);
}

/* What was queried or listed, of which a page is of interest. */
void
SetList(PROBE_STEP *Step, const void *Data, SIZE_T Length, SIZE_T Room)
{
    SetBeginning(Step, Data, Length, Room, STEP_LIST_LENGTH);
}

void
Begin(const PROBE_LINE *Line, REQUEST *Request, PVOID Buffer, SIZE_T Size)
{
    const char *Async = Value(Line, "async");

    Request->File = FindName(Line, NameFile, Line->Words[1]);
    Request->Asynchronous = Async != NULL;
    Request->Operation = Async != NULL ? NewName(Line, NameEvent, Async) : Allocate(sizeof(PROBE_NAME));
    Request->Operation->Handle = NewEvent();
    Request->Operation->Address = Buffer;
    Request->Operation->Size = Size;
    Request->Operation->Kept = STEP_DATA_LENGTH;
    Request->Operation->File = Request->File->Handle;
    Request->Operation->IoStatus.Status = STATUS_PENDING;
}

void
Finish(PROBE_STEP *Step, REQUEST *Request, NTSTATUS Status)
{
    PROBE_NAME *Operation = Request->Operation;

    Step->Status = Status;
    if (Status == STATUS_PENDING) {
        if (Request->Asynchronous) {
            return;
        }
        NtWaitForSingleObject(Operation->Handle, FALSE, NULL);
        Status = Operation->IoStatus.Status;
    } else if (NT_ERROR(Status)) {
        /* Refused on the way in: neither the event nor the status block was touched. */
        Operation->IoStatus.Status = Status;
        Operation->IoStatus.Information = 0;
        NtSetEvent(Operation->Handle, NULL);
    }
    Outcome(Step, Operation);
    Step->Status = Status;
    if (!Request->Asynchronous) {
        NtClose(Operation->Handle);
    }
}

/* Offset of the request; NULL (the file's own position) where none is given on a synchronous handle. */
static PLARGE_INTEGER
Offset(const PROBE_LINE *Line, const REQUEST *Request, PLARGE_INTEGER Where)
{
    Where->QuadPart = (LONGLONG)Number(Line, "offset", 0);
    return Value(Line, "offset") == NULL && !Request->File->Overlapped ? NULL : Where;
}

/* The key of byte-range locks that a request gives; NULL where none is given. */
static PULONG
Key(const PROBE_LINE *Line, PULONG Place)
{
    *Place = Number32(Line, "key", 0);
    return Value(Line, "key") != NULL ? Place : NULL;
}

/* read <file> [offset=] length= [key=] [async=] [whole] */
void
ReadVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONG Length = BufferLength(Line, "length", 0);
    PVOID Buffer = AllocatePages(Length + 1);
    LARGE_INTEGER Where;
    ULONG LockKey;
    REQUEST Request;

    Begin(Line, &Request, Buffer, Length);
    if (Has(Line, "whole")) {
        Request.Operation->Kept = Length;
    }
    Finish(Step, &Request,
           NtReadFile(Request.File->Handle, Request.Operation->Handle, NULL, NULL, &Request.Operation->IoStatus, Buffer,
                      Length, Offset(Line, &Request, &Where), Key(Line, &LockKey)));
}

/* write <file> [offset=] [length=] [fill=|text=|hex=] [key=] [async=] */
void
WriteVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Text = Value(Line, "text");
    ULONG Given = Text != NULL ? (ULONG)TextLength(Text) : 0;
    const void *Data = Value(Line, "hex") != NULL ? GivenBytes(Line, "hex", &Given) : (PUCHAR)Text;
    ULONG Length = BufferLength(Line, "length", Data != NULL ? Given : 4096);
    PUCHAR Buffer = AllocatePages(Length + 1);
    LARGE_INTEGER Where;
    ULONG LockKey;
    REQUEST Request;

    memset(Buffer, (int)NumberUpTo(Line, "fill", 0, 0xFF), Length);
    if (Data != NULL) {
        memcpy(Buffer, Data, Given < Length ? Given : Length);
    }
    Begin(Line, &Request, NULL, 0);
    Finish(Step, &Request,
           NtWriteFile(Request.File->Handle, Request.Operation->Handle, NULL, NULL, &Request.Operation->IoStatus,
                       Buffer, Length, Offset(Line, &Request, &Where), Key(Line, &LockKey)));
}

/* lock <file> offset= length= [key=] [shared] [wait] [async=] */
void
LockVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    LARGE_INTEGER Where;
    LARGE_INTEGER Length;
    REQUEST Request;

    Where.QuadPart = (LONGLONG)Number(Line, "offset", 0);
    Length.QuadPart = (LONGLONG)Number(Line, "length", 0);
    Begin(Line, &Request, NULL, 0);
    Finish(Step, &Request,
           NtLockFile(Request.File->Handle, Request.Operation->Handle, NULL, NULL, &Request.Operation->IoStatus, &Where,
                      &Length, Number32(Line, "key", 0), !Has(Line, "wait"), !Has(Line, "shared")));
}

/* unlock <file> offset= length= [key=] */
void
UnlockVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    IO_STATUS_BLOCK IoStatus;
    LARGE_INTEGER Where;
    LARGE_INTEGER Length;

    Where.QuadPart = (LONGLONG)Number(Line, "offset", 0);
    Length.QuadPart = (LONGLONG)Number(Line, "length", 0);
    Step->Status = NtUnlockFile(File->Handle, &IoStatus, &Where, &Length, Number32(Line, "key", 0));
}

/* flush <file> */
void
FlushVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    IO_STATUS_BLOCK IoStatus;

    Step->Status = NtFlushBuffersFile(File->Handle, &IoStatus);
}

/* cancel <file> [async=<operation>] [own]: one operation, all of the file, or those of the file that this thread began */
void
CancelVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const char *Async = Value(Line, "async");
    PIO_STATUS_BLOCK Target = Async != NULL ? &FindName(Line, NameEvent, Async)->IoStatus : NULL;
    IO_STATUS_BLOCK IoStatus;

    if (Has(Line, "own")) {
        Step->Status = NtCancelIoFile(File->Handle, &IoStatus);
    } else {
        Step->Status = NtCancelIoFileEx(File->Handle, Target, &IoStatus);
    }
}

/* cancel-synchronous <spawned step>: what the thread of that step waits for in the kernel */
void
CancelSynchronousVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *Spawned = FindName(Line, NameEvent, Line->Words[1]);
    IO_STATUS_BLOCK IoStatus;

    if (Spawned->Step == NULL) {
        ScriptError(Line, "no `spawn` line names this thread", Line->Words[1]);
    }
    Step->Status = NtCancelSynchronousIoFile(Spawned->File, NULL, &IoStatus);
}
