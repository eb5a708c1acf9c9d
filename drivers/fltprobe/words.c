/*
 * words.c: the words that keys take, and the bits they stand for.
 *
 * The host has the same lists (harness/minifilter/script_words.py); tests/architecture holds the two against each other.
 */

#include "probe.h"

/* The generic rights: with FILE_APPEND_DATA spelled out NtCreateFile refuses non-cached files. */
const BIT_WORD AccessWords[] = {
    {"read", GENERIC_READ},
    {"write", GENERIC_WRITE},
    {"rw", GENERIC_READ | GENERIC_WRITE},
    {"execute", GENERIC_EXECUTE},
    {"all", GENERIC_ALL},
    {"maximum", MAXIMUM_ALLOWED},
    {"none", 0},
    {"delete", DELETE},
    {"append", FILE_APPEND_DATA},
    {"attributes", FILE_READ_ATTRIBUTES},
    {"write-attributes", FILE_WRITE_ATTRIBUTES},
    {"ea", FILE_READ_EA},
    {"write-ea", FILE_WRITE_EA},
    {"list", FILE_LIST_DIRECTORY},
    {"security", READ_CONTROL},
    {"write-security", WRITE_DAC},
    {"write-owner", WRITE_OWNER},
    {"system-security", ACCESS_SYSTEM_SECURITY},
    {NULL, 0},
};
const BIT_WORD ShareWords[] = {
    {"none", 0}, {"read", FILE_SHARE_READ}, {"write", FILE_SHARE_WRITE}, {"delete", FILE_SHARE_DELETE}, {"all", 7},
    {NULL, 0},
};
const BIT_WORD DispositionWords[] = {
    {"supersede", 0}, {"open", 1}, {"create", 2}, {"open-if", 3}, {"overwrite", 4}, {"overwrite-if", 5}, {NULL, 0},
};
const BIT_WORD OptionWords[] = {
    {"none", 0},
    {"directory", FILE_DIRECTORY_FILE},
    {"write-through", FILE_WRITE_THROUGH},
    {"sequential", FILE_SEQUENTIAL_ONLY},
    {"noncached", FILE_NO_INTERMEDIATE_BUFFERING},
    {"non-directory", FILE_NON_DIRECTORY_FILE},
    {"complete-if-oplocked", 0x100 /* FILE_COMPLETE_IF_OPLOCKED */},
    {"no-ea-knowledge", FILE_NO_EA_KNOWLEDGE},
    {"random", FILE_RANDOM_ACCESS},
    {"delete-on-close", FILE_DELETE_ON_CLOSE},
    {"backup", FILE_OPEN_FOR_BACKUP_INTENT},
    {"requiring-oplock", 0x10000 /* FILE_OPEN_REQUIRING_OPLOCK */},
    {"reserve-opfilter", 0x100000 /* FILE_RESERVE_OPFILTER */},
    {"open-reparse-point", 0x200000 /* FILE_OPEN_REPARSE_POINT */},
    {"overlapped", OPTION_OVERLAPPED},
    {NULL, 0},
};
const BIT_WORD AttributeWords[] = {
    {"normal", FILE_ATTRIBUTE_NORMAL},
    {"readonly", FILE_ATTRIBUTE_READONLY},
    {"hidden", FILE_ATTRIBUTE_HIDDEN},
    {"system", FILE_ATTRIBUTE_SYSTEM},
    {"archive", FILE_ATTRIBUTE_ARCHIVE},
    {"temporary", FILE_ATTRIBUTE_TEMPORARY},
    {"offline", FILE_ATTRIBUTE_OFFLINE},
    {"not-content-indexed", FILE_ATTRIBUTE_NOT_CONTENT_INDEXED},
    {NULL, 0},
};
/* FILE_NOTIFY_CHANGE_* */
const BIT_WORD NotifyWords[] = {
    {"file-name", 0x1},     {"dir-name", 0x2},       {"attributes", 0x4}, {"size", 0x8},       {"last-write", 0x10},
    {"last-access", 0x20},  {"creation", 0x40},      {"ea", 0x80},        {"security", 0x100}, {"stream-name", 0x200},
    {"stream-size", 0x400}, {"stream-write", 0x800}, {NULL, 0},
};
/* FILE_RENAME_* and FILE_LINK_* of the classes that have Flags. */
const BIT_WORD RenameWords[] = {
    {"none", 0}, {"replace", 0x1}, {"posix", 0x2}, {"ignore-readonly", 0x40}, {NULL, 0},
};
/* FSCTL_REQUEST_OPLOCK_LEVEL_1 and its kin, and OPLOCK_LEVEL_CACHE_* of FSCTL_REQUEST_OPLOCK. */
const BIT_WORD OplockWords[] = {
    {"level-1", 0x90000}, {"level-2", 0x90004}, {"batch", 0x90008},  {"filter", 0x9005C},        {"none", 0x0},
    {"read", 0x1},        {"read-handle", 0x3}, {"read-write", 0x5}, {"read-write-handle", 0x7}, {NULL, 0},
};
const BIT_WORD ProtectWords[] = {
    {"read", PAGE_READONLY},
    {"readwrite", PAGE_READWRITE},
    {"writecopy", PAGE_WRITECOPY},
    {"execute", PAGE_EXECUTE},
    {"execute-read", PAGE_EXECUTE_READ},
    {"execute-readwrite", PAGE_EXECUTE_READWRITE},
    {"execute-writecopy", PAGE_EXECUTE_WRITECOPY},
    {NULL, 0},
};
/* SECURITY_IMPERSONATION_LEVEL */
const BIT_WORD LevelWords[] = {
    {"anonymous", 0}, {"identification", 1}, {"impersonation", 2}, {"delegation", 3}, {NULL, 0},
};
/* Whom `impersonate` knows; see identity.c. */
const BIT_WORD WhoWords[] = {
    {"self", 0},
    {"standard-user", 1},
    {"anonymous", 2},
    {NULL, 0},
};

/* One word of a comma-separated list, or a number. */
ULONG
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

/* The bits of one word of a list. */
ULONG
OneOf(const PROBE_LINE *Line, const char *What, const char *Text, const BIT_WORD *Words)
{
    const char *Allowed = "";

    for (; Words->Word != NULL; Words++) {
        if (SameText(Words->Word, Text)) {
            return Words->Bits;
        }
        Allowed = Join(Join(Allowed, " "), Words->Word);
    }
    ScriptError(Line, Join(Join(Join("there is no ", What), Text), ", but"), Allowed + 1);
}
