"""Building a Windows image: two runs of a machine, and a compressed disk that is never written again.

Stage one: Windows PE puts Windows on an empty disk, from the user's ISO and the provisioning CD; it ends when the guest
restarts. Stage two, on an overlay and without the CD: Windows starts for the first time, is set up, restarts, answers
WinRM, is sealed and switches itself off. An interrupted build goes on with the stage that is not done.
"""

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from harness.errors import FltLabError, GuestError
from harness.guest.licence import ACTIVATE, ASK, Status, parse_licence
from harness.host import fingerprint
from harness.host.accelerator import Accelerator
from harness.host.command import run_program
from harness.host.disk import require_room
from harness.host.memory import processors
from harness.host.tools import Tool, version_of
from harness.image.store import Image, ImageStore
from harness.image.windows import credentials as credentials_module
from harness.image.windows.boot_entry import make_no_prompt_overlay
from harness.image.windows.credentials import Credentials, credentials_file
from harness.image.windows.follower import BuildFailedError, Follower
from harness.image.windows.history import TCG_FACTOR, History
from harness.image.windows.phases import Phase, Signal
from harness.image.windows.plan import SETUP, Source, build_inputs
from harness.image.windows.prepare import Prepared
from harness.image.windows.profile import WINRM_PORTS, Host, Installation, build_spec
from harness.image.windows.provisioning_cd import write_cd
from harness.image.windows.recipe import ACCOUNT, InstallMode
from harness.image.windows.watch import Progress, QemuSubject, RealClock, Report, Watch
from harness.image.windows.workspace import Stage, State, Workspace
from harness.machine.disks import DiskImage, Format
from harness.machine.firmware import LOG as FIRMWARE_LOG
from harness.machine.firmware import make_variables
from harness.machine.machine import Machine
from harness.machine.process import LOG as QEMU_LOG
from harness.machine.tpm import Tpm

log = logging.getLogger(__name__)

SYSTEM, VARIABLES, DATA = "system.qcow2", "variables.qcow2", "data.qcow2"
ROOM_MIB = 40 * 1024
"""What a build needs at its height: the installed system, what the second stage writes, and the compressed result."""

SEAL_COMMAND = f"powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File {SETUP}\\seal.ps1"
ACTIVATION_SECONDS = 300.0
BOOT_LOG_COMMAND = r"type C:\fltlab\boot.log"


class Answer(Protocol):
    """What a command in the guest gave."""

    @property
    def exit_code(self) -> int:
        """The command's exit code."""

    @property
    def stdout(self) -> bytes:
        """What it wrote."""


class Shell(Protocol):
    """A guest that commands can be run in."""

    def run(self, command: str, stdin: bytes = b"", timeout: float | None = None) -> Answer:
        """Run a command to its end."""

    def close(self) -> None:
        """Let go of the guest."""


@dataclass(frozen=True)
class Endpoint:
    """Where a guest's WinRM is, and who comes in; with HTTPS, the SHA-256 of the only certificate to trust."""

    port: int
    credentials: Credentials
    https_certificate: str | None = None
    basic: bool = False


Connect = Callable[[Endpoint], Shell]
"""Opens a WinRM connection; raises GuestError when nobody answers."""


def quiet(progress: Progress) -> None:
    """Report nothing."""


