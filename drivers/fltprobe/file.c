/*
 * file.c: steps on file handles.
 *
 * Whether a request becomes an IRP or fast I/O is decided by the I/O manager from the state of handle and cache; there
 * is no word for it here.
 */

#include "probe.h"

typedef struct _BIT_WORD {
    const char *Word;
    ULONG Bits;
} BIT_WORD;

/* The generic rights: with FILE_APPEND_DATA spelled out NtCreateFile refuses non-cached files. */
static const BIT_WORD AccessWords[] = {
    {"read", GENERIC_READ},
    {"write", GENERIC_WRITE},
    {"rw", GENERIC_READ | GENERIC_WRITE},
    {"execute", GENERIC_EXECUTE},
    {"delete", DELETE},
    {"append", FILE_APPEND_DATA},
    {"attributes", FILE_READ_ATTRIBUTES},
    {"write-attributes", FILE_WRITE_ATTRIBUTES},
    {"list", FILE_LIST_DIRECTORY},
    {"security", READ_CONTROL},
    {NULL, 0},
};
static const BIT_WORD ShareWords[] = {
    {"none", 0}, {"read", FILE_SHARE_READ}, {"write", FILE_SHARE_WRITE}, {"delete", FILE_SHARE_DELETE}, {"all", 7},
    {NULL, 0}};
static const BIT_WORD DispositionWords[] = {{"supersede", 0}, {"open", 1},         {"create", 2}, {"open-if", 3},
                                            {"overwrite", 4}, {"overwrite-if", 5}, {NULL, 0}};
#define OPTION_OVERLAPPED 0x80000000u /* ours: leave FILE_SYNCHRONOUS_IO_NONALERT out */
static const BIT_WORD OptionWords[] = {
    {"none", 0},
    {"directory", FILE_DIRECTORY_FILE},
    {"write-through", FILE_WRITE_THROUGH},
    {"sequential", FILE_SEQUENTIAL_ONLY},
    {"noncached", FILE_NO_INTERMEDIATE_BUFFERING},
    {"non-directory", FILE_NON_DIRECTORY_FILE},
    {"random", FILE_RANDOM_ACCESS},
    {"delete-on-close", FILE_DELETE_ON_CLOSE},
    {"backup", FILE_OPEN_FOR_BACKUP_INTENT},
    {"overlapped", OPTION_OVERLAPPED},
    {NULL, 0},
};
static const BIT_WORD AttributeWords[] = {{"normal", FILE_ATTRIBUTE_NORMAL},   {"readonly", FILE_ATTRIBUTE_READONLY},
                                          {"hidden", FILE_ATTRIBUTE_HIDDEN},   {"system", FILE_ATTRIBUTE_SYSTEM},
                                          {"archive", FILE_ATTRIBUTE_ARCHIVE}, {NULL, 0}};

/* One word of a comma-separated list, or a number. */
static ULONG
Bits(const PROBE_LINE *Line, const char *Key, const BIT_WORD *Words, ULONG Otherwise)
{
    const char *At = Value(Line, Key);
    ULONG Sum = 0;

    if (At == NULL) {
        return Otherwise;
    }
    while (*At != '\0') {
        char One[32];
        ULONG Length = 0;
        const BIT_WORD *Candidate = Words;
        ULONGLONG Code;

        while (*At != '\0' && *At != ',' && Length < sizeof(One) - 1) {
            One[Length++] = *At++;
        }
        One[Length] = '\0';
        while (Candidate->Word != NULL && !SameText(Candidate->Word, One)) {
            Candidate++;
        }
        if (Candidate->Word != NULL) {
            Sum |= Candidate->Bits;
        } else if (ParseNumber(One, &Code)) {
            Sum |= (ULONG)Code;
        } else {
            ScriptError(Line, Join(Key, "= has no such word"), Value(Line, Key));
        }
        if (*At == ',') {
            At++;
        }
    }
    return Sum;
}

/* What came back: Length bytes as the answer says, but not more than the buffer had Room for. Kept are Most of them. */
static void
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

/* V:\a.txt becomes \??\V:\a.txt; a path that begins with a backslash stays as it is. */
void
NameAttributes(POBJECT_ATTRIBUTES Attributes, PUNICODE_STRING String, const char *Path)
{
    Wide(Path[0] == '\\' ? Path : Join("\\??\\", Path), String);
    InitializeObjectAttributes(Attributes, String, OBJ_CASE_INSENSITIVE, NULL, NULL);
}

/* open <file> <path> [access=] [share=] [disposition=] [options=] [attributes=] [allocation=] */
void
OpenVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Name = Line->Words[1];
    const char *Path = Line->Words[2];
    ULONG Access = Bits(Line, "access", AccessWords, GENERIC_READ) | SYNCHRONIZE;
    ULONG Options = Bits(Line, "options", OptionWords, 0);
    BOOLEAN Overlapped = (Options & OPTION_OVERLAPPED) != 0;
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING String;
    IO_STATUS_BLOCK IoStatus;
    LARGE_INTEGER Allocation;
    HANDLE Handle;
    PROBE_NAME *File;

    Options &= ~OPTION_OVERLAPPED;
    if (!Overlapped) {
        Options |= FILE_SYNCHRONOUS_IO_NONALERT;
    }
    Allocation.QuadPart = (LONGLONG)Number(Line, "allocation", 0);
    if (Value(Line, "relative") != NULL) {
        Wide(Path, &String);
        InitializeObjectAttributes(&Attributes, &String, OBJ_CASE_INSENSITIVE,
                                   FindName(Line, NameFile, Value(Line, "relative"))->Handle, NULL);
    } else {
        NameAttributes(&Attributes, &String, Path);
    }
    IoStatus.Information = 0;
    Step->Status = NtCreateFile(
        &Handle, Access, &Attributes, &IoStatus, Value(Line, "allocation") != NULL ? &Allocation : NULL,
        Bits(Line, "attributes", AttributeWords, FILE_ATTRIBUTE_NORMAL), Bits(Line, "share", ShareWords, 7),
        Bits(Line, "disposition", DispositionWords, FILE_OPEN), Options, NULL, 0);
    Step->Information = IoStatus.Information;
    File = NewName(Line, NameFile, Name);
    File->Handle = Step->Status >= 0 ? Handle : NULL;
    File->Overlapped = Overlapped;
}

