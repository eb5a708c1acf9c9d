/*
 * open.c: steps that open, delete and close.
 */

#include "probe.h"

/* V:\a.txt becomes \??\V:\a.txt; a path that begins with a backslash stays as it is. */
void
NameAttributes(POBJECT_ATTRIBUTES Attributes, PUNICODE_STRING String, const char *Path)
{
    Wide(Path[0] == '\\' ? Path : Join("\\??\\", Path), String);
    InitializeObjectAttributes(Attributes, String, OBJ_CASE_INSENSITIVE, NULL, NULL);
}

/* The extended attributes that a create gives a new file: one, by ea= and ea-text=; NULL if there is none. */
static PVOID
NewAttributes(const PROBE_LINE *Line, ULONG *Length)
{
    const char *Text = Value(Line, "ea-text");

    *Length = 0;
    return Value(Line, "ea") != NULL ? NewEa(Value(Line, "ea"), Text != NULL ? Text : "", Length) : NULL;
}

/* The object attributes of an `open` line: where the name begins, how it is compared, whose a new file is. */
static void
OpenAttributes(const PROBE_LINE *Line, POBJECT_ATTRIBUTES Attributes, PUNICODE_STRING String)
{
    const char *Relative = Value(Line, "relative");
    ULONG Length;

    if (Relative != NULL) {
        Wide(Line->Words[2], String);
        InitializeObjectAttributes(Attributes, String, OBJ_CASE_INSENSITIVE, FindName(Line, NameFile, Relative)->Handle,
                                   NULL);
    } else {
        NameAttributes(Attributes, String, Line->Words[2]);
    }
    if (Has(Line, "case-sensitive")) {
        Attributes->Attributes = 0;
    }
    Attributes->SecurityDescriptor = GivenBytes(Line, "descriptor", &Length);
}

/*
 * open <file> <path> [access=] [share=] [disposition=] [options=] [attributes=] [allocation=] [relative=]
 *      [ea= [ea-text=]] [descriptor=] [case-sensitive]
 */
void
OpenVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONG Access = Bits(Line, "access", AccessWords, GENERIC_READ) | SYNCHRONIZE;
    ULONG Options = Bits(Line, "options", OptionWords, 0);
    BOOLEAN Overlapped = (Options & OPTION_OVERLAPPED) != 0;
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING String;
    IO_STATUS_BLOCK IoStatus;
    LARGE_INTEGER Allocation;
    ULONG EaLength;
    PVOID Ea = NewAttributes(Line, &EaLength);
    HANDLE Handle;
    PROBE_NAME *File;

    Options &= ~OPTION_OVERLAPPED;
    if (!Overlapped) {
        Options |= FILE_SYNCHRONOUS_IO_NONALERT;
    }
    Allocation.QuadPart = (LONGLONG)Number(Line, "allocation", 0);
    OpenAttributes(Line, &Attributes, &String);
    IoStatus.Information = 0;
    Step->Status = NtCreateFile(
        &Handle, Access, &Attributes, &IoStatus, Value(Line, "allocation") != NULL ? &Allocation : NULL,
        Bits(Line, "attributes", AttributeWords, FILE_ATTRIBUTE_NORMAL), Bits(Line, "share", ShareWords, 7),
        Bits(Line, "disposition", DispositionWords, FILE_OPEN), Options, Ea, EaLength);
    Step->Information = IoStatus.Information;
    File = NewName(Line, NameFile, Line->Words[1]);
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

/* close <file> */
void
CloseVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);

    Step->Status = NtClose(File->Handle);
    File->Handle = NULL;
}
