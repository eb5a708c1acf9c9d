/*
 * script.c: cuts a script into lines and words, and runs the verb of each line.
 */

#include "probe.h"

typedef struct _VERB {
    const char *Name;
    PROBE_VERB Routine;
} VERB;

static const VERB Verbs[] = {
    {"filter", FilterVerb},
    {"rule", RuleVerb},
    {"release", ReleaseVerb},
    {"expect-held", ExpectHeldVerb},
    {"expect-events", ExpectEventsVerb},
    {"attach", AttachVerb},
    {"detach", DetachVerb},
    {"load", LoadVerb},
    {"unload", UnloadVerb},
    {"open", OpenVerb},
    {"close", CloseVerb},
    {"read", ReadVerb},
    {"write", WriteVerb},
    {"flush", FlushVerb},
    {"lock", LockVerb},
    {"unlock", UnlockVerb},
    {"fsctl", FsctlVerb},
    {"notify", NotifyVerb},
    {"cancel", CancelVerb},
    {"query", QueryVerb},
    {"set", SetVerb},
    {"query-path", QueryPathVerb},
    {"query-volume", QueryVolumeVerb},
    {"directory", DirectoryVerb},
    {"section", SectionVerb},
    {"map", MapVerb},
    {"peek", PeekVerb},
    {"poke", PokeVerb},
    {"unmap", UnmapVerb},
    {"close-section", CloseSectionVerb},
    {"wait", WaitVerb},
    {"sleep", SleepVerb},
    {"spawn", SpawnVerb},
    {"deadline", DeadlineVerb},
};

static PROBE_NAME Names[MAXIMUM_NAMES];
static volatile LONG NameCount;

static const char *
NumberText(ULONG Value)
{
    char *Text = Allocate(12);
    ULONG At = 11;

    do {
        Text[--At] = (char)('0' + Value % 10);
        Value /= 10;
    } while (Value != 0);
    return Text + At;
}

DECLSPEC_NORETURN void
ScriptError(const PROBE_LINE *Line, const char *What, const char *Which)
{
    const char *Text = Join(Join("line ", NumberText(Line->Number)), ": ");

    Text = Join(Text, What);
    if (Which != NULL) {
        Text = Join(Join(Text, ": "), Which);
    }
    Report(EXIT_SCRIPT, Text);
}

/* The text after "key=", or NULL. */
const char *
Value(const PROBE_LINE *Line, const char *Key)
{
    SIZE_T Length = TextLength(Key);
    ULONG Index;

    for (Index = 1; Index < Line->Count; Index++) {
        const char *Candidate = Line->Words[Index];
        SIZE_T At = 0;

        while (At < Length && Candidate[At] == Key[At]) {
            At++;
        }
        if (At == Length && Candidate[At] == '=') {
            return Candidate + At + 1;
        }
    }
    return NULL;
}

ULONGLONG
Number(const PROBE_LINE *Line, const char *Key, ULONGLONG Otherwise)
{
    const char *Text = Value(Line, Key);
    ULONGLONG Result;

    if (Text == NULL) {
        return Otherwise;
    }
    if (!ParseNumber(Text, &Result)) {
        ScriptError(Line, Join(Key, "= takes a number, decimal or 0x..., not"), Text);
    }
    return Result;
}

BOOLEAN
Has(const PROBE_LINE *Line, const char *Wanted)
{
    ULONG Index;

    for (Index = 1; Index < Line->Count; Index++) {
        if (SameText(Line->Words[Index], Wanted)) {
            return TRUE;
        }
    }
    return FALSE;
}

const char *
Word(const PROBE_LINE *Line, ULONG Index, const char *What)
{
    if (Index >= Line->Count) {
        ScriptError(Line, Join(Line->Words[0], " needs"), What);
    }
    return Line->Words[Index];
}

/* The newest thing of that name, or the end of the script. */
PROBE_NAME *
FindName(const PROBE_LINE *Line, PROBE_NAME_KIND Kind, const char *Name)
{
    LONG Index;

    for (Index = NameCount - 1; Index >= 0; Index--) {
        if (Names[Index].Kind == Kind && Names[Index].Name != NULL && SameText(Names[Index].Name, Name)) {
            return &Names[Index];
        }
    }
    ScriptError(Line, "no file, operation, section or view of that kind has the name", Name);
}

PROBE_NAME *
NewName(const PROBE_LINE *Line, PROBE_NAME_KIND Kind, const char *Name)
{
    LONG Index = __sync_fetch_and_add(&NameCount, 1);

    if (Index >= MAXIMUM_NAMES) {
        NameCount = MAXIMUM_NAMES;
        ScriptError(Line, "more than 256 names in one script", NULL);
    }
    Names[Index].Kind = Kind;
    Names[Index].Name = Name;
    return &Names[Index];
}

PROBE_STEP *
NewStep(const PROBE_LINE *Line)
{
    LONG Index = __sync_fetch_and_add(&StepCount, 1);
    PROBE_STEP *Step;

    if (Index >= MAXIMUM_STEPS) {
        StepCount = MAXIMUM_STEPS;
        ScriptError(Line, "more than 1024 steps in one script", NULL);
    }
    Step = &Steps[Index];
    Step->Line = Line->Number;
    Step->Verb = Line->Words[0];
    Step->Name = Line->Count > 1 ? Line->Words[1] : NULL;
    Step->Status = STATUS_PENDING;
    return Step;
}

void
RunStep(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONG Index;

    for (Index = 0; Index < ARRAYSIZE(Verbs); Index++) {
        if (SameText(Verbs[Index].Name, Line->Words[0])) {
            Step->ThreadId = (ULONG)(ULONG_PTR)NtCurrentTeb()->Reserved1[9];
            Step->Begin = Counter();
            Verbs[Index].Routine(Line, Step);
            Step->End = Counter();
            __sync_lock_test_and_set(&Step->Ended, 1);
            return;
        }
    }
    ScriptError(Line, "there is no such step", Line->Words[0]);
}

/* Cut one line in place: blanks separate, "..." keeps blanks, # begins a comment at the start of a word. */
static void
CutLine(char *At, PROBE_LINE *Line)
{
    while (*At != '\0') {
        char *To;
        BOOLEAN Quoted = FALSE;

        while (*At == ' ' || *At == '\t') {
            At++;
        }
        if (*At == '\0' || *At == '#') {
            return;
        }
        if (Line->Count == MAXIMUM_WORDS) {
            ScriptError(Line, "more than 40 words in one line", NULL);
        }
        Line->Words[Line->Count++] = To = At;
        while (*At != '\0' && (Quoted || (*At != ' ' && *At != '\t'))) {
            if (*At == '"') {
                Quoted = !Quoted;
            } else {
                *To++ = *At;
            }
            At++;
        }
        if (Quoted) {
            ScriptError(Line, "a quotation mark is missing", NULL);
        }
        if (*At != '\0') {
            At++;
        }
        *To = '\0';
    }
}

void
RunScript(char *Text)
{
    ULONG LineNumber = 0;

    while (*Text != '\0') {
        PROBE_LINE *Line = Allocate(sizeof(PROBE_LINE));
        char *End = Text;

        while (*End != '\0' && *End != '\n') {
            End++;
        }
        Line->Number = ++LineNumber;
        if (*End == '\n') {
            *End++ = '\0';
        }
        if (End - Text >= 2 && End[-2] == '\r') {
            End[-2] = '\0';
        }
        CutLine(Text, Line);
        if (Line->Count > 0) {
            BeginDeadline();
            RunStep(Line, NewStep(Line));
        }
        Text = End;
    }
}
