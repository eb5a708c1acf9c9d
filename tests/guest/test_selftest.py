"""The self-test says what is as expected, and the exact difference where it is not.

The Windows answers here are made by hand after public captures (docs/windows.md): no Windows has given them.
"""

import json
from dataclasses import dataclass, field

import pytest
import tree_sitter
import tree_sitter_powershell

from harness.errors import GuestError
from harness.guest import GuestKind, LocalGuest
from harness.guest.command import CommandResult
from harness.guest.identity import Identity
from harness.guest.licence import ASK
from harness.guest.profiles import WINDOWS, Profile
from harness.guest.selftest import CHECKS, Expectation, Finding, self_test
from harness.guest.state_checks import COMMAND as STATE_COMMAND
from harness.guest.state_checks import SCRIPT_FILE, script_content

FILTERS = """
Filter Name                     Num Instances    Altitude    Frame
------------------------------  -------------  ------------  -----
bindflt                                 1       409800         0
FileInfo                                5       40500          0
"""
INSTANCES = """
Filter                Volume Name                              Altitude        Instance Name       Frame   SprtFtrs  VlStatus
--------------------  -------------------------------------  ------------  ----------------------  -----   --------  --------
WdFilter              C:                                        328010     WdFilter Instance         0     0000000f
"""  # noqa: E501 - as wide as Windows prints it
COLLIDES = INSTANCES + f"{'Theirs':<20}  {'V:':<37}  {'370020':^12}  {'Theirs':<22}  {'0':^5}   00000003\n"
VOLUMES = r"""
Dos Name                        Volume Name                              FileSystem   Status
------------------------------  ---------------------------------------  ----------  --------
                                \Device\Mup                              Remote
C:                              \Device\HarddiskVolume3                  NTFS
V:                              \Device\HarddiskVolume5                  NTFS
"""
BOOT = "Windows Boot Loader\n-------------------\nidentifier              {current}\ntestsigning             Yes\n"
CRASH = "\n    CrashDumpEnabled    REG_DWORD    0x2\n    NMICrashDump    REG_DWORD    0x1\n"
PRIVILEGES = """
"SeShutdownPrivilege","Herunterfahren des Systems","Deaktiviert"
"SeLoadDriverPrivilege","Laden und Entfernen von Gerätetreibern","Aktiviert"
"SeChangeNotifyPrivilege","Auslassen der durchsuchenden Überprüfung","Aktiviert"
"SeRestorePrivilege","Wiederherstellen von Dateien und Verzeichnissen","Aktiviert"
"""


NOW = 1.8e9
"""The time of host and guest: between two readings of a real clock a machine may do other things."""


