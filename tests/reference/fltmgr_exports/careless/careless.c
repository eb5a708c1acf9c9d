/*
 * careless.c: sends operations once more where that is not allowed (before.bin: in its preoperation callback; plain.bin:
 * without having synchronized it) and where it is (own.bin: what it has made itself); of leak.bin it leaves a handle in
 * the program's process, of closed.bin it does not. It fills the buffers of reads in a system thread: of worker.bin where
 * they are, of locked.bin by their MDL, of attached.bin in their process.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;

static BOOLEAN
IsNamed(PCFLT_RELATED_OBJECTS Objects, PCWSTR Text)
{
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, Text);
    return RtlEqualUnicodeString(&Objects->FileObject->FileName, &Name, TRUE);
}

static void
SendOwn(PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_CALLBACK_DATA Data = NULL;
    FILE_STANDARD_INFORMATION Standard = {0};

    if (!NT_SUCCESS(FltAllocateCallbackData(Objects->Instance, Objects->FileObject, &Data))) {
        return;
    }
    Data->Iopb->MajorFunction = IRP_MJ_QUERY_INFORMATION;
    Data->Iopb->Parameters.QueryFileInformation.Length = sizeof(Standard);
    Data->Iopb->Parameters.QueryFileInformation.FileInformationClass = FileStandardInformation;
    Data->Iopb->Parameters.QueryFileInformation.InfoBuffer = &Standard;
    FltPerformSynchronousIo(Data);
    RtlZeroMemory(&Standard, sizeof(Standard));
    FltReissueSynchronousIo(Objects->Instance, Data);
    DbgPrint("own: %08x, %u links\n", Data->IoStatus.Status, Standard.NumberOfLinks);
    FltFreeCallbackData(Data);
}

static HANDLE
OpenForTheProgram(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\before.bin");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    HANDLE Handle = NULL;
    NTSTATUS Status;

    InitializeObjectAttributes(&Attributes, &Name, 0, NULL, NULL);
    Status = FltCreateFile(Filter, Objects->Instance, &Handle, FILE_READ_DATA | SYNCHRONIZE, &Attributes, &Iosb, NULL,
                           0, 7, FILE_OPEN, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0, 0);
    DbgPrint("opened: %08x, %s handle\n", Status, (LONG_PTR)Handle > 0 ? "user" : "kernel");
    return Handle;
}

/* Fills the requester's buffer in a system thread: where it is, by its MDL, or attached to the requester. */
static VOID FLTAPI
Fill(PFLT_DEFERRED_IO_WORKITEM Item, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    PFLT_PARAMETERS Parameters = &Data->Iopb->Parameters;
    PVOID Buffer = Parameters->Read.ReadBuffer;
    KAPC_STATE State;

    if (Parameters->Read.MdlAddress != NULL) {
        Buffer = MmGetSystemAddressForMdlSafe(Parameters->Read.MdlAddress, NormalPagePriority);
    }
    if (Context != NULL) {
        KeStackAttachProcess(FltGetRequestorProcess(Data), &State);
    }
    RtlFillMemory(Buffer, Parameters->Read.Length, 'A');
    if (Context != NULL) {
        KeUnstackDetachProcess(&State);
    }
    Data->IoStatus.Status = STATUS_SUCCESS;
    Data->IoStatus.Information = Parameters->Read.Length;
    FltFreeDeferredIoWorkItem(Item);
    FltCompletePendedPreOperation(Data, FLT_PREOP_COMPLETE, NULL);
}

static FLT_PREOP_CALLBACK_STATUS
FillElsewhere(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_DEFERRED_IO_WORKITEM Item = FltAllocateDeferredIoWorkItem();

    if (IsNamed(Objects, L"\\locked.bin")) {
        FltLockUserBuffer(Data);
    }
    if (Item == NULL || !NT_SUCCESS(FltQueueDeferredIoWorkItem(Item, Data, Fill, DelayedWorkQueue,
                                                               IsNamed(Objects, L"\\attached.bin") ? Filter : NULL))) {
        return FLT_PREOP_SUCCESS_WITH_CALLBACK;
    }
    return FLT_PREOP_PENDING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    if (FLT_IS_FASTIO_OPERATION(Data)) {
        return FLT_PREOP_DISALLOW_FASTIO;
    }
    if (!FLT_IS_IRP_OPERATION(Data) || FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (IsNamed(Objects, L"\\before.bin")) {
        FltReissueSynchronousIo(Objects->Instance, Data);
        return FLT_PREOP_COMPLETE;
    }
    if (IsNamed(Objects, L"\\worker.bin") || IsNamed(Objects, L"\\locked.bin") || IsNamed(Objects, L"\\attached.bin")) {
        return FillElsewhere(Data, Objects);
    }
    return IsNamed(Objects, L"\\sync.bin") ? FLT_PREOP_SYNCHRONIZE : FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (KeGetCurrentIrql() <= APC_LEVEL && (IsNamed(Objects, L"\\plain.bin") || IsNamed(Objects, L"\\sync.bin"))) {
        FltReissueSynchronousIo(Objects->Instance, Data);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    HANDLE Handle;

    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (!NT_SUCCESS(Data->IoStatus.Status)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (IsNamed(Objects, L"\\own.bin")) {
        SendOwn(Objects);
    } else if (IsNamed(Objects, L"\\closed.bin") || IsNamed(Objects, L"\\leak.bin")) {
        Handle = OpenForTheProgram(Objects);
        if (IsNamed(Objects, L"\\closed.bin")) {
            DbgPrint("closed: %08x\n", FltClose(Handle));
        }
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const FLT_OPERATION_REGISTRATION Operations[] = {
        {IRP_MJ_CREATE, 0, NULL, PostCreate}, {IRP_MJ_READ, 0, PreRead, PostRead}, {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload};
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
