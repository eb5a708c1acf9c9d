"""Devices that drivers make: opened by name, asked by codes of all four methods, stacked, cancelled, deleted."""

import pytest

from harness.nt import NtStatus
from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

DRIVER = r"""
static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Echo");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\Echo");
static PDEVICE_OBJECT Echo, Upper, Lower;
static PDRIVER_OBJECT Self;
static PIRP Held;
static ULONG Seen[3];
static LONG Completions;

static NTSTATUS NTAPI Finish(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static NTSTATUS NTAPI Count(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION At = IoGetCurrentIrpStackLocation(Irp);
    Seen[At->MajorFunction == IRP_MJ_CREATE ? 0 : At->MajorFunction == IRP_MJ_CLEANUP ? 1 : 2]++;
    return Finish(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Control(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION At = IoGetCurrentIrpStackLocation(Irp);
    ULONG Length = At->Parameters.DeviceIoControl.InputBufferLength;
    PUCHAR Source = Irp->AssociatedIrp.SystemBuffer, Target = Irp->AssociatedIrp.SystemBuffer;
    ULONG Index;

    switch (METHOD_FROM_CTL_CODE(At->Parameters.DeviceIoControl.IoControlCode)) {
    case METHOD_NEITHER:
        Source = At->Parameters.DeviceIoControl.Type3InputBuffer;
        Target = Irp->UserBuffer;
        break;
    case METHOD_IN_DIRECT:
    case METHOD_OUT_DIRECT:
        Target = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
        break;
    }
    for (Index = 0; Index < Length; Index++) {
        Target[Index] = Source[Index] + 1;
    }
    return Finish(Irp, STATUS_SUCCESS, Length);
}

static NTSTATUS NTAPI Read(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG Length = IoGetCurrentIrpStackLocation(Irp)->Parameters.Read.Length;
    RtlFillMemory(Irp->AssociatedIrp.SystemBuffer, Length, 0x77);
    return Finish(Irp, STATUS_SUCCESS, Length);
}

static VOID NTAPI Cancelled(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    Held = NULL;
    Finish(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS NTAPI Hold(PDEVICE_OBJECT Device, PIRP Irp)
{
    IoMarkIrpPending(Irp);
    Held = Irp;
    IoSetCancelRoutine(Irp, Cancelled);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI PassOn(PDEVICE_OBJECT Device, PIRP Irp)
{
    if (Device != Upper) {
        return Finish(Irp, STATUS_SUCCESS, 42);
    }
    IoCopyCurrentIrpStackLocationToNext(Irp);
    return IoCallDriver(Lower, Irp);
}

EXPORT ULONG Prepare(void)
{
    Self->MajorFunction[IRP_MJ_CREATE] = Count;
    Self->MajorFunction[IRP_MJ_CLEANUP] = Count;
    Self->MajorFunction[IRP_MJ_CLOSE] = Count;
    Self->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    Self->MajorFunction[IRP_MJ_READ] = Read;
    Self->MajorFunction[IRP_MJ_INTERNAL_DEVICE_CONTROL] = Hold;
    Self->MajorFunction[IRP_MJ_SHUTDOWN] = PassOn;
    if (!NT_SUCCESS(IoCreateDevice(Self, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Echo))) {
        return 1;
    }
    Echo->Flags |= DO_BUFFERED_IO;
    Echo->Flags &= ~DO_DEVICE_INITIALIZING;
    return IoCreateSymbolicLink(&Link, &Name);
}

static NTSTATUS Open(PCWSTR Path, HANDLE *Handle)
{
    UNICODE_STRING Text;
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Status;

    RtlInitUnicodeString(&Text, Path);
    InitializeObjectAttributes(&Attributes, &Text, OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateFile(Handle, GENERIC_READ | SYNCHRONIZE, &Attributes, &Status, NULL, 0, 0, FILE_OPEN,
                        FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
}

EXPORT ULONG OpenAndClose(void)
{
    HANDLE Handle;
    NTSTATUS Status = Open(L"\\??\\Echo\\name", &Handle);
    if (NT_SUCCESS(Status)) {
        ZwClose(Handle);
    }
    return NT_SUCCESS(Status) ? Seen[0] | Seen[1] << 8 | Seen[2] << 16 : (ULONG)Status;
}

EXPORT ULONG OpenNothing(void)
{
    HANDLE Handle;
    return (ULONG)Open(L"\\Device\\Nothing", &Handle);
}

EXPORT ULONG Ask(ULONG Method)
{
    UCHAR Source[4] = {1, 2, 3, 4}, Target[4] = {0};
    IO_STATUS_BLOCK Block;
    HANDLE Handle;
    NTSTATUS Status = Open(L"\\DosDevices\\Echo", &Handle);

    if (!NT_SUCCESS(Status)) {
        return (ULONG)Status;
    }
    Status = ZwDeviceIoControlFile(Handle, NULL, NULL, NULL, &Block, CTL_CODE(FILE_DEVICE_UNKNOWN, 1, Method, 0),
                                   Source, sizeof(Source), Target, sizeof(Target));
    ZwClose(Handle);
    return NT_SUCCESS(Status) && Block.Information == 4 ? *(ULONG *)Target : (ULONG)Status;
}

EXPORT ULONG ReadBuffered(void)
{
    ULONG Target = 0;
    IO_STATUS_BLOCK Block;
    HANDLE Handle;
    LARGE_INTEGER Offset = {0};

    if (!NT_SUCCESS(Open(L"\\Device\\Echo", &Handle))) {
        return 1;
    }
    ZwReadFile(Handle, NULL, NULL, NULL, &Block, &Target, sizeof(Target), &Offset, NULL);
    ZwClose(Handle);
    return Target;
}

EXPORT ULONG Built(void)
{
    ULONG Target = 0;
    IO_STATUS_BLOCK Block;
    LARGE_INTEGER Offset = {0};
    KEVENT Event;
    PIRP Irp;

    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    Irp = IoBuildSynchronousFsdRequest(IRP_MJ_READ, Echo, &Target, sizeof(Target), &Offset, &Event, &Block);
    if (IoCallDriver(Echo, Irp) == STATUS_PENDING) {
        KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    }
    return NT_SUCCESS(Block.Status) && Block.Information == 4 ? Target : 0;
}

static NTSTATUS NTAPI Completed(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    Completions++;
    *(NTSTATUS *)Context = Irp->IoStatus.Status;
    return STATUS_MORE_PROCESSING_REQUIRED;
}

EXPORT ULONG Cancel(void)
{
    NTSTATUS Status = STATUS_PENDING;
    PIRP Irp = IoAllocateIrp(Echo->StackSize, FALSE);
    BOOLEAN Called;

    IoGetNextIrpStackLocation(Irp)->MajorFunction = IRP_MJ_INTERNAL_DEVICE_CONTROL;
    IoSetCompletionRoutine(Irp, Completed, &Status, FALSE, FALSE, TRUE);
    IoCallDriver(Echo, Irp);
    Called = IoCancelIrp(Irp);
    IoFreeIrp(Irp);
    return Called ? (ULONG)Status : 0;
}

EXPORT ULONG Stack(ULONG Locations)
{
    NTSTATUS Status = STATUS_PENDING;
    ULONG_PTR Information;
    PIRP Irp;

    IoCreateDevice(Self, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Upper);
    Lower = IoAttachDeviceToDeviceStack(Upper, Echo);
    Upper->Flags &= ~DO_DEVICE_INITIALIZING;
    Irp = IoAllocateIrp((CCHAR)(Locations ? Locations : Upper->StackSize), FALSE);
    IoGetNextIrpStackLocation(Irp)->MajorFunction = IRP_MJ_SHUTDOWN;
    IoSetCompletionRoutine(Irp, Completed, &Status, TRUE, TRUE, TRUE);
    IoCallDriver(Upper, Irp);
    Information = Irp->IoStatus.Information;
    IoFreeIrp(Irp);
    IoDetachDevice(Lower);
    IoDeleteDevice(Upper);
    return Status == STATUS_SUCCESS ? (ULONG)Information : 0;
}

EXPORT ULONG CompleteTwice(void)
{
    PIRP Irp = IoAllocateIrp(Echo->StackSize, FALSE);
    NTSTATUS Status;

    IoGetNextIrpStackLocation(Irp)->MajorFunction = IRP_MJ_SHUTDOWN;
    IoSetCompletionRoutine(Irp, Completed, &Status, TRUE, TRUE, TRUE);
    IoCallDriver(Echo, Irp);
    IoFreeIrp(Irp);
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return 0;
}

EXPORT ULONG Keep(void)
{
    ObReferenceObject(Echo);
    return Echo->ReferenceCount;
}

EXPORT ULONG GiveBack(void)
{
    ObDereferenceObject(Echo);
    return Echo->ReferenceCount;
}

EXPORT ULONG Remove(void)
{
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Echo);
    return 0;
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    Self = Driver;
    Driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
"""


