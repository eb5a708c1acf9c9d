"""What a Windows guest runs in, as the guest sees it: its bug checks, and restarts that nobody asked for.

With hv-crash QEMU reports GUEST_PANICKED with the bug check in it; a pvpanic driver in the guest reports
GUEST_CRASHLOADED without it. Where there is neither (TCG), a restart of the guest is all that is seen.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import DriverError, FltLabError, GuestError
from harness.guest.dump.analysis import Crash
from harness.guest.dump.bugchecks import Explanation, explain
from harness.machine.deadlines import Deadlines
from harness.machine.qmp import Event

if TYPE_CHECKING:
    from harness.machine.machine import Machine as QemuMachine

CRASH = "crash.txt"
PANICS = ("GUEST_PANICKED", "GUEST_CRASHLOADED")
LICENCE_MINUTES = (40, 80)
"""An evaluation that has run out switches itself off an hour after its start; that of a fork was its template's."""
_HYPER_V = "hyper-v"


class Machine(Protocol):
    """The part of a QEMU machine that is looked at here."""

    name: str
    deadlines: Deadlines

    @property
    def events(self) -> list[Event]:
        """What QEMU reported so far."""

    def check(self) -> None:
        """Raise what ended the machine, if something did."""

    def describe(self) -> str:
        """One line about what it does now."""

    def on_death(self, callback: Callable[[], None]) -> None:
        """Have a function called when what ended the machine is known."""

    def savers(self) -> Mapping[str, Callable[[Path], object]]:
        """What can be saved of it, by the file's name."""

    def qemu(self) -> "QemuMachine":
        """The machine itself."""


class UnexpectedRestart(GuestError):
    """The guest restarted, and nobody had asked it to; no driver under test was loaded."""


class LicenceRunOut(GuestError):
    """Windows switched itself off, as one does whose evaluation has run out."""


class SwitchedOff(GuestError):
    """Windows switched itself off, and nobody had asked it to."""


class WindowsBody:
    """A machine with Windows in it. `loaded` says which drivers under test are loaded: whose failure a crash is."""

    def __init__(
        self, machine: Machine, loaded: Callable[[], Sequence[str]], dump: Callable[[Event, Path], Crash] | None = None
    ) -> None:
        """`dump` gets the dump after a bug check into a folder, and reads it; without it there is none to be had."""
        self.machine = machine
        self.deadlines = machine.deadlines
        self._dump = dump
        self._loaded = loaded
        self._seen = len(machine.events)
        self._restarting = False
        self._cause: FltLabError | None = None
        self._began = time.time()

    def check(self) -> None:
        """Raise the bug check or the unexpected restart, or else what ended the machine: the same error each time."""
        if self._cause is None:
            self._cause = self._crash() or self._switched_off()
        if self._cause is not None:
            raise self._cause
        self.machine.check()

    def describe(self) -> str:
        return self.machine.describe()

    def on_death(self, callback: Callable[[], None]) -> None:
        self.machine.on_death(callback)

    def savers(self) -> Mapping[str, Callable[[Path], object]]:
        """The machine's, and after a crash the dump: last, since the machine may end for it."""
        dump = {CRASH: self._save_what_the_dump_says} if self.crash is not None else {}
        return {**self.machine.savers(), **dump}

    def qemu(self) -> "QemuMachine":
        return self.machine.qemu()

    @property
    def panic(self) -> Event | None:
        """The event of the bug check, if there was one."""
        return next((event for event in self.machine.events[self._seen :] if event.name in PANICS), None)

    @property
    def crash(self) -> Event | None:
        """The event that tells of a crash: the bug check, else a restart that nobody had asked for."""
        restart = next(filter(_is_restart, self.machine.events[self._seen :]), None)
        return self.panic or (None if self._restarting else restart)

    def save_crash(self, folder: Path) -> Crash | None:
        """Get the dump of the crash that there was, if there was one. The machine may have ended afterwards."""
        crash = self.crash
        if crash is None or self._dump is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        return self._dump(crash, folder)

    def _save_what_the_dump_says(self, path: Path) -> None:
        """Save the dump of a bug check beside what it says, as text and as JSON."""
        crash = self.save_crash(path.parent)
        if crash is None:
            raise GuestError("the guest had a bug check, and this kind of guest gives no dump")
        path.with_suffix(".json").write_text(json.dumps(crash.as_json(), indent=2) + "\n", encoding="utf-8")
        path.write_text("\n".join(crash.lines()) + "\n", encoding="utf-8")

    @contextmanager
    def restarting(self) -> Iterator[None]:
        """Within this the guest may restart: it was asked to. A bug check stays one."""
        self._restarting = True
        try:
            yield
        finally:
            self._restarting = False
            if self.panic is None:
                self._seen = len(self.machine.events)

    def _crash(self) -> FltLabError | None:
        crash = self.crash
        if crash is None:
            return None
        loaded = self._loaded()
        if crash.name in PANICS:
            return crash_error(crash, self.machine.name, loaded)
        details = (f"QEMU: {crash.name} {dict(crash.data)}", "no bug check was reported: hv-crash needs KVM")
        message = f"the guest {self.machine.name} restarted by itself, as Windows does after a bug check"
        if loaded:
            return DriverError(f"{message}, with {', '.join(loaded)} loaded", details=details)
        return UnexpectedRestart(message, details=details)

    def _switched_off(self) -> FltLabError | None:
        end = next(filter(_is_shutdown, self.machine.events[self._seen :]), None)
        if end is None or self._restarting:
            return None
        minutes = (end.time - self._began) / 60
        details = (f"QEMU: {end.name} {dict(end.data)}", f"{minutes:.0f} min after it had started")
        if LICENCE_MINUTES[0] <= minutes <= LICENCE_MINUTES[1]:
            return LicenceRunOut(
                f"the licence of this Windows has run out: the guest {self.machine.name} switched itself off",
                details=(*details, "an evaluation does that about an hour after each start"),
                hint="fltlab image verify NAME says what its licence is; build the image with --activate",
            )
        return SwitchedOff(f"the guest {self.machine.name} switched itself off, and was not asked to", details=details)


def bugcheck_of(event: Event) -> Explanation | None:
    """The bug check that an event carries; None where the event says only that there was one."""
    info: Mapping[str, Any] = event.data.get("info") or {}
    if info.get("type") != _HYPER_V or "arg1" not in info:
        return None
    arguments = [int(info.get(f"arg{number}", 0)) for number in range(1, 6)]
    return explain(arguments[0], arguments[1:])


def crash_error(event: Event, name: str, loaded: Sequence[str]) -> FltLabError:
    """The error for a bug check: a driver's failure if one under test was loaded, else the guest's."""
    bugcheck = bugcheck_of(event)
    what = (
        f"bug check {bugcheck.name} (0x{bugcheck.code:X})" if bugcheck else "a bug check (the event does not say which)"
    )
    details = bugcheck.lines() if bugcheck else (f"QEMU: {event.name} {dict(event.data)}",)
    if loaded:
        return DriverError(f"{what} with {', '.join(loaded)} loaded", details=details)
    return GuestError(f"{what} in the guest {name}, with no driver under test loaded", details=details)


def _is_shutdown(event: Event) -> bool:
    return event.name == "SHUTDOWN" and event.data.get("reason") == "guest-shutdown"


def _is_restart(event: Event) -> bool:
    return event.name == "RESET" and bool(event.data.get("guest"))
