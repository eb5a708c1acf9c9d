"""A bug check of a Windows guest fails the test that ran, with what the dump says; the next test has another guest.

No Windows is here: the machine and what it answers are scripted. The events are as QEMU 7.2 sends them
(qapi/run-state.json).
"""

import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.errors import DriverError, GuestError
from harness.guest.command import CommandResult
from harness.guest.crash_path import HV_CRASH, check_crash
from harness.guest.dump import Crash, Symbols, read_crash
from harness.guest.dump.harvest import harvest
from harness.guest.endpoint import SshEndpoint
from harness.guest.selftest import Finding
from harness.guest.windows import LicenceRunOut, SwitchedOff, UnexpectedRestart, WindowsBody
from harness.machine.deadlines import Deadline, Deadlines
from harness.machine.disks import DiskImage, Format
from harness.machine.machine import Machine
from harness.machine.qmp import Event
from harness.report.records import SectionKind
from tests.crash.dumps import SyntheticDump

BUGCHECK = Event(
    *(1, "GUEST_PANICKED"),
    {"action": "run", "info": {"type": "hyper-v", "arg1": 0xF5, "arg2": 0x6D, "arg3": 7, "arg4": 8, "arg5": 0}},
    0.0,
)
RESET = Event(2, "RESET", {"guest": True, "reason": "guest-reset"}, 0.0)


@dataclass
class ScriptedMachine:
    """A machine of which only the events are there."""

    name: str = "windows"
    events: list[Event] = field(default_factory=list)
    deadlines: Deadlines = field(default_factory=Deadlines)

    def on_death(self, callback: object) -> None:
        pass

    def check(self) -> None:
        pass

    def describe(self) -> str:
        return "scripted"

    def savers(self) -> dict[str, object]:
        return {}


def body_with(*events: Event, loaded: Sequence[str] = ()) -> WindowsBody:
    machine = ScriptedMachine()
    body = WindowsBody(machine, lambda: loaded)
    machine.events.extend(events)
    return body


def test_a_bug_check_with_a_driver_under_test_loaded_is_its_failure_and_is_explained():
    body = body_with(BUGCHECK, loaded=["fltlab-completion"])

    with pytest.raises(
        DriverError, match=r"bug check FLTMGR_FILE_SYSTEM \(0xF5\) with fltlab-completion loaded"
    ) as one:
        body.check()
    with pytest.raises(DriverError) as two:
        body.check()

    assert two.value is one.value
    assert any("a context was released too often" in line for line in one.value.details)


@pytest.mark.parametrize(
    ("minutes", "kind", "said"),
    [
        (60, LicenceRunOut, r"the licence of this Windows has run out(.|\n)*--activate"),
        (50, LicenceRunOut, "50 min after it had started"),
        (10, SwitchedOff, "switched itself off, and was not asked to"),
        (300, SwitchedOff, "300 min after it had started"),
    ],
)
def test_a_guest_that_switches_itself_off_an_hour_after_its_start_has_no_licence(
    minutes: int, kind: type[GuestError], said: str
):
    end = Event(3, "SHUTDOWN", {"guest": True, "reason": "guest-shutdown"}, time.time() + 60 * minutes)
    with pytest.raises(kind, match=said):
        body_with(end, loaded=["fltlab-completion"]).check()


def test_a_guest_that_is_told_to_end_has_a_licence():
    body_with(Event(3, "SHUTDOWN", {"guest": False, "reason": "host-qmp-quit"}, time.time() + 3600)).check()


def test_without_a_driver_under_test_it_is_the_guests_fault():
    with pytest.raises(GuestError, match="with no driver under test loaded"):
        body_with(BUGCHECK).check()


@pytest.mark.parametrize(
    "event", [Event(1, "GUEST_CRASHLOADED", {"action": "run"}, 0.0), Event(1, "GUEST_PANICKED", {}, 0.0)]
)
def test_an_event_without_the_code_is_a_bug_check_all_the_same(event: Event):
    with pytest.raises(DriverError, match="the event does not say which"):
        body_with(event, loaded=["x"]).check()


