"""Templates: running guests frozen so that forks of them start in a fraction of a second.

A template is a directory: `ram` (the guest's memory, sparse), `state` (its devices), `disks/` (what it wrote), files
that its maker wants beside it, and `template.json` (what it was made from). Forks map `ram` privately; the template
itself is never written again. See docs/architecture.md, "Templates and forks".
"""

import fcntl
import json
import os
import shutil
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import FltLabError
from harness.host import fingerprint
from harness.host.disk import copy_sparse
from harness.machine.deadlines import Deadlines
from harness.machine.disks import DiskImage, Format
from harness.machine.freezing import CannotFreezeError, freeze, thaw
from harness.machine.machine import Machine, MachineDiedError
from harness.machine.parts import SERIAL_LOG, MemoryFile, MemoryUse
from harness.machine.spec import MachineSpec

MANIFEST = "template.json"
FORMAT = 1
MEMORY = "ram"
STATE = "state"
DISKS = "disks"
FILES = "files"

Prepare = Callable[[Machine], Mapping[str, bytes]]
"""Brings a machine into the state to be frozen, with no connection left open; returns files to keep beside it."""


class DamagedTemplateError(FltLabError):
    """A template's files are not what they were."""


@dataclass(frozen=True)
class Template:
    """A frozen machine: what it is made of, where it is, and the key of all that went into it.

    The object keeps other processes from removing the template until `release`, or until the object is gone.
    """

    key: str
    directory: Path
    spec: MachineSpec
    _hold: "_Hold" = field(repr=False)

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
        private = MemoryFile(self.directory / MEMORY, MemoryUse.PRIVATE)
        return self._wake(
            Machine(self._own_spec(), run_dir, name=name, secrets=secrets, memory_file=private, deadlines=deadlines)
        )

    def wake_for_freezing(self, run_dir: Path, memory: Path, deadlines: Deadlines | None = None) -> Machine:
        """Return a running copy that can itself be frozen: its memory is a copy, in the file `memory`."""
        copy_sparse(self.directory / MEMORY, memory)
        shared = MemoryFile(memory, MemoryUse.SHARED)
        return self._wake(Machine(self._own_spec(), run_dir, memory_file=shared, deadlines=deadlines))

    def release(self) -> None:
        """Let go of the template: it may be removed from now on."""
        self._hold.release()

    def layers(self, name: str) -> list[Path]:
        """Return what the machine and those it was forked from wrote to a disk, lowest first."""
        return sorted((self.directory / DISKS / name).iterdir())

    def _own_spec(self) -> MachineSpec:
        images: dict[str, DiskImage] = {}
        for disk in self.spec.disks:
            if disk.writable:
                image = disk.image
                for layer in self.layers(disk.name):
                    image = DiskImage(layer, Format.QCOW2, backing=image)
                images[disk.name] = image
        return self.spec.with_images(images)

    def _wake(self, machine: Machine) -> Machine:
        try:
            machine.launch(incoming=True)
            thaw(machine, self.directory / STATE)
            machine.resume()
        except MachineDiedError as error:
            machine.kill()
            raise CannotFreezeError(f"QEMU died of the template {self.key[:12]}", details=error.details) from error
        except BaseException:
            machine.kill()
            raise
        return machine


class _Hold:
    """A shared lock on a template's directory."""

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
        freeze(machine, directory / STATE)
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
    memory.touch(0o600)
    os.truncate(memory, origin.spec.memory_mib << 20)
    machine.start()
    return machine


def _collect_layers(origin: Origin, machine: Machine, disks: Path) -> None:
    """Move what the machine wrote into the template; copy what its own template wrote, so that each stands alone."""
    disks.mkdir()
    for disk in machine.spec.disks:
        if disk.writable:
            target = disks / disk.name
            target.mkdir()
            below = origin.layers(disk.name) if isinstance(origin, Template) else []
            for number, layer in enumerate(below):
                copy_sparse(layer, target / f"{number:02}.qcow2")
            disk.overlay(machine.run_dir).replace(target / f"{len(below):02}.qcow2")


def seal(directory: Path, key: str) -> None:
    """Write the manifest of a template: after this it is never written again."""
    digests = {str(path.relative_to(directory)): _digest(path) for path in _content(directory)}
    manifest = {"format": FORMAT, "key": key, "files": digests}
    for path in _content(directory):
        # QEMU opens the memory for writing even where it only maps it privately.
        path.chmod(0o600 if path.name == MEMORY else 0o400)
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    _remember_looks(directory)


def open_template(directory: Path, key: str, spec: MachineSpec) -> Template:
    """Return the template in a directory, held; raise DamagedTemplateError unless it is what it was when made."""
    hold = _Hold(directory)
    try:
        verify(directory, key)
    except BaseException:
        hold.release()
        raise
    return Template(key, directory, spec, hold)


def verify(directory: Path, key: str) -> None:
    """Raise DamagedTemplateError unless every file of a template is there and unchanged.

    A file whose size, inode and times (the change time cannot be set) are those of the last look is not read again.
    """
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        digests: dict[str, str] = manifest["files"]
        if manifest["format"] != FORMAT or manifest["key"] != key:
            raise DamagedTemplateError(f"the template in {directory} was made from something else")
        present = {str(path.relative_to(directory)) for path in _content(directory)}
        if present != digests.keys():
            raise DamagedTemplateError(
                f"the template in {directory} has not the files it had: {present ^ digests.keys()}"
            )
        known = _known_looks(directory)
        changed = [name for name in digests if known.get(name) != _look(directory / name)]
        for name in changed:
            if _digest(directory / name) != digests[name]:
                raise DamagedTemplateError(f"the template in {directory} is damaged: {name} has changed")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedTemplateError(f"the template in {directory} cannot be read: {error}") from error
    if changed:
        _remember_looks(directory)


def _content(directory: Path) -> list[Path]:
    beside = {MANIFEST, _LOOKS, SERIAL_LOG}
    files = (path for path in directory.rglob("*") if path.is_file())
    return sorted(path for path in files if path.name not in beside and not path.name.startswith("."))


def _digest(path: Path) -> str:
    return fingerprint.of_sparse_file(path)


_LOOKS = "looks.json"


def _look(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def _known_looks(directory: Path) -> dict[str, list[int]]:
    try:
        kept = json.loads((directory / _LOOKS).read_text(encoding="utf-8"))
        if kept["manifest"] != fingerprint.of_file(directory / MANIFEST):
            return {}
        looks: dict[str, list[int]] = kept["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # nothing is known: everything is read
    return looks


def _remember_looks(directory: Path) -> None:
    looks = {str(path.relative_to(directory)): _look(path) for path in _content(directory)}
    manifest = fingerprint.of_file(directory / MANIFEST)
    scratch = directory / f".{_LOOKS}.{os.getpid()}"
    scratch.write_text(json.dumps({"manifest": manifest, "files": looks}), encoding="utf-8")
    scratch.replace(directory / _LOOKS)
