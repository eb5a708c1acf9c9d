/*++

    throttle.c: holds back non-cached reads and writes of files in \slow, each for Milliseconds of the Parameters key.
    They wait in a callback data queue, so that they can be cancelled; a timer's DPC wakes the work item that lets those
    go whose time has come.

--*/

#include <fltKernel.h>

#define TH_TAG 'lthT'

typedef struct _TH_INSTANCE {
    FLT_CALLBACK_DATA_QUEUE Queue;
    LIST_ENTRY Pended;
    KSPIN_LOCK Lock;
    KTIMER Timer;
    KDPC Dpc;
    PFLT_INSTANCE Instance;
    PFLT_GENERIC_WORKITEM WorkItem;
    LONG Working;
    BOOLEAN Stopping;
    KEVENT Idle;
} TH_INSTANCE, *PTH_INSTANCE;

PFLT_FILTER ThFilter;
LARGE_INTEGER ThDelay;

/*
 * The queue: the time at which an operation may go is in its QueueContext.
 */

NTSTATUS FLTAPI
ThInsert(_In_ PFLT_CALLBACK_DATA_QUEUE Queue, _In_ PFLT_CALLBACK_DATA Data, _In_opt_ PVOID Context)
{
    PTH_INSTANCE Instance = CONTAINING_RECORD(Queue, TH_INSTANCE, Queue);

    UNREFERENCED_PARAMETER(Context);
    InsertTailList(&Instance->Pended, &Data->QueueLinks);
    return STATUS_SUCCESS;
}

VOID FLTAPI
ThRemove(_In_ PFLT_CALLBACK_DATA_QUEUE Queue, _In_ PFLT_CALLBACK_DATA Data)
{
    UNREFERENCED_PARAMETER(Queue);
    RemoveEntryList(&Data->QueueLinks);
}

PFLT_CALLBACK_DATA FLTAPI
ThPeek(_In_ PFLT_CALLBACK_DATA_QUEUE Queue, _In_opt_ PFLT_CALLBACK_DATA Data, _In_opt_ PVOID Due)
{
    PTH_INSTANCE Instance = CONTAINING_RECORD(Queue, TH_INSTANCE, Queue);
    PLIST_ENTRY Next = Data != NULL ? Data->QueueLinks.Flink : Instance->Pended.Flink;

    for (; Next != &Instance->Pended; Next = Next->Flink) {
        PFLT_CALLBACK_DATA Found = CONTAINING_RECORD(Next, FLT_CALLBACK_DATA, QueueLinks);

        if (Due == NULL || (ULONG_PTR)Found->QueueContext[0] <= (ULONG_PTR)Due) {
            return Found;
        }
    }
    return NULL;
}

_IRQL_requires_max_(DISPATCH_LEVEL) _IRQL_raises_(DISPATCH_LEVEL) VOID FLTAPI
    ThAcquire(_In_ PFLT_CALLBACK_DATA_QUEUE Queue, _Out_opt_ PKIRQL Irql)
{
    KeAcquireSpinLock(&CONTAINING_RECORD(Queue, TH_INSTANCE, Queue)->Lock, Irql);
}

VOID FLTAPI
ThRelease(_In_ PFLT_CALLBACK_DATA_QUEUE Queue, _In_opt_ KIRQL Irql)
{
    KeReleaseSpinLock(&CONTAINING_RECORD(Queue, TH_INSTANCE, Queue)->Lock, Irql);
}

VOID FLTAPI
ThCanceled(_In_ PFLT_CALLBACK_DATA_QUEUE Queue, _Inout_ PFLT_CALLBACK_DATA Data)
{
    UNREFERENCED_PARAMETER(Queue);
    Data->IoStatus.Status = STATUS_CANCELLED;
    Data->IoStatus.Information = 0;
    FltCompletePendedPreOperation(Data, FLT_PREOP_COMPLETE, NULL);
}

/*
 * Letting go
 */