def test_a_restart_that_nobody_asked_for_is_taken_for_a_bug_check():
    with pytest.raises(DriverError, match="restarted by itself"):
        body_with(RESET, loaded=["x"]).check()
    with pytest.raises(UnexpectedRestart):
        body_with(RESET).check()


def test_a_restart_that_was_asked_for_is_none_and_a_bug_check_in_it_is_one():
    machine = ScriptedMachine()
    body = WindowsBody(machine, lambda: ["x"])
    with body.restarting():
        machine.events.append(RESET)
        body.check()
    body.check()

    with body.restarting():
        machine.events.append(BUGCHECK)
    with pytest.raises(DriverError):
        body.check()


def test_resets_of_the_host_and_from_before_are_not_looked_at():
    machine = ScriptedMachine(events=[RESET])
    body = WindowsBody(machine, lambda: ["x"])
    machine.events.append(Event(3, "RESET", {"guest": False}, 0.0))

    body.check()

    assert body.panic is None


@dataclass
class ScriptedCrash:
    """A crashed machine, and the guest after its restart; it notes what was asked of it."""

    dump: bytes = b""
    sizes: list[str] = field(default_factory=list)
    never: str = ""
    asked: list[str] = field(default_factory=list)
    ssh: SshEndpoint | None = None

    def get_by_sftp(self, windows_path: str, target: Path) -> None:
        self.asked.append(f"sftp {windows_path}")
        target.write_bytes(self.dump)

    def wait_restart(self, deadline: Deadline) -> None:
        self._wait("restart", deadline)

    def wait_off(self, deadline: Deadline) -> None:
        self._wait("off", deadline)

    def end(self) -> DiskImage:
        self.asked.append("end")
        return DiskImage(Path("system.qcow2"), Format.QCOW2)

    def connect(self, deadline: Deadline) -> "ScriptedCrash":
        self._wait("answer", deadline)
        return self

    def run(self, command: str, stdin: bytes | None = None, timeout: float = 60.0) -> CommandResult:
        if "MEMORY.DMP" in command:
            return CommandResult(command, 0, (self.sizes.pop(0) + "\r\n").encode(), b"")
        self.asked.append(command)
        return CommandResult(command, 0, b"", b"")

    def get(self, windows_path: str, timeout: float = 60.0) -> bytes:
        self.asked.append(f"get {windows_path}")
        return self.dump

    def close(self) -> None:
        self.asked.append("close")

    def _wait(self, what: str, deadline: Deadline) -> None:
        self.asked.append(what)
        if what == self.never:
            raise deadline.error("nothing")


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def dumps(image: DiskImage, folder: Path) -> list[Path]:
        (folder / "MEMORY.DMP").write_bytes(b"from the disk")
        return [folder / "MEMORY.DMP"]

    monkeypatch.setattr("harness.guest.dump.harvest.dumps_on_disk", dumps)
    monkeypatch.setattr("harness.guest.dump.harvest._POLL", 0.0)


def test_a_small_dump_comes_over_winrm_once_it_has_stopped_growing(on_disk: None, tmp_path: Path):
    crash = ScriptedCrash(b"dump", ["none", "100", "300", "300"])

    path, said = harvest(crash, crash.connect, tmp_path)

    assert path.read_bytes() == b"dump"
    assert said == ("fetched over WinRM: 300 bytes",)
    assert crash.asked == ["restart", "answer", r"get C:\Windows\MEMORY.DMP", "close"]


