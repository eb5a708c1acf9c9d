/*
 * procguard.c
 *
 * Process creation is watched with PsSetCreateProcessNotifyRoutineEx. A process whose command line has one of the words
 * of the REG_MULTI_SZ value Forbidden is refused by CreationStatus. Those that are there are kept in a table by process
 * id, so that a callback can say at once which image writes: each first write of a process to a file is printed.
 */

#include <ntifs.h>
#include <fltKernel.h>
#include <ntstrsafe.h>

#define PG_TAG 'GcrP'
#define PG_WORDS 8

typedef struct _PG_PROCESS {
    LIST_ENTRY Entry;
    HANDLE ProcessId;
    BOOLEAN HasWritten;
    UNICODE_STRING ImageName;
    WCHAR Buffer[ANYSIZE_ARRAY];
} PG_PROCESS, *PPG_PROCESS;

struct {
    PFLT_FILTER Filter;
    ERESOURCE Lock;
    LIST_ENTRY Processes;
    WCHAR Forbidden[PG_WORDS][64];
    ULONG ForbiddenCount;
} PG;

static PPG_PROCESS
PgFind(HANDLE ProcessId)
{
    for (PLIST_ENTRY e = PG.Processes.Flink; e != &PG.Processes; e = e->Flink) {
        PPG_PROCESS p = CONTAINING_RECORD(e, PG_PROCESS, Entry);
        if (p->ProcessId == ProcessId) {
            return p;
        }
    }
    return NULL;
}

static BOOLEAN
PgContains(PCUNICODE_STRING Text, PCWSTR Word)
{
    UNICODE_STRING word, part;

    RtlInitUnicodeString(&word, Word);
    for (part = *Text; part.Length >= word.Length; part.Buffer++, part.Length -= sizeof(WCHAR)) {
        UNICODE_STRING head = {word.Length, word.Length, part.Buffer};
        if (RtlCompareUnicodeString(&head, &word, TRUE) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static VOID
PgCreateProcess(PEPROCESS Process, HANDLE ProcessId, PPS_CREATE_NOTIFY_INFO CreateInfo)
{
    PPG_PROCESS p;

    UNREFERENCED_PARAMETER(Process);
    PAGED_CODE();

    if (CreateInfo == NULL) {
        KeEnterCriticalRegion();
        ExAcquireResourceExclusiveLite(&PG.Lock, TRUE);
        p = PgFind(ProcessId);
        if (p != NULL) {
            RemoveEntryList(&p->Entry);
        }
        ExReleaseResourceLite(&PG.Lock);
        KeLeaveCriticalRegion();
        if (p != NULL) {
            ExFreePoolWithTag(p, PG_TAG);
        }
        return;
    }

    if (CreateInfo->CommandLine != NULL) {
        for (ULONG i = 0; i < PG.ForbiddenCount; i++) {
            if (PgContains(CreateInfo->CommandLine, PG.Forbidden[i])) {
                DbgPrint("procguard: refused %wZ\n", CreateInfo->CommandLine);
                CreateInfo->CreationStatus = STATUS_VIRUS_INFECTED;
                return;
            }
        }
    }
    if (CreateInfo->ImageFileName == NULL) {
        return;
    }
    p = ExAllocatePool2(POOL_FLAG_PAGED, sizeof(*p) + CreateInfo->ImageFileName->Length, PG_TAG);
    if (p == NULL) {
        return;
    }
    p->ProcessId = ProcessId;
    p->ImageName.Buffer = p->Buffer;
    p->ImageName.MaximumLength = CreateInfo->ImageFileName->Length;
    RtlCopyUnicodeString(&p->ImageName, CreateInfo->ImageFileName);
    DbgPrint("procguard: %wZ begins, by its %s name\n", &p->ImageName,
             CreateInfo->FileOpenNameAvailable ? "full" : "partial");

    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&PG.Lock, TRUE);
    InsertHeadList(&PG.Processes, &p->Entry);
    ExReleaseResourceLite(&PG.Lock);
    KeLeaveCriticalRegion();
}

static FLT_PREOP_CALLBACK_STATUS
PgPreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PEPROCESS requestor = FltGetRequestorProcess(Data);
    PPG_PROCESS p;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (requestor == NULL || KeGetCurrentIrql() > APC_LEVEL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }

    KeEnterCriticalRegion();
    ExAcquireResourceSharedLite(&PG.Lock, TRUE);
    p = PgFind(PsGetProcessId(requestor));
    if (p != NULL && !InterlockedExchange8((volatile CHAR *)&p->HasWritten, TRUE)) {
        DbgPrint("procguard: %wZ writes\n", &p->ImageName);
    }
    ExReleaseResourceLite(&PG.Lock);
    KeLeaveCriticalRegion();
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS NTAPI
PgWord(PWSTR ValueName, ULONG ValueType, PVOID ValueData, ULONG ValueLength, PVOID Context, PVOID EntryContext)
{
    UNREFERENCED_PARAMETER(ValueName);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(EntryContext);
    if (ValueType == REG_SZ && PG.ForbiddenCount < PG_WORDS && ValueLength > sizeof(WCHAR)) {
        RtlStringCbCopyW(PG.Forbidden[PG.ForbiddenCount++], sizeof(PG.Forbidden[0]), ValueData);
    }
    return STATUS_SUCCESS;
}

static NTSTATUS
PgUnload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PsSetCreateProcessNotifyRoutineEx(PgCreateProcess, TRUE);
    FltUnregisterFilter(PG.Filter);
    while (!IsListEmpty(&PG.Processes)) {
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&PG.Processes), PG_PROCESS, Entry), PG_TAG);
    }
    ExDeleteResourceLite(&PG.Lock);
    return STATUS_SUCCESS;
}

static NTSTATUS
PgQueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Callbacks[] = {
    {IRP_MJ_WRITE, FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO, PgPreWrite, NULL},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION Registration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Callbacks, PgUnload, NULL, PgQueryTeardown,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    RTL_QUERY_REGISTRY_TABLE table[] = {
        {NULL, RTL_QUERY_REGISTRY_SUBKEY, L"Parameters", NULL, REG_NONE, NULL, 0},
        {PgWord, 0, L"Forbidden", NULL, REG_NONE, NULL, 0},
        {NULL, 0, NULL, NULL, REG_NONE, NULL, 0},
    };
    NTSTATUS status;

    InitializeListHead(&PG.Processes);
    RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE, RegistryPath->Buffer, table, NULL, NULL);
    status = ExInitializeResourceLite(&PG.Lock);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = FltRegisterFilter(DriverObject, &Registration, &PG.Filter);
    if (!NT_SUCCESS(status)) {
        goto Lock;
    }
    status = PsSetCreateProcessNotifyRoutineEx(PgCreateProcess, FALSE);
    if (!NT_SUCCESS(status)) {
        goto Filter;
    }
    status = FltStartFiltering(PG.Filter);
    if (NT_SUCCESS(status)) {
        return status;
    }
    PsSetCreateProcessNotifyRoutineEx(PgCreateProcess, TRUE);
Filter:
    FltUnregisterFilter(PG.Filter);
Lock:
    ExDeleteResourceLite(&PG.Lock);
    return status;
}
