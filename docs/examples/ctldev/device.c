/*
 * device.c: the control device. Rules are expressions (*.EXE); they are added, removed and listed by IOCTLs of every
 * method. CTL_WAIT_FOR_EVENT is kept in a cancel-safe queue until a file is denied: an inverted call.
 */

#include "ctldev.h"

static PDEVICE_OBJECT Device;
static IO_CSQ Queue;
static LIST_ENTRY Waiting;
static KSPIN_LOCK QueueLock;
static volatile LONG WaitingCount;

static UNICODE_STRING DeviceName = RTL_CONSTANT_STRING(L"\\Device\\CtlDev");
static UNICODE_STRING LinkName = RTL_CONSTANT_STRING(L"\\DosDevices\\CtlDev");

/* {B1F5B5D5-2D7A-4E0B-8A0C-2E5C3E2B6D11} */
static const GUID DeviceClass = {0xb1f5b5d5, 0x2d7a, 0x4e0b, {0x8a, 0x0c, 0x2e, 0x5c, 0x3e, 0x2b, 0x6d, 0x11}};

/*
 * The queue
 */

static IO_CSQ_INSERT_IRP CsqInsert;
static IO_CSQ_REMOVE_IRP CsqRemove;
static IO_CSQ_PEEK_NEXT_IRP CsqPeek;
static IO_CSQ_ACQUIRE_LOCK CsqAcquire;
static IO_CSQ_RELEASE_LOCK CsqRelease;
static IO_CSQ_COMPLETE_CANCELED_IRP CsqComplete;

static VOID NTAPI
CsqInsert(_In_ PIO_CSQ Csq, _In_ PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    InsertTailList(&Waiting, &Irp->Tail.Overlay.ListEntry);
    InterlockedIncrement(&WaitingCount);
}

static VOID NTAPI
CsqRemove(_In_ PIO_CSQ Csq, _In_ PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
    InterlockedDecrement(&WaitingCount);
}

static PIRP NTAPI
CsqPeek(_In_ PIO_CSQ Csq, _In_opt_ PIRP Irp, _In_opt_ PVOID Context)
{
    PLIST_ENTRY Next = Irp != NULL ? Irp->Tail.Overlay.ListEntry.Flink : Waiting.Flink;
    PIRP Found;

    UNREFERENCED_PARAMETER(Csq);
    for (; Next != &Waiting; Next = Next->Flink) {
        Found = CONTAINING_RECORD(Next, IRP, Tail.Overlay.ListEntry);
        if (Context == NULL || IoGetCurrentIrpStackLocation(Found)->FileObject == Context) {
            return Found;
        }
    }
    return NULL;
}

_IRQL_raises_(DISPATCH_LEVEL) static VOID NTAPI CsqAcquire(_In_ PIO_CSQ Csq, _Out_ PKIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeAcquireSpinLock(&QueueLock, Irql);
}

static VOID NTAPI
CsqRelease(_In_ PIO_CSQ Csq, _In_ KIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeReleaseSpinLock(&QueueLock, Irql);
}

static NTSTATUS
Complete(_In_ PIRP Irp, _In_ NTSTATUS Status, _In_ ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static VOID NTAPI
CsqComplete(_In_ PIO_CSQ Csq, _In_ PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    Complete(Irp, STATUS_CANCELLED, 0);
}

/* Give an event to the one who waits longest; it is lost if nobody waits. */
VOID
TellEvent(_In_ PCUNICODE_STRING Name)
{
    PIRP Irp = IoCsqRemoveNextIrp(&Queue, NULL);
    ULONG Room, Length;

    if (Irp == NULL) {
        return;
    }
    Room = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.OutputBufferLength;
    Length = min(Name->Length, Room);
    RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, Name->Buffer, Length);
    Complete(Irp, Length < Name->Length ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS, Length);
}

/*
 * The requests
 */

static NTSTATUS
ListTo(_In_ PIRP Irp, _In_ ULONG Room, _Out_ PULONG_PTR Information)
{
    PVOID Buffer = Irp->MdlAddress != NULL ? MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority) : NULL;

    *Information = 0;
    if (Room == 0) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    return Buffer != NULL ? ListRules(Buffer, Room, Information) : STATUS_INSUFFICIENT_RESOURCES;
}

