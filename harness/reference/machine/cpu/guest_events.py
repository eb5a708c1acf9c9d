"""Why guest code has stopped: what hooks (traps.py) leave for the engine (scheduler/engine.py)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.scheduler.thread import Frame, ResumeAt, ReturnTo

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.requests import KernelCode


@dataclass(slots=True)
class Returned:
    """A guest function that Python called has returned."""

    value: int
    stack_pointer: int


@dataclass(slots=True)
class Suspended:
    """An export is kernel code that may block."""

    code: "KernelCode"
    stack_pointer: int
    export: str


@dataclass(slots=True)
class Requested:
    """Kernel code has begun, in a frame of the execution, and wants this first."""

    frame: Frame
    request: object

    @property
    def stack_pointer(self) -> int:
        return self.frame.stack_pointer


@dataclass(slots=True)
class Finished:
    """Kernel code is over already; the processor may be wanted for something else, or its IRQL is another."""

    goes_on: ReturnTo

    @property
    def stack_pointer(self) -> int:
        return self.goes_on.stack_pointer


@dataclass(slots=True)
class Interrupted:
    """An export has finished, but the processor is wanted for something else; or so before an instruction."""

    goes_on: ReturnTo | ResumeAt
    stack_pointer: int


@dataclass(slots=True)
class Raised:
    """An export raised a structured exception in its caller."""

    exception: GuestException
    stack_pointer: int
    export: str


@dataclass(slots=True)
class Faulted:
    """An instruction faulted; `Emulator.recover` gives the registers.

    `execution` is the address of pageable code that was about to run where it may not, else None.
    """

    vector: int
    execution: int | None = None


@dataclass(slots=True)
class Failed:
    """The kernel itself raised."""

    error: BaseException
    export: str
    stack_pointer: int


GuestEvent = Returned | Suspended | Requested | Finished | Interrupted | Raised | Faulted | Failed
