/*
 * rules.c: operation rules, added and removed through the control port and matched in preoperation callbacks.
 *
 * A fixed table under a spin lock. A match copies the rule out, so that a callback never sees one change.
 */

#include "common.h"

typedef struct _RULE_ENTRY {
    ULONG Id; /* 0: free */
    ULONG Seen;
    ULONG Matched;
    FLTLAB_RULE Rule;
} RULE_ENTRY;

static struct {
    KSPIN_LOCK Lock;
    ULONG NextId;
    ULONG MatchedTotal;
    ULONG Used; /* entries in use, in the order of their ids */
    RULE_ENTRY Entries[FLTLAB_MAXIMUM_RULES];
} Rules;

VOID
LabInitializeRules(VOID)
{
    KeInitializeSpinLock(&Rules.Lock);
    Rules.NextId = 1;
}

/* Whether a postoperation callback has something to do for the rule. */
BOOLEAN
LabRuleHasPostPart(const FLTLAB_RULE *Rule)
{
    return Rule->PostAction != 0 ||
           FlagOn(Rule->Flags, FLTLAB_RULE_SET_CONTEXT | FLTLAB_RULE_PRE_CONTEXT | FLTLAB_RULE_POST_CONTEXT |
                                   FLTLAB_RULE_POST_STATUS | FLTLAB_RULE_POST_HOLD | FLTLAB_RULE_SWAP);
}

static NTSTATUS
CheckRule(const FLTLAB_RULE *Rule)
{
    if (Rule->Action > FLTLAB_DO_DISALLOW_FSFILTER_IO || Rule->Mechanism > FLTLAB_MECHANISM_THREAD ||
        Rule->Resume > FLTLAB_RESUME_SYNCHRONIZE || Rule->PostAction > FLTLAB_POST_WHEN_SAFE ||
        Rule->PostMechanism > FLTLAB_MECHANISM_THREAD || Rule->PostMechanism == FLTLAB_MECHANISM_QUEUE ||
        Rule->NameLength > FLTLAB_NAME_LENGTH || FlagOn(Rule->ClassMask, ~FLTLAB_CLASS_ANY) ||
        FlagOn(Rule->Flags, ~FLTLAB_RULE_ALL_FLAGS)) {
        return STATUS_INVALID_PARAMETER;
    }
    /* One slot cannot carry both a token and a context. */
    if (FlagOn(Rule->Flags, FLTLAB_RULE_CONTEXT) && FlagOn(Rule->Flags, FLTLAB_RULE_PRE_CONTEXT)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (Rule->Action != FLTLAB_DO_DEFAULT && !FlagOn(FltLabDriver.Actions, LAB_ACTION(Rule->Action))) {
        return STATUS_NOT_SUPPORTED;
    }
    if (Rule->PostAction > FLTLAB_POST_FINISH && !FlagOn(FltLabDriver.PostActions, LAB_ACTION(Rule->PostAction))) {
        return STATUS_NOT_SUPPORTED;
    }
    if (FlagOn(Rule->Flags, ~FltLabDriver.RuleFlags)) {
        return STATUS_NOT_SUPPORTED;
    }
    return STATUS_SUCCESS;
}

NTSTATUS
LabAddRule(const FLTLAB_RULE *Rule, ULONG *RuleId)
{
    RULE_ENTRY *Entry;
    NTSTATUS Status;
    KIRQL Irql;

    Status = CheckRule(Rule);
    if (NT_SUCCESS(Status) && FltLabDriver.PrepareRule != NULL) {
        Status = FltLabDriver.PrepareRule(Rule);
    }
    if (!NT_SUCCESS(Status)) {
        return Status;
    }

    KeAcquireSpinLock(&Rules.Lock, &Irql);
    if (Rules.Used == FLTLAB_MAXIMUM_RULES) {
        Status = STATUS_INSUFFICIENT_RESOURCES;
    } else {
        Entry = &Rules.Entries[Rules.Used++];
        RtlZeroMemory(Entry, sizeof(*Entry));
        Entry->Id = Rules.NextId++;
        Entry->Rule = *Rule;
        *RuleId = Entry->Id;
    }
    KeReleaseSpinLock(&Rules.Lock, Irql);
    return Status;
}

NTSTATUS
LabRemoveRule(ULONG RuleId)
{
    NTSTATUS Status = STATUS_NOT_FOUND;
    ULONG Index;
    KIRQL Irql;

    KeAcquireSpinLock(&Rules.Lock, &Irql);
    for (Index = 0; Index < Rules.Used; Index++) {
        if (Rules.Entries[Index].Id == RuleId) {
            RtlMoveMemory(&Rules.Entries[Index], &Rules.Entries[Index + 1],
                          (Rules.Used - Index - 1) * sizeof(RULE_ENTRY));
            Rules.Used--;
            Status = STATUS_SUCCESS;
            break;
        }
    }
    KeReleaseSpinLock(&Rules.Lock, Irql);
    return Status;
}

VOID
LabClearRules(VOID)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Rules.Lock, &Irql);
    Rules.Used = 0;
    Rules.NextId = 1;
    Rules.MatchedTotal = 0;
    KeReleaseSpinLock(&Rules.Lock, Irql);
}

