"""What every measurement stands on: the reference image, a template of it, and guests started in each possible way."""

import contextlib
import itertools
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.errors import GuestError
from harness.fleet.reference_guest import endpoint, wait_until_it_answers
from harness.guest import REFERENCE, Guest
from harness.guest.winrm import WinRmSession
from harness.host.accelerator import choose
from harness.image import reference
from harness.image.reference.boot import WINRM_PORT, GuestSecrets
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.freezing import freeze, thaw
from harness.machine.machine import Machine
from harness.machine.parts import MemoryFile, MemoryUse
from harness.machine.reach import wait_for_answer
from harness.machine.snapshots import load_snapshot, save_snapshot
from harness.machine.spec import MachineSpec
from harness.machine.template_store import TemplateStore
from harness.machine.templates import ColdBoot, Template
from harness.machine.watchdog import watchdog

SECRETS = "secrets.json"
TEMPLATE_FILE = r"V:\template.txt"


@dataclass(frozen=True)
class Running:
    """A guest that has answered: its machine, its secrets, and the seconds from nothing to the answer."""

    machine: Machine
    secrets: GuestSecrets
    seconds: float

    def guest(self) -> Guest:
        """The guest, with a session of its own."""
        return Guest(self.machine.name, REFERENCE, endpoint(self.machine, self.secrets), self.machine)


class Ground:
    """Starts guests of the reference image below one scratch directory."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._numbers = itertools.count(1)
        self.probe = choose()
        self.deadlines = Deadlines.measured(self.probe)
        self.spec: MachineSpec = reference.machine_spec(reference.build(), reference.payload(), self.probe.accelerator)

    @classmethod
    @contextlib.contextmanager
    def prepared(cls) -> Iterator["Ground"]:
        """A ground whose scratch directory goes with it, however it ends."""
        with watchdog().scratch_directory("fltlab-bench-") as folder:
            yield cls(folder)

    def folder(self, name: str) -> Path:
        """A directory for one machine; not made yet."""
        return self.scratch / f"{next(self._numbers)}-{name}"

    @cached_property
    def template(self) -> Template:
        """The template that forks are made of; made now unless an earlier bench has made it."""
        first = GuestSecrets()

        def prepare(machine: Machine) -> Mapping[str, bytes]:
            wait_until_it_answers(machine, first, self.deadlines.begin(Wait.BOOT))
            with Guest(machine.name, REFERENCE, endpoint(machine, first), machine) as guest:
                guest.put(b"of the template", TEMPLATE_FILE)
            return {SECRETS: first.to_bytes()}

        origin = ColdBoot(self.spec, first.firmware_files())
        return TemplateStore(deadlines=self.deadlines).get_or_make(origin, {"for": "bench", "file": 1}, prepare)

    # -- the ways to get a guest

    def boot(self, spec: MachineSpec | None = None) -> Running:
        """Boot the image."""
        begin, secrets = time.monotonic(), GuestSecrets()
        machine = Machine(
            spec or self.spec, self.folder("boot"), secrets=secrets.firmware_files(), deadlines=self.deadlines
        )
        machine.start()
        return self._answered(machine, secrets, begin, Wait.BOOT)

    def fork(self) -> Running:
        """Fork the template; the first command gives the fork its own identity, and is part of the time."""
        frozen = GuestSecrets.from_bytes(self.template.file(SECRETS))
        begin, own = time.monotonic(), GuestSecrets()
        machine = self.template.fork(self.folder("fork"), secrets=own.firmware_files(), deadlines=self.deadlines)
        return self._taken_over(machine, frozen, own, begin)

    def loaded(self, saved: "Saved") -> Running:
        """Start QEMU and load a snapshot that `saved` holds."""
        begin, own, machine = self._copy_of(saved)
        machine.launch()
        load_snapshot(machine)
        machine.resume()
        return self._taken_over(machine, saved.secrets, own, begin)

    def migrated(self, saved: "Saved") -> Running:
        """Start QEMU and have it take over a whole machine, memory and all, from a file."""
        begin, own, machine = self._copy_of(saved)
        machine.launch(incoming=True)
        thaw(machine, saved.folder / "state")
        machine.resume()
        return self._taken_over(machine, saved.secrets, own, begin)

    def save(self, how: str) -> "Saved":
        """Boot a guest and save it: `snapshot` (savevm) or `migration` (to a file)."""
        secrets, folder = GuestSecrets(), self.folder(how)
        memory = MemoryFile(folder / "ram", MemoryUse.SHARED) if how == "snapshot" else None
        machine = Machine(
            self.spec, folder, secrets=secrets.firmware_files(), memory_file=memory, deadlines=self.deadlines
        )
        machine.start()
        wait_until_it_answers(machine, secrets, self.deadlines.begin(Wait.BOOT))
        begin = time.monotonic()
        if how == "snapshot":
            machine.pause()
            save_snapshot(machine)
        else:
            freeze(machine, folder / "state")
        return Saved(folder, secrets, time.monotonic() - begin, in_file=how == "snapshot")

    # -- what they share

    def _copy_of(self, saved: "Saved") -> tuple[float, GuestSecrets, Machine]:
        begin, own, folder = time.monotonic(), GuestSecrets(), self.folder("copy")
        folder.mkdir(mode=0o700)
        memory = MemoryFile(folder / "ram", MemoryUse.SHARED) if saved.in_file else None
        for disk in self.spec.disks:
            if disk.writable:
                shutil.copyfile(disk.overlay(saved.folder), disk.overlay(folder))
        machine = Machine(self.spec, folder, secrets=own.firmware_files(), memory_file=memory, deadlines=self.deadlines)
        return begin, own, machine

    def _answered(self, machine: Machine, secrets: GuestSecrets, begin: float, wait: Wait) -> Running:
        try:
            wait_until_it_answers(machine, secrets, self.deadlines.begin(wait))
        except BaseException:
            machine.kill()
            raise
        return Running(machine, secrets, time.monotonic() - begin)

    def _taken_over(self, machine: Machine, frozen: GuestSecrets, own: GuestSecrets, begin: float) -> Running:
        """Give a copy of a guest its own identity; the answer to that is its first."""
        try:
            wait_for_answer(machine, WINRM_PORT, self.deadlines.begin(Wait.FORK))
            with WinRmSession(endpoint(machine, frozen), machine.name) as session:
                told = session.run("fltlab-guest forked", own.for_fork(time.time(), os.urandom(64)), Wait.FORKED)
                session.disconnect()
        except BaseException:
            machine.kill()
            raise
        if not told.ok:
            machine.kill()
            raise GuestError(f"{machine.name} did not take on its identity", details=told.describe())
        return Running(machine, own, time.monotonic() - begin)


@dataclass(frozen=True)
class Saved:
    """A guest that was saved: its directory, its secrets, and how long saving took."""

    folder: Path
    secrets: GuestSecrets
    seconds: float
    in_file: bool
