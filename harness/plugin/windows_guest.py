"""`windows-*`: real Windows in QEMU, started cold over overlays of an image that the user has built.

The tests of one file share a guest until one of them fails. Nothing of this has been run with a Windows: what can be
checked without one is in tests/guest and tests/crash, and docs/windows.md says what `fltlab image verify` must show.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from harness.errors import ConfigurationError, GuestError
from harness.guest import WINDOWS, Endpoint, Guest, GuestKind
from harness.guest.data_disk import FileSystem, make_data_disk
from harness.guest.debug import DEBUGGER_PORT
from harness.guest.dump import Crash, Symbols, read_crash
from harness.guest.dump.harvest import CrashedMachine, harvest
from harness.guest.identity import Identity
from harness.guest.inf import build_number
from harness.guest.restart import restart, wait_for_another_boot
from harness.guest.stack import PlacedEntry
from harness.guest.verifier import Level, apply
from harness.guest.windows import WindowsBody
from harness.host.accelerator import Choice, choose, parse_choice
from harness.host.tools import Tool, version_of
from harness.image.store import Image, ImageStore
from harness.image.windows import build, credentials
from harness.image.windows.connect import guest_endpoint
from harness.image.windows.expiry import check_expiry
from harness.image.windows.profile import WINRM_PORTS, describe_host, guest_spec
from harness.image.windows.recipe import MachineSize, WinRmMode, load_recipe
from harness.image.windows.recipe import windows_images as known_images
from harness.machine.deadlines import Deadline, Deadlines, Wait
from harness.machine.disks import DiskImage, Format
from harness.machine.leases import Demand, Leases
from harness.machine.machine import Machine
from harness.machine.qmp import Event
from harness.machine.spec import MachineSpec
from harness.minifilter.build import SUPPORT, BuiltDriver
from harness.minifilter.package import DriverPackage
from harness.plugin.options import FILE_SYSTEM_MARK, Settings
from harness.plugin.provider import Opened
from harness.plugin.scene import Scene
from harness.plugin.stack import DeployedStack, Stack, StackPlan
from harness.report.provenance import GuestFacts

NO_BOOT = ""
"""No boot has this id: waiting for another one than that is waiting for any."""


def windows_images(directory: Path | None) -> dict[str, Image]:
    """The newest image of each name that has Windows in it."""
    found: dict[str, Image] = {}
    for image in ImageStore(directory).images():
        if image.facts.get("kind") == "windows":
            found.setdefault(image.name, image)
    return found


class WindowsProvider:
    """Starts a Windows image for each file of tests; `name` is the image's, with `+refs` for another file system."""

    one_test_each = False

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._settings = settings
        self._leases = Leases()
        image, _, system = name.partition(FILE_SYSTEM_MARK)
        self._image_name = image
        self._file_system = FileSystem(system or FileSystem.NTFS)

    @cached_property
    def facts(self) -> GuestFacts:
        image = self._image
        details = {key: str(image.facts[key]) for key in ("edition", "build", "expires") if image.facts.get(key)}
        return GuestFacts(
            name=self.name,
            kind=GuestKind.WINDOWS.value,
            image_sha256=image.key,
            qemu=version_of(Tool.QEMU) or "",
            accelerator=str(self._spec.accelerator),
            details={**details, "file system": self._file_system.value, "verifier": self._settings.verifier},
        )

    @contextlib.contextmanager
    def open(self, directory: Path, scene: Scene | None) -> Iterator[Opened]:
        del scene
        size = self._size
        with self._leases.lease(Demand(size.memory_mib), Deadlines().begin(Wait.ROOM)) as lease:
            machine = Machine(self._spec, directory, name=self.name, deadlines=self._deadlines)
            try:
                machine.start()
                lease.of(machine.pid)
                guest, identity = self._answering(machine, directory)
                with guest:
                    make_data_disk(guest, self._file_system)
                    yield Opened(guest, VerifiedStack(guest, Level(self._settings.verifier), build_number(identity)))
            finally:
                machine.stop()

    def close(self) -> None:
        """Nothing is kept for the next guest."""

    def _answering(self, machine: Machine, directory: Path) -> tuple[Guest, Identity]:
        """The guest of a machine that has been started, once it answers."""
        loaded: list[Guest] = []
        boots: list[str] = []

        def dump(event: Event, folder: Path) -> Crash:
            def again(deadline: Deadline) -> Guest:
                after = Guest(self.name, WINDOWS, guest.endpoint, deadlines=self._deadlines)
                wait_for_another_boot(after, boots[0], deadline)
                return after

            path, said = harvest(CrashedMachine(machine, event), again, folder)
            symbols = Symbols([SUPPORT.parent / "build" / "drivers", *self._settings.drivers])
            (folder / "dump.txt").write_text("\n".join(said) + "\n", encoding="utf-8")
            return read_crash(path, symbols, loaded[0].drivers_under_test)

        body = WindowsBody(machine, lambda: loaded[0].drivers_under_test if loaded else (), dump)
        deadline = self._deadlines.begin(Wait.WINDOWS_START)
        with body.restarting():  # Windows may restart by itself while it starts for the first time on new hardware
            guest = Guest(self.name, WINDOWS, deadline.poll(partial(self._look, body, machine, directory), 1.0), body)
            loaded.append(guest)
            identity = wait_for_another_boot(guest, NO_BOOT, deadline)
        boots.append(identity.boot_id)
        return guest, identity

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
            credentials.load(credentials.credentials_file(image.name, image.key)),
            str(certificate) if mode is WinRmMode.HTTPS and certificate else None,
            basic=mode is WinRmMode.BASIC,
        )
        return guest_endpoint(reached, directory)

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
        host = describe_host(probe.accelerator, secure_boot=size.secure_boot)
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
            names = [_image_name(entry, built[plan.driver_of(entry)].package) for entry in plan.entries]
            apply(self._guest, self._level, names, self._build, lambda: self._again(self._guest))
        return super().deploy(plan, built)


def _image_name(entry: PlacedEntry, package: DriverPackage) -> str:
    """What a driver's file is called in the guest: after its label, or as its INF has it."""
    return package.binary.name if package.inf is not None and package.binary is not None else f"{entry.service}.sys"
