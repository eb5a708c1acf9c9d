"""The exports for IRPs: allocating, building, sending, completing and cancelling them."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, Length, export
from harness.reference.windows.io import driver_irps
from harness.reference.windows.io.request import Code
from harness.reference.windows.structures.irp import Irp

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "IofCallDriver", "IoCallDriver", max_irql=Irql.DISPATCH)
def iof_call_driver(k: "Kernel", device: int, irp: int) -> Code:
    """IofCallDriver."""
    return (yield from k.io.dispatcher.call_driver(device, irp))


@export(NTOSKRNL, "IofCompleteRequest", "IoCompleteRequest", max_irql=Irql.DISPATCH)
def iof_complete_request(k: "Kernel", irp: int, boost: U8) -> Code:
    """IofCompleteRequest."""
    del boost
    yield from k.io.dispatcher.complete(irp)


# -- allocating


@export(NTOSKRNL, "IoAllocateIrp", max_irql=Irql.DISPATCH)
def io_allocate_irp(k: "Kernel", stack_size: U8, charge: bool) -> int:
    """IoAllocateIrp: the driver frees it."""
    del charge
    return k.io.irps.allocate(stack_size, owner=k.blame.current().driver)


@export(NTOSKRNL, "IoAllocateIrpEx", max_irql=Irql.DISPATCH)
def io_allocate_irp_ex(k: "Kernel", device: int, stack_size: U8, charge: bool) -> int:
    """IoAllocateIrpEx."""
    del device
    return io_allocate_irp(k, stack_size, charge)


@export(NTOSKRNL, "IoFreeIrp", max_irql=Irql.DISPATCH)
def io_free_irp(k: "Kernel", irp: int) -> None:
    """IoFreeIrp."""
    k.io.irps.free(irp)


@export(NTOSKRNL, "IoInitializeIrp", max_irql=Irql.DISPATCH)
def io_initialize_irp(k: "Kernel", irp: int, size: U32, stack_size: U8) -> None:
    """IoInitializeIrp, for an IRP in memory of the driver's own."""
    k.memory.write(irp, bytes(size & 0xFFFF))
    k.io.irps.initialize(irp, stack_size)


@export(NTOSKRNL, "IoReuseIrp", max_irql=Irql.DISPATCH)
def io_reuse_irp(k: "Kernel", irp: int, status: U32) -> None:
    """IoReuseIrp."""
    view = Irp(k.memory, irp)
    count, flags, size = view.stack_count, view.allocation_flags, view.size
    k.memory.write(irp, bytes(size))
    k.io.irps.initialize(irp, count)
    view.allocation_flags = flags
    k.io.irps.set_io_status(irp, status, 0)


@export(NTOSKRNL, "IoSizeOfIrpEx", max_irql=Irql.DISPATCH)
def io_size_of_irp_ex(k: "Kernel", device: int, stack_size: U8) -> int:
    """IoSizeOfIrpEx."""
    del k, device
    return Irp.SIZE + 0x48 * stack_size


@export(NTOSKRNL, "IoMakeAssociatedIrp", max_irql=Irql.DISPATCH)
def io_make_associated_irp(k: "Kernel", master: int, stack_size: U8) -> int:
    """IoMakeAssociatedIrp: freed, and counted off its master, as it completes."""
    irp = k.io.irps.allocate(stack_size, owner=k.blame.current().driver)
    view = Irp(k.memory, irp)
    view.flags = 0x8
    view.master_irp = master
    view.thread = Irp(k.memory, master).thread
    return irp


# -- building


@export(NTOSKRNL, "IoBuildSynchronousFsdRequest", max_irql=Irql.PASSIVE)
def io_build_synchronous_fsd_request(
    k: "Kernel", major: U32, device: int, buffer: int, length: Length, offset: int, event: int, iosb: int
) -> int:
    """IoBuildSynchronousFsdRequest: freed as it completes; the event is signalled then."""
    irp = driver_irps.build_transfer(k.io, IrpMajor(major), device, buffer, length, offset, iosb)
    Irp(k.memory, irp).user_event = event
    driver_irps.belongs_to_thread(k.io, irp)
    return irp


@export(NTOSKRNL, "IoBuildAsynchronousFsdRequest", max_irql=Irql.DISPATCH)
def io_build_asynchronous_fsd_request(
    k: "Kernel", major: U32, device: int, buffer: int, length: Length, offset: int, iosb: int
) -> int:
    """IoBuildAsynchronousFsdRequest: the driver's completion routine frees it."""
    return driver_irps.build_transfer(k.io, IrpMajor(major), device, buffer, length, offset, iosb)


