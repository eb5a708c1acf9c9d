"""What is said of programs that run in the background of a reference kernel: beside what else it is asked to do."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Progress:
    """How a program is: what it has printed since it was last looked at, and its exit code."""

    process: int
    stdout: bytes = b""
    exit_code: int | None = None
    """None while it runs."""
    registry_changed: bool = False


@dataclass(frozen=True)
class Start:
    """Start a program: it runs whenever another request has the kernel run.

    Answered when it has printed `ready`, or where that is empty when all its threads wait for something, or after
    `patience` of guest time, in 100 ns.
    """

    image: str
    args: tuple[str, ...] = ()
    stdin: bytes = b""
    ready: str = ""
    patience: int = 300_000_000
    service: str = ""
    """The name of the service as which it is started, if it is one."""
    RESULT: ClassVar[type] = Progress


@dataclass(frozen=True)
class Look:
    """Ask how a program is, and for what it has printed; it does not run meanwhile."""

    process: int
    RESULT: ClassVar[type] = Progress


@dataclass(frozen=True)
class Await:
    """Run until a program has ended, at most for `patience` of guest time, in 100 ns; what it printed is kept."""

    process: int
    patience: int = 600_000_000
    RESULT: ClassVar[type] = Progress


@dataclass(frozen=True)
class End:
    """End a program: tell it to, if it listens (a control handler or service), and wait for it.

    After `patience` of guest time, in 100 ns, or at once where it does not listen, it is terminated.
    """

    process: int
    patience: int = 50_000_000
    RESULT: ClassVar[type] = Progress
