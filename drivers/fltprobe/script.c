/*
 * script.c: cuts a script into lines and words, checks all of them, and runs one step after the other.
 */

#include "probe.h"

static PROBE_NAME Names[MAXIMUM_NAMES];
static volatile LONG NameCount;

DECLSPEC_NORETURN void
ScriptError(const PROBE_LINE *Line, const char *What, const char *Which)
{
    const char *Text = Join(Join("line ", NumberText(Line->Number, 10)), ": ");

    Text = Join(Text, What);
    if (Which != NULL) {
        Text = Join(Join(Text, ": "), Which);
    }
    Report(EXIT_SCRIPT, Text);
}

/* As ScriptError, for a minifilter that did not do as it was asked; Result is the HRESULT. */
DECLSPEC_NORETURN void
FilterError(const PROBE_LINE *Line, const char *What, const char *Which, NTSTATUS Result)
{
    ScriptError(Line, Join(Join(Join(What, " (HRESULT 0x"), NumberText((ULONG)Result, 16)), ")"), Which);
}

/* The text after "key=", or NULL. */
const char *
Value(const PROBE_LINE *Line, const char *Key)
{
    SIZE_T Length = TextLength(Key);
    ULONG Index;

    for (Index = Line->Options; Index < Line->Count; Index++) {
        if (SameStart(Line->Words[Index], Key, Length) && Line->Words[Index][Length] == '=') {
            return Line->Words[Index] + Length + 1;
        }
    }
    return NULL;
}

ULONGLONG
NumberUpTo(const PROBE_LINE *Line, const char *Key, ULONGLONG Otherwise, ULONGLONG Maximum)
{
    const char *Text = Value(Line, Key);
    ULONGLONG Result;

    if (Text == NULL) {
        return Otherwise;
    }
    if (!ParseNumber(Text, &Result)) {
        ScriptError(Line, Join(Key, "= takes a number, decimal or 0x..., not"), Text);
    }
    if (Result > Maximum) {
        ScriptError(Line, Join(Join(Key, "= is at most 0x"), NumberText(Maximum, 16)), Text);
    }
    return Result;
}

ULONGLONG
Number(const PROBE_LINE *Line, const char *Key, ULONGLONG Otherwise)
{
    return NumberUpTo(Line, Key, Otherwise, MAXULONGLONG);
}

ULONG
Number32(const PROBE_LINE *Line, const char *Key, ULONG Otherwise)
{
    return (ULONG)NumberUpTo(Line, Key, Otherwise, MAXDWORD);
}

/* The length of a buffer. */
ULONG
BufferLength(const PROBE_LINE *Line, const char *Key, ULONG Otherwise)
{
    return (ULONG)NumberUpTo(Line, Key, Otherwise, MAXIMUM_BUFFER);
}

/* Pairs of hexadecimal digits as bytes. */
void
Bytes(const PROBE_LINE *Line, const char *Key, const char *Hex, PUCHAR To)
{
    char Pair[5] = "0x";
    ULONGLONG Byte;

    if (TextLength(Hex) % 2 != 0) {
        ScriptError(Line, Join(Key, "= takes pairs of hexadecimal digits, not"), Hex);
    }
    for (; Hex[0] != '\0'; Hex += 2) {
        Pair[2] = Hex[0];
        Pair[3] = Hex[1];
        if (!ParseNumber(Pair, &Byte)) {
            ScriptError(Line, Join(Key, "= takes pairs of hexadecimal digits, not"), Hex);
        }
        *To++ = (UCHAR)Byte;
    }
}

/* The bytes of a key, and how many they are; NULL where it is not given. */
PUCHAR
GivenBytes(const PROBE_LINE *Line, const char *Key, ULONG *Length)
{
    const char *Hex = Value(Line, Key);
    PUCHAR Data;

    *Length = 0;
    if (Hex == NULL) {
        return NULL;
    }
    *Length = (ULONG)TextLength(Hex) / 2;
    Data = AllocatePages(*Length + 1);
    Bytes(Line, Key, Hex, Data);
    return Data;
}

/* The first operand as milliseconds, in units of 100 ns. */
LONGLONG
Ticks(const PROBE_LINE *Line)
{
    ULONGLONG Milliseconds;

    if (!ParseNumber(Line->Words[1], &Milliseconds) || Milliseconds > MAXDWORD) {
        ScriptError(Line, Join(Line->Words[0], " takes milliseconds, not"), Line->Words[1]);
    }
    return (LONGLONG)Milliseconds * TICKS_PER_MS;
}

