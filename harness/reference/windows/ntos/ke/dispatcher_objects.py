"""Dispatcher objects in guest memory: events, timers, semaphores and mutants.

The state of an object *is* its DISPATCHER_HEADER; nothing is kept twice, so inlined reads of it by drivers are right.
"""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.dispatcher import Dispatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.thread import Thread


class DispatcherHeader(Structure):
    """DISPATCHER_HEADER."""

    SIZE = 0x18
    type = Field(0, "B")
    size = Field(2, "B")
    signal_state = Field(4, "i")
    wait_list_flink = Field(8, "Q")
    wait_list_blink = Field(16, "Q")


_HEADER = Struct("<BBBBiQQ")
NOTIFICATION_EVENT, SYNCHRONIZATION_EVENT, MUTANT, SEMAPHORE, THREAD = 0, 1, 2, 5, 6
NOTIFICATION_TIMER, SYNCHRONIZATION_TIMER = 8, 9


class GuestObject(Dispatcher):
    """An event, timer or semaphore whose DISPATCHER_HEADER is at `address` in guest memory."""

    def __init__(self, memory: "Memory", address: int, name: str = "") -> None:
        self.header = DispatcherHeader(memory, address)
        self.address = address
        self.name = name

    @property
    def key(self) -> "Hashable":
        return self.address

    def signaled(self, thread: "Thread") -> bool:
        return self.header.signal_state > 0

    def acquire(self, thread: "Thread") -> bool:
        kind = self.header.type & 0x7F
        if kind in (SYNCHRONIZATION_EVENT, SYNCHRONIZATION_TIMER):
            self.header.signal_state = 0
        elif kind == SEMAPHORE:
            self.header.signal_state -= 1
        return False

    def describe(self) -> str:
        kinds = {0: "notification event", 1: "synchronization event", 5: "semaphore", 8: "timer", 9: "timer"}
        return f"{self.name or kinds.get(self.header.type & 0x7F, 'object')} at {self.address:#x}"


class GuestEvent(GuestObject):
    """A KEVENT in guest memory."""


class KMutant(Structure):
    """KMUTANT."""

    SIZE = 0x38
    owner_thread = Field(0x28)
    abandoned = Field(0x30, "B")
    apc_disable = Field(0x31, "B")


class GuestMutant(GuestObject):
    """A KMUTANT: its signal state is 1 when free, and goes down with every acquisition by its owner."""

    def __init__(self, memory: "Memory", address: int, threads: "Mapping[int, Thread]") -> None:
        super().__init__(memory, address)
        self.mutant = KMutant(memory, address)
        self.taken: Callable[[], None] = lambda: None
        """Called when somebody has acquired it."""
        self._threads = threads

    @property
    def owner(self) -> "Thread | None":
        return self._threads.get(self.mutant.owner_thread)

    def signaled(self, thread: "Thread") -> bool:
        return self.header.signal_state > 0 or self.mutant.owner_thread == thread.kthread

    def acquire(self, thread: "Thread") -> bool:
        self.header.signal_state -= 1
        self.mutant.owner_thread = thread.kthread
        abandoned = bool(self.mutant.abandoned)
        self.mutant.abandoned = 0
        self.taken()
        return abandoned

    def describe(self) -> str:
        owner = self.owner
        return f"mutex at {self.address:#x}" + (f", owned by {owner.describe()}" if owner else "")


def initialize_header(memory: "Memory", address: int, kind: int, size: int, state: int) -> None:
    """Write a DISPATCHER_HEADER: `size` in bytes, an empty wait list."""
    memory.write(address, _HEADER.pack(kind, 0, size // 4, 0, state, address + 8, address + 8))


def is_initialized(header: DispatcherHeader) -> bool:
    """Whether somebody has initialized the object: its wait list points somewhere."""
    return header.wait_list_flink != 0
