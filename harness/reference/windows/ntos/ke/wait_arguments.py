"""The arguments of waits: dispatcher objects and timeouts."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.machine.scheduler.dispatcher import Dispatcher
from harness.reference.windows.ntos.ke.dispatcher_objects import (
    MUTANT,
    NOTIFICATION_EVENT,
    NOTIFICATION_TIMER,
    SEMAPHORE,
    SYNCHRONIZATION_EVENT,
    SYNCHRONIZATION_TIMER,
    DispatcherHeader,
    GuestObject,
    is_initialized,
)
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive


_EVENTS = (NOTIFICATION_EVENT, SYNCHRONIZATION_EVENT, SEMAPHORE, NOTIFICATION_TIMER, SYNCHRONIZATION_TIMER)


def dispatcher_at(k: "Executive", address: int) -> Dispatcher:
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
            return k.mutexes.waited_for(address)
        return GuestObject(k.memory, address)
    what = "was never initialized" if kind in _EVENTS else f"is no dispatcher object (type {kind})"
    k.bugcheck(
        BugCheck.PAGE_FAULT_IN_NONPAGED_AREA, 0, 0, 0, address,
        message=f"a wait for {k.describe_address(address)}, which {what}",
    )  # fmt: skip


def timeout_at(k: "Executive", address: int) -> int | None:
    """A timeout argument as a relative number of 100 ns; None waits for ever."""
    if not address:
        return None
    value = k.memory.read_i64(address)
    return -value if value <= 0 else max(0, value - BOOT_TIME - k.now)
