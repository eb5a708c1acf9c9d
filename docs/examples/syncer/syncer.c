/*
 * syncer.c: a synchronisation client's driver half. Each file that is modified is put into a bounded queue once, when it
 * is first written; a generic work item takes the queue and appends the names to \syncer.journal of the volume with
 * ZwWriteFile (through the whole stack: this filter leaves its own journal alone by name). A full queue is a gap, and
 * the journal says so, since the client then has to compare everything.
 */

#include <fltKernel.h>
#include <ntstrsafe.h>

#define SYN_TAG 'cnyS'
#define MOST_QUEUED 32
#define JOURNAL L"\\syncer.journal"

typedef struct _CHANGE {
    LIST_ENTRY Links;
    USHORT Length;
    WCHAR Name[1];
} CHANGE, *PCHANGE;

typedef struct _INSTANCE {
    FAST_MUTEX Lock;
    LIST_ENTRY Queue;
    ULONG Queued;
    BOOLEAN Gap;
    BOOLEAN Running; /* a work item is on its way */
    UNICODE_STRING JournalName;
} INSTANCE, *PINSTANCE;

typedef struct _HANDLE_CONTEXT {
    volatile LONG Written;
} HANDLE_CONTEXT, *PHANDLE_CONTEXT;

static PFLT_FILTER gFilter;

static VOID FLTAPI
InstanceGone(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE Type)
{
    PINSTANCE instance = Context;

    UNREFERENCED_PARAMETER(Type);
    while (!IsListEmpty(&instance->Queue)) {
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&instance->Queue), CHANGE, Links), SYN_TAG);
    }
    if (instance->JournalName.Buffer != NULL) {
        ExFreePoolWithTag(instance->JournalName.Buffer, SYN_TAG);
    }
}

static NTSTATUS
OpenJournal(PINSTANCE Instance, PHANDLE Journal)
{
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;

    if (*Journal != NULL) {
        return STATUS_SUCCESS;
    }
    InitializeObjectAttributes(&attributes, &Instance->JournalName, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    return ZwCreateFile(Journal, FILE_APPEND_DATA | SYNCHRONIZE, &attributes, &iosb, NULL,
                        FILE_ATTRIBUTE_HIDDEN, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN_IF,
                        FILE_SYNCHRONOUS_IO_NONALERT | FILE_NON_DIRECTORY_FILE, NULL, 0);
}

static VOID
Append(PINSTANCE Instance, PHANDLE Journal, PVOID Text, ULONG Bytes)
{
    LARGE_INTEGER end = {.LowPart = FILE_WRITE_TO_END_OF_FILE, .HighPart = -1};
    IO_STATUS_BLOCK iosb;
    NTSTATUS status = OpenJournal(Instance, Journal);

    if (NT_SUCCESS(status)) {
        status = ZwWriteFile(*Journal, NULL, NULL, NULL, &iosb, Text, Bytes, &end, NULL);
    }
    if (!NT_SUCCESS(status)) {
        DbgPrint("syncer: journal, 0x%08x\n", status);
    }
}

static VOID FLTAPI
Drain(PFLT_GENERIC_WORKITEM WorkItem, PVOID FltObject, PVOID Context)
{
    PINSTANCE instance = Context;
    HANDLE journal = NULL; /* this work item's own: the next may have begun when it is closed */
    BOOLEAN gap;
    PCHANGE change;

    UNREFERENCED_PARAMETER(FltObject);
    for (;;) {
        ExAcquireFastMutex(&instance->Lock);
        change = NULL;
        gap = instance->Gap;
        instance->Gap = FALSE;
        if (!IsListEmpty(&instance->Queue)) {
            change = CONTAINING_RECORD(RemoveHeadList(&instance->Queue), CHANGE, Links);
            instance->Queued--;
        } else if (!gap) {
            instance->Running = FALSE;
        }
        ExReleaseFastMutex(&instance->Lock);
        if (gap) {
            Append(instance, &journal, L"*\r\n", 3 * sizeof(WCHAR));
        }
        if (change != NULL) {
            Append(instance, &journal, change->Name, change->Length);
            ExFreePoolWithTag(change, SYN_TAG);
        } else if (!gap) {
            break;
        }
    }
    if (journal != NULL) {
        ZwClose(journal);
    }
    FltFreeGenericWorkItem(WorkItem);
    FltReleaseContext(instance);
}

static VOID
Enqueue(PCFLT_RELATED_OBJECTS Objects, PINSTANCE Instance, PCUNICODE_STRING Name)
{
    PCHANGE change = ExAllocatePoolZero(PagedPool, sizeof(*change) + Name->Length + 2 * sizeof(WCHAR), SYN_TAG);
    PFLT_GENERIC_WORKITEM item = NULL;
    BOOLEAN start = FALSE;

    if (change != NULL) {
        RtlCopyMemory(change->Name, Name->Buffer, Name->Length);
        RtlCopyMemory((PUCHAR)change->Name + Name->Length, L"\r\n", 2 * sizeof(WCHAR));
        change->Length = Name->Length + 2 * sizeof(WCHAR);
    }
    ExAcquireFastMutex(&Instance->Lock);
    if (change == NULL || Instance->Queued == MOST_QUEUED) {
        Instance->Gap = TRUE;
    } else {
        InsertTailList(&Instance->Queue, &change->Links);
        Instance->Queued++;
        change = NULL;
    }
    if (!Instance->Running) {
        Instance->Running = start = TRUE;
    }
    ExReleaseFastMutex(&Instance->Lock);
    if (change != NULL) {
        ExFreePoolWithTag(change, SYN_TAG);
    }
    if (!start) {
        return;
    }
    item = FltAllocateGenericWorkItem();
    FltReferenceContext(Instance);
    if (item == NULL || !NT_SUCCESS(FltQueueGenericWorkItem(item, Objects->Instance, Drain, DelayedWorkQueue, Instance))) {
        ExAcquireFastMutex(&Instance->Lock);
        Instance->Running = FALSE; /* the next change tries again */
        ExReleaseFastMutex(&Instance->Lock);
        FltReleaseContext(Instance);
        if (item != NULL) {
            FltFreeGenericWorkItem(item);
        }
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    PHANDLE_CONTEXT handle;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (!FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO) &&
        NT_SUCCESS(FltGetStreamHandleContext(Objects->Instance, Objects->FileObject, (PFLT_CONTEXT *)&handle))) {
        InterlockedExchange(&handle->Written, 1);
        FltReleaseContext(handle);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    PHANDLE_CONTEXT handle;

    UNREFERENCED_PARAMETER(Context);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || Data->IoStatus.Status != STATUS_SUCCESS ||
        Data->RequestorMode == KernelMode || !(Objects->FileObject->WriteAccess || Data->IoStatus.Information != FILE_OPENED) ||
        !NT_SUCCESS(FltAllocateContext(gFilter, FLT_STREAMHANDLE_CONTEXT, sizeof(*handle), NonPagedPoolNx,
                                       (PFLT_CONTEXT *)&handle))) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    handle->Written = Data->IoStatus.Information == FILE_CREATED || Data->IoStatus.Information == FILE_OVERWRITTEN;
    FltSetStreamHandleContext(Objects->Instance, Objects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, handle, NULL);
    FltReleaseContext(handle);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    PFLT_FILE_NAME_INFORMATION name;
    PHANDLE_CONTEXT handle;
    PINSTANCE instance;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (!NT_SUCCESS(FltGetStreamHandleContext(Objects->Instance, Objects->FileObject, (PFLT_CONTEXT *)&handle))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (handle->Written && NT_SUCCESS(FltGetInstanceContext(Objects->Instance, (PFLT_CONTEXT *)&instance))) {
        if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &name))) {
            UNICODE_STRING inVolume = name->Name;

            if (NT_SUCCESS(FltParseFileNameInformation(name))) {
                inVolume.Buffer += name->Volume.Length / sizeof(WCHAR);
                inVolume.Length -= name->Volume.Length;
                Enqueue(Objects, instance, &inVolume);
            }
            FltReleaseFileNameInformation(name);
        }
        FltReleaseContext(instance);
    }
    FltReleaseContext(handle);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