/* open-by-id <file> <open file> [access=] [share=] [options=]: the same file again, by its file id */
void
OpenByIdVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *Of = FindName(Line, NameFile, Line->Words[2]);
    ULONG Access = Bits(Line, "access", AccessWords, GENERIC_READ) | SYNCHRONIZE;
    ULONG Options = Bits(Line, "options", OptionWords, 0) & ~OPTION_OVERLAPPED;
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;
    LARGE_INTEGER Id;
    UNICODE_STRING Name;
    HANDLE Handle;
    PROBE_NAME *File;

    Id.QuadPart = 0;
    IoStatus.Information = 0;
    Step->Status = NtQueryInformationFile(Of->Handle, &IoStatus, &Id, sizeof(Id), (FILE_INFORMATION_CLASS)6);
    if (Step->Status >= 0) {
        Name.Buffer = (PWSTR)&Id;
        Name.Length = Name.MaximumLength = sizeof(Id);
        InitializeObjectAttributes(&Attributes, &Name, 0, Of->Handle, NULL);
        Step->Status = NtCreateFile(&Handle, Access, &Attributes, &IoStatus, NULL, FILE_ATTRIBUTE_NORMAL,
                                    Bits(Line, "share", ShareWords, 7), FILE_OPEN,
                                    Options | FILE_OPEN_BY_FILE_ID | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
    }
    Step->Information = IoStatus.Information;
    File = NewName(Line, NameFile, Line->Words[1]);
    File->Handle = Step->Status >= 0 ? Handle : NULL;
}

/* delete <path> */
void
DeleteVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING String;

    NameAttributes(&Attributes, &String, Line->Words[1]);
    Step->Status = NtDeleteFile(&Attributes);
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

/* read <file> [offset=] length= [async=] */
void
ReadVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONG Length = BufferLength(Line, "length", 0);
    PVOID Buffer = AllocatePages(Length + 1);
    LARGE_INTEGER Where;
    REQUEST Request;

    Begin(Line, &Request, Buffer, Length);
    Finish(Step, &Request,
           NtReadFile(Request.File->Handle, Request.Operation->Handle, NULL, NULL, &Request.Operation->IoStatus, Buffer,
                      Length, Offset(Line, &Request, &Where), NULL));
}

/* write <file> [offset=] [length=] [fill=|text=] [async=] */
void
WriteVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Text = Value(Line, "text");
    ULONG Length = BufferLength(Line, "length", Text != NULL ? (ULONG)TextLength(Text) : 4096);
    PUCHAR Buffer = AllocatePages(Length + 1);
    LARGE_INTEGER Where;
    REQUEST Request;

    memset(Buffer, (int)NumberUpTo(Line, "fill", 0, 0xFF), Length);
    if (Text != NULL) {
        SIZE_T Given = TextLength(Text);

        memcpy(Buffer, Text, Given < Length ? Given : Length);
    }
    Begin(Line, &Request, NULL, 0);
    Finish(Step, &Request,
           NtWriteFile(Request.File->Handle, Request.Operation->Handle, NULL, NULL, &Request.Operation->IoStatus,
                       Buffer, Length, Offset(Line, &Request, &Where), NULL));
}

/* lock <file> offset= length= [shared] [wait] [async=] */
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
                      &Length, 0, !Has(Line, "wait"), !Has(Line, "shared")));
}

/* unlock <file> offset= length= */
void
UnlockVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    IO_STATUS_BLOCK IoStatus;
    LARGE_INTEGER Where;
    LARGE_INTEGER Length;

    Where.QuadPart = (LONGLONG)Number(Line, "offset", 0);
    Length.QuadPart = (LONGLONG)Number(Line, "length", 0);
    Step->Status = NtUnlockFile(File->Handle, &IoStatus, &Where, &Length, 0);
}

/* flush <file> */
void
FlushVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    IO_STATUS_BLOCK IoStatus;

    Step->Status = NtFlushBuffersFile(File->Handle, &IoStatus);
}

/* cancel <file> [async=<operation>]: one operation, or all of the file */
void
CancelVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const char *Async = Value(Line, "async");
    PIO_STATUS_BLOCK Target = Async != NULL ? &FindName(Line, NameEvent, Async)->IoStatus : NULL;
    IO_STATUS_BLOCK IoStatus;

    Step->Status = NtCancelIoFileEx(File->Handle, Target, &IoStatus);
}

/* close <file> */
void
CloseVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);

    Step->Status = NtClose(File->Handle);
    File->Handle = NULL;
}
