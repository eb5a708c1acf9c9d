/*
 * metadata.c: extended attributes and security descriptors.
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

/* query-ea <file>: all of them, from the first on */
void
QueryEaVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    PVOID Buffer = Allocate(ROOM);
    IO_STATUS_BLOCK IoStatus;

    IoStatus.Information = 0;
    Step->Status = NtQueryEaFile(File->Handle, &IoStatus, Buffer, ROOM, FALSE, NULL, 0, NULL, TRUE);
    Step->Information = IoStatus.Information;
    if (Step->Status >= 0) {
        SetList(Step, Buffer, IoStatus.Information, ROOM);
    }
}

/* set-ea <file> name= [text=]: without a text it is removed */
void
SetEaVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    const char *Name = Value(Line, "name");
    const char *Text = Value(Line, "text");
    SIZE_T NameLength = TextLength(Name);
    SIZE_T TextSize = Text != NULL ? TextLength(Text) : 0;
    SIZE_T Length = FIELD_OFFSET(FULL_EA, Name) + NameLength + 1 + TextSize;
    FULL_EA *Entry = Allocate(Length);
    IO_STATUS_BLOCK IoStatus;

    Entry->NameLength = (UCHAR)NameLength;
    Entry->ValueLength = (USHORT)TextSize;
    memcpy(Entry->Name, Name, NameLength);
    if (Text != NULL) {
        memcpy(Entry->Name + NameLength + 1, Text, TextSize);
    }
    IoStatus.Information = 0;
    Step->Status = NtSetEaFile(File->Handle, &IoStatus, Entry, (ULONG)Length);
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

/* set-security <file> [information=]: what it has already, the DACL if not told otherwise, is set again */
void
SetSecurityVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[1]);
    ULONG Wanted = Number32(Line, "information", 0x4);
    PVOID Descriptor = Allocate(ROOM);
    ULONG Needed = 0;

    Step->Status = NtQuerySecurityObject(File->Handle, Wanted, Descriptor, ROOM, &Needed);
    if (Step->Status >= 0) {
        Step->Status = NtSetSecurityObject(File->Handle, Wanted, Descriptor);
    }
}
