"""A guest that follows a script: it says, writes, restarts and falls silent at given moments of a clock of its own.

It stands for the machine that Windows is installed on. What it says is taken from the real scripts by the tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.machine.qmp import Event


@dataclass
class FakeClock:
    """A clock that goes when somebody waits."""

    time: float = 1000.0

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds


@dataclass(frozen=True)
class Say:
    """The guest writes a text to COM1."""

    text: str


@dataclass(frozen=True)
class Emit:
    """QEMU reports an event."""

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """QEMU ends."""


@dataclass(frozen=True)
class Busy:
    """From now on the guest writes to its disk all the time, or no longer does."""

    busy: bool


RESET = Emit("RESET", {"guest": True, "reason": "guest-reset"})
RESET_ENDS_QEMU = (Emit("SHUTDOWN", {"guest": True, "reason": "guest-reset"}), End())
SHUTDOWN = (Emit("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"}), End())
Step = Say | Emit | End | Busy


class ScriptedGuest:
    """A subject whose script is a list of moments (seconds from the start) and what happens then."""

    def __init__(self, clock: FakeClock, script: Sequence[tuple[float, Step]]) -> None:
        self.clock = clock
        self.begin = clock.time
        self.script = sorted(script, key=lambda item: item[0])
        self.keys = 0
        self.screenshots: list[Path] = []
        self._unheard = ""
        self._events: list[Event] = []
        self._busy_since: float | None = None
        self._alive = True
        self._bytes = 0

    def serial(self) -> str:
        self._play()
        text, self._unheard = self._unheard, ""
        return text

    def events(self) -> Sequence[Event]:
        self._play()
        events, self._events = self._events, []
        return events

    def written(self) -> int:
        if self._busy_since is not None:
            self._bytes = int((self.clock.time - self._busy_since) * 1000) + 1
        return self._bytes

    def press_key(self) -> None:
        self.keys += 1

    def screenshot(self, path: Path) -> Path | None:
        if not self._alive:
            return None
        self.screenshots.append(path)
        return path

    def alive(self) -> bool:
        return self._alive

    def _play(self) -> None:
        while self.script and self.script[0][0] <= self.clock.time - self.begin:
            _, step = self.script.pop(0)
            if isinstance(step, Say):
                self._unheard += step.text
            elif isinstance(step, Emit):
                self._events.append(Event(len(self._events) + 1, step.name, step.data, 0.0))
            elif isinstance(step, Busy):
                self._busy_since = self.clock.time if step.busy else None
            else:
                self._alive = False


def course(*steps: str | Step | Sequence[Step], every: float = 10.0) -> list[tuple[float, Step]]:
    """Return a script in which one thing happens after the other; a text is a line on COM1."""
    script: list[tuple[float, Step]] = []
    for number, step in enumerate(steps, 1):
        at = number * every
        if isinstance(step, str):
            script.append((at, Say(step + "\r\n")))
        elif isinstance(step, Sequence):
            script.extend((at, part) for part in step)
        else:
            script.append((at, step))
    return script
