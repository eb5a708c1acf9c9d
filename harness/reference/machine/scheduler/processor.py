"""Logical processors: each has its IRQL, its control region, its current thread and its DPCs."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmap import mmap

    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.machine.scheduler.thread import Execution, Thread


@dataclass(frozen=True, slots=True, eq=False)
class QueuedDpc:
    """A DPC in a queue. `routine` makes the code that runs at DISPATCH_LEVEL; `key` identifies a KDPC."""

    routine: "Callable[[], KernelCode]"
    key: int = 0
    behalf: str = ""
    """The call by which guest code has queued it."""


@dataclass(slots=True)
class Spin:
    """A processor busy-waiting: until when, and how to describe it in a report."""

    ready: Callable[[], bool]
    describe: Callable[[], str]


class Processor:
    """One logical processor."""

    def __init__(
        self,
        number: int,
        control: int,
        ram: "mmap",
        irql_offset: int,
        on_switch: "Callable[[Thread], None]",
    ) -> None:
        self.number = number
        self.control = control
        """Guest address of its control region, which gs points to in kernel mode."""
        self._ram = ram
        self.irql_offset = irql_offset
        """Where the IRQL is in RAM: the guest's copy is the only one."""
        self._on_switch = on_switch
        """Called when another thread is current: guest code reads it in the control region."""
        self.idle_thread: Thread
        self.thread: Thread | None = None
        """The thread that owns the processor; None when it is idle."""
        self.dpcs: deque[QueuedDpc] = deque()
        self.dpc: Execution | None = None
        """The DPC that has interrupted `thread`."""
        self.interrupted_irql = 0
        self.spin: Spin | None = None
        self._shown: Thread | None = None

    @property
    def irql(self) -> int:
        return self._ram[self.irql_offset]

    @irql.setter
    def irql(self, value: int) -> None:
        self._ram[self.irql_offset] = value

    @property
    def current(self) -> "Thread":
        """What KeGetCurrentThread gives here."""
        return self.thread or self.idle_thread

    @property
    def execution(self) -> "Execution | None":
        """What runs here: the DPC, or the thread."""
        if self.dpc is not None:
            return self.dpc
        return self.thread.execution if self.thread is not None else None

    def show_thread(self) -> None:
        """Bring the control region up to date."""
        current = self.current
        if current is not self._shown:
            self._shown = current
            self._on_switch(current)

    def __repr__(self) -> str:
        return f"<Processor {self.number} at IRQL {self.irql}>"
