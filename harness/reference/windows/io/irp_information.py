"""What drivers ask of IRPs and threads: priorities, activities, sessions, errors to log, timers of devices."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.ex.driver_pool import free
from harness.reference.windows.ntos.ke.dispatcher_objects import (
    NOTIFICATION_EVENT,
    SYNCHRONIZATION_EVENT,
    GuestEvent,
    initialize_header,
)
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_NORMAL, _PRIORITIES = 2, 5
_SECOND = 10_000_000
_ERROR_ENTRY = 0x30
_LONGEST_ENTRY = 240
_NOTIFICATION = Kind("plug and play notification", "IoUnregisterPlugPlayNotification")
_TIMER = Kind("running timer of a device", "IoStopTimer")


@export(NTOSKRNL, "IoGetIoPriorityHint", max_irql=Irql.DISPATCH)
def io_get_io_priority_hint(k: "Kernel", irp: int) -> int:
    """Normal, unless it was set, or the thread's was."""
    thread = k.io.irps.request_of(irp).thread.kthread
    return k.io.priorities.get(irp, k.io.priorities.get(thread, _NORMAL))


@export(NTOSKRNL, "IoSetIoPriorityHint", max_irql=Irql.DISPATCH)
def io_set_io_priority_hint(k: "Kernel", irp: int, priority: U32) -> int:
    if priority >= _PRIORITIES:
        return int(NtStatus.INVALID_PARAMETER)
    k.io.priorities[irp] = priority
    return 0


@export(NTOSKRNL, "IoGetPagingIoPriority", max_irql=Irql.DISPATCH)
def io_get_paging_io_priority(k: "Kernel", irp: int) -> int:
    """IoPagingPriorityInvalid for what is no paging I/O, else normal."""
    return 1 if k.io.irps.request_of(irp).paging else 0


@export(NTOSKRNL, "IoGetActivityIdIrp", max_irql=Irql.DISPATCH)
def io_get_activity_id_irp(k: "Kernel", irp: int, guid: int) -> int:
    activity = k.io.irps.request_of(irp).activity
    if activity is None:
        return int(NtStatus.NOT_FOUND)
    k.memory.write(guid, activity)
    return 0


@export(NTOSKRNL, "IoGetActivityIdThread", max_irql=Irql.DISPATCH)
def io_get_activity_id_thread(k: "Kernel") -> int:
    """The address of the GUID that was set, or null."""
    return k.io.thread_activities.get(k.current.kthread, 0)


@export(NTOSKRNL, "IoSetActivityIdThread", max_irql=Irql.DISPATCH)
def io_set_activity_id_thread(k: "Kernel", guid: int) -> int:
    """What was set before, for IoClearActivityIdThread."""
    before = k.io.thread_activities.get(k.current.kthread, 0)
    k.io.thread_activities[k.current.kthread] = guid
    return before


@export(NTOSKRNL, "IoClearActivityIdThread", max_irql=Irql.DISPATCH)
def io_clear_activity_id_thread(k: "Kernel", original: int) -> int:
    if original:
        k.io.thread_activities[k.current.kthread] = original
    else:
        k.io.thread_activities.pop(k.current.kthread, None)
    return 0


@export(NTOSKRNL, "IoGetIoAttributionHandle", max_irql=Irql.DISPATCH)
def io_get_io_attribution_handle(k: "Kernel", irp: int, handle: int) -> int:
    k.memory.read(irp, 8)
    k.memory.write_u64(handle, 0)
    return int(NtStatus.NOT_FOUND)


@export(NTOSKRNL, "IoGetRequestorSessionId", max_irql=Irql.DISPATCH)
def io_get_requestor_session_id(k: "Kernel", irp: int, session: int) -> int:
    process = k.io.irps.request_of(irp).thread.process
    k.memory.write_u32(session, k.processes.facts[process].session)
    return 0


@export(NTOSKRNL, "IoGetInitiatorProcess", max_irql=Irql.DISPATCH)
def io_get_initiator_process(k: "Kernel", file: int) -> int:
    """Null: no file object is opened for another process."""
    k.memory.read(file, 1)
    return 0


