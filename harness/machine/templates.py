"""Templates: running guests frozen so that forks of them start in a fraction of a second.

A template is a directory: `ram` (the guest's memory, sparse), `state` (its devices), `disks/` (what it wrote), files
that its maker wants beside it, and `template.json` (what it was made from). Forks map `ram` privately; the template
itself is never written again. See docs/architecture.md, "Templates and forks".

Where QEMU cannot freeze a machine like that, its state is a snapshot inside its topmost layers (snapshots.py): forks
take longer, and are the same in all else.
"""

import fcntl
import logging
import os
import shutil
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.host import fingerprint
from harness.host.directories import private_directory
from harness.host.disk import copy_sparse
from harness.machine.deadlines import Deadlines
from harness.machine.disks import DiskImage, Format
from harness.machine.freezing import CannotFreezeError, freeze, thaw
from harness.machine.machine import Machine, MachineDiedError
from harness.machine.parts import SERIAL_LOG, MemoryFile, MemoryUse
from harness.machine.qmp import QmpClosedError
from harness.machine.snapshots import load_snapshot, save_snapshot
from harness.machine.spec import MachineSpec
from harness.machine.template_seal import FORMAT, MEMORY, DamagedTemplateError, seal, verify

log = logging.getLogger(__name__)

STATE = "state"
DISKS = "disks"
FILES = "files"

Prepare = Callable[[Machine], Mapping[str, bytes]]
"""Brings a machine into the state to be frozen, with no connection left open; returns files to keep beside it."""


@dataclass(frozen=True)
class Template:
    """A frozen machine: what it is made of, where it is, and the key of all that went into it.

    The object keeps other processes from removing the template until `release`, or until the object is gone.
    """

    key: str
    directory: Path
    spec: MachineSpec
    _hold: "Hold" = field(repr=False)

    def file(self, name: str) -> bytes:
        """Return a file that the maker left beside the template."""
        return (self.directory / FILES / name).read_bytes()

    def fork(
        self,
        run_dir: Path,
        *,
        name: str | None = None,
        secrets: Mapping[str, bytes] | None = None,
        deadlines: Deadlines | None = None,
    ) -> Machine:
        """Return a running copy of the frozen machine, with disks, ports and directory of its own.

        The guest does not know yet: its clock, random numbers, boot id and credentials are still the template's. The
        caller ends the machine; on failure nothing is left of it.
        """
        memory = None if self.is_snapshot else MemoryFile(self.directory / MEMORY, MemoryUse.PRIVATE)
        return self._wake(run_dir, memory, name=name, secrets=secrets, deadlines=deadlines)

    def wake_for_freezing(self, run_dir: Path, memory: Path, deadlines: Deadlines | None = None) -> Machine:
        """Return a running copy that can itself be frozen: its memory is a copy, in the file `memory`."""
        if not self.is_snapshot:
            copy_sparse(self.directory / MEMORY, memory)
        return self._wake(run_dir, MemoryFile(memory, MemoryUse.SHARED), deadlines=deadlines)

    @property
    def is_snapshot(self) -> bool:
        """Whether forks load a snapshot, because QEMU could not freeze the machine."""
        return not (self.directory / STATE).exists()

    def release(self) -> None:
        """Let go of the template: it may be removed from now on."""
        self._hold.release()

    def layers(self, name: str) -> list[Path]:
        """Return what the machine and those it was forked from wrote to a disk, lowest first."""
        return sorted((self.directory / DISKS / name).iterdir())

    def layers_below(self, name: str) -> list[Path]:
        """Return the layers that a fork's own overlay lies on: all of them, but the one that holds a snapshot."""
        layers = self.layers(name)
        return layers[:-1] if self.is_snapshot else layers

    def _own_spec(self) -> MachineSpec:
        images: dict[str, DiskImage] = {}
        for disk in self.spec.disks:
            if disk.writable:
                image = disk.image
                for layer in self.layers_below(disk.name):
                    image = DiskImage(layer, Format.QCOW2, backing=image)
                images[disk.name] = image
        return self.spec.with_images(images)

    def _wake(
        self,
        run_dir: Path,
        memory: MemoryFile | None,
        *,
        name: str | None = None,
        secrets: Mapping[str, bytes] | None = None,
        deadlines: Deadlines | None = None,
    ) -> Machine:
        # Loading a snapshot needs memory of the same kind as when it was saved: in a file.
        memory = memory if memory is not None else MemoryFile(run_dir / MEMORY, MemoryUse.SHARED)
        machine = Machine(
            self._own_spec(), run_dir, name=name, secrets=secrets, memory_file=memory, deadlines=deadlines
        )
        try:
            if self.is_snapshot:
                self._load(machine)
            else:
                machine.launch(incoming=True)
                thaw(machine, self.directory / STATE)
            machine.resume()
        except (QmpClosedError, MachineDiedError) as error:
            machine.kill()
            raise CannotFreezeError(f"QEMU died of the template {self.key[:12]}", details=error.details) from error
        except BaseException:
            machine.kill()
            raise
        return machine

    def _load(self, machine: Machine) -> None:
        private_directory(machine.run_dir)
        for disk in machine.spec.disks:
            if disk.writable:
                copy_sparse(self.layers(disk.name)[-1], disk.overlay(machine.run_dir))
        machine.launch()
        load_snapshot(machine)