@dataclass
class Builder:
    """Builds one image. `clean` throws away what an earlier build left."""

    prepared: Prepared
    host: Host
    connect: Connect
    store: ImageStore = field(default_factory=ImageStore)
    report: Report = quiet
    clean: bool = False
    room_mib: int = ROOM_MIB
    now: Callable[[], datetime] = lambda: datetime.now(tz=UTC)

    def __post_init__(self) -> None:
        self.plan = self.prepared.plan
        self.recipe = self.plan.recipe
        self.workspace = Workspace.of(self.recipe.name, self.prepared.key)
        self.history = History(self.host.accelerator)
        self._clock = RealClock()
        self._durations: dict[Phase, float] = {}
        self._followers: list[Follower] = []
        self._refusal: tuple[str, ...] = ()
        self._licence: dict[str, object] | None = None
        self._said: list[str] = []

    def build(self) -> Image:
        """Return the image, from the store, or built."""
        return self.store.get_or_build(self.recipe.name, self.prepared.key, self._make)

    def _make(self, directory: Path) -> Mapping[str, object]:
        if self.clean:
            self.workspace.remove()
        require_room(self.workspace.directory, self.room_mib, f"build {self.recipe.name}")
        credentials = self.workspace.credentials(ACCOUNT)
        if self._state.stage is not Stage.EMPTY:
            log.info("%s: an earlier build is taken up where it was interrupted", self.recipe.name)
        if self._state.stage is Stage.EMPTY:
            self._stage(Stage.ON_DISK, lambda: self._put_on_disk(credentials))
        if self._state.stage is Stage.ON_DISK:
            self._stage(Stage.SEALED, lambda: self._set_up(credentials))
        facts = self._finish(directory)
        credentials_module.save(credentials, credentials_file(self.recipe.name, self.prepared.key))
        self.workspace.remove()
        return facts

    @property
    def _state(self) -> State:
        return self.workspace.state()

    def _stage(self, stage: Stage, work: Callable[[], None]) -> None:
        """Do a stage's work; what it left goes if it fails, but for the evidence."""
        before = self._state
        self._durations, self._followers, self._refusal, self._said = {}, [], (), []
        try:
            work()
        except FltLabError as error:
            self.workspace.drop(stage)
            warnings = tuple(f"warning: {text}" for follower in self._followers for text in follower.warnings)
            error.details = (*error.details, *warnings, *self._refusal, f"kept: {self.workspace.evidence}")
            raise
        except BaseException:
            self.workspace.drop(stage)
            raise
        durations = {phase.name: seconds for phase, seconds in self._durations.items()}
        warnings = (*(text for follower in self._followers for text in follower.warnings), *self._said)
        certificate = next((follower.certificate for follower in self._followers if follower.certificate), None)
        host_key = next((follower.ssh_host_key for follower in self._followers if follower.ssh_host_key), None)
        took = {**before.durations, **durations}
        self.workspace.keep(State(stage, took, [*before.warnings, *warnings], certificate, host_key, self._licence))

    def _put_on_disk(self, credentials: Credentials) -> None:
        """Stage one."""
        space, media = self.workspace, self.prepared.media
        make_variables(self.host.firmware, _anew(space.variables(Stage.ON_DISK)))
        inputs = build_inputs(self.plan, credentials.password, credentials.authorized_key)
        write_cd(inputs, _anew(space.provisioning_cd))
        if self.prepared.disk is not None:
            disk = self.prepared.disk
            image, target = Tool.QEMU_IMG.require(), _anew(space.disk(Stage.ON_DISK))
            run_program(
                [image, "convert", "-q", "-f", disk.format, "-O", "qcow2", disk.path, target],
                purpose=f"convert {disk.path.name}",
                timeout=7200,
            )
            return
        assert media is not None
        iso = DiskImage(media.path, Format.RAW)
        if media.no_prompt_sector is not None:
            overlay = make_no_prompt_overlay(media, _anew(space.windows_cd))
            iso = DiskImage(overlay, Format.QCOW2, backing=iso)
        files = Installation(
            space.begin_disk(Stage.ON_DISK, self.recipe.machine.system_disk_gib),
            space.variables(Stage.ON_DISK),
            space.provisioning_cd,
            iso,
        )
        follower = Follower(windows_setup=self.plan.mode is InstallMode.SETUP)
        with self._machine("windows-pe", files) as machine:
            self._watch(machine, follower).until(lambda follower: follower.reset_after_windows_pe)

    def _set_up(self, credentials: Credentials) -> None:
        """Stage two."""
        space = self.workspace
        needs_cd = self.plan.source is Source.DISK or self.plan.mode is InstallMode.SETUP
        files = Installation(
            space.begin_disk(Stage.SEALED, self.recipe.machine.system_disk_gib),
            space.begin_variables(Stage.SEALED),
            space.provisioning_cd if needs_cd else None,
        )
        follower = Follower(stage_begins=Phase.FIRST_BOOT)
        network = self.plan.activate
        with self._machine("first-start", files, open_network=network) as machine, contextlib.ExitStack() as connection:
            shells: list[Shell] = []
            watch = self._watch(machine, follower)
            watch.connect = lambda: self._ready(machine, follower, credentials, shells)
            watch.until(lambda follower: follower.phase is Phase.SEAL)
            connection.callback(shells[0].close)
            self._license(shells[0], watch)
            self._seal(shells[0], watch)

    def _ready(self, machine: Machine, follower: Follower, credentials: Credentials, shells: list[Shell]) -> bool:
        """Whether WinRM answers from the guest after its last restart: the boot task has left its mark."""
        port = machine.ports[WINRM_PORTS[self.recipe.provisioning.winrm]]
        basic = self.recipe.provisioning.winrm == "basic"
        try:
            shell = self.connect(Endpoint(port, credentials, follower.certificate, basic))
        except GuestError as error:
            self._refused(error)
            return False
        try:
            answer = shell.run(BOOT_LOG_COMMAND, timeout=60.0)
            if Signal.BOOT_WINRM.value.encode() in answer.stdout:
                shells.append(shell)
                return True
        except GuestError as error:
            self._refused(error)
        shell.close()
        return False

    def _refused(self, error: GuestError) -> None:
        """Remember why WinRM was not there the last time: if it never is, that is what the user must know."""
        log.debug("WinRM: %s", error.message)
        self._refusal = (f"WinRM, the last time it was tried: {error.message}", *error.details)

    def _license(self, shell: Shell, watch: Watch) -> None:
        """Activate Windows if that is wanted, and keep what it says of its licence."""
        printed = ""
        if self.plan.activate:
            printed = shell.run(ACTIVATE, timeout=ACTIVATION_SECONDS * watch.patience).stdout.decode("utf-8", "replace")
        try:
            licence = parse_licence(shell.run(ASK, timeout=60.0 * watch.patience).stdout.decode("utf-8", "replace"))
        except GuestError as error:
            self._said.append(f"{error.message}: until when it runs is not known")
            return
        if self.plan.activate and licence.status is not Status.LICENSED:
            raise BuildFailedError(
                Phase.SEAL,
                f"Windows could not be activated: {licence}",
                details=tuple(f"| {line}" for line in printed.splitlines() if line.strip()),
                hint="does this host reach the internet, and does the product key fit? Or leave out --activate",
            )
        if licence.has_run_out:
            self._said.append(
                f"the licence has run out ({licence}): Windows switches itself off an hour after each start"
            )
        expires = licence.expires(self.now())
        self._licence = {
            **asdict(licence),
            "status": licence.status.name.lower(),
            "expires": expires.isoformat() if expires is not None else None,
        }

    def _seal(self, shell: Shell, watch: Watch) -> None:
        answer = shell.run(SEAL_COMMAND, timeout=Phase.SEAL.silence * watch.patience)
        if answer.exit_code != 0:
            printed = answer.stdout.decode("utf-8", "replace").splitlines()[-8:]
            raise BuildFailedError(
                Phase.SEAL, f"the image could not be sealed: exit code {answer.exit_code}", details=tuple(printed)
            )
        watch.until(lambda follower: follower.shut_down)

    @contextlib.contextmanager
    def _machine(self, name: str, files: Installation, *, open_network: bool = False) -> Iterator[Machine]:
        """A machine of the build; its logs are kept as evidence."""
        run_dir = self.workspace.directory / name
        shutil.rmtree(run_dir, ignore_errors=True)
        spec = build_spec(
            self.host, self.recipe.machine, files, self.recipe.provisioning.winrm, open_network=open_network
        )
        try:
            with contextlib.ExitStack() as running:
                if self.recipe.machine.tpm:
                    running.enter_context(Tpm(run_dir, self.workspace.directory / "tpm"))
                yield running.enter_context(Machine(spec, run_dir, name=f"{self.recipe.name}-{name}"))
        finally:
            for log_file in ("serial.log", QEMU_LOG, FIRMWARE_LOG):
                if (run_dir / log_file).exists():
                    shutil.copyfile(run_dir / log_file, self.workspace.evidence / f"{name}-{log_file}")

    def _watch(self, machine: Machine, follower: Follower) -> Watch:
        patience = TCG_FACTOR if self.host.accelerator is Accelerator.TCG else 1.0
        watch = Watch(
            QemuSubject(machine), follower, self.history, self.workspace.evidence, self.report, self._clock, patience
        )
        watch.durations = self._durations
        self._followers.append(follower)
        return watch

    def _finish(self, directory: Path) -> Mapping[str, object]:
        """Make the image's files of what the stages left, and return its facts."""
        begin = self._clock.now()
        state = self._state
        phase = Phase.COMPRESS
        self.report(Progress(phase, 0.0, self.history.remaining(phase, 0.0), self.history.fraction(phase, 0.0)))
        image = Tool.QEMU_IMG.require()
        options = ["-q", "-c", "-W", "-m", str(max(1, min(8, processors()))), "-O", "qcow2"]
        source = self.workspace.disk(Stage.SEALED)
        run_program(
            [image, "convert", *options, source, directory / SYSTEM], purpose="compress the disk", timeout=4 * 3600
        )
        shutil.copyfile(self.workspace.variables(Stage.SEALED), directory / VARIABLES)
        data = f"{self.recipe.machine.data_disk_mib}M"
        run_program([image, "create", "-q", "-f", "qcow2", directory / DATA, data], purpose="make the data disk")
        for log_file in self.workspace.evidence.glob("*-serial.log"):
            shutil.copyfile(log_file, directory / log_file.name)
        durations = {Phase[name]: seconds for name, seconds in state.durations.items()}
        durations[Phase.COMPRESS] = self._clock.now() - begin
        self.history.add(durations)
        return self._facts(state, durations)

    def _facts(self, state: State, durations: Mapping[Phase, float]) -> Mapping[str, object]:
        edition, licence = self.plan.edition, state.licence or {}
        return {
            "kind": "windows",
            "description": self.recipe.description,
            "built": self.now().date().isoformat(),
            "expires": licence.get("expires"),
            "licence": licence or None,
            "edition": edition.edition_id if edition is not None else licence.get("edition"),
            "build": edition.build if edition is not None else None,
            "language": self.recipe.language,
            "mode": self.plan.mode.value if self.plan.source is Source.ISO else "import",
            "source": {"name": self.prepared.source.name, "sha256": fingerprint.of_file(self.prepared.source)},
            "test_signing": self.recipe.provisioning.test_signing,
            "winrm": self.recipe.provisioning.winrm.value,
            "certificate": state.certificate,
            "openssh": self.recipe.provisioning.openssh.value,
            "ssh_host_key": state.ssh_host_key,
            "machine": self.recipe.machine.model_dump(mode="json"),
            "board": self.host.board,
            "enlightenments": list(self.host.enlightenments.features),
            "accelerator": self.host.accelerator.value,
            "qemu": version_of(Tool.QEMU),
            "warnings": list(state.warnings),
            "seconds": {phase.name.lower(): round(seconds) for phase, seconds in durations.items()},
        }


def _anew(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path
