/*
 * rule.c: `rule` lines, which become operation rules of a minifilter.
 */

#include "probe.h"

typedef struct _CHOICE {
    const char *Word;
    ULONG Code;
} CHOICE;

static const CHOICE Majors[] = {
    {"create", 0x00},
    {"create-named-pipe", 0x01},
    {"close", 0x02},
    {"read", 0x03},
    {"write", 0x04},
    {"query-information", 0x05},
    {"set-information", 0x06},
    {"query-ea", 0x07},
    {"set-ea", 0x08},
    {"flush-buffers", 0x09},
    {"query-volume-information", 0x0A},
    {"set-volume-information", 0x0B},
    {"directory-control", 0x0C},
    {"file-system-control", 0x0D},
    {"device-control", 0x0E},
    {"internal-device-control", 0x0F},
    {"shutdown", 0x10},
    {"lock-control", 0x11},
    {"cleanup", 0x12},
    {"create-mailslot", 0x13},
    {"query-security", 0x14},
    {"set-security", 0x15},
    {"query-quota", 0x19},
    {"set-quota", 0x1A},
    {"pnp", 0x1B},
    {"acquire-for-section-synchronization", 0xFF},
    {"release-for-section-synchronization", 0xFE},
    {"acquire-for-mod-write", 0xFD},
    {"release-for-mod-write", 0xFC},
    {"acquire-for-cc-flush", 0xFB},
    {"release-for-cc-flush", 0xFA},
    {"query-open", 0xF9},
    {"fast-io-check-if-possible", 0xF3},
    {"network-query-open", 0xF2},
    {"mdl-read", 0xF1},
    {"mdl-read-complete", 0xF0},
    {"prepare-mdl-write", 0xEF},
    {"mdl-write-complete", 0xEE},
    {"volume-mount", 0xED},
    {"volume-dismount", 0xEC},
    {NULL, 0},
};
static const CHOICE Phases[] = {
    {"pre", FLTLAB_PHASE_PRE},
    {"post", FLTLAB_PHASE_POST},
    {"resume-pre", FLTLAB_PHASE_RESUME_PRE},
    {"resume-post", FLTLAB_PHASE_RESUME_POST},
    {"work-routine", FLTLAB_PHASE_WORK_ROUTINE},
    {"safe-post", FLTLAB_PHASE_SAFE_POST},
    {"cancel", FLTLAB_PHASE_CANCEL},
    {"generated-io", FLTLAB_PHASE_GENERATED_IO},
    {"context", FLTLAB_PHASE_CONTEXT},
    {"instance-setup", FLTLAB_PHASE_INSTANCE_SETUP},
    {"query-teardown", FLTLAB_PHASE_QUERY_TEARDOWN},
    {"teardown-start", FLTLAB_PHASE_TEARDOWN_START},
    {"teardown-complete", FLTLAB_PHASE_TEARDOWN_COMPLETE},
    {"unload", FLTLAB_PHASE_UNLOAD},
    {"context-cleanup", FLTLAB_PHASE_CONTEXT_CLEANUP},
    {NULL, 0},
};
static const CHOICE Classes[] = {
    {"irp", FLTLAB_CLASS_IRP}, {"fastio", FLTLAB_CLASS_FAST_IO}, {"fsfilter", FLTLAB_CLASS_FS_FILTER}, {NULL, 0}};
static const CHOICE Actions[] = {
    {"no-callback", FLTLAB_DO_NO_CALLBACK},
    {"with-callback", FLTLAB_DO_WITH_CALLBACK},
    {"synchronize", FLTLAB_DO_SYNCHRONIZE},
    {"complete", FLTLAB_DO_COMPLETE},
    {"pend", FLTLAB_DO_PEND},
    {"disallow-fastio", FLTLAB_DO_DISALLOW_FASTIO},
    {"disallow-fsfilter-io", FLTLAB_DO_DISALLOW_FSFILTER_IO},
    {NULL, 0},
};
static const CHOICE Mechanisms[] = {
    {"deferred", FLTLAB_MECHANISM_DEFERRED},
    {"generic", FLTLAB_MECHANISM_GENERIC},
    {"queue", FLTLAB_MECHANISM_QUEUE},
    {"thread", FLTLAB_MECHANISM_THREAD},
    {NULL, 0},
};
static const CHOICE Resumes[] = {
    {"no-callback", FLTLAB_RESUME_NO_CALLBACK},
    {"with-callback", FLTLAB_RESUME_WITH_CALLBACK},
    {"complete", FLTLAB_RESUME_COMPLETE},
    {"synchronize", FLTLAB_RESUME_SYNCHRONIZE},
    {NULL, 0},
};
static const CHOICE Posts[] = {
    {"finish", FLTLAB_POST_FINISH}, {"pend", FLTLAB_POST_PEND}, {"when-safe", FLTLAB_POST_WHEN_SAFE}, {NULL, 0}};
static const CHOICE Yes[] = {{"yes", 1}, {"no", 0}, {NULL, 0}};
static const CHOICE No[] = {{"yes", 0}, {"no", 1}, {NULL, 0}};
static const CHOICE StreamHandle[] = {{"stream-handle", 1}, {NULL, 0}};

/* Keys that set a flag of the rule, with the words that set it. */
typedef struct _FLAG_KEY {
    const char *Key;
    const CHOICE *Choices;
    ULONG Flag;
} FLAG_KEY;

