/*
 * filter.c: denies creates of names that one of the rules fits. The rules are a list under a resource,
 * upper case, as FsRtlIsNameInExpression wants them; names are compared in upper case too.
 */

#include "ctldev.h"

#define RULE_TAG 'luRC'
#define MOST_RULE_BYTES 256

typedef struct _RULE {
    LIST_ENTRY Links;
    UNICODE_STRING Expression;
    WCHAR Text[MOST_RULE_BYTES / sizeof(WCHAR)];
} RULE;

static PFLT_FILTER Filter;
static LIST_ENTRY Rules;
static ERESOURCE RulesLock;
static ULONG RuleCount;
static volatile LONG Denied;

DRIVER_INITIALIZE DriverEntry;

static VOID
LockRules(_In_ BOOLEAN Exclusive)
{
    KeEnterCriticalRegion();
    if (Exclusive) {
        ExAcquireResourceExclusiveLite(&RulesLock, TRUE);
    } else {
        ExAcquireResourceSharedLite(&RulesLock, TRUE);
    }
}

static VOID
UnlockRules(VOID)
{
    ExReleaseResourceLite(&RulesLock);
    KeLeaveCriticalRegion();
}

static NTSTATUS
MakeRule(_In_reads_bytes_(Length) PWCH Text, _In_ ULONG Length, _Outptr_ RULE **Made)
{
    UNICODE_STRING Given;
    RULE *Rule;

    if (Length == 0 || Length % sizeof(WCHAR) != 0 || Length > MOST_RULE_BYTES) {
        return STATUS_INVALID_PARAMETER;
    }
    Rule = ExAllocatePool2(POOL_FLAG_PAGED, sizeof(*Rule), RULE_TAG);
    if (Rule == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Given.Buffer = Text;
    Given.Length = Given.MaximumLength = (USHORT)Length;
    RtlInitEmptyUnicodeString(&Rule->Expression, Rule->Text, sizeof(Rule->Text));
    RtlUpcaseUnicodeString(&Rule->Expression, &Given, FALSE);
    *Made = Rule;
    return STATUS_SUCCESS;
}

static RULE *
FindRule(_In_ PCUNICODE_STRING Expression)
{
    PLIST_ENTRY Entry;

    for (Entry = Rules.Flink; Entry != &Rules; Entry = Entry->Flink) {
        RULE *Rule = CONTAINING_RECORD(Entry, RULE, Links);

        if (RtlEqualUnicodeString(&Rule->Expression, Expression, FALSE)) {
            return Rule;
        }
    }
    return NULL;
}

NTSTATUS
AddRule(PWCH Text, ULONG Length)
{
    RULE *Rule;
    NTSTATUS Status = MakeRule(Text, Length, &Rule);

    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    LockRules(TRUE);
    if (FindRule(&Rule->Expression) != NULL) {
        Status = STATUS_OBJECT_NAME_COLLISION;
    } else {
        InsertTailList(&Rules, &Rule->Links);
        RuleCount++;
    }
    UnlockRules();
    if (!NT_SUCCESS(Status)) {
        ExFreePoolWithTag(Rule, RULE_TAG);
    }
    return Status;
}

NTSTATUS
RemoveRule(PWCH Text, ULONG Length)
{
    RULE *Wanted, *Found;
    NTSTATUS Status = MakeRule(Text, Length, &Wanted);

    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    LockRules(TRUE);
    Found = FindRule(&Wanted->Expression);
    if (Found != NULL) {
        RemoveEntryList(&Found->Links);
        RuleCount--;
    }
    UnlockRules();
    ExFreePoolWithTag(Wanted, RULE_TAG);
    if (Found == NULL) {
        return STATUS_NOT_FOUND;
    }
    ExFreePoolWithTag(Found, RULE_TAG);
    return STATUS_SUCCESS;
}

/* Rules with a newline behind each; STATUS_BUFFER_OVERFLOW and those that fit if there is no room for all. */
NTSTATUS
ListRules(PUCHAR Buffer, ULONG Room, PULONG_PTR Length)
{
    NTSTATUS Status = STATUS_SUCCESS;
    PLIST_ENTRY Entry;
    ULONG At = 0;

    LockRules(FALSE);
    for (Entry = Rules.Flink; Entry != &Rules; Entry = Entry->Flink) {
        RULE *Rule = CONTAINING_RECORD(Entry, RULE, Links);

        if (At + Rule->Expression.Length + sizeof(WCHAR) > Room) {
            Status = STATUS_BUFFER_OVERFLOW;
            break;
        }
        RtlCopyMemory(Buffer + At, Rule->Text, Rule->Expression.Length);
        At += Rule->Expression.Length;
        *(WCHAR UNALIGNED *)(Buffer + At) = L'\n';
        At += sizeof(WCHAR);
    }
    UnlockRules();
    *Length = At;
    return Status;
}

VOID
GetStatistics(CTL_STATISTICS *Statistics)
{
    Statistics->Rules = RuleCount;
    Statistics->Denied = (ULONG)Denied;
    Statistics->Waiting = 0;
}

static BOOLEAN
IsDenied(_In_ PUNICODE_STRING Name)
{
    BOOLEAN Found = FALSE;
    PLIST_ENTRY Entry;

    LockRules(FALSE);
    for (Entry = Rules.Flink; Entry != &Rules && !Found; Entry = Entry->Flink) {
        Found = FsRtlIsNameInExpression(&CONTAINING_RECORD(Entry, RULE, Links)->Expression, Name, TRUE, NULL);
    }
    UnlockRules();
    return Found;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
          _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    FLT_PREOP_CALLBACK_STATUS Answer = FLT_PREOP_SUCCESS_NO_CALLBACK;
    PFLT_FILE_NAME_INFORMATION Info;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (RuleCount == 0 ||
        !NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Info))) {
        return Answer;
    }
    if (NT_SUCCESS(FltParseFileNameInformation(Info)) && Info->FinalComponent.Length != 0 &&
        IsDenied(&Info->FinalComponent)) {
        InterlockedIncrement(&Denied);
        TellEvent(&Info->FinalComponent);
        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
        Data->IoStatus.Information = 0;
        Answer = FLT_PREOP_COMPLETE;
    }
    FltReleaseFileNameInformation(Info);
    return Answer;
}

static VOID
FreeRules(VOID)
{
    while (!IsListEmpty(&Rules)) {
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&Rules), RULE, Links), RULE_TAG);
    }
    ExDeleteResourceLite(&RulesLock);
}

static NTSTATUS FLTAPI
Unload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    DeleteDevice();
    FltUnregisterFilter(Filter);
    FreeRules();
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL}, {IRP_MJ_OPERATION_END}};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    InitializeListHead(&Rules);
    ExInitializeResourceLite(&RulesLock);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (!NT_SUCCESS(Status)) {
        FreeRules();
        return Status;
    }
    Status = CreateDevice(DriverObject);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (NT_SUCCESS(Status)) {
            return STATUS_SUCCESS;
        }
        DeleteDevice();
    }
    FltUnregisterFilter(Filter);
    FreeRules();
    return Status;
}
