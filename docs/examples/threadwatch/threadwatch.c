/* threadwatch.c: what a thread has done is printed when it ends. A hash table of threads, a spin lock for each bucket. */

#include <fltKernel.h>

#define BUCKETS 32
#define TAG 'dhTw'

typedef struct _THREAD_ENTRY {
    SINGLE_LIST_ENTRY Next;
    HANDLE Thread, Process;
    LARGE_INTEGER Born;
    LONG Operations;
} THREAD_ENTRY, *PTHREAD_ENTRY;

typedef struct _BUCKET {
    KSPIN_LOCK Lock;
    SINGLE_LIST_ENTRY Head;
} BUCKET, *PBUCKET;

static PFLT_FILTER gFilter;
static BUCKET gTable[BUCKETS];
static NPAGED_LOOKASIDE_LIST gEntries;

#define BUCKET_OF(Thread) (&gTable[((ULONG_PTR)(Thread) >> 2) % BUCKETS])

/* Removes an entry; the caller frees it. */
static PTHREAD_ENTRY
TwTake(HANDLE Thread)
{
    PBUCKET bucket = BUCKET_OF(Thread);
    PSINGLE_LIST_ENTRY at;
    PTHREAD_ENTRY found = NULL;
    KLOCK_QUEUE_HANDLE lock;

    KeAcquireInStackQueuedSpinLock(&bucket->Lock, &lock);
    for (at = &bucket->Head; at->Next != NULL; at = at->Next) {
        found = CONTAINING_RECORD(at->Next, THREAD_ENTRY, Next);
        if (found->Thread == Thread) {
            PopEntryList(at);
            break;
        }
        found = NULL;
    }
    KeReleaseInStackQueuedSpinLock(&lock);
    return found;
}

static VOID
TwThread(HANDLE ProcessId, HANDLE ThreadId, BOOLEAN Create)
{
    PTHREAD_ENTRY entry;
    LARGE_INTEGER now;
    KIRQL irql;

    if (!Create) {
        entry = TwTake(ThreadId);
        if (entry != NULL) {
            KeQuerySystemTimePrecise(&now);
            if (entry->Operations != 0) {
                DbgPrint("threadwatch: a thread of %lu ends after %ld operations and %lld us\n",
                         HandleToULong(ProcessId), entry->Operations, (now.QuadPart - entry->Born.QuadPart) / 10);
            }
            ExFreeToNPagedLookasideList(&gEntries, entry);
        }
        return;
    }
    entry = ExAllocateFromNPagedLookasideList(&gEntries);
    if (entry == NULL) {
        return;
    }
    entry->Thread = ThreadId;
    entry->Process = ProcessId;
    entry->Operations = 0;
    KeQuerySystemTimePrecise(&entry->Born);
    KeAcquireSpinLock(&BUCKET_OF(ThreadId)->Lock, &irql);
    PushEntryList(&BUCKET_OF(ThreadId)->Head, &entry->Next);
    KeReleaseSpinLock(&BUCKET_OF(ThreadId)->Lock, irql);
}

static FLT_PREOP_CALLBACK_STATUS
TwPreAny(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    HANDLE thread = Data->Thread != NULL ? PsGetThreadId(Data->Thread) : NULL;
    PBUCKET bucket = BUCKET_OF(thread);
    PSINGLE_LIST_ENTRY at;
    KIRQL irql;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    KeAcquireSpinLock(&bucket->Lock, &irql);
    for (at = bucket->Head.Next; at != NULL; at = at->Next) {
        PTHREAD_ENTRY entry = CONTAINING_RECORD(at, THREAD_ENTRY, Next);
        if (entry->Thread == thread) {
            entry->Operations++;
        }
    }
    KeReleaseSpinLock(&bucket->Lock, irql);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS
TwUnload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PsRemoveCreateThreadNotifyRoutine(TwThread);
    FltUnregisterFilter(gFilter);
    for (ULONG i = 0; i < BUCKETS; i++) {
        PSINGLE_LIST_ENTRY at;

        while ((at = PopEntryList(&gTable[i].Head)) != NULL) {
            ExFreeToNPagedLookasideList(&gEntries, CONTAINING_RECORD(at, THREAD_ENTRY, Next));
        }
    }
    ExDeleteNPagedLookasideList(&gEntries);
    return STATUS_SUCCESS;
}

static NTSTATUS
TwQueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION gOperations[] = {
    {IRP_MJ_CREATE, 0, TwPreAny, NULL},          {IRP_MJ_READ, 0, TwPreAny, NULL},
    {IRP_MJ_WRITE, 0, TwPreAny, NULL},           {IRP_MJ_SET_INFORMATION, 0, TwPreAny, NULL},
    {IRP_MJ_DIRECTORY_CONTROL, 0, TwPreAny, NULL}, {IRP_MJ_CLEANUP, 0, TwPreAny, NULL},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION gRegistration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, gOperations, TwUnload, NULL, TwQueryTeardown,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    for (ULONG i = 0; i < BUCKETS; i++) {
        KeInitializeSpinLock(&gTable[i].Lock);
    }
    ExInitializeNPagedLookasideList(&gEntries, NULL, NULL, POOL_NX_ALLOCATION, sizeof(THREAD_ENTRY), TAG, 0);
    status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);
    if (NT_SUCCESS(status)) {
        status = PsSetCreateThreadNotifyRoutine(TwThread);
        if (NT_SUCCESS(status)) {
            status = FltStartFiltering(gFilter);
            if (NT_SUCCESS(status)) {
                return status;
            }
            PsRemoveCreateThreadNotifyRoutine(TwThread);
        }
        FltUnregisterFilter(gFilter);
    }
    ExDeleteNPagedLookasideList(&gEntries);
    return status;
}