@export(NTOSKRNL, "IoIsInitiator32bitProcess", max_irql=Irql.DISPATCH)
def io_is_initiator_32bit_process(k: "Kernel", irp: int) -> bool:
    k.memory.read(irp, 1)
    return False


@export(NTOSKRNL, "IoGetTransactionParameterBlock", max_irql=Irql.DISPATCH)
def io_get_transaction_parameter_block(k: "Kernel", file: int) -> int:
    """Null: no file is opened in a transaction."""
    k.memory.read(file, 1)
    return 0


@export(NTOSKRNL, "IoIsValidIrpStatus")
def io_is_valid_irp_status(k: "Kernel", status: U32) -> bool:
    """PENDING is the one that an IRP cannot be completed with."""
    del k
    return status != NtStatus.PENDING


@export(NTOSKRNL, "IoWithinStackLimits", max_irql=Irql.DISPATCH)
def io_within_stack_limits(k: "Kernel", region: int, size: int) -> bool:
    execution = k.engine.current_execution
    return execution.stack_base <= region and region + size <= execution.stack_top


@export(NTOSKRNL, "IoAcquireVpbSpinLock", max_irql=Irql.DISPATCH)
def io_acquire_vpb_spin_lock(k: "Kernel", irql: int) -> int:
    """One processor at a time is in the kernel's own code: raising is what is left of it."""
    k.memory.write_u8(irql, k.raise_irql(Irql.DISPATCH))
    return 0


@export(NTOSKRNL, "IoReleaseVpbSpinLock", max_irql=Irql.DISPATCH)
def io_release_vpb_spin_lock(k: "Kernel", irql: U8) -> int:
    k.lower_irql(irql)
    return 0


# -- the error log


@export(NTOSKRNL, "IoAllocateErrorLogEntry", max_irql=Irql.DISPATCH)
def io_allocate_error_log_entry(k: "Kernel", device: int, size: U8) -> int:
    """Null for a size that there is no room for."""
    k.memory.read(device, 2)
    if not _ERROR_ENTRY <= size <= _LONGEST_ENTRY:
        return 0
    where = k.blame.current()
    return k.pool.allocate(size, "IoEr", paged=False, owner=where.driver, allocated_by=where.address)


@export(NTOSKRNL, "IoWriteErrorLogEntry", max_irql=Irql.DISPATCH)
def io_write_error_log_entry(k: "Kernel", entry: int) -> int:
    """The log has the driver and the status; the entry is the system's now."""
    code, final = k.memory.read_u32(entry + 0x0C), k.memory.read_u32(entry + 0x14)
    k.probes.happened((f"error log of {k.blame.current().driver}: {code:#010x}, status {final:#010x}",))
    free(k, entry, None)
    return 0


@export(NTOSKRNL, "IoFreeErrorLogEntry", max_irql=Irql.DISPATCH)
def io_free_error_log_entry(k: "Kernel", entry: int) -> int:
    free(k, entry, None)
    return 0


# -- once a second


@export(NTOSKRNL, "IoInitializeTimer", max_irql=Irql.PASSIVE)
def io_initialize_timer(k: "Kernel", device: int, routine: int, context: int) -> int:
    k.device_timers[device] = (routine, context)
    return 0


@export(NTOSKRNL, "IoStartTimer", max_irql=Irql.DISPATCH)
def io_start_timer(k: "Kernel", device: int) -> int:
    """The routine is called once a second, at DISPATCH_LEVEL."""
    if device in k.device_timers and device not in k.running_device_timers:
        tick = k.timer(_SECOND, lambda: k.queue_dpc(lambda: _tick(k, device)), _SECOND)
        k.running_device_timers[device] = tick
        k.holdings.take(_TIMER, device)
    return 0


def _tick(k: "Kernel", device: int) -> KernelCode:
    routine, context = k.device_timers[device]
    if k.images.at(routine) is not None:
        yield from k.kept.call("its IO_TIMER routine", routine, device, context)


