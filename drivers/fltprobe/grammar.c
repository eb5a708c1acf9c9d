/*
 * grammar.c: what each step may say. Every line is held against this before the first step runs: a key that is
 * misspelled would otherwise be a test that tests something else.
 */

#include "probe.h"

#define NO_LIMIT MAXIMUM_WORDS

/* Operands come first, by their place; then key=value words and plain words in any order. A + marks a key that must be
 * given. */
static const PROBE_GRAMMAR Grammar[] = {
    {"filter", FilterVerb, 1, 2, "", "prints"},
    {"debug-print", DebugPrintVerb, 1, 1, "", ""},
    {"rule", RuleVerb, 1, 1,
     "major minor class process paging name skip max do status information context delay hold mechanism resume race "
     "read-own offset length dirty swap set-context pre-context post-context post post-status post-mechanism post-hold",
     ""},
    {"release", ReleaseVerb, 1, 1, "rule", ""},
    {"expect-held", ExpectHeldVerb, 1, 1, "+count timeout", ""},
    {"expect-events", ExpectEventsVerb, 1, 1, "+count major phase timeout", ""},
    {"connect", ConnectVerb, 2, 2, "context", ""},
    {"disconnect", DisconnectVerb, 1, 1, "", ""},
    {"send-message", SendMessageVerb, 1, 1, "data room", ""},
    {"get-message", GetMessageVerb, 1, 1, "timeout", ""},
    {"reply", ReplyVerb, 1, 1, "data status", ""},
    {"answer", AnswerVerb, 1, 1, "contains at data status delay max", "silent"},
    {"serve", ServeVerb, 1, 1, "threads", ""},
    {"expect-messages", ExpectMessagesVerb, 1, 1, "+count timeout", ""},
    {"signal", SignalVerb, 1, 1, "", ""},
    {"await", AwaitVerb, 1, 1, "timeout", ""},
    {"attach", AttachVerb, 1, 1, "volume service instance", ""},
    {"detach", DetachVerb, 1, 1, "volume service instance", ""},
    {"load", LoadVerb, 1, 1, "", ""},
    {"unload", UnloadVerb, 1, 1, "", ""},
    {"stop", StopVerb, 1, 1, "", ""},
    {"open", OpenVerb, 2, 2, "access share disposition options attributes allocation relative ea ea-text descriptor",
     "case-sensitive"},
    {"open-by-id", OpenByIdVerb, 2, 2, "access share options", ""},
    {"delete", DeleteVerb, 1, 1, "", ""},
    {"close", CloseVerb, 1, 1, "", ""},
    {"read", ReadVerb, 1, 1, "offset +length key async", "whole"},
    {"write", WriteVerb, 1, 1, "offset length fill text hex key async", ""},
    {"flush", FlushVerb, 1, 1, "", ""},
    {"lock", LockVerb, 1, 1, "+offset +length key async", "shared wait"},
    {"unlock", UnlockVerb, 1, 1, "+offset +length key", ""},
    {"fsctl", FsctlVerb, 1, 1, "+code in hex out async", ""},
    {"ioctl", IoctlVerb, 1, 1, "+code in hex out async", ""},
    {"notify", NotifyVerb, 1, 1, "filter room async", "tree"},
    {"oplock", OplockVerb, 1, 1, "+level async", ""},
    {"acknowledge-oplock", AcknowledgeOplockVerb, 1, 1, "level async", "no-2 close-pending"},
    {"cancel", CancelVerb, 1, 1, "async", "own"},
    {"cancel-synchronous", CancelSynchronousVerb, 1, 1, "", ""},
    {"query", QueryVerb, 1, 1, "+class room", ""},
    {"set", SetVerb, 1, 1, "+class value hex path name relative flags", "replace"},
    {"query-path", QueryPathVerb, 1, 1, "", ""},
    {"query-volume", QueryVolumeVerb, 1, 1, "+class room", ""},
    {"set-volume", SetVolumeVerb, 1, 1, "+class text hex", ""},
    {"directory", DirectoryVerb, 1, 1, "pattern class room async", "single continue whole"},
    {"query-ea", QueryEaVerb, 1, 1, "name", "single continue"},
    {"set-ea", SetEaVerb, 1, 1, "+name text", ""},
    {"query-security", QuerySecurityVerb, 1, 1, "information", ""},
    {"set-security", SetSecurityVerb, 1, 1, "information hex", ""},
    {"query-quota", QueryQuotaVerb, 1, 1, "sid", "single continue"},
    {"set-quota", SetQuotaVerb, 1, 1, "+sid +limit threshold", ""},
    {"impersonate", ImpersonateVerb, 1, 1, "level", ""},
    {"revert", RevertVerb, 0, 0, "", ""},
    {"section", SectionVerb, 2, 2, "protect size", "image"},
    {"map", MapVerb, 2, 2, "protect offset length", ""},
    {"peek", PeekVerb, 1, 1, "+offset length", ""},
    {"poke", PokeVerb, 1, 1, "+offset length +fill", ""},
    {"unmap", UnmapVerb, 1, 1, "", ""},
    {"close-section", CloseSectionVerb, 1, 1, "", ""},
    {"wait", WaitVerb, 1, 1, "timeout", ""},
    {"sleep", SleepVerb, 1, 1, "", ""},
    {"spawn", SpawnVerb, 2, NO_LIMIT, "", ""},
    {"deadline", DeadlineVerb, 1, 1, "", ""},
};

