/*
 * set.c: settings of files and volumes.
 */

#include "probe.h"

static const INFORMATION_CLASS SetClasses[] = {
    {"basic", 4, 40},          {"rename", 10, 0},         {"link", 11, 0},
    {"disposition", 13, 1},    {"position", 14, 8},       {"mode", 16, 4},
    {"allocation", 19, 8},     {"end-of-file", 20, 8},    {"valid-data-length", 39, 8},
    {"short-name", 40, 0},     {"disposition-ex", 64, 4}, {"rename-ex", 65, 0},
    {"case-sensitive", 71, 4}, {"link-ex", 72, 0},        {NULL, 0, 0},
};
static const INFORMATION_CLASS SetVolumeClasses[] = {
    {"label", 2, 0}, {"control", 6, 0}, {"object-id", 8, 0}, {NULL, 0, 0}};

#define CLASS_SHORT_NAME 40
#define CLASS_RENAME_EX 65
#define CLASS_LINK_EX 72

/* FILE_RENAME_INFORMATION, FILE_LINK_INFORMATION: ReplaceIfExists is the first byte of Flags */
typedef struct _RENAME_INFORMATION {
    ULONG Flags;
    HANDLE RootDirectory;
    ULONG FileNameLength;
    WCHAR FileName[1];
} RENAME_INFORMATION;

/* FILE_NAME_INFORMATION, FILE_FS_LABEL_INFORMATION */
typedef struct _COUNTED_NAME {
    ULONG Length;
    WCHAR Name[1];
} COUNTED_NAME;

static PVOID
NewCountedName(const char *Text, ULONG *Length)
{
    UNICODE_STRING Name;
    COUNTED_NAME *Buffer;

    Wide(Text, &Name);
    *Length = FIELD_OFFSET(COUNTED_NAME, Name) + Name.Length;
    *Length = *Length < sizeof(COUNTED_NAME) ? sizeof(COUNTED_NAME) : *Length;
    Buffer = Allocate(*Length + sizeof(WCHAR));
    Buffer->Length = Name.Length;
    memcpy(Buffer->Name, Name.Buffer, Name.Length);
    return Buffer;
}

/* Where a rename or link leads: path=, path= below relative=, or name= in the directory where the file is. */
static PVOID
NewTarget(const PROBE_LINE *Line, const INFORMATION_CLASS *Asked, ULONG *Length)
{
    const char *Path = Value(Line, "path");
    const char *Plain = Value(Line, "name");
    const char *Relative = Value(Line, "relative");
    BOOLEAN HasFlags = Asked->Class == CLASS_RENAME_EX || Asked->Class == CLASS_LINK_EX;
    UNICODE_STRING Name;
    RENAME_INFORMATION *Rename;

    if ((Path == NULL) == (Plain == NULL)) {
        ScriptError(Line, Join(Join("set class=", Asked->Word), " needs path= or name="), NULL);
    }
    if (Plain != NULL || Relative != NULL || Path[0] == '\\') {
        Wide(Plain != NULL ? Plain : Path, &Name);
    } else {
        Wide(Join("\\??\\", Path), &Name);
    }
    *Length = FIELD_OFFSET(RENAME_INFORMATION, FileName) + Name.Length;
    *Length = *Length < sizeof(RENAME_INFORMATION) ? sizeof(RENAME_INFORMATION) : *Length;
    Rename = Allocate(*Length + sizeof(WCHAR));
    Rename->Flags = (HasFlags ? Bits(Line, "flags", RenameWords, 0) : 0) | (Has(Line, "replace") ? 1 : 0);
    Rename->RootDirectory = Relative != NULL ? FindName(Line, NameFile, Relative)->Handle : NULL;
    Rename->FileNameLength = Name.Length;
    memcpy(Rename->FileName, Name.Buffer, Name.Length);
    return Rename;
}

/* value= in the place where the class has it. */
static PVOID
NewValue(const PROBE_LINE *Line, const INFORMATION_CLASS *Asked, ULONG *Length)
{
    PUCHAR Buffer = Allocate(Asked->Length);

    if (Value(Line, "value") == NULL) {
        ScriptError(Line, "set needs value= or hex=", NULL);
    }
    *Length = Asked->Length;
    if (SameText(Asked->Word, "basic")) {
        *(ULONG *)(Buffer + 32) = Number32(Line, "value", 0); /* FileAttributes; times stay */
    } else if (Asked->Length == 1) {
        *Buffer = (UCHAR)NumberUpTo(Line, "value", 0, 1);
    } else if (Asked->Length == 4) {
        *(ULONG *)Buffer = Number32(Line, "value", 0);
    } else {
        *(ULONGLONG *)Buffer = Number(Line, "value", 0);
    }
    return Buffer;
}

/* What a `set` step hands over. */
static PVOID
NewInformation(const PROBE_LINE *Line, const INFORMATION_CLASS *Asked, ULONG *Length)
{
    if (Value(Line, "hex") != NULL) {
        return GivenBytes(Line, "hex", Length);
    }
    if (Asked->Class == CLASS_SHORT_NAME) {
        if (Value(Line, "name") == NULL) {
            ScriptError(Line, "set class=short-name needs name=", NULL);
        }
        return NewCountedName(Value(Line, "name"), Length);
    }
    return Asked->Length == 0 ? NewTarget(Line, Asked, Length) : NewValue(Line, Asked, Length);
}

/*
 * set <file> class= value=|hex=, or
 * set <file> class=rename|link|rename-ex|link-ex path=|name= [relative=] [flags=] [replace]
 */
void
SetVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const INFORMATION_CLASS *Asked = Named(Line, Value(Line, "class"), SetClasses);
    IO_STATUS_BLOCK IoStatus;
    ULONG Length;
    PVOID Buffer = NewInformation(Line, Asked, &Length);

    IoStatus.Information = 0;
    Step->Status = NtSetInformationFile(File->Handle, &IoStatus, Buffer, Length, (FILE_INFORMATION_CLASS)Asked->Class);
    Step->Information = IoStatus.Information;
}

/* set-volume <file> class= text=|hex= */
void
SetVolumeVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const INFORMATION_CLASS *Asked = Named(Line, Value(Line, "class"), SetVolumeClasses);
    const char *Text = Value(Line, "text");
    IO_STATUS_BLOCK IoStatus;
    ULONG Length;
    PVOID Buffer = Text != NULL ? NewCountedName(Text, &Length) : GivenBytes(Line, "hex", &Length);

    if (Buffer == NULL) {
        ScriptError(Line, "set-volume needs text= or hex=", NULL);
    }
    IoStatus.Information = 0;
    Step->Status = NtSetVolumeInformationFile(File->Handle, &IoStatus, Buffer, Length,
                                              (FILE_INFORMATION_CLASS)Asked->Class /* as mingw-w64 declares it */);
    Step->Information = IoStatus.Information;
}