static const FLAG_KEY FlagKeys[] = {
    {"paging", Yes, FLTLAB_RULE_PAGING_IO},
    {"hold", Yes, FLTLAB_RULE_HOLD},
    {"race", Yes, FLTLAB_RULE_RACE},
    {"read-own", Yes, FLTLAB_RULE_READ_OWN},
    {"dirty", No, FLTLAB_RULE_NOT_DIRTY},
    {"set-context", StreamHandle, FLTLAB_RULE_SET_CONTEXT},
    {"pre-context", StreamHandle, FLTLAB_RULE_PRE_CONTEXT},
    {"post-context", StreamHandle, FLTLAB_RULE_POST_CONTEXT},
    {"swap", Yes, FLTLAB_RULE_SWAP},
    {"post-hold", Yes, FLTLAB_RULE_POST_HOLD},
};

static BOOLEAN
Choose(const CHOICE *Choices, const char *Text, ULONG *Code)
{
    for (; Choices->Word != NULL; Choices++) {
        if (SameText(Choices->Word, Text)) {
            *Code = Choices->Code;
            return TRUE;
        }
    }
    return FALSE;
}

static ULONG
Choice(const PROBE_LINE *Line, const char *Key, const CHOICE *Choices, ULONG Otherwise)
{
    const char *Text = Value(Line, Key);
    ULONG Code = Otherwise;

    if (Text != NULL && !Choose(Choices, Text, &Code)) {
        const char *Allowed = "";

        for (; Choices->Word != NULL; Choices++) {
            Allowed = Join(Join(Allowed, " "), Choices->Word);
        }
        ScriptError(Line, Join(Join(Join(Key, "="), Text), " is none of"), Allowed + 1);
    }
    return Code;
}

/* The value of major=, or FLTLAB_ANY_FUNCTION. */
ULONG
Major(const PROBE_LINE *Line)
{
    return Choice(Line, "major", Majors, FLTLAB_ANY_FUNCTION);
}

/* The value of phase=, or 0. */
ULONG
Phase(const PROBE_LINE *Line)
{
    return Choice(Line, "phase", Phases, 0);
}

static void
SetName(const PROBE_LINE *Line, FLTLAB_RULE *Rule)
{
    const char *Text = Value(Line, "name");
    UNICODE_STRING Name;

    if (Text == NULL) {
        return;
    }
    Wide(Text, &Name);
    Rule->NameLength = Name.Length / sizeof(WCHAR);
    if (Rule->NameLength > FLTLAB_NAME_LENGTH) {
        ScriptError(Line, "name= takes at most 32 characters", Text);
    }
    memcpy(Rule->Name, Name.Buffer, Name.Length);
}

static void
Match(const PROBE_LINE *Line, FLTLAB_RULE *Rule)
{
    const char *Process = Value(Line, "process");

    Rule->Major = (USHORT)Major(Line);
    Rule->Minor = (USHORT)NumberUpTo(Line, "minor", FLTLAB_ANY_FUNCTION, MAXWORD);
    Rule->ClassMask = Choice(Line, "class", Classes, 0);
    Rule->SkipMatches = Number32(Line, "skip", 0);
    Rule->MaxMatches = Number32(Line, "max", 0);
    if (Process != NULL && SameText(Process, "any")) {
        Rule->ProcessId = FLTLAB_ANY_PROCESS;
    } else {
        Rule->ProcessId = Number32(Line, "process", FLTLAB_THIS_PROCESS);
    }
    SetName(Line, Rule);
}

static void
Act(const PROBE_LINE *Line, FLTLAB_RULE *Rule)
{
    ULONG Index;

    Rule->Action = Choice(Line, "do", Actions, FLTLAB_DO_DEFAULT);
    Rule->Status = Number32(Line, "status", 0);
    Rule->Information = Number(Line, "information", 0);
    Rule->Context = Number(Line, "context", 0);
    Rule->Offset = Number(Line, "offset", 0);
    Rule->Length = Number32(Line, "length", 0);
    Rule->DelayMilliseconds = Number32(Line, "delay", 0);
    Rule->Mechanism = Choice(Line, "mechanism", Mechanisms, 0);
    Rule->Resume = Choice(Line, "resume", Resumes, 0);
    Rule->PostAction = Choice(Line, "post", Posts, 0);
    Rule->PostStatus = Number32(Line, "post-status", 0);
    Rule->PostMechanism = Choice(Line, "post-mechanism", Mechanisms, 0);
    Rule->Flags |= Value(Line, "context") != NULL ? FLTLAB_RULE_CONTEXT : 0;
    Rule->Flags |= Value(Line, "offset") != NULL ? FLTLAB_RULE_OFFSET : 0;
    Rule->Flags |= Value(Line, "length") != NULL ? FLTLAB_RULE_LENGTH : 0;
    Rule->Flags |= Value(Line, "post-status") != NULL ? FLTLAB_RULE_POST_STATUS : 0;
    for (Index = 0; Index < ARRAYSIZE(FlagKeys); Index++) {
        Rule->Flags |= Choice(Line, FlagKeys[Index].Key, FlagKeys[Index].Choices, 0) ? FlagKeys[Index].Flag : 0;
    }
}

/* rule <label> key=value ...; Information is the rule's id */
void
RuleVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_FILTER *Filter = FindFilter(Line, Line->Words[1]);
    FLTLAB_ADD_RULE Request;
    FLTLAB_RULE_REPLY Reply;

    memset(&Request, 0, sizeof(Request));
    memset(&Reply, 0, sizeof(Reply));
    InitializeRequest(&Request.Header, FLTLAB_COMMAND_ADD_RULE, sizeof(Request));
    Match(Line, &Request.Rule);
    Act(Line, &Request.Rule);
    Step->Status = Send(Filter, &Request, sizeof(Request), &Reply, sizeof(Reply));
    if (Step->Status < 0) {
        FilterError(Line, "the minifilter refuses this rule, as it does not do what the rule says", Filter->Label,
                    Step->Status);
    }
    Step->Information = Reply.RuleId;
}
