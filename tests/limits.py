"""How long tests wait: for a condition, and never for less than a machine that is slow and busy may take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.machine.deadlines import Deadline, Deadlines, Wait

HANG = 300.0
"""Seconds. A limit in a test is only there to end a hang: nothing that is right takes a tenth of it."""


def until(look: Callable[[], object], what: str, interval: float = 0.01) -> None:
    """Wait until `look` gives something true."""

    def looked() -> tuple[bool | None, str]:
        seen = look()
        return bool(seen) or None, repr(seen)

    Deadline(HANG, what).poll(looked, interval)


@dataclass(frozen=True)
class Impatient(Deadlines):
    """Only what a test wants to see ending is given up soon; all that must succeed before and after has its time."""

    only: Mapping[Wait, float] = field(default_factory=dict)
    """Seconds."""

    def seconds(self, wait: Wait) -> float:
        return self.only.get(wait, HANG)
