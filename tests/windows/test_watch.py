"""Following an installation by what the guest says on COM1: the good course, and every way it can go wrong."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.errors import ExitCode, FltLabError, HostError
from harness.host.accelerator import Accelerator
from harness.image.windows.follower import WINDOWS_BYTES, BuildFailedError, Follower, NotBootableError
from harness.image.windows.history import History
from harness.image.windows.phases import REASONS, Phase, Signal, parse_line
from harness.image.windows.plan import build_inputs
from harness.image.windows.watch import Progress, Watch
from tests.windows.scripted_guest import (
    RESET,
    RESET_ENDS_QEMU,
    SHUTDOWN,
    Busy,
    Emit,
    FakeClock,
    ScriptedGuest,
    Step,
    course,
)
from tests.windows.test_answer_files import plan

INPUTS = build_inputs(plan("windows-11-24h2"), "not-used")
SCRIPTS = {name: content.decode() for name, content in INPUTS.items() if name.endswith((".cmd", ".ps1"))}
INSTALL_CMD = SCRIPTS["fltlab/install.cmd"]

WINDOWS_PE = (
    "BdsDxe: starting Boot0002",
    "FLTLAB-PE-START",
    "FLTLAB-PE-IMAGE D:\\sources\\install.wim index 4",
    "FLTLAB-PE-PARTITIONED",
    Busy(True),
    "FLTLAB-PE-APPLIED",
    "FLTLAB-PE-BOOT-FILES",
    "FLTLAB-PE-DONE",
    RESET_ENDS_QEMU,
)
FIRST_START = (
    "FLTLAB-SPECIALIZE-START",
    "FLTLAB-SPECIALIZE-DONE",
    RESET,
    "FLTLAB-PROVISION-START",
    "FLTLAB-STEP-OK firewall",
    "FLTLAB-STEP-WARN network no network connection became private in two minutes",
    "FLTLAB-STEP-OK winrm",
    "FLTLAB-PROVISION-DONE",
    RESET,
    "FLTLAB-BOOT-WINRM",
)


class Watched:
    """A scripted guest under watch, and what came of it."""

    def __init__(self, tmp_path: Path, steps: Sequence[str | Step | Sequence[Step]], **options: object) -> None:
        self.clock = FakeClock()
        connect = options.pop("connect", None)
        self.guest = ScriptedGuest(self.clock, course(*steps))
        self.follower = Follower(**options)
        self.reports: list[Progress] = []
        history = History(Accelerator.KVM, tmp_path / "times.json")
        self.watch = Watch(
            *(self.guest, self.follower, history, tmp_path, self.reports.append, self.clock),
            interval=5.0,
            connect=connect,
        )

    def until_windows_is_on_the_disk(self) -> None:
        self.watch.until(lambda follower: follower.reset_after_windows_pe)

    def until_winrm(self) -> None:
        self.watch.until(lambda follower: follower.phase is Phase.SEAL)

    def failure(self, until: Callable[[], None] | None = None) -> FltLabError:
        with pytest.raises(FltLabError) as caught:
            (until or self.until_windows_is_on_the_disk)()
        return caught.value


def test_windows_pe_goes_through_its_phases(tmp_path: Path) -> None:
    watched = Watched(tmp_path, WINDOWS_PE)

    watched.until_windows_is_on_the_disk()

    seen = list(dict.fromkeys(report.phase for report in watched.reports))
    assert seen == [Phase.FIRMWARE, Phase.PARTITION, Phase.APPLY, Phase.BOOT_FILES, Phase.FIRST_BOOT][: len(seen)]
    assert Phase.APPLY in watched.watch.durations
    assert watched.guest.screenshots == []


def test_the_first_start_ends_when_winrm_answers(tmp_path: Path) -> None:
    asked: list[float] = []

    def connect() -> bool:
        asked.append(watched.clock.time)
        return watched.follower.heard(Signal.BOOT_WINRM)

    watched = Watched(tmp_path, FIRST_START, stage_begins=Phase.FIRST_BOOT, connect=connect)

    watched.until_winrm()

    assert watched.follower.warnings == ["network no network connection became private in two minutes"]
    assert len(asked) > 1


def test_a_guest_whose_com1_is_mute_is_followed_by_restarts_and_winrm(tmp_path: Path) -> None:
    mute = (Busy(True), RESET, RESET, RESET)
    watched = Watched(
        tmp_path, mute, stage_begins=Phase.FIRST_BOOT, connect=lambda: watched.clock.time > watched.guest.begin + 1000
    )

    watched.until_winrm()

    assert watched.follower.markers == []


def test_progress_only_grows_and_the_time_left_shrinks(tmp_path: Path) -> None:
    watched = Watched(tmp_path, WINDOWS_PE)

    watched.until_windows_is_on_the_disk()

    fractions = [report.fraction for report in watched.reports]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] < 1
    assert watched.reports[0].remaining > watched.reports[-1].remaining


def test_the_time_left_comes_from_past_builds(tmp_path: Path) -> None:
    history = History(Accelerator.KVM, tmp_path / "times.json")
    for seconds in (100.0, 300.0, 200.0):
        history.add({Phase.APPLY: seconds})

    again = History(Accelerator.KVM, tmp_path / "times.json")
    assert again.typical(Phase.APPLY) == 200.0
    assert again.typical(Phase.SEAL) == Phase.SEAL.typical
    assert History(Accelerator.TCG, tmp_path / "times.json").typical(Phase.APPLY) > 200.0


def reasons_of_install_cmd() -> list[str]:
    return re.findall(r'set "REASON=([\w-]+)"', INSTALL_CMD)


@pytest.mark.parametrize("reason", reasons_of_install_cmd())
def test_every_reason_that_install_cmd_gives_is_explained(tmp_path: Path, reason: str) -> None:
    log = "Error: 0x80070570 The file or directory is corrupted and unreadable."
    watched = Watched(tmp_path, ("FLTLAB-PE-START", f"FLTLAB-PE-FAIL {reason}", log, "FLTLAB-PE-LOG-END"))

    error = watched.failure()

    assert isinstance(error, BuildFailedError)
    assert error.message == "Windows could not be put on the disk"
    assert error.details[1] == f"{reason}: {REASONS[reason]}"
    assert any(log in line for line in error.details)
    assert error.exit_code is ExitCode.HOST
    assert watched.guest.screenshots == [tmp_path / "screen.png"]


def test_a_failure_whose_log_never_ends_is_reported_too(tmp_path: Path) -> None:
    watched = Watched(tmp_path, ("FLTLAB-PE-START", "FLTLAB-PE-FAIL diskpart"))

    assert "Windows could not be put on the disk" in watched.failure().message


@pytest.mark.parametrize(
    ("steps", "message", "detail"),
    [
        (
            ("FLTLAB-SPECIALIZE-START", "FLTLAB-SPECIALIZE-FAIL guest-files"),
            "Windows' first start went wrong",
            "guest-files:",
        ),
        (
            ("FLTLAB-PROVISION-START", "FLTLAB-STEP-FAIL winrm Access denied", "FLTLAB-PROVISION-FAIL winrm"),
            "the guest could not be set up",
            "step winrm Access denied",
        ),
        (
            ("FLTLAB-PROVISION-DONE", RESET, "FLTLAB-BOOT-FAIL WinRM Stopped"),
            "its WinRM service does not run",
            "WinRM Stopped",
        ),
        ((*FIRST_START[:4], *[RESET] * 12), "the guest is in a boot loop", "phase: setting up the guest"),
        (("FLTLAB-SPECIALIZE-START", SHUTDOWN), "the guest switched itself off", "COM1: FLTLAB-SPECIALIZE-START"),
        (
            (
                Emit(
                    "GUEST_PANICKED",
                    {"info": {"type": "hyper-v", "arg1": 0x7B, "arg2": 1, "arg3": 2, "arg4": 3, "arg5": 4}},
                ),
            ),
            "Windows stopped with 0x0000007B",
            "parameters: 0x1, 0x2, 0x3, 0x4",
        ),
        ((Emit("GUEST_PANICKED", {"action": "run"}),), "Windows stopped with an unknown bug check", "parameters: none"),
    ],
    ids=["specialize", "provision", "winrm", "boot-loop", "shutdown", "bugcheck", "panic-without-info"],
)
def test_failures_of_the_first_start_name_their_phase(
    tmp_path: Path, steps: Sequence[str | Step | Sequence[Step]], message: str, detail: str
) -> None:
    watched = Watched(tmp_path, steps, stage_begins=Phase.FIRST_BOOT, connect=lambda: False)

    error = watched.failure(watched.until_winrm)

    assert message in error.message
    assert any(detail in line for line in error.details)


def test_a_windows_pe_that_restarts_early_is_a_failure(tmp_path: Path) -> None:
    error = Watched(tmp_path, ("FLTLAB-PE-START", RESET_ENDS_QEMU)).failure()

    assert error.message == "Windows PE restarted before Windows was on the disk"


def test_a_windows_pe_without_a_serial_port_is_believed_by_what_it_wrote(tmp_path: Path) -> None:
    watched = Watched(tmp_path, (Busy(True), Busy(True), RESET_ENDS_QEMU))
    watched.guest.written = lambda: WINDOWS_BYTES  # type: ignore[method-assign]

    watched.until_windows_is_on_the_disk()

    assert watched.follower.warnings == ["Windows PE said nothing on COM1; what it wrote is taken for Windows"]


def test_a_windows_pe_that_said_something_is_not_believed_by_what_it_wrote(tmp_path: Path) -> None:
    watched = Watched(tmp_path, ("FLTLAB-PE-START", Busy(True), RESET_ENDS_QEMU))
    watched.guest.written = lambda: WINDOWS_BYTES  # type: ignore[method-assign]

    assert watched.failure().message == "Windows PE restarted before Windows was on the disk"


def test_a_mute_windows_pe_that_wrote_little_is_a_failure(tmp_path: Path) -> None:
    watched = Watched(tmp_path, (Busy(True), Busy(True), RESET_ENDS_QEMU))

    assert watched.failure().message == "Windows PE restarted before Windows was on the disk"


def test_windows_setup_may_restart_without_a_word(tmp_path: Path) -> None:
    watched = Watched(
        tmp_path, ("FLTLAB-PE-START", Busy(True), *[Busy(True)] * 100, RESET_ENDS_QEMU), windows_setup=True
    )

    watched.until_windows_is_on_the_disk()

    assert Phase.APPLY in watched.watch.durations


@pytest.mark.parametrize(
    "line",
    [
        "BdsDxe: No bootable option or device was found.",
        'BdsDxe: starting Boot0003 "EFI Internal Shell" from Fv(7CB8BDC9)',
    ],
)
def test_an_iso_that_does_not_boot_is_the_users_to_mend(tmp_path: Path, line: str) -> None:
    error = Watched(tmp_path, (line,)).failure()

    assert isinstance(error, NotBootableError)
    assert error.exit_code is ExitCode.USAGE


def test_a_key_is_pressed_when_the_prompt_is_seen_before_its_line_ends(tmp_path: Path) -> None:
    watched = Watched(tmp_path, ())
    watched.follower.serial("\x1b[2J\x1b[01;01HPress any key to boot from CD or DVD.")
    watched.follower.serial("...")
    watched.guest.script = course("", *WINDOWS_PE)

    watched.until_windows_is_on_the_disk()

    assert watched.guest.keys == 1


def test_silence_ends_in_the_phase_s_own_time_with_a_screenshot_before(tmp_path: Path) -> None:
    watched = Watched(tmp_path, ("FLTLAB-PE-START", "FLTLAB-PE-PARTITIONED"))

    error = watched.failure()

    assert "nothing was heard of the guest for 45 min" in error.message
    assert "it does not write to its disk either" in error.details[1]
    assert "the last it said on COM1: FLTLAB-PE-PARTITIONED" in error.details[2]
    assert [path.name for path in watched.guest.screenshots] == ["stuck-apply.png", "screen.png"]


def test_a_silent_guest_that_writes_to_its_disk_has_longer(tmp_path: Path) -> None:
    watched = Watched(tmp_path, ("FLTLAB-PE-START", "FLTLAB-PE-PARTITIONED", Busy(True)))

    error = watched.failure()

    assert "nothing was heard of the guest for 180 min" in error.message
    assert "it still writes to its disk" in error.details[1]


def test_a_guest_that_never_reaches_winrm_says_what_it_knows(tmp_path: Path) -> None:
    watched = Watched(tmp_path, FIRST_START, stage_begins=Phase.FIRST_BOOT, connect=lambda: False)

    error = watched.failure(watched.until_winrm)

    assert "phase: waiting for WinRM after the restart" in error.details
    assert "it says on COM1 that its WinRM service runs" in error.details


def test_qemu_that_ends_by_itself_is_the_hosts_failure(tmp_path: Path) -> None:
    watched = Watched(tmp_path, ("FLTLAB-PE-START", WINDOWS_PE[-1][1:]))

    error = watched.failure()

    assert isinstance(error, HostError)
    assert "QEMU ended" in error.message


def test_every_signal_is_said_by_a_script_and_every_marker_is_a_signal() -> None:
    said = {name for text in SCRIPTS.values() for name in re.findall(r"FLTLAB(?:-[A-Z0-9]+)+", text)}

    assert said == {signal.value for signal in Signal}


def test_every_reason_of_the_batch_files_has_a_meaning() -> None:
    given = set(reasons_of_install_cmd()) | set(re.findall(r"-FAIL ([a-z-]+)", SCRIPTS["fltlab/guest/specialize.cmd"]))

    assert given == set(REASONS)


@pytest.mark.parametrize(
    ("line", "signal", "text"),
    [
        ("FLTLAB-PE-START", Signal.PE_START, ""),
        ("\x1b[01;01HBdsFLTLAB-PE-FAIL dism-apply \r", Signal.PE_FAIL, "dism-apply"),
        ("2026-11-23T08:00:00 FLTLAB-STEP-OK winrm", Signal.STEP_OK, "winrm"),
    ],
)
def test_a_marker_is_found_behind_other_text(line: str, signal: Signal, text: str) -> None:
    marker = parse_line(line)

    assert marker is not None
    assert (marker.signal, marker.text) == (signal, text)


@pytest.mark.parametrize("line", ["", "FLTLAB", "FLTLAB-PE-STARTED", "fltlab-pe-start"])
def test_what_is_no_marker_is_none(line: str) -> None:
    assert parse_line(line) is None