static VOID
ThLetGo(_In_ PTH_INSTANCE Instance, _In_opt_ PVOID Due)
{
    PFLT_CALLBACK_DATA Data;

    while ((Data = FltCbdqRemoveNextIo(&Instance->Queue, Due)) != NULL) {
        FltCompletePendedPreOperation(Data, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
    }
}

VOID FLTAPI
ThWork(_In_ PFLT_GENERIC_WORKITEM WorkItem, _In_ PVOID FltObject, _In_opt_ PVOID Context)
{
    PTH_INSTANCE Instance = Context;

    UNREFERENCED_PARAMETER(WorkItem);
    UNREFERENCED_PARAMETER(FltObject);
    ThLetGo(Instance, (PVOID)(ULONG_PTR)KeQueryInterruptTime());
    InterlockedExchange(&Instance->Working, 0);
    KeSetEvent(&Instance->Idle, IO_NO_INCREMENT, FALSE);
}

KDEFERRED_ROUTINE ThTick;

VOID NTAPI
ThTick(_In_ PKDPC Dpc, _In_opt_ PVOID Context, _In_opt_ PVOID Argument1, _In_opt_ PVOID Argument2)
{
    PTH_INSTANCE Instance = Context;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    if (!Instance->Stopping && !IsListEmpty(&Instance->Pended) &&
        InterlockedCompareExchange(&Instance->Working, 1, 0) == 0) {
        KeClearEvent(&Instance->Idle);
        if (!NT_SUCCESS(
                FltQueueGenericWorkItem(Instance->WorkItem, Instance->Instance, ThWork, DelayedWorkQueue, Instance))) {
            InterlockedExchange(&Instance->Working, 0);
            KeSetEvent(&Instance->Idle, IO_NO_INCREMENT, FALSE);
        }
    }
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
ThPreTransfer(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
              _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    static const UNICODE_STRING Slow = RTL_CONSTANT_STRING(L"\\slow\\");
    PTH_INSTANCE Instance;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (!FLT_IS_IRP_OPERATION(Data) || FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO) ||
        !FlagOn(Data->Iopb->IrpFlags, IRP_NOCACHE) ||
        !RtlPrefixUnicodeString(&Slow, &FltObjects->FileObject->FileName, TRUE) ||
        !NT_SUCCESS(FltGetInstanceContext(FltObjects->Instance, (PFLT_CONTEXT *)&Instance))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Status = FltLockUserBuffer(Data);
    if (NT_SUCCESS(Status)) {
        Data->QueueContext[0] = (PVOID)(ULONG_PTR)(KeQueryInterruptTime() + ThDelay.QuadPart);
        Status = FltCbdqInsertIo(&Instance->Queue, Data, NULL, NULL);
    }
    FltReleaseContext(Instance);
    if (NT_SUCCESS(Status)) {
        return FLT_PREOP_PENDING;
    }
    if (Status == STATUS_CANCELLED) {
        Data->IoStatus.Status = Status;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK; /* it could not be held back */
}

/*
 * Instances
 */

NTSTATUS FLTAPI
ThSetup(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_SETUP_FLAGS Flags, _In_ DEVICE_TYPE DeviceType,
        _In_ FLT_FILESYSTEM_TYPE FileSystem)
{
    LARGE_INTEGER First;
    PTH_INSTANCE Instance;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(DeviceType);
    UNREFERENCED_PARAMETER(FileSystem);
    Status = FltAllocateContext(ThFilter, FLT_INSTANCE_CONTEXT, sizeof(*Instance), NonPagedPoolNx,
                                (PFLT_CONTEXT *)&Instance);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    RtlZeroMemory(Instance, sizeof(*Instance));
    InitializeListHead(&Instance->Pended);
    KeInitializeSpinLock(&Instance->Lock);
    KeInitializeEvent(&Instance->Idle, NotificationEvent, TRUE);
    KeInitializeTimer(&Instance->Timer);
    KeInitializeDpc(&Instance->Dpc, ThTick, Instance);
    Instance->Instance = FltObjects->Instance;
    Instance->WorkItem = FltAllocateGenericWorkItem();
    if (Instance->WorkItem == NULL) {
        FltReleaseContext(Instance);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = FltCbdqInitialize(FltObjects->Instance, &Instance->Queue, ThInsert, ThRemove, ThPeek, ThAcquire, ThRelease,
                               ThCanceled);
    if (NT_SUCCESS(Status)) {
        Status = FltSetInstanceContext(FltObjects->Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Instance, NULL);
    }
    if (NT_SUCCESS(Status)) {
        First.QuadPart = -10 * 10000;
        KeSetTimerEx(&Instance->Timer, First, 10, &Instance->Dpc);
    }
    FltReleaseContext(Instance);
    return Status;
}

VOID FLTAPI
ThCleanupContext(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE ContextType)
{
    PTH_INSTANCE Instance = Context;

    UNREFERENCED_PARAMETER(ContextType);
    if (Instance->WorkItem != NULL) {
        FltFreeGenericWorkItem(Instance->WorkItem);
    }
}

NTSTATUS FLTAPI
ThQueryTeardown(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

VOID FLTAPI
ThTeardownStart(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    PTH_INSTANCE Instance;

    UNREFERENCED_PARAMETER(Reason);
    if (NT_SUCCESS(FltGetInstanceContext(FltObjects->Instance, (PFLT_CONTEXT *)&Instance))) {
        Instance->Stopping = TRUE;
        KeCancelTimer(&Instance->Timer);
        KeFlushQueuedDpcs();
        KeWaitForSingleObject(&Instance->Idle, Executive, KernelMode, FALSE, NULL);
        FltCbdqDisable(&Instance->Queue); /* nothing more comes in */
        ThLetGo(Instance, NULL);
        FltReleaseContext(Instance);
    }
}

NTSTATUS FLTAPI
ThUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(ThFilter);
    return STATUS_SUCCESS;
}

const FLT_CONTEXT_REGISTRATION ThContexts[] = {
    {FLT_INSTANCE_CONTEXT, 0, ThCleanupContext, sizeof(TH_INSTANCE), TH_TAG},
    {FLT_CONTEXT_END},
};
const FLT_OPERATION_REGISTRATION ThOperations[] = {
    {IRP_MJ_READ, FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO, ThPreTransfer, NULL},
    {IRP_MJ_WRITE, FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO, ThPreTransfer, NULL},
    {IRP_MJ_OPERATION_END},
};
const FLT_REGISTRATION ThRegistration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, ThContexts, ThOperations, ThUnload, ThSetup,
    ThQueryTeardown,          ThTeardownStart,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    RTL_QUERY_REGISTRY_TABLE Query[3];
    ULONG Milliseconds = 0, Default = 50;
    PWCH Path;
    NTSTATUS Status;

    Path = ExAllocatePoolWithTag(PagedPool, RegistryPath->Length + sizeof(L"\\Parameters"), TH_TAG);
    if (Path == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlCopyMemory(Path, RegistryPath->Buffer, RegistryPath->Length);
    RtlCopyMemory((PUCHAR)Path + RegistryPath->Length, L"\\Parameters", sizeof(L"\\Parameters"));
    RtlZeroMemory(Query, sizeof(Query));
    Query[0].Flags = RTL_QUERY_REGISTRY_DIRECT;
    Query[0].Name = L"Milliseconds";
    Query[0].EntryContext = &Milliseconds;
    Query[0].DefaultType = REG_DWORD;
    Query[0].DefaultData = &Default;
    Query[0].DefaultLength = sizeof(Default);
    Status = RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE, Path, Query, NULL, NULL);
    ExFreePoolWithTag(Path, TH_TAG);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    ThDelay.QuadPart = Milliseconds * 10000LL;
    Status = FltRegisterFilter(DriverObject, &ThRegistration, &ThFilter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(ThFilter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(ThFilter);
        }
    }
    return Status;
}