InstanceSetup(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE DeviceType,
              FLT_FILESYSTEM_TYPE FileSystem)
{
    PINSTANCE instance;
    ULONG needed = 0;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(FileSystem);
    if (DeviceType != FILE_DEVICE_DISK_FILE_SYSTEM) {
        return STATUS_FLT_DO_NOT_ATTACH;
    }
    status = FltAllocateContext(gFilter, FLT_INSTANCE_CONTEXT, sizeof(*instance), NonPagedPoolNx, (PFLT_CONTEXT *)&instance);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    RtlZeroMemory(instance, sizeof(*instance));
    ExInitializeFastMutex(&instance->Lock);
    InitializeListHead(&instance->Queue);
    FltGetVolumeName(Objects->Volume, NULL, &needed);
    instance->JournalName.MaximumLength = (USHORT)(needed + sizeof(JOURNAL));
    instance->JournalName.Buffer = ExAllocatePoolZero(PagedPool, instance->JournalName.MaximumLength, SYN_TAG);
    if (instance->JournalName.Buffer == NULL) {
        status = STATUS_INSUFFICIENT_RESOURCES;
    } else {
        status = FltGetVolumeName(Objects->Volume, &instance->JournalName, NULL);
    }
    if (NT_SUCCESS(status)) {
        RtlAppendUnicodeToString(&instance->JournalName, JOURNAL);
        status = FltSetInstanceContext(Objects->Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, instance, NULL);
    }
    FltReleaseContext(instance);
    return status;
}

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilter);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION gContexts[] = {
    {FLT_INSTANCE_CONTEXT, 0, InstanceGone, sizeof(INSTANCE), SYN_TAG},
    {FLT_STREAMHANDLE_CONTEXT, 0, NULL, sizeof(HANDLE_CONTEXT), SYN_TAG},
    {FLT_CONTEXT_END},
};
static const FLT_OPERATION_REGISTRATION gOperations[] = {
    {IRP_MJ_CREATE, 0, NULL, PostCreate},
    {IRP_MJ_WRITE, 0, PreWrite, NULL},
    {IRP_MJ_CLEANUP, 0, PreCleanup, NULL},
    {IRP_MJ_OPERATION_END},
};
static const FLT_REGISTRATION gRegistration = {sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, gContexts,
                                               gOperations, Unload, InstanceSetup, QueryTeardown};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(gFilter);
        if (!NT_SUCCESS(status)) {
            FltUnregisterFilter(gFilter);
        }
    }
    return status;
}
