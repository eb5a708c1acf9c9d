"""Dispatcher objects: what a thread can wait for. Python's own and those that live in guest memory.

The state of an object in guest memory *is* its DISPATCHER_HEADER; nothing is kept twice, so inlined reads of it by
drivers are right. Who waits is kept by the scheduler, by `key`.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from harness.reference.memory.structure import Field, Structure

if TYPE_CHECKING:
    from collections.abc import Hashable

    from harness.reference.memory.memory import Memory
    from harness.reference.scheduler.thread import Thread


class DispatcherHeader(Structure):
    """DISPATCHER_HEADER."""

    SIZE = 0x18
    type = Field(0, "B")
    size = Field(2, "B")
    signal_state = Field(4, "i")
    wait_list_flink = Field(8, "Q")
    wait_list_blink = Field(16, "Q")


NOTIFICATION_EVENT, SYNCHRONIZATION_EVENT, MUTANT, SEMAPHORE, THREAD = 0, 1, 2, 5, 6
NOTIFICATION_TIMER, SYNCHRONIZATION_TIMER = 8, 9


class Dispatcher(ABC):
    """Something a thread can wait for."""

    name: str = ""

    @property
    def key(self) -> "Hashable":
        """What identifies the object among waiters."""
        return id(self)

    @abstractmethod
    def signaled(self, thread: "Thread") -> bool:
        """Whether a wait by `thread` would be satisfied now."""

    def acquire(self, thread: "Thread") -> bool:
        """Take the effects of a satisfied wait; True means the wait was satisfied by an abandoned mutant."""
        return False

    def describe(self) -> str:
        """For the report of a hang."""
        return self.name or type(self).__name__.lower()


class Event(Dispatcher):
    """An event of the kernel's own. Set it with `Kernel.signal(event)`."""

    def __init__(self, name: str = "", *, synchronization: bool = False, state: bool = False) -> None:
        self.name = name
        self.synchronization = synchronization
        self.state = state

    def signaled(self, thread: "Thread") -> bool:
        return self.state

    def acquire(self, thread: "Thread") -> bool:
        if self.synchronization:
            self.state = False
        return False


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
