"""Watching an installation until a stage of it is done: progress, keys to press, signs of life, evidence when stuck."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.errors import FltLabError, HostError
from harness.image.windows.follower import Follower, Request
from harness.image.windows.history import History
from harness.image.windows.phases import Phase
from harness.machine.machine import Machine
from harness.machine.qmp import Event

INTERVAL = 0.5
CONNECT_INTERVAL = 5.0
WRITES_WITHIN = 300.0
"""A guest that has written to its disk within so many seconds is at work."""

LOG_PATIENCE = 30.0
"""Seconds to wait for the end of a log that a failing guest sends."""


class Subject(Protocol):
    """A machine that Windows is installed on, as the watch sees it."""

    def serial(self) -> str:
        """Return what came on the serial line since the last call."""

    def events(self) -> Sequence[Event]:
        """Return what QEMU reported since the last call."""

    def written(self) -> int:
        """Return how many bytes the guest has written to its disk."""

    def press_key(self) -> None:
        """Press a key on the guest's keyboard."""

    def screenshot(self, path: Path) -> Path | None:
        """Save what the guest's display shows, if it still has one."""

    def alive(self) -> bool:
        """Whether QEMU runs."""


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> float:
        """Return seconds since some moment."""

    def pause(self, seconds: float) -> None:
        """Let time pass."""


class RealClock:
    """The host's clock."""

    def now(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True)
class Progress:
    """How far a build is: what a progress bar shows."""

    phase: Phase
    in_phase: float
    remaining: float
    fraction: float
    note: str = ""


Report = Callable[[Progress], None]


@dataclass
class Watch:
    """Watches one stage of an installation. `patience` multiplies every deadline: Windows under TCG takes its time."""

    subject: Subject
    follower: Follower
    history: History
    evidence: Path
    report: Report
    clock: Clock = field(default_factory=RealClock)
    patience: float = 1.0
    interval: float = INTERVAL
    connect: Callable[[], bool] | None = None
    """Whether WinRM answers from the guest in its final state; called now and then once that is possible."""

    durations: dict[Phase, float] = field(default_factory=dict)
    _phase: Phase = field(default=Phase.FIRMWARE, init=False)
    _phase_begun: float = field(default=0.0, init=False)
    _progress: float = field(default=0.0, init=False)
    _write_seen: float = field(default=0.0, init=False)
    _connect_tried: float = field(default=0.0, init=False)
    _written: int = field(default=0, init=False)
    _said_stuck: bool = field(default=False, init=False)
    _failing_since: float | None = field(default=None, init=False)

    def until(self, done: Callable[[Follower], bool]) -> None:
        """Watch until `done`; raises BuildFailedError, or HostError when QEMU has gone, with a screenshot kept."""
        now = self.clock.now()
        self._phase_begun = self._progress = self._write_seen = self._connect_tried = now
        self._phase = self.follower.phase
        try:
            while not done(self.follower):
                alive = self.subject.alive()
                self._listen()
                if done(self.follower):
                    break
                if not alive:
                    self.follower.give_up_waiting_for_log()
                    raise HostError(f"QEMU ended while Windows was being installed ({self.follower.phase.title})")
                self._act()
                self._look_at_the_clock()
                self.clock.pause(self.interval)
        except FltLabError:
            self.subject.screenshot(self.evidence / "screen.png")
            raise
        self._note_phase()

    def _listen(self) -> None:
        markers = len(self.follower.markers)
        text = self.subject.serial()
        if text:
            self.follower.serial(text)
        for event in self.subject.events():
            self.follower.event(event.name, event.data)
            self._progress = self.clock.now()
        if len(self.follower.markers) > markers:
            self._progress = self.clock.now()
        if self.follower.phase is not self._phase:
            self._note_phase()

    def _note_phase(self) -> None:
        now = self.clock.now()
        self.durations[self._phase] = self.durations.get(self._phase, 0.0) + now - self._phase_begun
        self._phase, self._phase_begun, self._progress, self._said_stuck = self.follower.phase, now, now, False

    def _act(self) -> None:
        for request in self.follower.requests:
            if request is Request.PRESS_KEY:
                self.subject.press_key()
            else:
                self._connect_tried = 0.0
        self.follower.requests.clear()
        now = self.clock.now()
        if self.connect is None or self.follower.phase.number < Phase.FIRST_BOOT.number:
            return
        if self.follower.phase.number <= Phase.RESTART.number and now - self._connect_tried >= CONNECT_INTERVAL:
            self._connect_tried = now
            if self.connect():
                self.follower.answered()
                self._note_phase()

    def _look_at_the_clock(self) -> None:
        now = self.clock.now()
        written = self.subject.written()
        if written > self._written:
            self._written, self._write_seen = written, now
            self.follower.written = written
        writes = now - self._write_seen < WRITES_WITHIN
        quiet, limit = now - self._progress, self._phase.silence * self.patience
        note = ""
        if quiet > limit / 2:
            note = f"nothing heard for {quiet / 60:.0f} min"
            if not self._said_stuck:
                self._said_stuck = True
                self.subject.screenshot(self.evidence / f"stuck-{self._phase.name.lower()}.png")
        if quiet > (4 * limit if writes else limit):
            raise self.follower.silent(quiet, writes)
        if self.follower.failing:
            if self._failing_since is None:
                self._failing_since = now
            elif now - self._failing_since > LOG_PATIENCE:
                self.follower.give_up_waiting_for_log()
        in_phase = now - self._phase_begun
        remaining, fraction = (f(self._phase, in_phase) for f in (self.history.remaining, self.history.fraction))
        self.report(Progress(self._phase, in_phase, remaining, fraction, note))


class QemuSubject:
    """A real machine as the watch's subject."""

    def __init__(self, machine: Machine, system_disk: str = "vsystem") -> None:
        self._machine = machine
        self._system_disk = system_disk
        self._offset = 0
        self._seen = 0

    def serial(self) -> str:
        """Return what came on the serial line since the last call."""
        if not self._machine.serial_log.exists():
            return ""
        with self._machine.serial_log.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        return data.decode("ascii", "replace").replace("\r", "")

    def events(self) -> Sequence[Event]:
        """Return what QEMU reported since the last call."""
        new = [event for event in self._machine.events if event.number > self._seen]
        self._seen += len(new)
        return new

    def written(self) -> int:
        """Return how many bytes the guest has written to its disk; 0 when QEMU no longer tells."""
        if not self.alive():
            return 0
        try:
            devices = self._machine.qmp.execute("query-blockstats")
        except HostError:
            return 0
        mine = (device for device in devices if device.get("qdev", "").endswith(self._system_disk))
        return sum(int(device["stats"]["wr_bytes"]) for device in mine)

    def press_key(self) -> None:
        """Press Return."""
        self._machine.qmp.execute("send-key", {"keys": [{"type": "qcode", "data": "ret"}], "hold-time": 200})

    def screenshot(self, path: Path) -> Path | None:
        """Save what the guest's display shows, if it still has one."""
        try:
            return self._machine.screenshot(path)
        except FltLabError:
            return None  # evidence of a failure must not hide the failure

    def alive(self) -> bool:
        """Whether QEMU runs."""
        return not self._machine.qmp.closed