@export(NTOSKRNL, "IoBuildDeviceIoControlRequest", max_irql=Irql.PASSIVE)
def io_build_device_io_control_request(
    k: "Kernel",
    code: U32,
    device: int,
    source: int,
    source_length: Length,
    target: int,
    target_length: Length,
    internal: bool,
    event: int,
    iosb: int,
) -> int:
    """IoBuildDeviceIoControlRequest: freed as it completes; the event is signalled then."""
    major = IrpMajor.INTERNAL_DEVICE_CONTROL if internal else IrpMajor.DEVICE_CONTROL
    irp = driver_irps.build_control(k.io, major, device, code, source, source_length, target, target_length)
    view = Irp(k.memory, irp)
    view.user_iosb, view.user_event = iosb, event
    driver_irps.belongs_to_thread(k.io, irp)
    return irp


@export(NTOSKRNL, "IoForwardIrpSynchronously", "IoForwardAndCatchIrp", max_irql=Irql.APC)
def io_forward_irp_synchronously(k: "Kernel", device: int, irp: int) -> Code:
    """IoForwardIrpSynchronously: whether there was a stack location for the lower driver."""
    if k.memory.read_u8(irp + 0x43) <= 1:
        return 0
    k.io.irps.copy_to_next(irp)
    yield from driver_irps.send_and_wait(k.io, device, irp)
    return 1


@export(NTOSKRNL, "IoSynchronousCallDriver", max_irql=Irql.APC)
def io_synchronous_call_driver(k: "Kernel", device: int, irp: int) -> Code:
    """IoSynchronousCallDriver: the next stack location is the caller's to fill in."""
    yield from driver_irps.send_and_wait(k.io, device, irp)
    return k.io.irps.io_status(irp)[0]


@export(NTOSKRNL, "IoSetCompletionRoutineEx", max_irql=Irql.DISPATCH)
def io_set_completion_routine_ex(
    k: "Kernel", device: int, irp: int, routine: int, context: int, success: bool, error: bool, cancel: bool
) -> int:
    """IoSetCompletionRoutineEx: the driver stays loaded until the routine has returned, as all do here."""
    del device
    at = k.io.irps.next(irp)
    k.memory.write_u64(at + 0x38, routine)
    k.memory.write_u64(at + 0x40, context)
    k.memory.write_u8(at + 3, 0x40 * success | 0x80 * error | 0x20 * cancel)
    return NtStatus.SUCCESS


# -- cancelling


@export(NTOSKRNL, "IoCancelIrp", max_irql=Irql.DISPATCH)
def io_cancel_irp(k: "Kernel", irp: int) -> Code:
    """IoCancelIrp."""
    return int((yield from k.io.dispatcher.cancel(irp)))


@export(NTOSKRNL, "IoAcquireCancelSpinLock", max_irql=Irql.DISPATCH)
def io_acquire_cancel_spin_lock(k: "Kernel", irql_out: int) -> Code:
    """IoAcquireCancelSpinLock."""
    old = yield from k.io.dispatcher.acquire_cancel_lock()
    k.memory.write_u8(irql_out, old)


@export(NTOSKRNL, "IoReleaseCancelSpinLock", max_irql=Irql.DISPATCH)
def io_release_cancel_spin_lock(k: "Kernel", irql: U8) -> None:
    """IoReleaseCancelSpinLock."""
    k.io.dispatcher.release_cancel_lock(irql)


# -- questions


@export(NTOSKRNL, "IoIsOperationSynchronous", max_irql=Irql.DISPATCH)
def io_is_operation_synchronous(k: "Kernel", irp: int) -> bool:
    """IoIsOperationSynchronous."""
    return k.io.irps.request_of(irp).synchronous


@export(NTOSKRNL, "IoGetRequestorProcess", max_irql=Irql.DISPATCH)
def io_get_requestor_process(k: "Kernel", irp: int) -> int:
    """IoGetRequestorProcess."""
    thread = k.processes.threads.get(Irp(k.memory, irp).thread)
    return thread.process.eprocess if thread is not None else 0


@export(NTOSKRNL, "IoGetRequestorProcessId", max_irql=Irql.DISPATCH)
def io_get_requestor_process_id(k: "Kernel", irp: int) -> int:
    """IoGetRequestorProcessId."""
    thread = k.processes.threads.get(Irp(k.memory, irp).thread)
    return thread.process.id if thread is not None else 0
