"""A whole build: OVMF really boots the synthetic ISO and then the disk, on the machine and with the CD of a real build.

Two UEFI programs play Windows PE and the first start of Windows: they say what the real scripts say. WinRM is played by
a stand-in that answers what the real guest would; everything else is what a build with a real ISO uses.
"""

import json
import stat
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import GuestError
from harness.guest.licence import ASK
from harness.host.accelerator import Accelerator
from harness.host.directories import HOME_VARIABLE
from harness.image.store import Image, ImageStore
from harness.image.windows.build import BOOT_LOG_COMMAND, DATA, SEAL_COMMAND, SYSTEM, VARIABLES, Builder, Endpoint
from harness.image.windows.credentials import Credentials, credentials_file, load
from harness.image.windows.follower import BuildFailedError, Follower
from harness.image.windows.phases import Phase, Signal
from harness.image.windows.prepare import Prepared, Request, prepare
from harness.image.windows.profile import Host, describe_host
from harness.image.windows.watch import Progress
from harness.image.windows.workspace import Stage, Workspace
from tests.windows.disks import NTFS, gpt_disk
from tests.windows.efi_programs import Program, disk_image, fat_image
from tests.windows.media_factory import SERVER_EDITIONS, FakeIso, make_iso, make_wim

LICENCE = b'{"minutes":259200,"status":1,"edition":"ServerStandardEval"}\r\n'
SECTORS_OF_SYSTEM_DISK = 24 * 2**21
WINDOWS_PE = ("FLTLAB-PE-START", "FLTLAB-PE-IMAGE D:\\sources\\install.wim index 2", "FLTLAB-PE-PARTITIONED")
WINDOWS_PE_END = ("FLTLAB-PE-APPLIED", "FLTLAB-PE-BOOT-FILES", "FLTLAB-PE-DONE")
FIRST = ("FLTLAB-SPECIALIZE-START", "FLTLAB-SPECIALIZE-DONE", "FLTLAB-PROVISION-START", "FLTLAB-STEP-WARN network slow")
SECOND = ("FLTLAB-PROVISION-DONE", "FLTLAB-BOOT-WINRM")
THIRD = ("FLTLAB-SEAL-START", "FLTLAB-SEAL-DONE")


def lines(*texts: str) -> str:
    return "".join(f"{text}\r\n" for text in texts)


@dataclass(frozen=True)
class Answer:
    exit_code: int
    stdout: bytes


@dataclass
class PlayedWinRm:
    """Stands in for WinRM: it answers as the guest would at that point of its own serial line."""

    workspace: Workspace | None = None
    commands: list[str] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)

    def connect(self, endpoint: Endpoint) -> "PlayedWinRm":
        self.endpoints.append(endpoint)
        if Signal.BOOT_WINRM.value not in self._serial():
            raise GuestError("connection refused")
        return self

    def run(self, command: str, stdin: bytes = b"", timeout: float | None = None) -> Answer:
        self.commands.append(command)
        if command == ASK:
            return Answer(0, LICENCE)
        return Answer(0, self._serial().encode() if command == BOOT_LOG_COMMAND else b"")

    def close(self) -> None:
        self.commands.append("(closed)")

    def _serial(self) -> str:
        assert self.workspace is not None
        log = self.workspace.directory / "first-start" / "serial.log"
        return log.read_text(errors="replace") if log.exists() else ""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(tmp_path_factory.mktemp("probe")))
        return describe_host(Accelerator.TCG)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))


def windows_pe(directory: Path) -> Program:
    """Plays Windows PE, and leaves a disk whose boot loader plays Windows' first start."""
    start = Program("START", lines(*FIRST), lines(*SECOND), lines(*THIRD), seconds=2).build(directory)
    image = directory / "disk.img"
    image.write_bytes(disk_image(start, SECTORS_OF_SYSTEM_DISK))
    return Program("INSTALL", lines(*WINDOWS_PE), lines(*WINDOWS_PE_END), image=image)


def windows_iso(directory: Path, program: Program) -> Path:
    """An ISO that boots the program where a key is not asked for."""
    iso = FakeIso(no_prompt=fat_image(program.build(directory)), label="SSS_X64FREE_EN-US_DV9")
    return make_iso(directory / "server.iso", make_wim(directory / "install.wim", SERVER_EDITIONS), iso)


ESP_BEGIN = 2048 * 512
SMALL = {"machine": {"memory_mib": 2048, "processors": 1, "system_disk_gib": 24, "data_disk_mib": 64}}


def prepared(iso: Path) -> Prepared:
    return prepare(Request("windows-server-2022", iso=iso, overrides=SMALL))


def builder(ready: Prepared, host: Host, winrm: PlayedWinRm, reports: list[Progress] | None = None) -> Builder:
    made = Builder(
        *(ready, host, winrm.connect, ImageStore()),
        report=(reports if reports is not None else []).append,
        room_mib=200,
        now=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC),
    )
    winrm.workspace = made.workspace
    return made


def check_image(image: Image, ready: Prepared, winrm: PlayedWinRm) -> None:
    assert set(image.digests) >= {SYSTEM, VARIABLES, DATA, "windows-pe-serial.log", "first-start-serial.log"}
    assert all(not (image.directory / name).stat().st_mode & stat.S_IWUSR for name in image.digests)
    facts = image.facts
    assert (facts["edition"], facts["build"], facts["mode"]) == ("ServerStandardEval", 20348, "apply")
    assert (facts["built"], facts["expires"]) == ("2026-11-23", "2027-05-22")
    assert facts["licence"] == {
        "edition": "ServerStandardEval",
        "status": "licensed",
        "minutes": 180 * 1440,
        "expires": "2027-05-22",
    }
    assert str(facts["board"]).startswith("pc-q35-")
    assert facts["warnings"] == ["network slow"]
    assert (facts["openssh"], facts["ssh_host_key"]) == ("none", None)
    assert len(str(facts["source"]["sha256"])) == 64
    info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", str(image.file(SYSTEM))]))
    assert info["virtual-size"] == 24 << 30
    assert "backing-filename" not in info

    secret = credentials_file(image.name, ready.key)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert load(secret) == winrm.endpoints[-1].credentials


