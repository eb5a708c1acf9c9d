/*
 * veiled: denies creates of *.denied, shortens reads to 16 bytes, and delays writes in a work item.
 */

#include <fltKernel.h>

#define SHORT_READ 16

static PFLT_FILTER Filter;

static BOOLEAN
IsDenied(_In_ PFILE_OBJECT File)
{
    UNICODE_STRING Suffix = RTL_CONSTANT_STRING(L".denied");
    UNICODE_STRING Tail = File->FileName;

    if (Tail.Length < Suffix.Length) {
        return FALSE;
    }
    Tail.Buffer += (Tail.Length - Suffix.Length) / sizeof(WCHAR);
    Tail.Length = Suffix.Length;
    return RtlEqualUnicodeString(&Suffix, &Tail, TRUE);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!IsDenied(FltObjects->FileObject)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    DbgPrint("veiled: denied\n");
    Data->IoStatus.Status = STATUS_ACCESS_DENIED;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (FLT_IS_IRP_OPERATION(Data) && Data->Iopb->Parameters.Read.Length > SHORT_READ) {
        Data->Iopb->Parameters.Read.Length = SHORT_READ;
        FltSetCallbackDataDirty(Data);
    }
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
         FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!(Flags & FLTFL_POST_OPERATION_DRAINING) && Data->IoStatus.Status == STATUS_END_OF_FILE) {
        Data->IoStatus.Status = STATUS_SUCCESS;
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static VOID FLTAPI
Later(PFLT_DEFERRED_IO_WORKITEM Item, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    FltFreeDeferredIoWorkItem(Item);
    FltCompletePendedPreOperation(Data, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFLT_DEFERRED_IO_WORKITEM Item;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!FLT_IS_IRP_OPERATION(Data) || (Data->Iopb->IrpFlags & IRP_PAGING_IO)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Item = FltAllocateDeferredIoWorkItem();
    if (Item == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    FltLockUserBuffer(Data);
    if (!NT_SUCCESS(FltQueueDeferredIoWorkItem(Item, Data, Later, DelayedWorkQueue, NULL))) {
        FltFreeDeferredIoWorkItem(Item);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    return FLT_PREOP_PENDING;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL},
                                                        {IRP_MJ_READ, 0, PreRead, PostRead},
                                                        {IRP_MJ_WRITE, 0, PreWrite, NULL},
                                                        {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

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
    DbgPrint("veiled: loaded\n");
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