BOOLEAN
Has(const PROBE_LINE *Line, const char *Wanted)
{
    ULONG Index;

    for (Index = Line->Options; Index < Line->Count; Index++) {
        if (SameText(Line->Words[Index], Wanted)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The newest thing of that name, or the end of the script. */
PROBE_NAME *
FindName(const PROBE_LINE *Line, PROBE_NAME_KIND Kind, const char *Name)
{
    static const char *const Kinds[] = {NULL, "no `open` line names this file",
                                        "no async= and no `spawn` names this operation",
                                        "no `section` line names this section", "no `map` line names this view"};
    LONG Index;

    for (Index = NameCount - 1; Index >= 0; Index--) {
        if (Names[Index].Kind == Kind && SameText(Names[Index].Name, Name)) {
            return &Names[Index];
        }
    }
    ScriptError(Line, Kinds[Kind], Name);
}

PROBE_NAME *
NewName(const PROBE_LINE *Line, PROBE_NAME_KIND Kind, const char *Name)
{
    LONG Index = __sync_fetch_and_add(&NameCount, 1);

    if (Index >= MAXIMUM_NAMES) {
        NameCount = MAXIMUM_NAMES;
        ScriptError(Line, "more than 256 names in one script", NULL);
    }
    Names[Index].Name = Name;
    Names[Index].Kind = Kind; /* last: from here on it is found */
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
    Step->Name = Line->Words[1];
    Step->Status = STATUS_PENDING;
    return Step;
}

void
RunStep(PROBE_LINE *Line, PROBE_STEP *Step)
{
    Step->ThreadId = (ULONG)(ULONG_PTR)NtCurrentTeb()->Reserved1[9];
    Step->Begin = Counter();
    Line->Grammar->Routine(Line, Step);
    Step->End = Counter();
    __sync_lock_test_and_set(&Step->Ended, 1);
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

/* One line that ends before End, where its terminator goes. */
static PROBE_LINE *
ReadLine(char *Text, char *End, ULONG LineNumber)
{
    PROBE_LINE *Line = Allocate(sizeof(PROBE_LINE));

    Line->Number = LineNumber;
    if (End - Text > MAXIMUM_LINE) {
        ScriptError(Line, "longer than 8192 bytes", NULL);
    }
    if (End > Text && End[-1] == '\r') {
        End--;
    }
    *End = '\0';
    if (Text + TextLength(Text) != End) {
        ScriptError(Line, "a NUL byte; the script is not UTF-8", NULL);
    }
    if (!IsUtf8(Text)) {
        ScriptError(Line, "not UTF-8", NULL);
    }
    CutLine(Text, Line);
    if (Line->Count > 0) {
        CheckLine(Line);
    }
    return Line;
}

/* Text has room for a terminator after its last byte. */
void
RunScript(char *Text, SIZE_T TextSize)
{
    static const char ByteOrderMark[] = "\xEF\xBB\xBF";
    char *Last = Text + TextSize;
    PROBE_LINE *First = NULL;
    PROBE_LINE **Next = &First;
    PROBE_LINE *Line;
    ULONG LineNumber = 0;

    if (TextSize >= 3 && SameStart(Text, ByteOrderMark, 3)) {
        Text += 3;
    }
    while (Text < Last) {
        char *End = Text;

        while (End < Last && *End != '\n') {
            End++;
        }
        Line = ReadLine(Text, End, ++LineNumber);
        if (Line->Count > 0) {
            *Next = Line;
            Next = &Line->Next;
        }
        Text = End + 1;
    }
    if (First == NULL) {
        Report(EXIT_SCRIPT, "the script has no step (did standard input arrive?)");
    }
    for (Line = First; Line != NULL; Line = Line->Next) {
        BeginStep();
        RunStep(Line, NewStep(Line));
    }
}

/*
 * As if the process had ended: what the script has left pending is cancelled, and what it has open is closed. What does
 * not heed the cancellation writes its outcome into a name of a later script, which is reported wrongly then.
 */
void
EndScript(void)
{
    IO_STATUS_BLOCK IoStatus;
    LONG Index;

    SetToken(NULL);
    for (Index = 0; Index < NameCount; Index++) {
        if (Names[Index].Kind == NameFile && Names[Index].Handle != NULL) {
            NtCancelIoFileEx(Names[Index].Handle, NULL, &IoStatus);
        }
    }
    for (Index = 0; Index < NameCount; Index++) {
        if (Names[Index].Kind == NameView && Names[Index].Address != NULL) {
            NtUnmapViewOfSection(NtCurrentProcess(), Names[Index].Address);
        } else if (Names[Index].Handle != NULL) {
            NtClose(Names[Index].Handle);
        }
    }
    memset(Names, 0, NameCount * sizeof(Names[0]));
    memset(Steps, 0, StepCount * sizeof(Steps[0]));
    NameCount = StepCount = 0;
    ClosePorts();
    DisconnectFilters();
}