def test_a_dump_of_any_size_comes_over_sftp_where_the_guest_has_it(on_disk: None, tmp_path: Path):
    crash = ScriptedCrash(b"dump", ["900000000", "900000000"], ssh=SshEndpoint(22, "user", "ssh-ed25519 x", "key", {}))

    path, said = harvest(crash, crash.connect, tmp_path)

    assert path.read_bytes() == b"dump"
    assert said == ("fetched over SFTP: 900000000 bytes",)
    assert crash.asked == ["restart", "answer", r"sftp C:\Windows\MEMORY.DMP", "close"]


def test_a_large_dump_is_read_from_the_disk_after_a_clean_shutdown(on_disk: None, tmp_path: Path):
    crash = ScriptedCrash(sizes=["900000000", "900000000"])

    path, said = harvest(crash, crash.connect, tmp_path)

    assert path.read_bytes() == b"from the disk"
    assert said == ("the dump has 900000000 bytes: read from the disk",)
    assert crash.asked == ["restart", "answer", "shutdown.exe /s /t 0", "close", "off", "end"]


@pytest.mark.parametrize("never", ["restart", "answer", "off"])
def test_a_guest_that_does_not_come_back_is_switched_off_and_its_disk_is_read(
    never: str, on_disk: None, tmp_path: Path
):
    crash = ScriptedCrash(sizes=["900000000", "900000000"], never=never)

    path, said = harvest(crash, crash.connect, tmp_path)

    assert path.read_bytes() == b"from the disk"
    assert said[-1].startswith("the guest did not give it: waited")
    assert crash.asked[-1] == "end"


class NmiMachine(Machine):
    """A machine of which only what an NMI does is scripted."""

    def __init__(self, told: list[Event], features: tuple[str, ...] = (HV_CRASH,)) -> None:
        self.name = "windows"
        self.spec = cast("Any", SimpleNamespace(processor=SimpleNamespace(features=features)))
        self.deadlines = Deadlines()
        self.told: list[Event] = []
        self.to_come = told

    @property
    def events(self) -> list[Event]:
        return self.told

    def inject_nmi(self) -> None:
        self.told += self.to_come

    def describe(self) -> str:
        return "scripted"


def self_test_of_crash(
    tmp_path: Path, told: list[Event], code: int, features: tuple[str, ...] = (HV_CRASH,)
) -> tuple[Finding, Finding]:
    def dump(event: Event, folder: Path) -> Crash:
        return read_crash(SyntheticDump(code, (0, 0, 0, 0)).bitmap(folder / "MEMORY.DMP"), Symbols([]))

    by_nmi, hv_crash = check_crash(WindowsBody(NmiMachine(told, features), tuple, dump), tmp_path / "crash")
    return by_nmi, hv_crash


@pytest.mark.parametrize("event", [BUGCHECK, RESET], ids=["with an event", "seen by its restart only"])
def test_the_self_test_goes_the_way_of_a_bug_check(event: Event, tmp_path: Path):
    found, _ = self_test_of_crash(tmp_path, [event], 0x80)

    assert found.ok
    assert found.measured == f"{event.name}, bitmap kernel dump, 2 modules"


def test_the_self_test_tells_a_wrong_dump_and_a_guest_that_does_not_crash(tmp_path: Path, monkeypatch):
    assert "the dump says NTFS_FILE_SYSTEM" in self_test_of_crash(tmp_path, [BUGCHECK], 0x24)[0].difference

    monkeypatch.setattr(Deadlines, "seconds", lambda *_: 0.0)
    never, untold = self_test_of_crash(tmp_path, [], 0x80)
    assert "Windows to bug check on an NMI" in never.difference
    assert "nothing came of the NMI" in untold.difference


NMI = Event(1, "GUEST_PANICKED", {"info": {"type": "hyper-v", "arg1": 0x80, "arg2": 0x4F4454, "arg3": 0}}, 0.0)
LOADED = Event(1, "GUEST_CRASHLOADED", {"action": "run"}, 0.0)