class Hold:
    """A shared lock on a template's directory: while somebody has one, nobody removes it."""

    def __init__(self, directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.release = weakref.finalize(self, os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)


@dataclass(frozen=True)
class ColdBoot:
    """A template's origin that is no template: a machine that is booted, and its secrets."""

    spec: MachineSpec
    secrets: Mapping[str, bytes]


Origin = ColdBoot | Template


def template_key(origin: Origin, facts: Mapping[str, object]) -> str:
    """Return the key of a template: its origin, whatever else its maker says goes into it, and the format."""
    above = origin.key if isinstance(origin, Template) else origin.spec.fingerprint()
    return fingerprint.of_facts({"format": FORMAT, "origin": above, "facts": dict(facts)})


def make_template(origin: Origin, key: str, directory: Path, prepare: Prepare, deadlines: Deadlines) -> None:
    """Fill an empty directory with a template."""
    run_dir = directory / "machine"
    memory = directory / MEMORY
    machine = _start(origin, run_dir, memory, deadlines)
    try:
        files = dict(prepare(machine))
        machine.check()
        _freeze(machine, directory / STATE)
        _collect_layers(origin, machine, directory / DISKS)
    except BaseException:
        machine.kill()
        raise
    (directory / FILES).mkdir()
    for name, content in files.items():
        (directory / FILES / name).write_bytes(content)
    (machine.serial_log).replace(directory / SERIAL_LOG)
    shutil.rmtree(run_dir)
    seal(directory, key)


def _start(origin: Origin, run_dir: Path, memory: Path, deadlines: Deadlines) -> Machine:
    if isinstance(origin, Template):
        return origin.wake_for_freezing(run_dir, memory, deadlines)
    machine = Machine(
        origin.spec,
        run_dir,
        secrets=origin.secrets,
        memory_file=MemoryFile(memory, MemoryUse.SHARED),
        deadlines=deadlines,
    )
    machine.start()
    return machine


def _freeze(machine: Machine, state: Path) -> None:
    """Freeze a machine, by a snapshot if it cannot be done better."""
    try:
        freeze(machine, state)
    except CannotFreezeError as error:
        log.warning(
            "%s (%s): its template is a snapshot, and forks take longer", error.message, "; ".join(error.details)
        )
        state.unlink(missing_ok=True)
        save_snapshot(machine)
        if machine.memory_file is not None:
            machine.memory_file.path.unlink()


def _collect_layers(origin: Origin, machine: Machine, disks: Path) -> None:
    """Move what the machine wrote into the template; copy what its own template wrote, so that each stands alone."""
    disks.mkdir()
    for disk in machine.spec.disks:
        if disk.writable:
            target = disks / disk.name
            target.mkdir()
            below = origin.layers_below(disk.name) if isinstance(origin, Template) else []
            for number, layer in enumerate(below):
                copy_sparse(layer, target / f"{number:02}.qcow2")
            disk.overlay(machine.run_dir).replace(target / f"{len(below):02}.qcow2")


def open_template(directory: Path, key: str, spec: MachineSpec) -> Template:
    """Return the template in a directory, held; raise DamagedTemplateError unless it is what it was when made."""
    try:
        hold = Hold(directory)
    except OSError as error:
        raise DamagedTemplateError(f"the template in {directory} cannot be read: {error}") from error
    try:
        verify(directory, key)
    except BaseException:
        hold.release()
        raise
    return Template(key, directory, spec, hold)
