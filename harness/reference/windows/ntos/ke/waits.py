"""Waiting: KeWaitForSingleObject, KeWaitForMultipleObjects, KeDelayExecutionThread."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.machine.scheduler.dispatcher import Dispatcher
from harness.reference.machine.scheduler.requests import Delay, KernelCode, Wait
from harness.reference.windows.ntos.ke.dispatcher_objects import (
    MUTANT,
    NOTIFICATION_EVENT,
    NOTIFICATION_TIMER,
    SEMAPHORE,
    SYNCHRONIZATION_EVENT,
    SYNCHRONIZATION_TIMER,
    DispatcherHeader,
    GuestMutant,
    GuestObject,
    is_initialized,
)
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_EVENTS = (NOTIFICATION_EVENT, SYNCHRONIZATION_EVENT, SEMAPHORE, NOTIFICATION_TIMER, SYNCHRONIZATION_TIMER)
_THREAD_WAIT_OBJECTS, _MAXIMUM_WAIT_OBJECTS = 3, 64


def dispatcher_at(k: "Kernel", address: int) -> Dispatcher:
    """The dispatcher object at a guest address; a bug check if there is none."""
    thread = k.processes.threads.get(address)
    if thread is not None:
        return thread
    other = k.objects.at(address)
    if other is not None and isinstance(other.body, Dispatcher):
        return other.body
    header = DispatcherHeader(k.memory, address)
    kind = header.type & 0x7F
    if kind in (*_EVENTS, MUTANT) and is_initialized(header):
        if kind == MUTANT:
            return GuestMutant(k.memory, address, k.processes.threads)
        return GuestObject(k.memory, address)
    what = "was never initialized" if kind in _EVENTS else f"is no dispatcher object (type {kind})"
    k.bugcheck(
        BugCheck.PAGE_FAULT_IN_NONPAGED_AREA, 0, 0, 0, address,
        message=f"a wait for {k.describe_address(address)}, which {what}",
    )  # fmt: skip


def timeout_at(k: "Kernel", address: int) -> int | None:
    """A timeout argument as a relative number of 100 ns; None waits for ever."""
    if not address:
        return None
    value = k.memory.read_i64(address)
    return -value if value <= 0 else max(0, value - BOOT_TIME - k.now)


def _check_irql(k: "Kernel", timeout: int | None, function: str) -> None:
    highest = Irql.DISPATCH if timeout == 0 else Irql.APC
    if k.irql > highest:
        k.verifier.report(None, k.blame.current().driver, f"{function} was called at IRQL {k.irql}")
        k.bugcheck(
            BugCheck.IRQL_NOT_LESS_OR_EQUAL, 0, k.irql,
            message=f"{function} was called at IRQL {k.irql}; with a timeout of "
            f"{'0' if timeout == 0 else 'more than 0'} the highest is {int(highest)}",
        )  # fmt: skip


def wait_now(k: "Kernel", request: Wait) -> int | KernelCode:
    """Wait; without giving up the processor if the wait is satisfied at once."""
    status = k.scheduler.begin_wait_now(k.current, request)
    return status if status is not None else _wait(request)


def _wait(request: Wait) -> KernelCode:
    return (yield request)


@export(NTOSKRNL, "KeWaitForSingleObject", "KeWaitForMutexObject")
def ke_wait_for_single_object(
    k: "Kernel", item: int, reason: U32, mode: U8, alertable: bool, timeout_pointer: int
) -> int | KernelCode:
    del reason, mode, alertable
    timeout = timeout_at(k, timeout_pointer)
    _check_irql(k, timeout, "KeWaitForSingleObject")
    return wait_now(k, Wait((dispatcher_at(k, item),), timeout))


@export(NTOSKRNL, "KeWaitForMultipleObjects")
def ke_wait_for_multiple_objects(
    k: "Kernel",
    count: U32,
    items: int,
    wait_type: U32,
    reason: U32,
    mode: U8,
    alertable: bool,
    timeout_pointer: int,
    wait_blocks: int,
) -> int | KernelCode:
    del reason, mode, alertable
    timeout = timeout_at(k, timeout_pointer)
    _check_irql(k, timeout, "KeWaitForMultipleObjects")
    if count > (_MAXIMUM_WAIT_OBJECTS if wait_blocks else _THREAD_WAIT_OBJECTS):
        k.bugcheck(BugCheck.MAXIMUM_WAIT_OBJECTS_EXCEEDED, message=f"a wait for {count} objects without wait blocks")
    objects = tuple(dispatcher_at(k, k.memory.read_u64(items + 8 * index)) for index in range(count))
    return wait_now(k, Wait(objects, timeout, all=wait_type == 0))


@export(NTOSKRNL, "KeDelayExecutionThread", max_irql=Irql.APC)
def ke_delay_execution_thread(k: "Kernel", mode: U8, alertable: bool, interval: int) -> KernelCode:
    del mode, alertable
    return _delay(timeout_at(k, interval) or 0)


def _delay(ticks: int) -> KernelCode:
    yield Delay(ticks)
    return 0
