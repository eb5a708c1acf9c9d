"""What is said to a kernel's process about attempts: scripts that a copy of the kernel runs, and what came of them."""

from dataclasses import dataclass
from typing import ClassVar

from harness.wire.kernel_state import Finding, Stop

PER_EDGE = 256


@dataclass(frozen=True)
class Entrances:
    """Where user mode gets at a service's driver: its communication ports, and the names of its devices."""

    ports: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListEntrances:
    """Ask for the entrances of the driver of a service."""

    service: str
    RESULT: ClassVar[type] = Entrances


@dataclass(frozen=True)
class Attempt:
    """One script that was tried, or what came when drivers were unloaded behind the last.

    `news` are edges of the drivers' control flow that were gone as often as was not yet learnt: PER_EDGE * the edge's
    number + a bit that says how often.
    """

    news: tuple[int, ...] = ()
    exit_code: int = 0
    findings: tuple[Finding, ...] = ()
    stop: Stop | None = None
    """How the kernel ended under it: nothing came behind it."""

    @property
    def is_sound(self) -> bool:
        """Whether the program came to its end, and nothing was found."""
        return not self.exit_code and not self.findings and self.stop is None


@dataclass(frozen=True)
class Tried:
    """What came of some attempts, in their order; those behind a stop are not there.

    `out_of_time` says that the one behind these did not come to its end, `exit_code` that the copy's process died.
    """

    attempts: tuple[Attempt, ...] = ()
    out_of_time: bool = False
    exit_code: int = 0


@dataclass(frozen=True)
class TriedBatches:
    """What came of some batches, in their order."""

    batches: tuple[Tried, ...] = ()


@dataclass(frozen=True)
class Attempts:
    """Run I/O scripts one after another in a copy of the kernel, which stays as it is; each batch in one of its own.

    As many copies run at the same time as there are processors. `program` is fltprobe, a file of the host; `empty` are
    the folders of the host behind volumes, empty before each script (copies but the first have folders of their own in
    their place); `unload` services that are unloaded behind the last of each; `learnt` what counts as news no more. A
    copy that has not come to its end in `seconds` of the host is given up.
    """

    program: str
    batches: tuple[tuple[str, ...], ...]
    learnt: tuple[int, ...] = ()
    empty: tuple[str, ...] = ()
    unload: tuple[str, ...] = ()
    seconds: int = 30
    RESULT: ClassVar[type] = TriedBatches