@pytest.mark.parametrize(
    ("event", "features", "measured", "difference"),
    [
        (NMI, (HV_CRASH,), "NMI_HARDWARE_FAILURE (0x80)", ""),
        (BUGCHECK, (HV_CRASH,), "FLTMGR_FILE_SYSTEM", "not NMI_HARDWARE_FAILURE"),
        (LOADED, (HV_CRASH,), "without the bug check's code", "does not say which bug check"),
        (RESET, (), "this host does not offer hv-crash", ""),
    ],
    ids=["told", "another one", "an event without it", "under TCG"],
)
def test_the_self_test_says_whether_windows_names_its_bug_check_to_qemu(
    event: Event, features: tuple[str, ...], measured: str, difference: str, tmp_path: Path
):
    _, found = self_test_of_crash(tmp_path, [event], 0x80, features)

    assert measured in found.measured
    assert (found.ok, difference in found.difference) == (not difference, True)
    assert found.raw[0].startswith(f"QEMU: {event.name}")


PROVIDER = '''
import contextlib
from pathlib import Path
from harness.guest import Endpoint, Guest, WINDOWS
from harness.guest.dump import Symbols, read_crash
from harness.guest.windows import WindowsBody
from harness.fleet import providers
from harness.fleet.provider import Opened
from harness.fleet.stack import Stack
from harness.report.provenance import GuestFacts
from tests.crash.dumps import SyntheticDump
from tests.crash.test_windows_crash import BUGCHECK, ScriptedMachine

class Scripted:
    """A Windows guest that is down: nothing answers on its port."""
    name = "windows-scripted"
    one_test_each = True
    facts = GuestFacts("windows-scripted", "windows")

    def close(self):
        pass

    @contextlib.contextmanager
    def open(self, directory, scene):
        machine = ScriptedMachine()
        def dump(event, folder):
            path = SyntheticDump(0xF5, (0x6D, 7, 8, 0)).bitmap(folder / "MEMORY.DMP")
            return read_crash(path, Symbols([]))
        guest = Guest(self.name, WINDOWS, Endpoint(1, "user", "password"))
        guest.body = WindowsBody(machine, lambda: guest.drivers_under_test, dump)
        guest.drivers_under_test = ("fltlab-completion",)
        with Path("opened").open("a") as file:
            file.write("x")
        yield Opened(guest, Stack(guest))

providers.PROVIDERS["windows-scripted"] = lambda *_: Scripted()
'''

SUITE = """
import pytest
from tests.crash.test_windows_crash import BUGCHECK

@pytest.mark.rule("PRE-COMP-01")
def test_that_brings_windows_down(guest):
    guest.body.machine.events.append(BUGCHECK)
    guest.run("hostname")

@pytest.mark.rule("PRE-COMP-01")
def test_after_it(guest):
    assert guest.first_cause is None
"""


def test_the_test_that_ran_fails_with_the_dump_in_junit_and_the_next_has_another_guest(pytester: pytest.Pytester):
    root = Path(__file__).resolve().parents[2]
    pytester.makeconftest(f"import sys\nsys.path.insert(0, {str(root)!r})\n" + PROVIDER)
    pytester.makepyfile(test_suite=SUITE)

    ran = pytester.runpytest_subprocess("--guest", "windows-scripted", "--out", "run", "-p", "no:cacheprovider")

    ran.assert_outcomes(passed=1, failed=1)
    case, after = ET.parse(pytester.path / "run" / "junit.xml").getroot().iter("testcase")
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "bug check FLTMGR_FILE_SYSTEM (0xF5) with fltlab-completion loaded"
    assert failure.text is not None
    assert SectionKind.DUMP in failure.text
    assert "bitmap kernel dump of Windows build 26100" in failure.text
    assert after.find("failure") is None
    assert len((pytester.path / "opened").read_text()) == 2
    (kept,) = (pytester.path / "run" / "tests").glob("*/guest")
    assert {"MEMORY.DMP", "crash.txt", "crash.json"} <= {path.name for path in kept.iterdir()}