static const PROBE_GRAMMAR *
FindGrammar(const PROBE_LINE *Line)
{
    const char *Verbs = "";
    ULONG Index;

    for (Index = 0; Index < ARRAYSIZE(Grammar); Index++) {
        if (SameText(Grammar[Index].Verb, Line->Words[0])) {
            return &Grammar[Index];
        }
    }
    for (Index = 0; Index < ARRAYSIZE(Grammar); Index++) {
        Verbs = Join(Join(Verbs, " "), Grammar[Index].Verb);
    }
    ScriptError(Line, Join(Join("there is no step ", Line->Words[0]), "; there are"), Verbs + 1);
}

/* Whether a blank-separated list has these first characters of a word. */
static BOOLEAN
Lists(const char *List, const char *Word, SIZE_T Length)
{
    while (*List != '\0') {
        SIZE_T At = 0;

        List += *List == '+' ? 1 : 0;
        while (At < Length && List[At] == Word[At]) {
            At++;
        }
        if (At == Length && (List[At] == ' ' || List[At] == '\0')) {
            return TRUE;
        }
        while (*List != '\0' && *List++ != ' ') {
        }
    }
    return FALSE;
}

static SIZE_T
KeyLength(const char *Word)
{
    SIZE_T Length = 0;

    while (Word[Length] != '\0' && Word[Length] != '=') {
        Length++;
    }
    return Word[Length] == '=' ? Length : 0;
}

static void
CheckWord(const PROBE_LINE *Line, ULONG Index)
{
    const char *Text = Line->Words[Index];
    SIZE_T Length = KeyLength(Text);
    ULONG Other;

    if (Length == 0) {
        if (!Lists(Line->Grammar->Flags, Text, TextLength(Text))) {
            ScriptError(Line, Join(Line->Words[0], " has no such word"), Text);
        }
        return;
    }
    if (!Lists(Line->Grammar->Keys, Text, Length)) {
        ScriptError(Line, Join(Line->Words[0], " has no such key"), Text);
    }
    for (Other = Line->Options; Other < Index; Other++) {
        if (KeyLength(Line->Words[Other]) == Length && SameStart(Line->Words[Other], Text, Length)) {
            ScriptError(Line, "a key is given twice", Text);
        }
    }
}

static void
CheckRequired(const PROBE_LINE *Line)
{
    const char *At = Line->Grammar->Keys;

    while (*At != '\0') {
        char Key[32];
        ULONG Length = 0;
        BOOLEAN Required = *At == '+';

        At += Required ? 1 : 0;
        while (*At != '\0' && *At != ' ') {
            Key[Length++] = *At++;
        }
        Key[Length] = '\0';
        if (Required && Value(Line, Key) == NULL) {
            ScriptError(Line, Join(Line->Words[0], " needs"), Join(Key, "="));
        }
        At += *At == ' ' ? 1 : 0;
    }
}

/* The step of a `spawn` line, as a line of its own. */
static PROBE_LINE *
Inner(const PROBE_LINE *Line)
{
    PROBE_LINE *Step = Allocate(sizeof(PROBE_LINE));
    ULONG Index;

    Step->Number = Line->Number;
    Step->Count = Line->Count - 2;
    for (Index = 2; Index < Line->Count; Index++) {
        Step->Words[Index - 2] = Line->Words[Index];
    }
    CheckLine(Step);
    if (Step->Grammar->Routine == FilterVerb || Step->Grammar->Routine == SpawnVerb ||
        Step->Grammar->Routine == DeadlineVerb) {
        ScriptError(Line, "this step cannot be spawned", Step->Words[0]);
    }
    return Step;
}

/* Find the verb of a line; a line that does not keep to its grammar is the end of the script. */
void
CheckLine(PROBE_LINE *Line)
{
    ULONG Index;

    Line->Grammar = FindGrammar(Line);
    if (Line->Count <= Line->Grammar->Operands) {
        ScriptError(Line, Join(Line->Words[0], " needs more words; see docs/io-script.md"), NULL);
    }
    if (Line->Grammar->Routine == SpawnVerb) {
        Line->Options = Line->Count;
        Line->Spawned = Inner(Line);
        return;
    }
    Line->Options = Line->Grammar->Operands + 1;
    while (Line->Options < Line->Count && Line->Options <= Line->Grammar->MaximumOperands &&
           !Lists(Line->Grammar->Flags, Line->Words[Line->Options], TextLength(Line->Words[Line->Options]))) {
        Line->Options++; /* an operand that may be left out, unless it is one of the plain words */
    }
    for (Index = Line->Options; Index < Line->Count; Index++) {
        CheckWord(Line, Index);
    }
    CheckRequired(Line);
}
