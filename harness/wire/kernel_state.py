"""How a reference kernel is: what stopped it, what its verifier has found, what it has seen of minifilters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.wire.trace import Callback, Print


class StopKind(StrEnum):
    """Why a kernel has stopped, and whose fault that is."""

    BUGCHECK = "bugcheck"
    MISSING_EXPORT = "missing-export"
    KERNEL_FAULT = "kernel-fault"
    HANG = "hang"
    DEADLOCK = "deadlock"
    RUNAWAY = "runaway"
    DEADLINE = "deadline"


@dataclass(frozen=True)
class Waiter:
    """One thread that does not get on."""

    thread: int
    name: str
    process: int
    waits_for: str
    owner: str | None = None
    location: str | None = None


@dataclass(frozen=True)
class Stop:
    """How a kernel ended. `code`, `name`, `parameters` and `rule` are a bug check's; `waiters` a hang's."""

    kind: StopKind
    message: str
    driver: str | None = None
    code: int = 0
    name: str = ""
    parameters: tuple[int, ...] = ()
    rule: str | None = None
    location: str | None = None
    waiters: tuple[Waiter, ...] = ()
    chain: tuple[str, ...] = ()
    """The calls of drivers that lie on the stack, innermost first: `service+0x1234`."""


@dataclass(frozen=True)
class Finding:
    """One violation: the rule of the catalogue, if it has one, the driver, and what happened, at a virtual time.

    `chain` are the calls of drivers that have led to it, innermost first; of what was left behind, those that took it.
    """

    text: str
    rule: str | None = None
    driver: str | None = None
    time: int = 0
    chain: tuple[str, ...] = ()


@dataclass(frozen=True)
class WatchedFilter:
    """What a watched minifilter is registered for: major functions, and whether pipes and mailslots are among it."""

    name: str
    majors: tuple[int, ...] = ()
    supports_pipes: bool = False


@dataclass(frozen=True)
class SeenCallbacks:
    """What the kernel has seen of the callbacks of watched minifilters while one program ran, and how many it lost.

    `Callback.filter` is the service's name here, and the numbers that tie a callback to its trace are not yet given.
    `prints` are the last that were printed since the minifilters are watched, and `lost_prints` how many there were
    before those.
    """

    callbacks: tuple[Callback, ...] = ()
    lost: int = 0
    prints: tuple[Print, ...] = ()
    lost_prints: int = 0
    filters: tuple[WatchedFilter, ...] = ()
    """Those that are registered."""


class State(StrEnum):
    """How a kernel is: `busy` has not answered in time, `gone` has no process any more."""

    RUNNING = "running"
    BUGCHECK = "bugcheck"
    HANG = "hang"
    BUSY = "busy"
    GONE = "gone"


@dataclass(frozen=True)
class KernelState:
    """How a kernel is, what its verifier has found, and what it did last. `stop` is set for a bug check and a hang."""

    state: State
    message: str = ""
    stop: Stop | None = None
    seed: int = 0
    findings: tuple[Finding, ...] = ()
    log: tuple[str, ...] = ()
    """The last lines that drivers printed."""
    trace: tuple[str, ...] = ()
    """The last things that happened."""
    traceback: tuple[str, ...] = ()
    """Of a fault of the kernel itself."""
    mutants: tuple[str, ...] = ()
    policy: Mapping[str, str] = field(default_factory=dict)
    processors: int = 0
    time: int = 0
    digest: str = ""
    drivers: tuple[str, ...] = ()
    asked_in_vain: str = ""
    """Of a kernel that has stopped while it loaded a driver: what of the registry that had asked for last in vain."""
    seen: SeenCallbacks = field(default_factory=SeenCallbacks)
    """Of a kernel that has stopped: what watched minifilters did under the program that it stopped in."""
