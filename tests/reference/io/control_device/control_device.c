/*
 * control_device.c: a control device that programs open and ask, one that only the system may open, and a filter above.
 *
 * What happens is printed: "control <what> <number>".
 */

#include <fltkernel.h>
#include <wdmsec.h>

#define TELL(...) DbgPrint("control " __VA_ARGS__)
#define CODE_ADD(Method) CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, Method, FILE_ANY_ACCESS)
#define CODE_HOLD CTL_CODE(FILE_DEVICE_UNKNOWN, 0x802, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define CODE_ATTACH CTL_CODE(FILE_DEVICE_UNKNOWN, 0x803, METHOD_BUFFERED, FILE_ANY_ACCESS)

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\FltlabControl");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\FltlabControl");
static UNICODE_STRING SystemName = RTL_CONSTANT_STRING(L"\\FileSystem\\Filters\\FltlabSystem");
static PDRIVER_OBJECT Self;
static PDEVICE_OBJECT Control, OnlySystem, Filter, Below;

static NTSTATUS
Complete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static NTSTATUS NTAPI
OpenOrClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);

    TELL("%s %u\n",
         Location->MajorFunction == IRP_MJ_CREATE    ? "create"
         : Location->MajorFunction == IRP_MJ_CLEANUP ? "cleanup"
                                                     : "close",
         Device == Filter);
    if (Device == Filter) {
        IoSkipCurrentIrpStackLocation(Irp);
        return IoCallDriver(Below, Irp);
    }
    return Complete(Irp, STATUS_SUCCESS, 0);
}

static VOID NTAPI
Cancelled(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    Complete(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS
Hold(PIRP Irp)
{
    IoMarkIrpPending(Irp);
    IoSetCancelRoutine(Irp, Cancelled);
    return STATUS_PENDING;
}

/* Each byte of the input, and one more, to where the method wants the output. */
static NTSTATUS
Add(PIRP Irp, PIO_STACK_LOCATION Location)
{
    ULONG Length = Location->Parameters.DeviceIoControl.InputBufferLength, Index;
    PUCHAR From = Irp->AssociatedIrp.SystemBuffer, To = Irp->AssociatedIrp.SystemBuffer;

    if (Location->Parameters.DeviceIoControl.OutputBufferLength < Length) {
        return Complete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    switch (METHOD_FROM_CTL_CODE(Location->Parameters.DeviceIoControl.IoControlCode)) {
    case METHOD_IN_DIRECT:
    case METHOD_OUT_DIRECT:
        To = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
        break;
    case METHOD_NEITHER:
        From = Location->Parameters.DeviceIoControl.Type3InputBuffer;
        To = Irp->UserBuffer;
        break;
    default:
        break;
    }
    for (Index = 0; Index < Length; Index++) {
        To[Index] = (UCHAR)(From[Index] + 1);
    }
    return Complete(Irp, STATUS_SUCCESS, Length);
}

static NTSTATUS NTAPI
Ask(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS Status;

    if (Device == Filter) {
        TELL("passes %x\n", Location->Parameters.DeviceIoControl.IoControlCode);
        IoSkipCurrentIrpStackLocation(Irp);
        return IoCallDriver(Below, Irp);
    }
    switch (Location->Parameters.DeviceIoControl.IoControlCode) {
    case CODE_HOLD:
        return Hold(Irp);
    case CODE_ATTACH:
        Status = IoCreateDevice(Self, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Filter);
        if (NT_SUCCESS(Status)) {
            Status = IoAttachDevice(Filter, &Name, &Below);
            Filter->Flags &= ~DO_DEVICE_INITIALIZING;
            TELL("attached %u\n", Below == Control);
        }
        return Complete(Irp, Status, 0);
    case CODE_ADD(METHOD_BUFFERED):
    case CODE_ADD(METHOD_IN_DIRECT):
    case CODE_ADD(METHOD_OUT_DIRECT):
    case CODE_ADD(METHOD_NEITHER):
        return Add(Irp, Location);
    default:
        return Complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static VOID NTAPI
Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    TELL("unload 0\n");
    if (Filter != NULL) {
        IoDetachDevice(Below);
        IoDeleteDevice(Filter);
    }
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(OnlySystem);
    IoDeleteDevice(Control);
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const UNICODE_STRING Wrong = RTL_CONSTANT_STRING(L"D:P(X;;GA;;;SY)");
    PDEVICE_OBJECT None = NULL;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Self = DriverObject;
    DriverObject->MajorFunction[IRP_MJ_CREATE] = OpenOrClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = OpenOrClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = OpenOrClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Ask;
    DriverObject->DriverUnload = Unload;
    TELL("refused %08x\n",
         IoCreateDeviceSecure(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Wrong, NULL, &None));
    Status = IoCreateDeviceSecure(DriverObject, 0, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE,
                                  &SDDL_DEVOBJ_SYS_ALL_ADM_ALL, NULL, &Control);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    /* Without FILE_DEVICE_SECURE_OPEN: what is behind the name is not protected. */
    Status = IoCreateDeviceSecure(DriverObject, 0, &SystemName, FILE_DEVICE_UNKNOWN, 0, FALSE, &SDDL_DEVOBJ_SYS_ALL,
                                  NULL, &OnlySystem);
    if (NT_SUCCESS(Status)) {
        Status = IoCreateSymbolicLink(&Link, &Name);
    }
    return Status;
}
