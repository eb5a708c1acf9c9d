"""`windows-*`: real Windows in QEMU, over overlays of an image that the user has built.

A guest is started cold, or is a fork of a template where the image's forks have passed their trial (windows_forks.py).
The tests of one file share a guest until one of them fails. Nothing of this has been run with a Windows: what can be
checked without one is in tests/guest and tests/crash, and docs/windows.md says what `fltlab image verify` must show.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from harness.errors import ConfigurationError, GuestError, HostError
from harness.fleet.drivers import symbol_directories
from harness.fleet.guest_name import GuestName
from harness.fleet.provider import Opened, Provider
from harness.fleet.scene import Scene
from harness.fleet.settings import Settings
from harness.fleet.stack import DeployedStack, Stack, StackPlan
from harness.fleet.windows_forks import WindowsForks
from harness.guest import WINDOWS, Endpoint, Guest, GuestKind, SshEndpoint
from harness.guest.data_disk import FileSystem, make_data_disk
from harness.guest.debug import DEBUGGER_PORT
from harness.guest.dump import Crash, Symbols, read_crash
from harness.guest.dump.harvest import CrashedMachine, harvest
from harness.guest.forks import FORKS, try_forks
from harness.guest.identity import require_boot
from harness.guest.inf import build_number
from harness.guest.payload import PayloadDrive
from harness.guest.restart import restart, wait_for_another_boot
from harness.guest.selftest import Expectation, Finding
from harness.guest.signature import signer
from harness.guest.stack import PlacedEntry
from harness.guest.verifier import Level, apply
from harness.guest.waking import NewIdentity, wake
from harness.guest.windows import WindowsBody
from harness.guest.windows_guest import WindowsGuest
from harness.host import fingerprint
from harness.host.accelerator import Choice, choose, parse_choice
from harness.host.tools import Tool, version_of
from harness.image.store import Image, ImageStore
from harness.image.windows import build, credentials, fork_record, ssh
from harness.image.windows.connect import guest_endpoint
from harness.image.windows.expiry import check_expiry
from harness.image.windows.profile import PAYLOAD_DEVICE, SSH_PORT, WINRM_PORTS, describe_host, guest_spec
from harness.image.windows.recipe import MachineSize, WinRmMode, load_recipe
from harness.image.windows.recipe import windows_images as known_images
from harness.machine.deadlines import Deadline, Deadlines, Wait
from harness.machine.disks import DiskImage, Format
from harness.machine.leases import Demand, Lease, Leases
from harness.machine.machine import Machine
from harness.machine.qmp import Event
from harness.machine.spec import MachineSpec
from harness.machine.templates import Template
from harness.machine.tpm import Tpm
from harness.minifilter.build import BuiltDriver
from harness.minifilter.package import DriverPackage
from harness.report.provenance import GuestFacts

log = logging.getLogger(__name__)

NO_BOOT = ""
"""No boot has this id: waiting for another one than that is waiting for any."""


def windows_images(directory: Path | None) -> dict[str, Image]:
    """The newest image of each name that has Windows in it."""
    found: dict[str, Image] = {}
    for image in ImageStore(directory).images():
        if image.facts.get("kind") == "windows":
            found.setdefault(image.name, image)
    return found


class WindowsProvider(Provider):
    """Starts a Windows image for each file of tests; `name` is a GuestName."""

    one_test_each = False

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._settings = settings
        self._leases = Leases()
        parts = GuestName.parse(name)
        self._image_name = parts.image
        self._file_system = FileSystem(parts.file_system or FileSystem.NTFS)
        self._verifier = Level(parts.verifier or Level.OFF)
        self._templates: dict[tuple[str, ...], Template] = {}
        self._given_up = ""
        self._no_sftp = ""

    @property
    def facts(self) -> GuestFacts:
        image = self._image
        details = {key: str(image.facts[key]) for key in ("edition", "build", "expires") if image.facts.get(key)}
        booted = {"started": "cold" if self.no_forks else "as forks"}
        if signer(self.name):
            booted["drivers are signed"] = f"by the guest itself: {signer(self.name)}"
        if self._no_sftp:
            booted["no SFTP"] = self._no_sftp
        return GuestFacts(
            name=self.name,
            kind=GuestKind.WINDOWS.value,
            image_sha256=image.key,
            qemu=version_of(Tool.QEMU) or "",
            accelerator=str(self._spec.accelerator),
            details={
                **details,
                "file system": self._file_system.value,
                "verifier": self._verifier.value,
                **booted,
            },
            remark=f"guests were booted cold: {self.no_forks}" if self.no_forks else "",
        )

    @contextlib.contextmanager
    def open(self, directory: Path, scene: Scene | None) -> Iterator[Opened]:
        demand = Demand(self._size.memory_mib)
        with (
            self._leases.lease(demand, Deadlines().begin(Wait.ROOM)) as lease,
            contextlib.ExitStack() as running,
        ):
            forkable = not self.no_forks
            guest = self._by_fork(directory, scene, lease, running) if forkable else None
            if guest is None:
                # What a fork has left in the directory is evidence.
                guest = self._cold(directory / "cold" if forkable else directory, lease, running)
                make_data_disk(guest, self._file_system)
            stack = VerifiedStack(guest, self._verifier, build_number(guest.identity()))
            yield Opened(guest, stack)

    def close(self) -> None:
        """Let go of the templates."""
        while self._templates:
            self._templates.popitem()[1].release()

    def switch_forks_off(self) -> bool:
        return fork_record.forget(self.fork_setting)

    @property
    def no_forks(self) -> str:
        """Why guests are booted cold and are not forks of a template; "" if they are."""
        return self._given_up or self._never_forks or self._untried

    @property
    def expectation(self) -> Expectation:
        image = self._image
        machine, build_number = image.facts.get("machine"), image.facts.get("build")
        secure_boot = bool(isinstance(machine, dict) and machine.get("secure_boot"))
        return Expectation(
            build=int(str(build_number)) if build_number is not None else None,
            renamed=tuple(load_recipe(image.name).release.builds) if image.name in known_images() else (),
            test_signing=bool(image.facts.get("test_signing", not secure_boot)),
            secure_boot=secure_boot,
            language=str(image.facts["language"]) if image.facts.get("language") else None,
        )

    def try_forks(self, directory: Path, forks: int = FORKS) -> Iterator[Finding]:
        """Try forks of this image, and keep what came of it; ConfigurationError if there can be none."""
        if self._never_forks:
            raise ConfigurationError(f"{self.name} cannot be forked: {self._never_forks}")
        findings = []
        with self._leases.lease(Demand(self._size.memory_mib), Deadlines().begin(Wait.ROOM)):
            for finding in try_forks(self._forks, directory, forks):
                findings.append(finding)
                yield finding
        fork_record.save(self.fork_setting, forks, findings)

    @cached_property
    def fork_setting(self) -> fork_record.Setting:
        """What a verdict about this image's forks is about, on this host."""
        spec = self._spec
        return fork_record.Setting(
            image=self._image.name,
            image_key=self._image.key,
            content=self._content,
            accelerator=spec.accelerator,
            qemu=version_of(Tool.QEMU) or "",
            machine=spec.fingerprint(),
        )

    @cached_property
    def _never_forks(self) -> str:
        """Why there can be no forks of this image, whatever has been tried."""
        if self._size.tpm:
            return "it has a TPM, whose state is swtpm's and not in the template"
        return ""

    @cached_property
    def _untried(self) -> str:
        """Why forks are not to be used in this run, though they may be possible."""
        why = fork_record.why_not(self.fork_setting)
        return (
            f"forks are off for {self._image_name}, {why} (fltlab image verify {self._image_name} --forks)"
            if why
            else ""
        )

    @cached_property
    def _forks(self) -> WindowsForks:
        return WindowsForks(self.name, self._content, self._spec, self._file_system, self._answering, self._deadlines)

    @cached_property
    def _content(self) -> str:
        return fingerprint.of_facts(dict(self._image.digests))

    def _by_fork(
        self, directory: Path, scene: Scene | None, lease: Lease, running: contextlib.ExitStack
    ) -> Guest | None:
        """A guest that is a fork; None, and no more forks in this run, if it does not wake up as it must."""
        try:
            fork = running.enter_context(self._forks.fork(self._template_for(scene), directory))
        except (GuestError, HostError) as error:
            last = f" ({error.details[0]})" if error.details else ""
            self._given_up = (
                f"{self._image_name} could not be forked: {error.message}{last}; "
                f"fltlab image verify {self._image_name} --forks tries them again{_pause_of(self._spec)}"
            )
            log.warning("%s; this guest and those after it are booted cold", self._given_up)
            return None
        lease.of(fork.machine.pid)
        return fork.guest

    def _template_for(self, scene: Scene | None) -> Template:
        """The template of a guest for a test: with Driver Verifier on for its drivers, if it is to watch them."""
        if () not in self._templates:
            self._templates[()] = self._forks.template()
        watched = scene if self._verifier is not Level.OFF else None
        drivers = tuple(driver_files(watched.plan, watched.built)) if watched is not None else ()
        if drivers not in self._templates:
            self._templates[drivers] = self._forks.verified(self._templates[()], self._verifier, drivers)
        return self._templates[drivers]

    def _cold(self, folder: Path, lease: Lease, running: contextlib.ExitStack) -> Guest:
        """A guest that is started from the image."""
        if self._size.tpm:
            running.enter_context(Tpm(folder, folder / "tpm", self._deadlines))
        machine = Machine(self._spec, folder, name=self.name, deadlines=self._deadlines)
        running.callback(machine.stop)
        machine.start()
        lease.of(machine.pid)
        return running.enter_context(self._answering(machine, folder, None))

    def _answering(self, machine: Machine, directory: Path, own: NewIdentity | None) -> Guest:
        """The guest of a machine that has been started, once it answers; a fork takes on its own identity first."""
        loaded: list[Guest] = []
        boots: list[str] = []

        def dump(event: Event, folder: Path) -> Crash:
            def again(deadline: Deadline) -> Guest:
                after = Guest(self.name, WINDOWS, guest.endpoint, deadlines=self._deadlines)
                wait_for_another_boot(after, boots[0], deadline)
                return after

            path, said = harvest(CrashedMachine(machine, event), again, folder)
            symbols = Symbols(symbol_directories(self._settings.drivers))
            (folder / "dump.txt").write_text("\n".join(said) + "\n", encoding="utf-8")
            return read_crash(path, symbols, loaded[0].drivers_under_test)

        body = WindowsBody(machine, lambda: loaded[0].drivers_under_test if loaded else (), dump)
        deadline = self._deadlines.begin(Wait.WINDOWS_START if own is None else Wait.WINDOWS_FORK)
        # Windows may restart by itself while it starts for the first time on new hardware; a fork may not.
        with body.restarting() if own is None else contextlib.nullcontext():
            endpoint = deadline.poll(partial(self._look, body, machine, directory), 1.0)
            if own is not None:
                name = f"the fork {self.name!r}"
                wake(endpoint, WINDOWS, own, deadline, name=name, deadlines=self._deadlines, check=body.check)
            drive = PayloadDrive(machine, PAYLOAD_DEVICE)
            guest = WindowsGuest(self.name, WINDOWS, endpoint, body, ssh=self._ssh(machine), cd=drive)
            loaded.append(guest)
            identity = wait_for_another_boot(guest, NO_BOOT, deadline)
        if own is not None:
            require_boot(identity, own.boot_id, self.name)
        boots.append(identity.boot_id)
        return guest

    def _look(self, body: WindowsBody, machine: Machine, directory: Path) -> tuple[Endpoint | None, str]:
        """Where the guest is reached: over HTTPS that is known once its certificate has been seen."""
        body.check()
        try:
            return self._endpoint(machine, directory), "an answer"
        except GuestError as error:
            return None, error.message

    def _endpoint(self, machine: Machine, directory: Path) -> Endpoint:
        image = self._image
        mode = WinRmMode(str(image.facts["winrm"]))
        certificate = image.facts.get("certificate")
        reached = build.Endpoint(
            machine.ports[WINRM_PORTS[mode]],
            self._credentials,
            str(certificate) if mode is WinRmMode.HTTPS and certificate else None,
            basic=mode is WinRmMode.BASIC,
        )
        return guest_endpoint(reached, directory)

    def _ssh(self, machine: Machine) -> SshEndpoint | None:
        """The guest's SSH server, if it has one that can be trusted; else its large files go another way."""
        if not ssh.has_server(self._image.facts):
            return None
        try:
            return ssh.ssh_endpoint(self._image.facts, self._credentials, machine.ports[SSH_PORT])
        except ConfigurationError as error:
            if not self._no_sftp:
                log.warning("%s: no SFTP: %s (%s)", self.name, error.message, error.hint)
            self._no_sftp = error.message
            return None

    @cached_property
    def _credentials(self) -> credentials.Credentials:
        return credentials.load(credentials.credentials_file(self._image.name, self._image.key))

    @cached_property
    def _image(self) -> Image:
        images = windows_images(self._settings.image_directory)
        if self._image_name not in images:
            raise ConfigurationError(
                f"there is no image {self._image_name!r} with Windows in it",
                details=(f"there are: {', '.join(images) or 'none'}",),
                hint=f"fltlab image build {self._image_name} --iso FILE",
            )
        image = images[self._image_name]
        check_expiry(image.name, image.facts, datetime.now(tz=UTC).date())
        return image

    @cached_property
    def _size(self) -> MachineSize:
        return MachineSize.model_validate(self._image.facts["machine"])

    @cached_property
    def _deadlines(self) -> Deadlines:
        return Deadlines.measured(choose(parse_choice(self._settings.accelerator or Choice.AUTO.value)))

    @cached_property
    def _spec(self) -> MachineSpec:
        image, size = self._image, self._size
        probe = choose(parse_choice(self._settings.accelerator or Choice.AUTO.value))
        disks = (DiskImage(image.file(name), Format.QCOW2) for name in (build.SYSTEM, build.VARIABLES, build.DATA))
        system, variables, data = disks
        mode = WinRmMode(str(image.facts["winrm"]))
        board = image.facts.get("board")
        kept = str(board) if board else None
        host = describe_host(probe.accelerator, secure_boot=size.secure_boot, board=kept)
        spec = guest_spec(host, size, system, variables, data, mode)
        known = image.name in known_images()
        debugged = known and load_recipe(image.name).provisioning.kernel_debugger == "serial"
        return replace(spec, options=(*spec.options, *DEBUGGER_PORT)) if debugged else spec