@dataclass
class PlayedWindows:
    """A guest that answers commands by their beginning."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    profile: Profile = WINDOWS
    kind: GuestKind = GuestKind.WINDOWS
    clock: float = 0.0
    numbers: int = 0
    powershell: list[str] = field(default_factory=lambda: ["False", "0"])
    licence: str = '{"edition": "Enterprise", "status": 1, "minutes": 0}'
    state: dict[str, object] = field(default_factory=dict)

    def run(self, command: str, stdin: bytes | None = None, timeout: float = 0.0) -> CommandResult:
        if command == ASK:
            return CommandResult(command, 0, self.licence.encode(), b"")
        if command == STATE_COMMAND:
            assert self.files[SCRIPT_FILE] == script_content()
            return CommandResult(command, 0, json.dumps({**STATE, **self.state}).encode(), b"")
        if command.startswith("cmd.exe /c echo "):
            return CommandResult(command, 0, command.removeprefix("cmd.exe /c echo ").encode(), b"")
        if command.startswith("powershell"):
            return CommandResult(command, 0, self.powershell.pop(0).encode(), b"")
        known = {**STANDARD, **self.answers}
        code, text = next((answer for begin, answer in known.items() if command.startswith(begin)), (0, ""))
        return CommandResult(command, code, text.encode(), b"")

    def put(self, content: bytes, path: str) -> None:
        self.files[path] = content

    def get(self, path: str) -> bytes:
        return self.files[path]

    def host_time(self) -> float:
        return NOW

    def identity(self) -> Identity:

        self.numbers += 1
        return Identity("b" * 36, NOW + self.clock, bytes([self.numbers] * 16), {})


STANDARD = {
    "ver": (0, "Microsoft Windows [Version 10.0.26100.1742]"),
    "whoami": (0, PRIVILEGES),
    "bcdedit": (0, BOOT),
    "fltmc.exe filters": (0, FILTERS),
    "fltmc.exe instances": (0, INSTANCES),
    "fltmc.exe volumes": (0, VOLUMES),
    "fltmc.exe load": (1, "\nLoad failed with error: 0x80070002\nThe system cannot find the file specified.\n"),
    "reg.exe query": (0, CRASH + "    Operations    REG_MULTI_SZ    create pre\\0read\n"),
    "fsutil": (0, "Volume Name : data\nFile System Name : NTFS\n"),
}
STATE: dict[str, object] = {
    "start_options": " NOEXECUTE=OPTIN  TESTSIGNING  FVEBOOT=2674688",
    "memory_integrity": False,
    "blocklist": 0,
    "smart_app_control": 0,
    "dump": 2,
    "page_mib": 5120,
    "memory_mib": 4095,
    "free": 20 << 30,
    "pending": [],
    "utc_offset": 0,
    "utc_clock": 1,
    "ticks": 10_000_000,
    "networks": [1],
    "language": "en-US",
    "short_names": 2,
}
EXPECTED = Expectation(build=26100, test_signing=True, secure_boot=False, file_system="ntfs", language="en-US")


def findings(guest: PlayedWindows, expected: Expectation = EXPECTED) -> dict[str, Finding]:
    return {finding.check: finding for finding in self_test(guest, expected)}  # type: ignore[arg-type]


def test_a_guest_that_is_as_expected_passes_every_check():
    found = findings(PlayedWindows())

    assert {name: finding.difference for name, finding in found.items() if not finding.ok} == {}
    assert list(found) == [title for title, _, kinds in CHECKS if GuestKind.WINDOWS in kinds]


@pytest.mark.parametrize(
    ("check", "answers", "difference"),
    [
        ("WinRM", {"ver": (0, "Microsoft Windows [Version 10.0.22631.1]")}, "build 22631 answers"),
        ("WinRM", {"ver": (0, "MS-DOS")}, "does not say a build"),
        ("privileges", {"whoami": (0, PRIVILEGES.replace("SeLoad", "SeNoLoad"))}, "lacks SeLoadDriverPrivilege"),
        ("test signing", {"bcdedit": (0, "testsigning             Kyllä")}, "neither yes nor no"),
        ("Defender", {"fltmc.exe filters": (0, FILTERS.replace("bindflt ", "WdFilter"))}, "WdFilter is loaded"),
        ("fltmc volumes", {"fltmc.exe volumes": (0, VOLUMES.replace("V:", "W:"))}, "V: is not among them"),
        (
            "fltmc volumes",
            {"fltmc.exe volumes": (5, VOLUMES)},
            "it lists them and ends with exit code 5",
        ),
        (
            "fltmc volumes",
            {"fltmc.exe volumes": (1, "Volume listing failed with error: 0x80070005")},
            "Access is denied",
        ),
        ("minifilters on V:", {"fltmc.exe instances": (0, COLLIDES)}, "Theirs stands where our stacks stand"),
        ("test signing", {"bcdedit": (0, "testsigning             No")}, "it is off and should be on"),
        ("test signing", {"bcdedit": (0, "identifier {current}")}, "it is off and should be on"),
        ("fltmc tables", {"fltmc.exe filters": (0, "Filters: bindflt, WdFilter")}, "printed no table"),
        ("fltmc failures", {"fltmc.exe load": (1, "Kann nicht geladen werden")}, "is not told by"),
        ("registry and services", {"reg.exe add": (5, "Access is denied.")}, "ended with 5, 0 and 0"),
        ("data volume", {"fsutil": (1, "Error 3")}, "no volume V:"),
        ("data volume", {"fsutil": (0, "File System Name : ReFS")}, "it is ReFS and should be ntfs"),
        ("crash dumps", {"reg.exe query": (0, CRASH.replace("0x2", "0x0"))}, "leaves no dump"),
    ],
)
def test_a_difference_is_named_and_the_raw_text_kept(check: str, answers: dict[str, tuple[int, str]], difference: str):
    finding = findings(PlayedWindows(answers))[check]

    assert difference in finding.difference
    assert any(text.splitlines()[0] in line for _, text in answers.values() for line in finding.raw)


@pytest.mark.parametrize(
    ("check", "state", "difference"),
    [
        ("test signing in force", {"start_options": " NOEXECUTE=OPTIN"}, "it is off in this start"),
        ("test signing in force", {"start_options": " NOTESTSIGNING"}, "it is off in this start"),
        ("policies for drivers", {"memory_integrity": True}, "HVCI"),
        ("policies for drivers", {"blocklist": 1}, "blocklist of vulnerable drivers is on"),
        ("policies for drivers", {"smart_app_control": 1}, "Smart App Control is on"),
        ("page file and dumps", {"dump": 3}, "no kernel dump"),
        ("page file and dumps", {"page_mib": 1024}, "does not hold a dump of 4095 MiB"),
        ("room and pending restarts", {"free": 1 << 30}, "only 1.0 GiB are free"),
        ("room and pending restarts", {"pending": ["servicing"]}, "a restart is pending: servicing"),
        ("time zone and counter", {"utc_offset": -480}, "-480 min from UTC"),
        ("time zone and counter", {"utc_clock": None}, "for local time"),
        ("time zone and counter", {"ticks": 18}, "18 ticks a second"),
        ("network category", {"networks": [1, 0]}, "private, public, and not private"),
        ("network category", {"networks": []}, "the network is not there"),
        ("language", {"language": "de-DE"}, "it is de-DE and should be en-US"),
    ],
)
def test_a_state_that_is_not_as_it_should_be_is_named(check: str, state: dict[str, object], difference: str):
    found = findings(PlayedWindows(state=state))

    assert difference in found[check].difference
    assert [name for name, finding in found.items() if not finding.ok] == [check]


def test_a_state_that_is_not_told_is_the_difference_of_each_check_that_needs_it():
    class Silent(PlayedWindows):
        def run(self, command: str, stdin: bytes | None = None, timeout: float = 0.0) -> CommandResult:
            result = super().run(command, stdin, timeout)
            return CommandResult(command, 1, b"no", b"") if command == STATE_COMMAND else result

    found = findings(Silent())
    assert {name for name, finding in found.items() if not finding.ok} == {
        *("test signing in force", "policies for drivers", "page file and dumps", "room and pending restarts"),
        *("time zone and counter", "network category", "language", "8.3 names"),
    }


def test_the_script_that_asks_for_the_state_parses():
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))

    assert not parser.parse(script_content()).root_node.has_error


def test_a_licence_that_has_run_out_and_what_a_recipe_wants_are_told():
    over = PlayedWindows(licence='{"edition": "EnterpriseEval", "status": 5, "minutes": 0}')
    assert "switches itself off an hour after each start" in findings(over)["licence"].difference

    production = findings(PlayedWindows(), Expectation(test_signing=False))
    assert production["test signing"].difference == "it is on and should be off"
    assert production["test signing in force"].difference == "it is on in this start"


def test_privileges_are_told_by_name_and_by_the_state_that_one_of_them_always_has():
    measured = findings(PlayedWindows())["privileges"].measured

    assert measured == "SeLoadDriverPrivilege, SeRestorePrivilege, SeShutdownPrivilege (disabled)"


def test_a_build_that_an_enablement_package_has_renamed_is_the_same():
    guest = PlayedWindows({"ver": (0, "Microsoft Windows [Version 10.0.26200.1]")})

    assert findings(guest, Expectation(build=26100, renamed=(26100, 26200)))["WinRM"].ok


def test_secure_boot_and_virtualization_are_asked_by_powershell():
    found = findings(PlayedWindows(powershell=["True", "2"]))

    assert found["Secure Boot"].difference == "it is on and should be off"
    assert "memory integrity" in found["virtualization-based security"].difference


def test_a_clock_that_is_off_and_a_pool_that_repeats_are_found():
    class Frozen(PlayedWindows):
        def identity(self) -> Identity:
            found = super().identity()
            return Identity(found.boot_id, found.time, b"same", {})

    assert "off by -3600 s" in findings(PlayedWindows(clock=-3600.0))["identity and clock"].difference
    assert "random pool" in findings(Frozen())["identity and clock"].difference


def test_what_a_check_cannot_ask_is_its_difference_and_the_others_go_on():
    class Broken(PlayedWindows):
        def put(self, content: bytes, path: str) -> None:
            raise GuestError("the file could not be sent", details=("why",))

    found = findings(Broken())

    assert found["transfer"].difference == "the file could not be sent"
    assert "why" in found["transfer"].raw
    assert found["crash dumps"].ok


def test_the_reference_guest_passes_the_checks_it_has(guest: LocalGuest):
    found = list(self_test(guest, Expectation()))

    assert {finding.check: finding.difference for finding in found if not finding.ok} == {}
    assert len(found) == len([title for title, _, kinds in CHECKS if GuestKind.REFERENCE_LOCAL in kinds])
