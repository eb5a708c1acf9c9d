/*
 * Wrong on purpose (PEND-CBDQ-07): puts an operation that has a cancel routine into a callback data queue.
 */

#include <fltkernel.h>

static PFLT_FILTER Filter;

DRIVER_INITIALIZE DriverEntry;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif

static FLT_CALLBACK_DATA_QUEUE Queue;
static KSPIN_LOCK Lock;
static LIST_ENTRY Head;

static VOID FLTAPI
Canceled(PFLT_CALLBACK_DATA Data)
{
    UNREFERENCED_PARAMETER(Data);
}

static NTSTATUS FLTAPI
Insert(PFLT_CALLBACK_DATA_QUEUE Cbdq, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Cbdq);
    UNREFERENCED_PARAMETER(Context);
    InsertTailList(&Head, &Data->QueueLinks);
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Remove(PFLT_CALLBACK_DATA_QUEUE Cbdq, PFLT_CALLBACK_DATA Data)
{
    UNREFERENCED_PARAMETER(Cbdq);
    RemoveEntryList(&Data->QueueLinks);
}

static PFLT_CALLBACK_DATA FLTAPI
Peek(PFLT_CALLBACK_DATA_QUEUE Cbdq, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Cbdq);
    UNREFERENCED_PARAMETER(Context);
    return Data == NULL && !IsListEmpty(&Head) ? CONTAINING_RECORD(Head.Flink, FLT_CALLBACK_DATA, QueueLinks) : NULL;
}

static VOID FLTAPI
Acquire(PFLT_CALLBACK_DATA_QUEUE Cbdq, PKIRQL Irql)
{
    UNREFERENCED_PARAMETER(Cbdq);
    KeAcquireSpinLock(&Lock, Irql);
}

static VOID FLTAPI
Release(PFLT_CALLBACK_DATA_QUEUE Cbdq, KIRQL Irql)
{
    UNREFERENCED_PARAMETER(Cbdq);
    KeReleaseSpinLock(&Lock, Irql);
}

static VOID FLTAPI
Complete(PFLT_CALLBACK_DATA_QUEUE Cbdq, PFLT_CALLBACK_DATA Data)
{
    UNREFERENCED_PARAMETER(Cbdq);
    UNREFERENCED_PARAMETER(Data);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(CompletionContext);
    if (FLT_IS_IRP_OPERATION(Data) && !FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO) &&
        NT_SUCCESS(FltSetCancelCompletion(Data, Canceled))) {
        InitializeListHead(&Head);
        FltCbdqInitialize(FltObjects->Instance, &Queue, Insert, Remove, Peek, Acquire, Release, Complete);
        FltCbdqInsertIo(&Queue, Data, NULL, NULL); /* it has a cancel routine already */
        FltCbdqRemoveNextIo(&Queue, NULL);
        FltClearCancelCompletion(Data);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
    }
    return Status;
}
