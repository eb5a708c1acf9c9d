/*
 * information.c: queries of files, directories and volumes. A class that has no name here is given by its number.
 */

#include "probe.h"

#define ROOM 4096

static const INFORMATION_CLASS QueryClasses[] = {
    {"basic", 4, 40},
    {"standard", 5, 24},
    {"internal", 6, 8},
    {"ea", 7, 4},
    {"access", 8, 4},
    {"name", 9, 1024},
    {"position", 14, 8},
    {"mode", 16, 4},
    {"alignment", 17, 4},
    {"all", 18, 1024},
    {"alternate-name", 21, 1024},
    {"stream", 22, 4096},
    {"compression", 28, 16},
    {"network-open", 34, 56},
    {"attribute-tag", 35, 8},
    {"hard-link", 46, 4096},
    {"normalized-name", 48, 1024},
    {"is-remote-device", 51, 1},
    {"standard-link", 54, 12},
    {"volume-name", 58, 1024},
    {"id", 59, 24},
    {"stat", 68, 72},
    {"case-sensitive", 71, 4},
    {NULL, 0, 0},
};
static const INFORMATION_CLASS DirectoryClasses[] = {
    {"directory", 1, 0}, {"full", 2, 0},     {"both", 3, 0},          {"names", 12, 0}, {"id-both", 37, 0},
    {"id-full", 38, 0},  {"id-extd", 60, 0}, {"id-extd-both", 63, 0}, {NULL, 0, 0},
};
static const INFORMATION_CLASS VolumeClasses[] = {
    {"volume", 1, 256},      {"size", 3, 24},         {"device", 4, 8},     {"attribute", 5, 256},
    {"control", 6, 48},      {"full-size", 7, 32},    {"object-id", 8, 64}, {"driver-path", 9, 1024},
    {"volume-flags", 10, 4}, {"sector-size", 11, 28}, {NULL, 0, 0},
};

/* The class of that name; of a number one that has a page of room. */
const INFORMATION_CLASS *
Named(const PROBE_LINE *Line, const char *Text, const INFORMATION_CLASS *Classes)
{
    const char *Allowed = "";
    INFORMATION_CLASS *Other;
    ULONGLONG Code;

    for (; Classes->Word != NULL; Classes++) {
        if (SameText(Classes->Word, Text)) {
            return Classes;
        }
        Allowed = Join(Join(Allowed, " "), Classes->Word);
    }
    if (!ParseNumber(Text, &Code) || Code > MAXDWORD) {
        ScriptError(Line, Join(Join("there is no class=", Text), ", but"), Allowed + 1);
    }
    Other = Allocate(sizeof(INFORMATION_CLASS));
    Other->Word = Text;
    Other->Class = (ULONG)Code;
    Other->Length = ROOM;
    return Other;
}

/* query <file> class= [room=] */
void
QueryVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const INFORMATION_CLASS *Asked = Named(Line, Value(Line, "class"), QueryClasses);
    ULONG Room = BufferLength(Line, "room", Asked->Length);
    PVOID Buffer = AllocatePages(Room + 1);
    IO_STATUS_BLOCK IoStatus;

    IoStatus.Information = 0;
    Step->Status = NtQueryInformationFile(File->Handle, &IoStatus, Buffer, Room, (FILE_INFORMATION_CLASS)Asked->Class);
    Step->Information = IoStatus.Information;
    if (HasAnswer(Step->Status)) {
        SetList(Step, Buffer, IoStatus.Information, Room);
    }
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

/* query-volume <file> class= [room=] */
void
QueryVolumeVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const INFORMATION_CLASS *Asked = Named(Line, Value(Line, "class"), VolumeClasses);
    ULONG Room = BufferLength(Line, "room", Asked->Length);
    PVOID Buffer = AllocatePages(Room + 1);
    IO_STATUS_BLOCK IoStatus;

    IoStatus.Information = 0;
    Step->Status =
        NtQueryVolumeInformationFile(File->Handle, &IoStatus, Buffer, Room, (FS_INFORMATION_CLASS)Asked->Class);
    Step->Information = IoStatus.Information;
    if (HasAnswer(Step->Status)) {
        SetList(Step, Buffer, IoStatus.Information, Room);
    }
}

/* directory <file> [pattern=] [class=] [room=] [async=] [single] [continue] [whole]: a page, the first but for continue */
void
DirectoryVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Pattern = Value(Line, "pattern");
    const char *Text = Value(Line, "class");
    const INFORMATION_CLASS *Asked = Named(Line, Text != NULL ? Text : "names", DirectoryClasses);
    ULONG Room = BufferLength(Line, "room", ROOM);
    PVOID Buffer = AllocatePages(Room + 1);
    UNICODE_STRING *Name = Allocate(sizeof(UNICODE_STRING));
    REQUEST Request;

    if (Pattern != NULL) {
        Wide(Pattern, Name);
    }
    Begin(Line, &Request, Buffer, Room);
    Request.Operation->Kept = Has(Line, "whole") ? Room : STEP_LIST_LENGTH;
    Request.Operation->Class = Asked->Class;
    Finish(Step, &Request,
           NtQueryDirectoryFile(Request.File->Handle, Request.Operation->Handle, NULL, NULL,
                                &Request.Operation->IoStatus, Buffer, Room, Asked->Class, Has(Line, "single"),
                                Pattern != NULL ? Name : NULL, !Has(Line, "continue")));
}
