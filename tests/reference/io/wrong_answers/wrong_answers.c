/*
 * wrong_answers.c: a device above another, and a control code for each way to answer an IRP wrongly.
 */

#include <fltkernel.h>

#define CODE(Function) CTL_CODE(FILE_DEVICE_UNKNOWN, Function, METHOD_BUFFERED, FILE_ANY_ACCESS)

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Wrong");
static PDEVICE_OBJECT Lower, Upper, Below;
static PIRP Kept;

static NTSTATUS
Complete(PIRP Irp, NTSTATUS Status)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static NTSTATUS NTAPI
Succeed(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (Device == Upper) {
        IoSkipCurrentIrpStackLocation(Irp);
        return IoCallDriver(Below, Irp);
    }
    return Complete(Irp, STATUS_SUCCESS);
}

static NTSTATUS NTAPI
Completed(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    if (Irp->PendingReturned) {
        IoMarkIrpPending(Irp);
    }
    return (NTSTATUS)(ULONG_PTR)Context;
}

static NTSTATUS
PassOn(PIRP Irp, NTSTATUS Answer)
{
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, Completed, (PVOID)(ULONG_PTR)Answer, TRUE, TRUE, TRUE);
    return IoCallDriver(Below, Irp);
}

static NTSTATUS NTAPI
Ask(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG Code = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode;
    PIRP Own;

    if (Device == Upper) {
        return PassOn(Irp, Code == CODE(0x806) ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS);
    }
    switch (Code) {
    case CODE(0x801):
        Complete(Irp, STATUS_SUCCESS);
        return STATUS_PENDING;
    case CODE(0x802):
        IoMarkIrpPending(Irp);
        return Complete(Irp, STATUS_SUCCESS);
    case CODE(0x803):
        Complete(Irp, STATUS_SUCCESS);
        return STATUS_NOT_FOUND;
    case CODE(0x804):
        Kept = Irp;
        return STATUS_SUCCESS;
    case CODE(0x805):
        if (Kept != NULL) {
            Complete(Kept, STATUS_SUCCESS);
            Kept = NULL;
        }
        return Complete(Irp, STATUS_SUCCESS);
    case CODE(0x807):
        IoMarkIrpPending(Irp);
        Complete(Irp, STATUS_SUCCESS);
        return STATUS_PENDING;
    case CODE(0x808):
        Complete(Irp, STATUS_SUCCESS);
        return Complete(Irp, STATUS_SUCCESS);
    case CODE(0x809):
        Own = IoAllocateIrp(1, FALSE);
        IoFreeIrp(Own);
        IoFreeIrp(Own);
        return Complete(Irp, STATUS_SUCCESS);
    default:
        return Complete(Irp, STATUS_SUCCESS);
    }
}

static VOID NTAPI
Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    IoDetachDevice(Below);
    IoDeleteDevice(Upper);
    IoDeleteDevice(Lower);
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    DriverObject->MajorFunction[IRP_MJ_CREATE] = Succeed;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = Succeed;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = Succeed;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Ask;
    DriverObject->DriverUnload = Unload;
    Status = IoCreateDevice(DriverObject, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Lower);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Upper);
    if (!NT_SUCCESS(Status)) {
        IoDeleteDevice(Lower);
        return Status;
    }
    return IoAttachDeviceToDeviceStackSafe(Upper, Lower, &Below);
}
