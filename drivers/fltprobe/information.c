/*
 * information.c: queries and settings of files, directories and volumes.
 */

#include "probe.h"

typedef struct _INFORMATION_CLASS {
    const char *Word;
    ULONG Class;
    ULONG Length;
} INFORMATION_CLASS;

static const INFORMATION_CLASS QueryClasses[] = {
    {"basic", 4, 40},     {"standard", 5, 24},     {"internal", 6, 8},       {"ea", 7, 4},
    {"access", 8, 4},     {"name", 9, 1024},       {"position", 14, 8},      {"mode", 16, 4},
    {"alignment", 17, 4}, {"all", 18, 1024},       {"network-open", 34, 56}, {"attribute-tag", 35, 8},
    {"stream", 22, 4096}, {"hard-link", 46, 4096}, {"id", 59, 24},           {NULL, 0, 0},
};
static const INFORMATION_CLASS SetClasses[] = {
    {"basic", 4, 40},          {"rename", 10, 0},      {"disposition", 13, 1}, {"position", 14, 8},
    {"allocation", 19, 8},     {"end-of-file", 20, 8}, {"link", 11, 0},        {"valid-data-length", 39, 8},
    {"disposition-ex", 64, 4}, {NULL, 0, 0},
};
static const INFORMATION_CLASS DirectoryClasses[] = {{"directory", 1, 0}, {"full", 2, 0},     {"both", 3, 0},
                                                     {"names", 12, 0},    {"id-both", 37, 0}, {"id-full", 38, 0},
                                                     {NULL, 0, 0}};
static const INFORMATION_CLASS VolumeClasses[] = {{"volume", 1, 256},    {"size", 3, 24},      {"device", 4, 8},
                                                  {"attribute", 5, 256}, {"full-size", 7, 32}, {NULL, 0, 0}};

/* FILE_RENAME_INFORMATION, FILE_LINK_INFORMATION */
typedef struct _RENAME_INFORMATION {
    BOOLEAN ReplaceIfExists;
    HANDLE RootDirectory;
    ULONG FileNameLength;
    WCHAR FileName[1];
} RENAME_INFORMATION;

static const INFORMATION_CLASS *
Named(const PROBE_LINE *Line, const char *Text, const INFORMATION_CLASS *Classes)
{
    const char *Allowed = "";

    for (; Classes->Word != NULL; Classes++) {
        if (SameText(Classes->Word, Text)) {
            return Classes;
        }
        Allowed = Join(Join(Allowed, " "), Classes->Word);
    }
    ScriptError(Line, Join(Join("there is no class=", Text), ", but"), Allowed + 1);
}

static const INFORMATION_CLASS *
Class(const PROBE_LINE *Line, const INFORMATION_CLASS *Classes)
{
    return Named(Line, Value(Line, "class"), Classes);
}

/* query <file> class= */
void
QueryVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const INFORMATION_CLASS *Asked = Class(Line, QueryClasses);
    PVOID Buffer = Allocate(Asked->Length);
    IO_STATUS_BLOCK IoStatus;

    IoStatus.Information = 0;
    Step->Status =
        NtQueryInformationFile(File->Handle, &IoStatus, Buffer, Asked->Length, (FILE_INFORMATION_CLASS)Asked->Class);
    Step->Information = IoStatus.Information;
    if (Step->Status >= 0) {
        SetList(Step, Buffer, IoStatus.Information, Asked->Length);
    }
}

/* What a `set` step hands over: value= in the place where the class has it, for rename and link the new path. */
static PVOID
NewInformation(const PROBE_LINE *Line, const INFORMATION_CLASS *Asked, ULONG *Length)
{
    const char *Path = Value(Line, "path");
    UNICODE_STRING Name;
    RENAME_INFORMATION *Rename;
    PUCHAR Buffer;

    if (Asked->Length == 0) {
        if (Path == NULL) {
            ScriptError(Line, Join(Join("set class=", Asked->Word), " needs path="), NULL);
        }
        Wide(Path[0] == '\\' ? Path : Join("\\??\\", Path), &Name);
        *Length = FIELD_OFFSET(RENAME_INFORMATION, FileName) + Name.Length;
        Rename = Allocate(*Length + sizeof(WCHAR));
        Rename->ReplaceIfExists = Has(Line, "replace");
        Rename->FileNameLength = Name.Length;
        memcpy(Rename->FileName, Name.Buffer, Name.Length);
        return Rename;
    }
    if (Value(Line, "value") == NULL) {
        ScriptError(Line, "set needs value=", NULL);
    }
    *Length = Asked->Length;
    Buffer = Allocate(Asked->Length);
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

/* set <file> class= value=, or set <file> class=rename|link path= [replace] */
void
SetVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const INFORMATION_CLASS *Asked = Class(Line, SetClasses);
    IO_STATUS_BLOCK IoStatus;
    ULONG Length;
    PVOID Buffer = NewInformation(Line, Asked, &Length);

    IoStatus.Information = 0;
    Step->Status = NtSetInformationFile(File->Handle, &IoStatus, Buffer, Length, (FILE_INFORMATION_CLASS)Asked->Class);
    Step->Information = IoStatus.Information;
}

/* query-path <path> */
void
QueryPathVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING String;
    NETWORK_OPEN_INFORMATION Information;

    NameAttributes(&Attributes, &String, Line->Words[1]);
    Step->Status = NtQueryFullAttributesFile(&Attributes, &Information);
    if (Step->Status >= 0) {
        Step->Information = sizeof(Information);
        SetData(Step, &Information, sizeof(Information), sizeof(Information));
    }
}

/* query-volume <file> class= */
void
QueryVolumeVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const INFORMATION_CLASS *Asked = Class(Line, VolumeClasses);
    PVOID Buffer = Allocate(Asked->Length);
    IO_STATUS_BLOCK IoStatus;

    IoStatus.Information = 0;
    Step->Status = NtQueryVolumeInformationFile(File->Handle, &IoStatus, Buffer, Asked->Length,
                                                (FS_INFORMATION_CLASS)Asked->Class);
    Step->Information = IoStatus.Information;
    if (Step->Status >= 0) {
        SetList(Step, Buffer, IoStatus.Information, Asked->Length);
    }
}

/* directory <file> [pattern=] [class=] [single] [continue]: one page, from the beginning if not told otherwise */
void
DirectoryVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const char *Pattern = Value(Line, "pattern");
    const char *Text = Value(Line, "class");
    const INFORMATION_CLASS *Asked = Named(Line, Text != NULL ? Text : "names", DirectoryClasses);
    PVOID Buffer = AllocatePages(4096);
    UNICODE_STRING Name;
    IO_STATUS_BLOCK IoStatus;
    HANDLE Event = NewEvent();

    if (Pattern != NULL) {
        Wide(Pattern, &Name);
    }
    IoStatus.Information = 0;
    Step->Status = NtQueryDirectoryFile(File->Handle, Event, NULL, NULL, &IoStatus, Buffer, 4096, Asked->Class,
                                        Has(Line, "single"), Pattern != NULL ? &Name : NULL, !Has(Line, "continue"));
    if (Step->Status == STATUS_PENDING) {
        NtWaitForSingleObject(Event, FALSE, NULL);
        Step->Status = IoStatus.Status;
    }
    NtClose(Event);
    Step->Information = IoStatus.Information;
    if (Step->Status >= 0) {
        SetList(Step, Buffer, IoStatus.Information, 4096);
    }
}
