"""How a run of the reference kernel ends when it does not end well.

    KernelStop
    ├── BugCheckStop   the model's KeBugCheckEx: a driver broke a rule, called what nobody implements, or we did
    └── HangStop       nothing can run any more and somebody waits, or guest code does not come back

The first stop is kept: a stopped kernel raises the same one again on every use.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from harness.nt import BugCheck, bugcheck_name


class BugCheckKind(StrEnum):
    """Whose fault a bug check is."""

    DRIVER = "bugcheck"
    MISSING_EXPORT = "missing-export"
    KERNEL_FAULT = "kernel-fault"


class HangKind(StrEnum):
    """Why nothing moves."""

    HANG = "hang"
    DEADLOCK = "deadlock"
    RUNAWAY = "runaway"
    DEADLINE = "deadline"


class KernelStop(Exception):
    """The reference kernel cannot go on."""

    def as_json(self) -> dict[str, Any]:
        """The facts, as plain data."""
        raise NotImplementedError


class BugCheckStop(KernelStop):
    """A bug check."""

    def __init__(
        self,
        code: BugCheck,
        parameters: tuple[int, int, int, int],
        message: str,
        *,
        driver: str | None = None,
        rule: str | None = None,
        kind: BugCheckKind = BugCheckKind.DRIVER,
        location: str | None = None,
    ) -> None:
        super().__init__(f"{bugcheck_name(code)} (0x{code:X}) in {driver or 'an undetermined driver'}: {message}")
        self.code = code
        self.parameters = parameters
        self.message = message
        self.driver = driver
        self.rule = rule
        self.kind = kind
        self.location = location

    def as_json(self) -> dict[str, Any]:
        return {
            "code": int(self.code),
            "name": bugcheck_name(self.code),
            "parameters": list(self.parameters),
            "driver": self.driver,
            "message": self.message,
            "rule": self.rule,
            "kind": str(self.kind),
            "location": self.location,
        }


@dataclass(frozen=True, slots=True)
class Waiter:
    """One thread that does not get on."""

    thread: int
    name: str
    process: int
    waits_for: str
    owner: str | None
    location: str | None


class HangStop(KernelStop):
    """Nothing can run and somebody waits, a spin lock is never released, or guest code runs for ever."""

    def __init__(
        self, kind: HangKind, message: str, waiters: tuple[Waiter, ...] = (), driver: str | None = None
    ) -> None:
        lines = [f"{w.name} ({w.process}:{w.thread}) waits for {w.waits_for}" for w in waiters]
        super().__init__("\n  ".join([message, *lines]))
        self.kind = kind
        self.message = message
        self.waiters = waiters
        self.driver = driver

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": str(self.kind),
            "message": self.message,
            "driver": self.driver,
            "waiters": [asdict(waiter) for waiter in self.waiters],
        }
