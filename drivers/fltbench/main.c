/*
 * main.c: one kind of I/O, over and over, with nothing beside it: what `fltlab bench kernel` measures.
 *
 * Standard input is a word and a number: "read 1000" reads 512 cached bytes so often on one handle, "create 1000"
 * opens and closes the file so often. The exit code is the first status that is a failure, or 0.
 */

#include "../fltprobe/nt.h"

#define READ_LENGTH 512
#define FILE_LENGTH 4096
#define SHARE_ALL 7
#define OPEN_EXISTING_FILE 1
#define OVERWRITE_OR_CREATE 5

static WCHAR Path[] = L"\\??\\V:\\bench.bin";
static UCHAR Data[FILE_LENGTH];

static HANDLE
StandardInput(void)
{
    return ((PROBE_PEB *)NtCurrentTeb()->ProcessEnvironmentBlock)->ProcessParameters->StandardInput;
}

static void
Check(NTSTATUS Status)
{
    if (Status < 0) {
        NtTerminateProcess(NtCurrentProcess(), Status);
    }
}

static HANDLE
Open(ACCESS_MASK Access, ULONG Disposition)
{
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;
    UNICODE_STRING Name;
    HANDLE File = NULL;

    Name.Buffer = Path;
    Name.Length = sizeof(Path) - sizeof(WCHAR);
    Name.MaximumLength = sizeof(Path);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    Check(NtCreateFile(&File, Access | SYNCHRONIZE, &Attributes, &IoStatus, NULL, FILE_ATTRIBUTE_NORMAL, SHARE_ALL,
                       Disposition, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0));
    return File;
}

static void
Read(ULONG Count)
{
    HANDLE File = Open(GENERIC_READ, OPEN_EXISTING_FILE);
    IO_STATUS_BLOCK IoStatus;
    LARGE_INTEGER Offset;

    Offset.QuadPart = 0;
    while (Count-- > 0) {
        Check(NtReadFile(File, NULL, NULL, NULL, &IoStatus, Data, READ_LENGTH, &Offset, NULL));
    }
    Check(NtClose(File));
}

static void
Create(ULONG Count)
{
    while (Count-- > 0) {
        Check(NtClose(Open(GENERIC_READ, OPEN_EXISTING_FILE)));
    }
}

/* The file that everything is done with. */
static void
Prepare(void)
{
    HANDLE File = Open(GENERIC_WRITE, OVERWRITE_OR_CREATE);
    IO_STATUS_BLOCK IoStatus;
    LARGE_INTEGER Offset;

    Offset.QuadPart = 0;
    Check(NtWriteFile(File, NULL, NULL, NULL, &IoStatus, Data, FILE_LENGTH, &Offset, NULL));
    Check(NtClose(File));
}

typedef struct _VERB {
    char Letter; /* the word begins with it */
    void (*Routine)(ULONG Count);
} VERB;

static const VERB Verbs[] = {{'r', Read}, {'c', Create}, {'\0', NULL}};
static const VERB *const volatile FirstVerb = Verbs; /* an image needs a relocation, which the optimizer would avoid */

void
FltBenchMain(void)
{
    static char Text[64];
    IO_STATUS_BLOCK IoStatus;
    const char *At = Text;
    const VERB *Verb = FirstVerb;
    ULONG Count = 0;

    Check(NtReadFile(StandardInput(), NULL, NULL, NULL, &IoStatus, Text, sizeof(Text) - 1, NULL, NULL));
    while (*At != '\0' && (*At < '0' || *At > '9')) {
        At++;
    }
    while (*At >= '0' && *At <= '9') {
        Count = Count * 10 + (ULONG)(*At++ - '0');
    }
    Prepare();
    while (Verb->Routine != NULL && Verb->Letter != Text[0]) {
        Verb++;
    }
    if (Verb->Routine == NULL) {
        Check(STATUS_INVALID_PARAMETER);
    }
    Verb->Routine(Count);
    NtTerminateProcess(NtCurrentProcess(), 0);
}
