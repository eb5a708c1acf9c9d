"""What the machine asks of the system that runs on it, where hardware alone cannot decide.

The machine imports nothing of the system: it is handed a supervisor when it is made. A *stop* that a method gives is
raised by the caller; the run ends with it.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from harness.reference.machine.cpu.emulator import MachineState
    from harness.reference.machine.cpu.exceptions import PageFault
    from harness.reference.machine.loader.binding import MissingExport
    from harness.reference.machine.loader.exports import Export
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.machine.scheduler.thread import Execution, Thread
    from harness.reference.machine.stop import MachineStop


class Supervisor(ABC):
    """The system, as its machine sees it."""

    # -- calls of exports

    @abstractmethod
    def set_irql(self, irql: int) -> None:
        """Guest code wrote cr8."""

    @abstractmethod
    def above_irql(self, entry: "Export | MissingExport") -> Never:
        """An export was called above the highest IRQL it may be called at."""

    @abstractmethod
    def missing_export(self, entry: "MissingExport") -> Never:
        """Guest code called what nobody implements."""

    # -- faults

    @abstractmethod
    def page_in(self, state: "MachineState") -> "KernelCode | None":
        """Code that makes a page accessible at which an instruction faulted; None if there is nothing to be done."""

    @abstractmethod
    def classify_fault(self, vector: int, state: "MachineState") -> tuple[int, tuple[int, ...]]:
        """The status and parameters of the exception to raise at a fault; raises a stop if it is fatal."""

    @abstractmethod
    def check_pointer(self, fault: "PageFault", export: str) -> None:
        """An export was handed a bad pointer: returns if that is an exception to its caller, raises a stop if not."""

    @abstractmethod
    def stack_overflow(self, address: int, general: "list[int] | None" = None) -> "MachineStop":
        """The kernel stack is used up, or rsp points to none: `general` are the registers of a fault."""

    @abstractmethod
    def stack_nearly_used_up(self, execution: "Execution", left: int) -> None:
        """A routine is called with so few bytes left on the kernel stack."""

    @abstractmethod
    def unhandled_exception(self, code: int, address: int, parameters: tuple[int, ...]) -> "MachineStop":
        """Nobody handled an exception in kernel mode."""

    @abstractmethod
    def kernel_fault(self, error: BaseException, export: str) -> "MachineStop":
        """Python code of the system failed, in `export` or, if that is empty, in none."""

    # -- threads

    @abstractmethod
    def before_run(self) -> None:
        """A processor is about to run: clocks that guest code reads inline are brought up to date."""

    @abstractmethod
    def thread_ended(self, thread: "Thread", irql: int) -> None:
        """A thread is gone, at `irql`."""

    @abstractmethod
    def dpc_ended_at(self, irql: int) -> "MachineStop":
        """A DPC returned at another IRQL than DISPATCH_LEVEL."""

    @abstractmethod
    def wait_refused(self, what: str, irql: int, *, in_dpc: bool) -> "MachineStop":
        """Something wants to block that must not: a DPC, or a thread at DISPATCH_LEVEL or above."""

    @abstractmethod
    def places_in(self, execution: "Execution") -> tuple[str, ...]:
        """The calls of drivers that an execution has come by, innermost first: `image+0x1234`."""

    @abstractmethod
    def location_in(self, execution: "Execution") -> str | None:
        """Where an execution stands, for a report: `image+0x1234`."""
