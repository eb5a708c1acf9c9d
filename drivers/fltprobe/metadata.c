/*
 * metadata.c: extended attributes, security descriptors and quotas.
 */

#include "probe.h"

#define ROOM 4096

/* FILE_FULL_EA_INFORMATION */
typedef struct _FULL_EA {
    ULONG NextEntryOffset;
    UCHAR Flags;
    UCHAR NameLength;
    USHORT ValueLength;
    char Name[1]; /* a NUL behind it, then the value */
} FULL_EA;

/* FILE_GET_EA_INFORMATION */
typedef struct _GET_EA {
    ULONG NextEntryOffset;
    UCHAR NameLength;
    char Name[1];
} GET_EA;

/* FILE_QUOTA_INFORMATION, and FILE_GET_QUOTA_INFORMATION as far as its first two members */
typedef struct _QUOTA {
    ULONG NextEntryOffset;
    ULONG SidLength;
    LARGE_INTEGER ChangeTime;
    LARGE_INTEGER QuotaUsed;
    LARGE_INTEGER QuotaThreshold;
    LARGE_INTEGER QuotaLimit;
    UCHAR Sid[68];
} QUOTA;

static PVOID
NewNameOfEa(const char *Name, ULONG *Length)
{
    SIZE_T NameLength = TextLength(Name);
    GET_EA *Entry = Allocate(sizeof(GET_EA) + NameLength);

    Entry->NameLength = (UCHAR)NameLength;
    memcpy(Entry->Name, Name, NameLength);
    *Length = (ULONG)(FIELD_OFFSET(GET_EA, Name) + NameLength + 1);
    return Entry;
}

/* query-ea <file> [name=] [single] [continue]: of this name, or all of them; from the first on */
void
QueryEaVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const char *Name = Value(Line, "name");
    ULONG ListLength = 0;
    PVOID List = Name != NULL ? NewNameOfEa(Name, &ListLength) : NULL;
    PVOID Buffer = Allocate(ROOM);
    IO_STATUS_BLOCK IoStatus;

    IoStatus.Information = 0;
    Step->Status = NtQueryEaFile(File->Handle, &IoStatus, Buffer, ROOM, Has(Line, "single"), List, ListLength, NULL,
                                 !Has(Line, "continue"));
    Step->Information = IoStatus.Information;
    if (HasAnswer(Step->Status)) {
        SetList(Step, Buffer, IoStatus.Information, ROOM);
    }
}

PVOID
NewEa(const char *Name, const char *Text, ULONG *Length)
{
    SIZE_T NameLength = TextLength(Name);
    SIZE_T TextSize = Text != NULL ? TextLength(Text) : 0;
    FULL_EA *Entry;

    *Length = (ULONG)(FIELD_OFFSET(FULL_EA, Name) + NameLength + 1 + TextSize);
    Entry = Allocate(*Length);
    Entry->NameLength = (UCHAR)NameLength;
    Entry->ValueLength = (USHORT)TextSize;
    memcpy(Entry->Name, Name, NameLength);
    if (Text != NULL) {
        memcpy(Entry->Name + NameLength + 1, Text, TextSize);
    }
    return Entry;
}

/* set-ea <file> name= [text=]: without a text it is removed */
void
SetEaVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    ULONG Length;
    PVOID Entry = NewEa(Value(Line, "name"), Value(Line, "text"), &Length);
    IO_STATUS_BLOCK IoStatus;

    IoStatus.Information = 0;
    Step->Status = NtSetEaFile(File->Handle, &IoStatus, Entry, Length);
    Step->Information = IoStatus.Information;
}

/* query-security <file> [information=]: owner, group and DACL if not told otherwise */
void
QuerySecurityVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    PVOID Descriptor = Allocate(ROOM);
    ULONG Needed = 0;

    Step->Status = NtQuerySecurityObject(File->Handle, Number32(Line, "information", 0x7), Descriptor, ROOM, &Needed);
    Step->Information = Needed;
    if (Step->Status >= 0) {
        SetList(Step, Descriptor, Needed, ROOM);
    }
}

/* set-security <file> [information=] [hex=]: a self-relative descriptor, or once more what it has already; the DACL */
void
SetSecurityVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    ULONG Wanted = Number32(Line, "information", 0x4);
    ULONG Needed = 0;
    PVOID Descriptor = GivenBytes(Line, "hex", &Needed);

    Step->Status = STATUS_SUCCESS;
    if (Descriptor == NULL) {
        Descriptor = Allocate(ROOM);
        Step->Status = NtQuerySecurityObject(File->Handle, Wanted, Descriptor, ROOM, &Needed);
    }
    if (Step->Status >= 0) {
        Step->Status = NtSetSecurityObject(File->Handle, Wanted, Descriptor);
    }
}

/* An entry about the SID of a line; NULL if it names none. */
static QUOTA *
NewQuota(const PROBE_LINE *Line)
{
    ULONG Length;
    PUCHAR Sid = GivenBytes(Line, "sid", &Length);
    QUOTA *Entry = Allocate(sizeof(QUOTA));

    if (Sid == NULL) {
        return NULL;
    }
    if (Length > sizeof(Entry->Sid)) {
        ScriptError(Line, "sid= has at most 68 bytes, not", NumberText(Length, 10));
    }
    Entry->SidLength = Length;
    memcpy(Entry->Sid, Sid, Length);
    return Entry;
}

/* query-quota <file> [sid=] [single] [continue]: of this SID, or all entries of the volume */
void
QueryQuotaVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    QUOTA *Entry = NewQuota(Line);
    PUCHAR List = Allocate(sizeof(QUOTA));
    ULONG ListLength = 0;
    PVOID Buffer = Allocate(ROOM);
    IO_STATUS_BLOCK IoStatus;

    if (Entry != NULL) {
        ListLength = FIELD_OFFSET(QUOTA, ChangeTime) + Entry->SidLength;
        memcpy(List, Entry, FIELD_OFFSET(QUOTA, ChangeTime));
        memcpy(List + FIELD_OFFSET(QUOTA, ChangeTime), Entry->Sid, Entry->SidLength);
    }
    IoStatus.Information = 0;
    Step->Status = NtQueryQuotaInformationFile(File->Handle, &IoStatus, Buffer, ROOM, Has(Line, "single"),
                                               Entry != NULL ? List : NULL, ListLength, NULL, !Has(Line, "continue"));
    Step->Information = IoStatus.Information;
    if (HasAnswer(Step->Status)) {
        SetList(Step, Buffer, IoStatus.Information, ROOM);
    }
}

/* set-quota <file> sid= limit= [threshold=] */
void
SetQuotaVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    QUOTA *Entry = NewQuota(Line);
    IO_STATUS_BLOCK IoStatus;

    Entry->QuotaLimit.QuadPart = (LONGLONG)Number(Line, "limit", 0);
    Entry->QuotaThreshold.QuadPart = (LONGLONG)Number(Line, "threshold", (ULONGLONG)Entry->QuotaLimit.QuadPart);
    IoStatus.Information = 0;
    Step->Status =
        NtSetQuotaInformationFile(File->Handle, &IoStatus, Entry, FIELD_OFFSET(QUOTA, Sid) + Entry->SidLength);
    Step->Information = IoStatus.Information;
}