static NTSTATUS
StatisticsTo(_In_ PVOID UserBuffer, _In_ ULONG Room, _In_ KPROCESSOR_MODE Mode, _Out_ PULONG_PTR Information)
{
    CTL_STATISTICS Statistics;

    *Information = 0;
    if (Room < sizeof(Statistics)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    GetStatistics(&Statistics);
    Statistics.Waiting = (ULONG)WaitingCount;
    __try {
        if (Mode != KernelMode) {
            ProbeForWrite(UserBuffer, sizeof(Statistics), sizeof(ULONG));
        }
        RtlCopyMemory(UserBuffer, &Statistics, sizeof(Statistics));
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    *Information = sizeof(Statistics);
    return STATUS_SUCCESS;
}

_Function_class_(DRIVER_DISPATCH) static NTSTATUS NTAPI DeviceControl(_In_ PDEVICE_OBJECT DeviceObject, _In_ PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG InLength = Stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG OutLength = Stack->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG_PTR Information = 0;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(DeviceObject);
    switch (Stack->Parameters.DeviceIoControl.IoControlCode) {
    case CTL_ADD_RULE:
        Status = AddRule(Irp->AssociatedIrp.SystemBuffer, InLength);
        break;
    case CTL_REMOVE_RULE: /* METHOD_IN_DIRECT: what comes in is in the system buffer */
        Status = RemoveRule(Irp->AssociatedIrp.SystemBuffer, InLength);
        break;
    case CTL_LIST_RULES:
        Status = ListTo(Irp, OutLength, &Information);
        break;
    case CTL_GET_STATISTICS:
        Status = StatisticsTo(Irp->UserBuffer, OutLength, Irp->RequestorMode, &Information);
        break;
    case CTL_WAIT_FOR_EVENT:
        if (OutLength == 0) {
            Status = STATUS_BUFFER_TOO_SMALL;
            break;
        }
        IoCsqInsertIrp(&Queue, Irp, NULL); /* marks it pending */
        return STATUS_PENDING;
    default:
        Status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    return Complete(Irp, Status, Information);
}

_Function_class_(DRIVER_DISPATCH) static NTSTATUS NTAPI CreateClose(_In_ PDEVICE_OBJECT DeviceObject, _In_ PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return Complete(Irp, STATUS_SUCCESS, 0);
}

/* Whoever closes his handle waits for nothing any more. */
_Function_class_(DRIVER_DISPATCH) static NTSTATUS NTAPI Cleanup(_In_ PDEVICE_OBJECT DeviceObject, _In_ PIRP Irp)
{
    PIRP Left;

    UNREFERENCED_PARAMETER(DeviceObject);
    while ((Left = IoCsqRemoveNextIrp(&Queue, IoGetCurrentIrpStackLocation(Irp)->FileObject)) != NULL) {
        Complete(Left, STATUS_CANCELLED, 0);
    }
    return Complete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS
CreateDevice(_In_ PDRIVER_OBJECT DriverObject)
{
    NTSTATUS Status;

    InitializeListHead(&Waiting);
    KeInitializeSpinLock(&QueueLock);
    Status = IoCsqInitialize(&Queue, CsqInsert, CsqRemove, CsqPeek, CsqAcquire, CsqRelease, CsqComplete);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = IoCreateDeviceSecure(DriverObject, 0, &DeviceName, CTL_DEVICE_TYPE, FILE_DEVICE_SECURE_OPEN, FALSE,
                                  &SDDL_DEVOBJ_SYS_ALL_ADM_ALL, &DeviceClass, &Device);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = CreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = CreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = Cleanup;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = DeviceControl;
    Status = IoCreateSymbolicLink(&LinkName, &DeviceName);
    if (!NT_SUCCESS(Status)) {
        IoDeleteDevice(Device);
        return Status;
    }
    ClearFlag(Device->Flags, DO_DEVICE_INITIALIZING);
    return STATUS_SUCCESS;
}

VOID
DeleteDevice(VOID)
{
    IoDeleteSymbolicLink(&LinkName);
    IoDeleteDevice(Device);
}