class VerifiedStack(Stack):
    """A stack that Driver Verifier watches, if it is to: it is set up for the drivers before they are loaded."""

    def __init__(self, guest: Guest, level: Level, release: int, again: Callable[[Guest], object] = restart) -> None:
        super().__init__(guest)
        self._level = level
        self._build = release
        self._again = again

    def deploy(self, plan: StackPlan, built: Mapping[str, BuiltDriver]) -> DeployedStack:
        if self._level is not Level.OFF and plan.entries and plan != self._plan:
            self.remove()  # what is loaded would not come back after the restart
            names = driver_files(plan, built)
            apply(self._guest, self._level, names, self._build, lambda: self._again(self._guest))
        return super().deploy(plan, built)


def _pause_of(spec: MachineSpec) -> str:
    """What is known of a fork that stays silent: with Hyper-V's clock page Windows may stand still for minutes."""
    if "hv-time" not in spec.processor.features:
        return ""
    return " (a Windows with hv-time that was frozen is known to stand still for some minutes when it is woken)"


def driver_files(plan: StackPlan, built: Mapping[str, BuiltDriver]) -> list[str]:
    """What the files of a stack's drivers are called in the guest, from top to bottom."""
    return [_image_name(entry, built[plan.driver_of(entry)].package) for entry in plan.entries]


def _image_name(entry: PlacedEntry, package: DriverPackage) -> str:
    """What a driver's file is called in the guest: after its label, or as its INF has it."""
    return package.binary.name if package.inf is not None and package.binary is not None else f"{entry.service}.sys"