@export(NTOSKRNL, "IoStopTimer", max_irql=Irql.DISPATCH)
def io_stop_timer(k: "Kernel", device: int) -> int:
    tick = k.running_device_timers.pop(device, None)
    if tick is not None:
        tick.cancel()
        k.holdings.give_back(_TIMER, device)
    return 0


# -- named events


@export(NTOSKRNL, "IoCreateNotificationEvent", max_irql=Irql.PASSIVE)
def io_create_notification_event(k: "Kernel", name: int, handle_pointer: int) -> int:
    return _event(k, name, handle_pointer, NOTIFICATION_EVENT)


@export(NTOSKRNL, "IoCreateSynchronizationEvent", max_irql=Irql.PASSIVE)
def io_create_synchronization_event(k: "Kernel", name: int, handle_pointer: int) -> int:
    return _event(k, name, handle_pointer, SYNCHRONIZATION_EVENT)


def _event(k: "Kernel", name: int, handle_pointer: int, kind: int) -> int:
    """Made signaled, or opened if it is there; the KEVENT, and a handle that keeps it. Null if the name is refused."""
    path = k.memory.read_unicode_string(name)
    item = k.namespace.find(path)
    if not isinstance(item, Object):
        address = k.heap.allocate(0x18)
        initialize_header(k.memory, address, kind, 0x18, 1)
        item = k.objects.register(Object("ExEventObjectType", GuestEvent(k.memory, address), address, references=0))
        if not k.namespace.insert(path, item):
            return 0
        item.on_delete = partial(_event_gone, k, path)
    k.memory.write_u64(handle_pointer, k.objects.open(item))
    return item.address


def _event_gone(k: "Kernel", path: str, item: Object) -> None:
    k.namespace.remove(path)
    k.heap.free(item.address)


# -- what there is none of


@export(NTOSKRNL, "IoRegisterPlugPlayNotification", max_irql=Irql.PASSIVE)
def io_register_plug_play_notification(
    k: "Kernel", category: U32, flags: U32, data: int, driver: int, routine: int, context: int, entry: int
) -> int:
    """Nothing is plugged in or pulled out: the routine is not called."""
    del category, flags, data, driver, routine, context
    handle = k.heap.allocate(0x20)
    k.holdings.take(_NOTIFICATION, handle)
    k.memory.write_u64(entry, handle)
    return 0


@export(NTOSKRNL, "IoUnregisterPlugPlayNotification", "IoUnregisterPlugPlayNotificationEx", max_irql=Irql.PASSIVE)
def io_unregister_plug_play_notification(k: "Kernel", entry: int) -> int:
    if not k.holdings.give_back(_NOTIFICATION, entry):
        return int(NtStatus.INVALID_PARAMETER)
    k.heap.free(entry)
    return 0


@export(NTOSKRNL, "IoGetDeviceInterfaces", max_irql=Irql.PASSIVE)
def io_get_device_interfaces(k: "Kernel", guid: int, device: int, flags: U32, listed: int) -> int:
    """An empty list, in a block that the caller frees."""
    del device, flags
    k.memory.read(guid, 16)
    where = k.blame.current()
    block = k.pool.allocate(4, "IoDi", paged=True, owner=where.driver, allocated_by=where.address)
    k.memory.write_u64(listed, block)
    return 0


@export(NTOSKRNL, "IoRegisterBootDriverReinitialization", "IoRegisterDriverReinitialization", max_irql=Irql.PASSIVE)
def io_register_driver_reinitialization(k: "Kernel", driver: int, routine: int, context: int) -> int:
    """The system has started long ago: the routine is called once DriverEntry has returned."""
    k.queue_worker(_reinitialize(k, routine, driver, context))
    return 0


def _reinitialize(k: "Kernel", routine: int, driver: int, context: int) -> KernelCode:
    yield from k.kept.call("its reinitialization routine", routine, driver, context, 1)
