"""Forks of a Windows image: its template, and guests that are woken from it.

A template has Windows started and V: formatted. One that is forked from it has Driver Verifier on for the drivers of a
stack, and the restart behind it that this takes. Both are made when they are first wanted, and kept in the template
store.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.guest import Guest
from harness.guest.data_disk import FileSystem, make_data_disk
from harness.guest.forks import GENERATION, Fork, generation_id
from harness.guest.inf import build_number
from harness.guest.restart import restart
from harness.guest.verifier import Level, apply
from harness.guest.waking import NewIdentity
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.machine import Machine
from harness.machine.spec import MachineSpec
from harness.machine.template_store import ColdBoot, Template, TemplateStore

Answering = Callable[[Machine, Path, NewIdentity | None], Guest]
"""Gives the guest of a machine that was started, once it answers; a fork is given its identity first."""


@dataclass(frozen=True)
class WindowsForks:
    """Makes the template of one image with one file system, and forks of it. `image` is what its files hold."""

    name: str
    image: str
    spec: MachineSpec
    file_system: FileSystem
    answering: Answering
    deadlines: Deadlines

    def template(self) -> Template:
        """The template, made now unless it is there."""

        def prepare(machine: Machine) -> Mapping[str, bytes]:
            with self.answering(machine, machine.run_dir, None) as guest:
                make_data_disk(guest, self.file_system)
            return {GENERATION: generation_id(machine).encode()}

        # The command line names the image's files; one that is built again has the same names.
        facts = {"for": "windows", "image": self.image, "file system": self.file_system.value}
        return self._store.get_or_make(ColdBoot(self.spec, {}), facts, prepare)

    def verified(self, below: Template, level: Level, drivers: Sequence[str]) -> Template:
        """The template of a guest in which Driver Verifier watches drivers of these file names."""

        def prepare(machine: Machine) -> Mapping[str, bytes]:
            with self.answering(machine, machine.run_dir, NewIdentity()) as guest:
                apply(guest, level, drivers, build_number(guest.identity()), lambda: restart(guest))
            return {GENERATION: generation_id(machine).encode()}

        facts = {"for": "windows", "verifier": level.value, "drivers": sorted(name.lower() for name in drivers)}
        return self._store.get_or_make(below, facts, prepare)

    @property
    def _store(self) -> TemplateStore:
        return TemplateStore(deadlines=self.deadlines, making=Wait.WINDOWS_START)

    @contextlib.contextmanager
    def fork(self, template: Template, directory: Path) -> Iterator[Fork]:
        """A fork that answers and has an identity of its own; it is stopped with the context."""
        begin = time.monotonic()
        machine = template.fork(directory, name=self.name, deadlines=self.deadlines)
        try:
            guest = self.answering(machine, directory, NewIdentity())
            seconds = time.monotonic() - begin
            try:
                yield Fork(machine, guest, seconds)
            finally:
                guest.disconnect()  # its machine ends with it: there is nobody left to say goodbye to
        finally:
            machine.stop()
