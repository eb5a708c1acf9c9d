"""EX_TIMER: timers with a callback, allocated and deleted by the system."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import I64, NTOSKRNL, U8, U32, export
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.ex.timer_objects import ExecutiveTimer
from harness.reference.windows.ntos.ke.dispatcher_objects import (
    NOTIFICATION_TIMER,
    SYNCHRONIZATION_TIMER,
    DispatcherHeader,
    initialize_header,
)
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_SIZE = 0x40
_NOTIFICATION = 0x8000_0000
_TIMER = Kind("timer", "ExDeleteTimer")


def _timer(k: "Kernel", address: int, function: str) -> ExecutiveTimer:
    found = k.executive_timers.get(address)
    if found is None:
        k.bugcheck(
            BugCheck.TIMER_OR_DPC_INVALID, address,
            message=f"{function} was given {k.describe_address(address)}, which is no timer of ExAllocateTimer",
        )  # fmt: skip
    return found


@export(NTOSKRNL, "ExAllocateTimer", max_irql=Irql.DISPATCH)
def ex_allocate_timer(k: "Kernel", callback: int, context: int, attributes: U32) -> int:
    """A timer that threads may wait for as well; ExDeleteTimer gives it back."""
    address = k.heap.allocate(_SIZE)
    kind = NOTIFICATION_TIMER if attributes & _NOTIFICATION else SYNCHRONIZATION_TIMER
    initialize_header(k.memory, address, kind, _SIZE, 0)
    k.executive_timers[address] = ExecutiveTimer(address, callback, context, k.blame.current().driver)
    k.holdings.take(_TIMER, address)
    return address


@export(NTOSKRNL, "ExSetTimer", max_irql=Irql.DISPATCH)
def ex_set_timer(k: "Kernel", address: int, due: I64, period: I64, parameters: int) -> bool:
    """Whether it was set before. Due times are relative if negative; the period is in 100 ns."""
    del parameters
    found = _timer(k, address, "ExSetTimer")
    was_set = _cancel(found)
    DispatcherHeader(k.memory, address).signal_state = 0
    after = -due if due < 0 else max(0, due - BOOT_TIME - k.now)
    found.periodic = period > 0
    found.timer = k.timer(after, lambda: _expired(k, found), max(period, 0))
    return was_set


def _expired(k: "Kernel", found: ExecutiveTimer) -> None:
    if not found.periodic:
        found.timer = None
    DispatcherHeader(k.memory, found.address).signal_state = 1
    k.scheduler.signal_key(found.address)
    if found.callback and k.images.at(found.callback) is not None:
        k.queue_dpc(lambda: _call(k, found))


def _call(k: "Kernel", found: ExecutiveTimer) -> KernelCode:
    yield from k.kept.call("its timer callback", found.callback, found.address, found.context)


def _cancel(found: ExecutiveTimer) -> bool:
    was_set = found.timer is not None
    if found.timer is not None:
        found.timer.cancel()
    found.timer = None
    return was_set


@export(NTOSKRNL, "ExCancelTimer", max_irql=Irql.DISPATCH)
def ex_cancel_timer(k: "Kernel", address: int, parameters: int) -> bool:
    del parameters
    return _cancel(_timer(k, address, "ExCancelTimer"))


@export(NTOSKRNL, "ExDeleteTimer", max_irql=Irql.DISPATCH)
def ex_delete_timer(k: "Kernel", address: int, cancel: U8, wait: U8, parameters: int) -> bool:
    """Whether it was still set; without `cancel` a set one is wrong use."""
    del wait, parameters
    found = _timer(k, address, "ExDeleteTimer")
    was_set = _cancel(found)
    if was_set and not cancel:
        k.verifier.report(None, found.driver, "ExDeleteTimer without Cancel was given a timer that is set")
    del k.executive_timers[address]
    k.holdings.give_back(_TIMER, address)
    k.heap.free(address)
    return was_set


@export(NTOSKRNL, "ExQueryTimerResolution", max_irql=Irql.PASSIVE)
def ex_query_timer_resolution(k: "Kernel", longest: int, shortest: int, current: int) -> int:
    for address, value in ((longest, 156_250), (shortest, 5_000), (current, 156_250)):
        k.memory.write_u32(address, value)
    return 0


@export(NTOSKRNL, "ExSetTimerResolution", max_irql=Irql.APC)
def ex_set_timer_resolution(k: "Kernel", desired: U32, change: U8) -> int:
    """The clock of the model ticks as it does."""
    del k, desired, change
    return 156_250