ULONG
LabMatchedTotal(VOID)
{
    return Rules.MatchedTotal;
}

static WCHAR
FoldCase(WCHAR Character)
{
    return Character >= L'a' && Character <= L'z' ? Character - (L'a' - L'A') : Character;
}

/* By hand: the kernel's case-insensitive comparison needs pageable tables. */
static BOOLEAN
SameName(const FLTLAB_RULE *Rule, const LAB_NAME *Name)
{
    ULONG Index;

    if (Rule->NameLength != Name->Length) {
        return FALSE;
    }
    for (Index = 0; Index < Name->Length; Index++) {
        if (FoldCase(Rule->Name[Index]) != FoldCase(Name->Buffer[Index])) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Not by IRP_SYNCHRONOUS_PAGING_IO: with IRP_PAGING_IO it says how, alone the bit is IRP_INPUT_OPERATION. */
static BOOLEAN
IsPagingIo(PFLT_CALLBACK_DATA Data)
{
    return FLT_IS_IRP_OPERATION(Data) && FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO);
}

static BOOLEAN
Matches(const FLTLAB_RULE *Rule, PFLT_CALLBACK_DATA Data, ULONG ProcessId, const LAB_NAME *Name)
{
    if (Rule->Major != FLTLAB_ANY_FUNCTION && Rule->Major != Data->Iopb->MajorFunction) {
        return FALSE;
    }
    if (Rule->Minor != FLTLAB_ANY_FUNCTION && Rule->Minor != Data->Iopb->MinorFunction) {
        return FALSE;
    }
    if (Rule->ClassMask != 0 && !FlagOn(Data->Flags, Rule->ClassMask)) {
        return FALSE;
    }
    if (Rule->ProcessId != FLTLAB_ANY_PROCESS && Rule->ProcessId != ProcessId) {
        return FALSE;
    }
    if (IsPagingIo(Data) && !FlagOn(Rule->Flags, FLTLAB_RULE_PAGING_IO)) {
        return FALSE;
    }
    return Rule->NameLength == 0 || SameName(Rule, Name);
}

static VOID
MatchRules(PFLT_CALLBACK_DATA Data, LAB_MATCH *Match)
{
    ULONG ProcessId = FltGetRequestorProcessId(Data);
    RULE_ENTRY *Entry;
    ULONG Index;
    KIRQL Irql;

    KeAcquireSpinLock(&Rules.Lock, &Irql);
    for (Index = 0; Index < Rules.Used; Index++) {
        Entry = &Rules.Entries[Index];
        if (!Matches(&Entry->Rule, Data, ProcessId, &Match->Name)) {
            continue;
        }
        Entry->Seen++;
        if (Entry->Seen <= Entry->Rule.SkipMatches ||
            (Entry->Rule.MaxMatches != 0 && Entry->Matched == Entry->Rule.MaxMatches)) {
            continue;
        }
        Entry->Matched++;
        Rules.MatchedTotal++;
        Match->RuleId = Entry->Id;
        Match->Rule = Entry->Rule;
        break;
    }
    KeReleaseSpinLock(&Rules.Lock, Irql);
}

/* The rule for an operation in its preoperation callback. */
VOID
LabMatchPre(PFLT_CALLBACK_DATA Data, LAB_MATCH *Match)
{
    RtlZeroMemory(Match, sizeof(*Match));
    LabFindName(Data, TRUE, &Match->Name);
    MatchRules(Data, Match);
}

/*
 * The rule for an operation in its postoperation callback: what the preoperation callback remembered, or, where there
 * is none registered, the table.
 */
VOID
LabMatchPost(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
             FLT_POST_OPERATION_FLAGS Flags, LAB_MATCH *Match)
{
    PLAB_OPERATION Operation;

    RtlZeroMemory(Match, sizeof(*Match));
    Operation = LabTakeRemembered(Data, FltObjects, CompletionContext, Flags);
    if (Operation != NULL) {
        *Match = Operation->Match;
        LabDereferenceOperation(Operation);
        return;
    }
    LabFindName(Data, FALSE, &Match->Name);
    if (!LabHasPre(Data->Iopb->MajorFunction) && !FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        MatchRules(Data, Match);
    }
}
