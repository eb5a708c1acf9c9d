/*
 * retainer.c: keeps the MDL of the buffer that it swaps into non-cached reads and frees it itself, and cancels I/O of
 * its own. "retainer checked <n>" is printed, and each check that fails.
 */

#include <fltKernel.h>

#define TAG 'nteR'

static PFLT_FILTER Filter;
static ULONG Checks;
static NTSTATUS Ended;
static PVOID Target;

#define CHECK(Condition)                                                                                               \
    do {                                                                                                               \
        Checks++;                                                                                                      \
        if (!(Condition)) {                                                                                            \
            DbgPrint("retainer: line %d is not true: %s\n", __LINE__, #Condition);                                     \
        }                                                                                                              \
    } while (0)

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    ULONG Length = Data->Iopb->Parameters.Read.Length;
    ULONG Offset;
    PVOID Buffer;
    PMDL Mdl;

    CHECK(FltGetNewSystemBufferAddress(Data) == NULL);
    CHECK(FltGetFsZeroingOffset(Data, &Offset) == STATUS_INVALID_PARAMETER);
    CHECK(FltSetFsZeroingOffset(Data, 0) == STATUS_INVALID_PARAMETER);
    if (!FLT_IS_IRP_OPERATION(Data) || !FlagOn(Data->Iopb->IrpFlags, IRP_NOCACHE) ||
        FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    CHECK(FltLockUserBuffer(Data) == STATUS_SUCCESS);
    Target = MmGetSystemAddressForMdlSafe(Data->Iopb->Parameters.Read.MdlAddress, NormalPagePriority);
    Buffer = FltAllocatePoolAlignedWithTag(Objects->Instance, NonPagedPoolNx, Length, TAG);
    Mdl = IoAllocateMdl(Buffer, Length, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(Mdl);
    Data->Iopb->Parameters.Read.ReadBuffer = Buffer;
    Data->Iopb->Parameters.Read.MdlAddress = Mdl;
    FltSetCallbackDataDirty(Data);
    *Context = Buffer;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    PMDL Swapped = FltGetSwappedBufferMdlAddress(Data);

    UNREFERENCED_PARAMETER(Flags);
    CHECK(Swapped != NULL && Swapped != Data->Iopb->Parameters.Read.MdlAddress);
    RtlCopyMemory(Target, Context, Data->IoStatus.Information);
    FltRetainSwappedBufferMdlAddress(Data);
    IoFreeMdl(Swapped);
    FltFreePoolAlignedWithTag(Objects->Instance, Context, TAG);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static VOID FLTAPI
WatchDone(PFLT_CALLBACK_DATA Data, PFLT_CONTEXT Context)
{
    Ended = Data->IoStatus.Status;
    KeSetEvent((PKEVENT)Context, 0, FALSE);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    static UCHAR Buffer[256];
    PFLT_CALLBACK_DATA Own = NULL;
    KEVENT Event;

    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (!NT_SUCCESS(Data->IoStatus.Status) || !FlagOn(Data->Iopb->Parameters.Create.Options, FILE_DIRECTORY_FILE)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    CHECK(FltAllocateCallbackData(Objects->Instance, Objects->FileObject, &Own) == STATUS_SUCCESS);
    Own->Iopb->MajorFunction = IRP_MJ_DIRECTORY_CONTROL;
    Own->Iopb->MinorFunction = IRP_MN_NOTIFY_CHANGE_DIRECTORY;
    Own->Iopb->Parameters.DirectoryControl.NotifyDirectory.Length = sizeof(Buffer);
    Own->Iopb->Parameters.DirectoryControl.NotifyDirectory.CompletionFilter = FILE_NOTIFY_CHANGE_FILE_NAME;
    Own->Iopb->Parameters.DirectoryControl.NotifyDirectory.DirectoryBuffer = Buffer;
    CHECK(FltPerformAsynchronousIo(Own, WatchDone, &Event) == STATUS_PENDING);
    CHECK(FltCancelIo(Own));
    KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    CHECK(Ended == STATUS_CANCELLED);
    FltFreeCallbackData(Own);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    DbgPrint("retainer checked %u\n", Checks);
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
