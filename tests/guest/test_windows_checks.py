"""The checks of `image verify` that deploy, restart and send: against the local guest where it can, and played ones.

What the played ones answer is made by hand after Microsoft's documentation: no Windows has given it.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from harness.cli.main import main
from harness.errors import ExitCode, GuestError
from harness.guest import WINDOWS, Guest, LocalGuest, restart_check
from harness.guest import driver_checks as checks
from harness.guest.command import CommandResult
from harness.guest.conversation import recording, seal
from harness.guest.driver_checks import AGAIN, KEYS, OPEN_PORT, TAKEN, check_drivers
from harness.guest.identity import Identity
from harness.guest.large_files_check import BY_CD, BY_SFTP, check_large_files
from harness.guest.replayed import NOWHERE
from harness.guest.restart_check import check_restart
from harness.guest.selftest import Expectation, Finding, self_test
from harness.guest.transfer import sent
from harness.guest.winrm import WinRmSession
from harness.machine.deadlines import Wait
from harness.minifilter.fltmc import parse_filters
from tests.guest.test_selftest import PlayedWindows
from tests.guest.test_verifier import NOTHING

# -- with a minifilter


def test_every_check_with_a_minifilter_passes_on_the_reference_guest(guest: LocalGuest):
    guest.restart_kernel()
    found = {finding.check: finding for finding in check_drivers(guest)}

    assert {name: finding.difference for name, finding in found.items() if not finding.ok} == {}
    assert list(found) == [KEYS, TAKEN, OPEN_PORT, AGAIN]
    assert found[KEYS].measured in ("Instances", r"Parameters\Instances")
    assert parse_filters(guest.run("fltmc.exe filters").output) == []


def test_what_a_check_cannot_do_is_its_difference_and_the_next_goes_on(
    guest: LocalGuest, monkeypatch: pytest.MonkeyPatch
):
    guest.restart_kernel()

    def fail(_: object) -> Finding:
        raise GuestError("it is refused", details=("why",))

    monkeypatch.setattr(checks, "CHECKS", [(KEYS, fail), *checks.CHECKS[-1:]])
    first, last = check_drivers(guest)

    assert (first.difference, first.raw) == ("it is refused", ("why",))
    assert last.ok


# -- restarts


@dataclass
class Restarting(PlayedWindows):
    """A Windows in which Driver Verifier is switched on and off, and whose state each boot says anew."""

    boots: int = 1
    verifier: str = NOTHING
    states: dict[int, dict[str, object]] = field(default_factory=dict)
    name: str = "played"

    def run(self, command: str, stdin: bytes | None = None, timeout: float = 0.0) -> CommandResult:
        self.state = self.states.get(self.boots, {})
        if "/querysettings" in command:
            return CommandResult(command, 0, self.verifier.encode(), b"")
        if command.startswith("verifier.exe /standard"):
            self.verifier = "Verifier Flags: 0x001209bb\n\n[X] 0x00000010 I/O verification.\n\nfltlab-selftest.sys\n"
            return CommandResult(command, 2, b"", b"")
        if command == "verifier.exe /reset":
            self.verifier = NOTHING
            return CommandResult(command, 2, b"", b"")
        return super().run(command, stdin, timeout)

    def identity(self) -> Identity:
        return Identity(f"boot {self.boots}", 0.0, b"", {"build": "10.0.26100"})


def restarted(guest: Restarting, monkeypatch: pytest.MonkeyPatch, boots: int = 1) -> Finding:
    def restart(_: object) -> None:
        guest.boots += boots

    monkeypatch.setattr(restart_check, "restart", restart)
    return check_restart(cast("Guest", guest))


def test_two_restarts_with_driver_verifier_between_leave_the_state_as_it_was(monkeypatch: pytest.MonkeyPatch):
    finding = restarted(Restarting(), monkeypatch)

    assert finding.ok
    assert finding.measured == "flags 0x1209bb and off again, 3 boots"


@pytest.mark.parametrize(
    ("state", "difference"),
    [
        ({"networks": [0]}, "networks was [1], is [0]"),
        ({"utc_offset": -480}, "utc_offset was 0, is -480"),
        ({"start_options": ""}, "start_options was"),
    ],
)
def test_what_a_restart_changes_is_named(monkeypatch: pytest.MonkeyPatch, state: dict[str, object], difference: str):
    assert difference in restarted(Restarting(states={3: state}), monkeypatch).difference


def test_a_boot_id_that_outlasts_a_restart_is_found(monkeypatch: pytest.MonkeyPatch):
    assert "outlasts a restart" in restarted(Restarting(), monkeypatch, boots=0).difference


def test_a_restart_that_fails_is_the_difference(monkeypatch: pytest.MonkeyPatch):
    def never(_: object) -> None:
        raise GuestError("no boot answers", details=("waited 600 s",))

    monkeypatch.setattr(restart_check, "restart", never)
    assert check_restart(cast("Guest", Restarting())).difference == "no boot answers"


# -- large files


class Loaded:
    """A guest that takes files by these ways, or fails in one of them."""

    def __init__(self, *ways: str, fails: str = "", spoils: bool = False) -> None:
        self.cd = "cd" if BY_CD in ways else None
        self.ssh = "ssh" if BY_SFTP in ways else None
        self.fails, self.spoils = fails, spoils
        self.content = b""

    def _take(self, way: str, source: Path) -> None:
        if self.fails == way:
            raise GuestError(f"{way} failed")
        self.content = source.read_bytes()

    def put_by_cd(self, source: Path, _: str) -> None:
        self._take(BY_CD, source)

    def put_by_sftp(self, source: Path, _: str) -> None:
        self._take(BY_SFTP, source)

    def get_by_sftp(self, _: str, target: Path) -> None:
        target.write_bytes(b"other" if self.spoils else self.content)


@pytest.mark.parametrize(("ways", "told"), [((), []), ((BY_CD,), [BY_CD]), ((BY_CD, BY_SFTP), [BY_CD, BY_SFTP])])
def test_the_ways_that_a_guest_has_are_tried(tmp_path: Path, ways: tuple[str, ...], told: list[str]):
    findings = list(check_large_files(cast("Guest", Loaded(*ways)), tmp_path))

    assert [finding.check for finding in findings if finding.ok] == told


def test_a_way_that_fails_or_spoils_is_named(tmp_path: Path):
    failed, fine = check_large_files(cast("Guest", Loaded(BY_CD, BY_SFTP, fails=BY_CD)), tmp_path)
    _, spoilt = check_large_files(cast("Guest", Loaded(BY_CD, BY_SFTP, spoils=True)), tmp_path)

    assert (failed.difference, fine.difference) == (f"{BY_CD} failed", "")
    assert spoilt.difference == "what came back is not what was sent"


# -- a recording, made by hand


class HandMade(WinRmSession):
    """A session that answers what a Windows might: it stands for the first recording that a user sends."""

    def __init__(self, windows: PlayedWindows) -> None:
        super().__init__(NOWHERE, "the guest 'windows-by-hand'")
        self.windows = windows

    def _run(self, command: str, stdin: bytes | None, timeout: float | Wait) -> CommandResult:
        del timeout
        if command == WINDOWS.receive:
            stream, lines = stdin or b"", []
            for path, digest in sent(stream):
                head, _, rest = stream.partition(b"\n")
                size = int(head.split()[0])
                self.windows.files[path], stream = rest[:size], rest[size:]
                lines.append(f"{digest}  {path}\r\n")
            return CommandResult(command, 0, "".join(lines).encode(), b"")
        if command.startswith('set "FLTLAB_FILE='):
            return CommandResult(command, 0, self.windows.files[command.split('"')[1].partition("=")[2]], b"")
        if command == WINDOWS.identity:
            told = self.windows.identity()
            answer = {"boot_id": told.boot_id, "time": told.time, "random": told.random.hex(), "build": "10.0.26100"}
            return CommandResult(command, 0, json.dumps(answer).encode(), b"")
        return self.windows.run(command, stdin)


def by_hand(directory: Path, windows: PlayedWindows) -> list[Finding]:
    expected = Expectation(build=26100, test_signing=True, secure_boot=False, file_system="ntfs", language="en-US")
    guest = Guest("windows-by-hand", WINDOWS, NOWHERE, session=HandMade(windows))
    with recording(directory / "conversation-verify.jsonl"):
        found = list(self_test(guest, expected))
    facts: dict[str, Any] = {
        "made": "by hand: no Windows has said this",
        "guests": {"windows-by-hand": "windows"},
        "expectation": vars(expected),
        "findings": [{"check": finding.check, "difference": finding.difference} for finding in found],
    }
    seal(directory, "verify", facts)
    return found


def test_a_recording_of_a_windows_is_judged_without_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    found = by_hand(tmp_path / "kept", PlayedWindows(state={"networks": [0], "blocklist": 1}))
    capsys.readouterr()

    assert main(["replay", str(tmp_path / "kept"), "--json"]) == ExitCode.FAILED

    again = {finding["check"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert {finding.check: finding.difference for finding in found} == {
        finding.check: again[finding.check]["difference"] for finding in found
    }
    assert again["network category"]["difference"] == "the network is public, and not private"
    assert "asks what was not asked" in again["a minifilter"]["difference"], "it was not recorded"


def test_a_judgement_that_has_changed_since_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    by_hand(tmp_path / "kept", PlayedWindows())
    header = tmp_path / "kept" / "recording.json"
    kept = json.loads(header.read_text())
    next(one for one in kept["facts"]["findings"] if one["check"] == "Defender")["difference"] = "an older judgement"
    header.write_text(json.dumps(kept))
    capsys.readouterr()

    main(["replay", str(tmp_path / "kept.tar.xz")])
    assert "Defender: was" not in capsys.readouterr().out
    main(["replay", str(tmp_path / "kept")])
    assert "Defender: was an older judgement, is as expected" in capsys.readouterr().out
