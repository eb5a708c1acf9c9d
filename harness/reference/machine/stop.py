"""How a run of the machine ends when it does not end well. A stopped machine raises the same stop on every use.

MachineStop
├── HangStop       nothing can run any more and somebody waits, or guest code does not come back
└── …              what the system that runs on the machine adds (windows/verifier/bug_check_stop.py)
"""

from dataclasses import dataclass
from enum import StrEnum


class HangKind(StrEnum):
    """Why nothing moves."""

    HANG = "hang"
    DEADLOCK = "deadlock"
    RUNAWAY = "runaway"
    DEADLINE = "deadline"


class MachineStop(Exception):
    """The machine cannot go on."""


@dataclass(frozen=True, slots=True)
class Waiter:
    """One thread that does not get on."""

    thread: int
    name: str
    process: int
    waits_for: str
    owner: str | None
    location: str | None


class HangStop(MachineStop):
    """Nothing can run and somebody waits, a spin lock is never released, or guest code runs for ever."""

    def __init__(
        self,
        kind: HangKind,
        message: str,
        waiters: tuple[Waiter, ...] = (),
        driver: str | None = None,
        *,
        chain: tuple[str, ...] = (),
    ) -> None:
        lines = [f"{w.name} ({w.process}:{w.thread}) waits for {w.waits_for}" for w in waiters]
        super().__init__("\n  ".join([message, *lines]))
        self.kind = kind
        self.message = message
        self.waiters = waiters
        self.driver = driver
        self.chain = chain
        """The calls that have led to code which does not come back, or to the wait, innermost first."""
