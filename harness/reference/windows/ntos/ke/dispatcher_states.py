"""Changes of dispatcher objects in guest memory that wake who waits."""

from typing import TYPE_CHECKING

from harness.reference.windows.ntos.ke.dispatcher_objects import (
    DispatcherHeader,
    KMutant,
)

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.ntos.executive import Executive


def set_event(k: "Executive", event: int) -> int:
    """Signal a KEVENT; its previous state."""
    header = DispatcherHeader(k.memory, event)
    before = header.signal_state
    header.signal_state = 1
    k.scheduler.signal_key(event)
    return before & 0xFFFF_FFFF


def abandon_mutexes(k: "Executive", thread: "Thread") -> None:
    """A thread has ended: the mutexes it owns are abandoned."""
    for address in list(k.kernel_mutexes):
        if not k.memory.is_mapped(address, KMutant.SIZE):
            k.kernel_mutexes.discard(address)
            continue
        mutant = KMutant(k.memory, address)
        if mutant.owner_thread == thread.kthread:
            k.verifier.report(None, None, f"{thread.describe()} ended while it owned the mutex at {address:#x}")
            mutant.owner_thread = 0
            mutant.abandoned = 1
            DispatcherHeader(k.memory, address).signal_state = 1
            k.scheduler.signal_key(address)
