"""What a thread can wait for. Who waits is kept by the scheduler, by `key`."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from harness.reference.machine.scheduler.thread import Thread


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
    """An event of the kernel's own, of which guest code knows nothing. Set it with `Executive.signal(event)`."""

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