@pytest.fixture
def machine(load):
    machine = load(DRIVER, entry=False)
    assert machine.call("Prepare") == 0
    return machine


def test_a_device_is_opened_by_a_link_and_gets_create_cleanup_and_close(machine):
    assert machine.call("OpenAndClose") == 0x010101


def test_a_name_that_nobody_has_made_is_not_found(machine):
    assert machine.call("OpenNothing") == NtStatus.OBJECT_NAME_NOT_FOUND


@pytest.mark.parametrize("method", range(4), ids=["buffered", "in-direct", "out-direct", "neither"])
def test_a_control_code_finds_its_buffers_where_its_method_has_them(machine, method):
    assert machine.call("Ask", method) == 0x05040302


def test_a_read_of_a_buffered_device_has_a_system_buffer(machine):
    assert machine.call("ReadBuffered") == 0x77777777


def test_a_synchronous_request_that_was_built_signals_its_event(machine):
    assert machine.call("Built") == 0x77777777
    assert machine.kernel.io.irps.live == {}


def test_a_cancelled_irp_is_completed_by_its_cancel_routine(machine):
    assert machine.call("Cancel") == NtStatus.CANCELLED


def test_an_irp_goes_down_an_attached_stack(machine):
    assert machine.call("Stack", 0) == 42


def test_an_irp_without_a_location_left_is_a_bug_check(machine):
    with pytest.raises(BugCheckStop, match="no stack location left"):
        machine.call("Stack", 1)


def test_an_irp_that_was_freed_cannot_be_completed(machine):
    with pytest.raises(BugCheckStop, match="no IRP"):
        machine.call("CompleteTwice")


def test_what_is_left_behind_is_told_at_the_unload(machine):
    findings = machine.unload()
    assert any(r"\Device\Echo> was never deleted" in text for text in findings)
    assert any("symbolic link" in text for text in findings)


@pytest.mark.parametrize("given_back", [False, True])
def test_a_reference_that_is_not_given_back_is_told_at_the_unload(machine, given_back):
    machine.call("Keep")
    if given_back:
        machine.call("GiveBack")
    machine.call("Remove")

    assert any("reference to a IoDeviceObjectType" in text for text in machine.unload()) is not given_back


def test_what_is_deleted_is_gone(machine):
    machine.call("Remove")
    assert machine.call("OpenNothing") == NtStatus.OBJECT_NAME_NOT_FOUND
    assert machine.unload() == []
