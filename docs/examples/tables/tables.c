/*
 * tables.c: a table of files by file id, with how often each was written. An AVL table under an ERESOURCE, entries from
 * a paged lookaside list; a timer's DPC queues a work item every second, which forgets what has not been written since
 * the last but one. A client asks by FilterSendMessage for the count of a file id.
 */

#include <fltKernel.h>

#define TBL_TAG 'lbaT'
#define PERIOD_MS 1000
#define MOST_AGE 2

typedef struct _ENTRY {
    ULONGLONG FileId;
    ULONG Writes;
    ULONG Age;
} ENTRY, *PENTRY;

static struct {
    PFLT_FILTER Filter;
    PFLT_PORT Server, Client;
    ERESOURCE Lock;
    RTL_AVL_TABLE Table;
    PAGED_LOOKASIDE_LIST Entries;
    KTIMER Timer;
    KDPC Dpc;
    WORK_QUEUE_ITEM Work;
    EX_RUNDOWN_REF Rundown;
    KEVENT Idle;
    LONG Busy;
} G;

static RTL_GENERIC_COMPARE_RESULTS NTAPI
Compare(PRTL_AVL_TABLE Table, PVOID First, PVOID Second)
{
    PENTRY a = First, b = Second;

    UNREFERENCED_PARAMETER(Table);
    return a->FileId < b->FileId ? GenericLessThan : a->FileId > b->FileId ? GenericGreaterThan : GenericEqual;
}

static PVOID NTAPI
Allocate(PRTL_AVL_TABLE Table, CLONG Bytes)
{
    UNREFERENCED_PARAMETER(Table);
    NT_ASSERT(Bytes <= sizeof(RTL_BALANCED_LINKS) + sizeof(ENTRY));
    UNREFERENCED_PARAMETER(Bytes);
    return ExAllocateFromPagedLookasideList(&G.Entries);
}

static VOID NTAPI
Free(PRTL_AVL_TABLE Table, PVOID Buffer)
{
    UNREFERENCED_PARAMETER(Table);
    ExFreeToPagedLookasideList(&G.Entries, Buffer);
}

static VOID NTAPI
AgeAll(PVOID Parameter)
{
    PVOID restart = NULL;
    PENTRY entry;

    UNREFERENCED_PARAMETER(Parameter);
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&G.Lock, TRUE);
    for (entry = RtlEnumerateGenericTableWithoutSplayingAvl(&G.Table, &restart); entry != NULL;
         entry = RtlEnumerateGenericTableWithoutSplayingAvl(&G.Table, &restart)) {
        if (++entry->Age > MOST_AGE) {
            RtlDeleteElementGenericTableAvl(&G.Table, entry);
            restart = NULL; /* the element it stood at is gone */
        }
    }
    ExReleaseResourceLite(&G.Lock);
    KeLeaveCriticalRegion();
    InterlockedExchange(&G.Busy, 0);
    ExReleaseRundownProtection(&G.Rundown);
}