def test_a_build_that_fails_keeps_evidence_and_no_half_disk(tmp_path: Path, host: Host) -> None:
    failure = ("FLTLAB-PE-FAIL dism-apply", "Error: 1392", "FLTLAB-PE-LOG-END")
    ready = prepared(windows_iso(tmp_path, Program("PARK", lines(*WINDOWS_PE, *failure))))
    made = builder(ready, host, PlayedWinRm())

    with pytest.raises(BuildFailedError) as caught:
        made.build()

    assert caught.value.phase is Phase.APPLY
    assert any("COM1: Error: 1392" in line for line in caught.value.details)
    kept = {path.name for path in made.workspace.evidence.iterdir()}
    assert {"screen.png", "windows-pe-serial.log", "windows-pe-qemu.log", "windows-pe-firmware.log"} <= kept
    assert not made.workspace.disk(Stage.ON_DISK).exists()
    assert ImageStore().images() == []


class Interrupted(PlayedWinRm):
    """The user presses Ctrl-C while Windows starts for the first time."""

    def connect(self, endpoint: Endpoint) -> PlayedWinRm:
        raise KeyboardInterrupt


def test_an_iso_becomes_a_sealed_image_even_if_the_build_is_interrupted(
    tmp_path: Path, host: Host, capfd: pytest.CaptureFixture[str]
) -> None:
    ready = prepared(windows_iso(tmp_path, windows_pe(tmp_path)))
    first = builder(ready, host, Interrupted())

    with pytest.raises(KeyboardInterrupt):
        first.build()

    on_disk = first.workspace.disk(Stage.ON_DISK)
    before = (on_disk.stat().st_mtime_ns, on_disk.read_bytes())
    password = first.workspace.credentials("Administrator").password
    assert first.workspace.state().stage is Stage.ON_DISK
    assert not first.workspace.disk(Stage.SEALED).exists()

    winrm, reports, untouched = PlayedWinRm(), [], []
    again = builder(ready, host, winrm, reports)
    stage_two = again._set_up

    def set_up(credentials: Credentials) -> None:
        stage_two(credentials)
        untouched.append((on_disk.stat().st_mtime_ns, on_disk.read_bytes()) == before)

    again._set_up = set_up
    image = again.build()

    check_image(image, ready, winrm)
    assert untouched == [True]
    assert winrm.commands == [BOOT_LOG_COMMAND, ASK, SEAL_COMMAND, "(closed)"]
    phases = {report.phase for report in reports}
    assert {Phase.SEAL, Phase.COMPRESS} <= phases
    assert Phase.APPLY not in phases
    assert not again.workspace.directory.exists()
    assert winrm.endpoints[-1].credentials.password == password
    said = "".join(capfd.readouterr()) + "".join(path.read_text() for path in image.directory.glob("*.log"))
    assert password not in said
    assert builder(ready, host, PlayedWinRm()).build() == image


def test_a_disk_with_windows_on_it_becomes_a_sealed_image_and_stays_as_it_was(tmp_path: Path, host: Host) -> None:
    start = Program("START", lines(*FIRST), lines(*SECOND), lines(*THIRD), seconds=2).build(tmp_path)
    raw = gpt_disk(tmp_path / "disk.raw", NTFS)
    with raw.open("r+b") as file:
        file.seek(ESP_BEGIN)
        file.write(fat_image(start))
    disk = tmp_path / "evaluation.vhdx"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vhdx", str(raw), str(disk)], check=True)
    before, winrm = disk.read_bytes(), PlayedWinRm()
    ready = prepare(Request("windows-server-2022", disk=disk, overrides=SMALL))

    image = builder(ready, host, winrm).build()

    assert disk.read_bytes() == before
    known = (image.facts["mode"], image.facts["edition"], image.facts["expires"])
    assert known == ("import", "ServerStandardEval", "2027-05-22"), "as the guest says: nothing else can"
    assert set(image.digests) >= {SYSTEM, VARIABLES, DATA, "first-start-serial.log"}
    assert winrm.commands == [BOOT_LOG_COMMAND, ASK, SEAL_COMMAND, "(closed)"]


def test_a_guest_that_never_lets_the_build_in_says_why(tmp_path: Path, host: Host) -> None:
    disk = tmp_path / "evaluation.vhdx"
    raw = gpt_disk(tmp_path / "disk.raw", NTFS)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vhdx", str(raw), str(disk)], check=True)
    made = builder(prepare(Request("windows-server-2022", disk=disk)), host, PlayedWinRm())
    machine, administrator, let_in = SimpleNamespace(ports={5985: 1}), Credentials("Administrator", "not-used"), []

    def refuse(_: Endpoint) -> PlayedWinRm:
        raise GuestError("another certificate answers than the one the guest made", details=("expected 00",))

    def wait() -> None:
        let_in.append(made._ready(machine, Follower(), administrator, []))
        raise BuildFailedError(Phase.RESTART, "nothing was heard")

    made.connect = refuse
    with pytest.raises(BuildFailedError) as caught:
        made._stage(Stage.SEALED, wait)

    assert let_in == [False]
    assert "WinRM, the last time it was tried: another certificate answers" in "\n".join(caught.value.details)
    assert "expected 00" in caught.value.details
