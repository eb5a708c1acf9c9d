/*
 * reads_pointer.c: a control device. The fault: one of its control codes, by METHOD_NEITHER, has a pointer in its
 * input that is followed without being probed.
 */

#include "../filter.h"

#define IOCTL_VERSION CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_QUERY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x802, METHOD_NEITHER, FILE_ANY_ACCESS)

typedef struct _QUERY {
    ULONG Size;
    ULONG Version;
    PULONG Where;
} QUERY;

static PDEVICE_OBJECT Device;
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\ReadsPointer");

static NTSTATUS
Complete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static NTSTATUS NTAPI
OpenOrClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return Complete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS
Query(PIRP Irp, PIO_STACK_LOCATION Stack)
{
    QUERY Asked;

    if (Stack->Parameters.DeviceIoControl.InputBufferLength < sizeof(QUERY)) {
        return Complete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    __try {
        ProbeForRead(Stack->Parameters.DeviceIoControl.Type3InputBuffer, sizeof(QUERY), 8);
        Asked = *(QUERY *)Stack->Parameters.DeviceIoControl.Type3InputBuffer;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return Complete(Irp, GetExceptionCode(), 0);
    }
    if (Asked.Size != sizeof(QUERY) || Asked.Version != 3) {
        return Complete(Irp, STATUS_REVISION_MISMATCH, 0);
    }
    return Complete(Irp, *Asked.Where == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL, 0);
}

static NTSTATUS NTAPI
Control(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);

    UNREFERENCED_PARAMETER(DeviceObject);
    switch (Stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_VERSION:
        if (Stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(ULONG)) {
            return Complete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        *(PULONG)Irp->AssociatedIrp.SystemBuffer = 3;
        return Complete(Irp, STATUS_SUCCESS, sizeof(ULONG));
    case IOCTL_QUERY:
        return Query(Irp, Stack);
    default:
        return Complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_OPERATION_END}};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\ReadsPointer");
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = IoCreateDevice(DriverObject, 0, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &Device);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = OpenOrClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = OpenOrClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = OpenOrClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    Status = IoCreateSymbolicLink(&Link, &Name);
    if (NT_SUCCESS(Status)) {
        Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
        if (NT_SUCCESS(Status)) {
            return FltStartFiltering(Filter);
        }
        IoDeleteSymbolicLink(&Link);
    }
    IoDeleteDevice(Device);
    return Status;
}