static VOID NTAPI
Tick(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    if (InterlockedCompareExchange(&G.Busy, 1, 0) != 0) {
        return;
    }
    if (!ExAcquireRundownProtection(&G.Rundown)) {
        InterlockedExchange(&G.Busy, 0);
        return;
    }
    ExQueueWorkItem(&G.Work, DelayedWorkQueue);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    FILE_INTERNAL_INFORMATION id;
    ENTRY wanted = {0};
    PENTRY entry;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO) || KeGetCurrentIrql() != PASSIVE_LEVEL ||
        !NT_SUCCESS(FltQueryInformationFile(FltObjects->Instance, FltObjects->FileObject, &id, sizeof(id),
                                            FileInternalInformation, NULL))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    wanted.FileId = id.IndexNumber.QuadPart;
    FltAcquireResourceExclusive(&G.Lock);
    entry = RtlInsertElementGenericTableAvl(&G.Table, &wanted, sizeof(wanted), NULL);
    if (entry != NULL) {
        entry->Writes++;
        entry->Age = 0;
    }
    FltReleaseResource(&G.Lock);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Message(PVOID Cookie, PVOID Input, ULONG InputLength, PVOID Output, ULONG OutputLength, PULONG Returned)
{
    NTSTATUS status = STATUS_SUCCESS;
    ENTRY wanted = {0};
    PENTRY found;

    UNREFERENCED_PARAMETER(Cookie);
    *Returned = 0;
    if (InputLength != sizeof(ULONGLONG) || OutputLength < sizeof(ULONG)) {
        return STATUS_INVALID_PARAMETER;
    }
    __try {
        wanted.FileId = *(UNALIGNED ULONGLONG *)Input;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    FltAcquireResourceShared(&G.Lock);
    found = RtlLookupElementGenericTableAvl(&G.Table, &wanted);
    wanted.Writes = found != NULL ? found->Writes : 0;
    FltReleaseResource(&G.Lock);
    __try {
        *(UNALIGNED ULONG *)Output = wanted.Writes;
        *Returned = sizeof(ULONG);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return status;
}

static NTSTATUS FLTAPI
Connect(PFLT_PORT Port, PVOID ServerCookie, PVOID Context, ULONG Size, PVOID *Cookie)
{
    UNREFERENCED_PARAMETER(ServerCookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Size);
    *Cookie = NULL;
    G.Client = Port;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Disconnect(PVOID Cookie)
{
    UNREFERENCED_PARAMETER(Cookie);
    FltCloseClientPort(G.Filter, &G.Client);
}

static VOID
TearDown(VOID)
{
    PENTRY entry;

    KeCancelTimer(&G.Timer);
    KeFlushQueuedDpcs();
    ExWaitForRundownProtectionRelease(&G.Rundown);
    while ((entry = RtlGetElementGenericTableAvl(&G.Table, 0)) != NULL) {
        RtlDeleteElementGenericTableAvl(&G.Table, entry);
    }
    ExDeletePagedLookasideList(&G.Entries);
    ExDeleteResourceLite(&G.Lock);
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltCloseCommunicationPort(G.Server);
    FltUnregisterFilter(G.Filter);
    TearDown();
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_WRITE, 0, PreWrite, NULL}, {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION Registration = {.Size = sizeof(FLT_REGISTRATION),
                                              .Version = FLT_REGISTRATION_VERSION,
                                              .OperationRegistration = Operations,
                                              .FilterUnloadCallback = Unload,
                                              .InstanceQueryTeardownCallback = QueryTeardown};

static NTSTATUS
OpenPort(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\tables");
    PSECURITY_DESCRIPTOR sd;
    OBJECT_ATTRIBUTES oa;
    NTSTATUS status = FltBuildDefaultSecurityDescriptor(&sd, FLT_PORT_ALL_ACCESS);

    if (NT_SUCCESS(status)) {
        InitializeObjectAttributes(&oa, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, sd);
        status = FltCreateCommunicationPort(G.Filter, &G.Server, &oa, NULL, Connect, Disconnect, Message, 1);
        FltFreeSecurityDescriptor(sd);
    }
    return status;
}

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    LARGE_INTEGER due = {.QuadPart = -10000LL * PERIOD_MS};
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    ExInitializeResourceLite(&G.Lock);
    RtlInitializeGenericTableAvl(&G.Table, Compare, Allocate, Free, NULL);
    ExInitializePagedLookasideList(&G.Entries, NULL, NULL, 0, sizeof(RTL_BALANCED_LINKS) + sizeof(ENTRY), TBL_TAG, 0);
    ExInitializeRundownProtection(&G.Rundown);
    ExInitializeWorkItem(&G.Work, AgeAll, NULL);
    KeInitializeDpc(&G.Dpc, Tick, NULL);
    KeInitializeTimerEx(&G.Timer, NotificationTimer);
    status = FltRegisterFilter(DriverObject, &Registration, &G.Filter);
    if (NT_SUCCESS(status)) {
        status = OpenPort();
        if (NT_SUCCESS(status)) {
            KeSetTimerEx(&G.Timer, due, PERIOD_MS, &G.Dpc);
            status = FltStartFiltering(G.Filter);
            if (NT_SUCCESS(status)) {
                return status;
            }
            FltCloseCommunicationPort(G.Server);
        }
        FltUnregisterFilter(G.Filter);
    }
    TearDown();
    return status;
}
