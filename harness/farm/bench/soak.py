"""Forks in a row, and forks with a fault each: every one a clean guest of its own, and nothing left of any."""

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import FltLabError, GuestError
from harness.farm.bench.ground import TEMPLATE_FILE, Ground, Running
from harness.guest import Guest
from harness.machine.deadlines import Wait
from harness.machine.faults import DiskFaults, Operation

SHORT_SECONDS = 1.0
GROWTH_MIB = 64
SPARE_DESCRIPTORS = 4


class SoakError(GuestError):
    """A fork was not what it must be, or something was left over."""


@dataclass(frozen=True)
class Footprint:
    """What this process has of the host: children, open files, threads, memory in MiB, entries of the scratch."""

    children: int
    descriptors: int
    threads: int
    memory_mib: float
    leftovers: tuple[str, ...]

    @classmethod
    def now(cls, scratch: Path) -> "Footprint":
        """Look."""
        own = str(os.getpid())
        parents = [fields[1] for fields in _processes()]
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        leftovers = (str(path.relative_to(scratch)) for path in scratch.glob("*/*"))
        return cls(
            parents.count(own),
            sum(1 for _ in Path("/proc/self/fd").iterdir()),
            threading.active_count(),
            pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20),
            tuple(sorted(name for name in leftovers if not name.endswith(".log"))),
        )

    def leaks(self, before: "Footprint") -> list[str]:
        """What there is more of than before."""
        found = [f"{name} is left" for name in self.leftovers if name not in before.leftovers]
        if self.children > before.children:
            found.append(f"{self.children - before.children} processes more")
        if self.descriptors > before.descriptors + SPARE_DESCRIPTORS:
            found.append(f"{self.descriptors - before.descriptors} open files more")
        if self.threads > before.threads:
            found.append(f"{self.threads - before.threads} threads more")
        if self.memory_mib > before.memory_mib + GROWTH_MIB:
            found.append(f"{self.memory_mib - before.memory_mib:.0f} MiB of memory more")
        return found


@dataclass
class Soak:
    """One soak: what it has seen, and what it found."""

    ground: Ground
    boot_ids: set[str] = field(default_factory=set)
    random: set[bytes] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)

    def run(self, forks: int, faulty: int, tell: Callable[[str], None]) -> None:
        """Fork so many times, and so many times with a fault each."""
        self._clean_fork()  # what is loaded and opened once is no leak
        self.boot_ids.clear()
        self.seconds.clear()
        before = self._look()
        sealed = self._template_files()
        for number in range(1, forks + 1):
            self._guarded(f"fork {number}", self._clean_fork)
            if number % 50 == 0 or number == forks:
                tell(f"{number} forks, {len(self.boot_ids)} boot ids, {len(self.problems)} problems")
                self._look()
        for number, (name, fault) in zip(range(1, faulty + 1), itertools.cycle(FAULTS.items())):
            self._guarded(f"fault {number}: {name}", lambda name=name, fault=fault: self._faulty_fork(name, fault))  # type: ignore[misc]
        tell(f"{faulty} forks with a fault, {len(self.problems)} problems")
        self.problems += self._look().leaks(before)
        if self._template_files() != sealed:
            self.problems.append("the template's files have changed")
        if len(self.boot_ids) != forks:
            self.problems.append(f"{forks} forks had {len(self.boot_ids)} boot ids")

    def _look(self) -> Footprint:
        footprint = Footprint.now(self.ground.scratch)
        self.footprints.append(footprint)
        return footprint

    def _guarded(self, name: str, action: Callable[[], None]) -> None:
        try:
            action()
        except FltLabError as error:
            self.problems.append(f"{name}: {error.message}")

    def _clean_fork(self) -> None:
        running = self.ground.fork()
        try:
            with running.guest() as guest:
                self._check(guest, running)
        finally:
            running.machine.kill()
        self.seconds.append(running.seconds)

    def _check(self, guest: Guest, running: Running) -> None:
        identity = guest.identity(running.secrets.configuration.boot_id)
        if identity.boot_id in self.boot_ids:
            raise SoakError("a boot id came twice")
        if identity.random in self.random:
            raise SoakError("random bytes came twice")
        self.boot_ids.add(identity.boot_id)
        self.random.add(identity.random)
        files = set(guest.succeed("dir /b V:\\", timeout=Wait.IDENTITY).output.split()) - {"lost+found"}
        if files != {"template.txt"} or guest.get(TEMPLATE_FILE) != b"of the template":
            raise SoakError("the disk is not the template's", details=tuple(files))
        guest.put(b"of this fork", r"V:\mine.txt")

    def _faulty_fork(self, name: str, fault: Callable[[Running, Guest], None]) -> None:
        running = self.ground.fork()
        try:
            with running.guest() as guest:
                fault(running, guest)
        finally:
            running.machine.kill()
        self.faults[name] = self.faults.get(name, 0) + 1

    def _template_files(self) -> list[tuple[str, int, int]]:
        files = (path for path in self.ground.template.directory.rglob("*") if path.is_file())
        return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def _lost(guest: Guest) -> None:
    """A command that cannot be answered must end in an error of fltlab's, in time."""
    try:
        guest.run("ver", timeout=SHORT_SECONDS)
    except FltLabError:
        return
    raise SoakError("a command was answered that could not be")


def _killed(running: Running, guest: Guest) -> None:
    os.kill(running.machine.pid, signal.SIGKILL)
    _lost(guest)


def _unplugged(running: Running, guest: Guest) -> None:
    running.machine.qmp.execute("set_link", name="net0", up=False)
    _lost(guest)


def _paused(running: Running, guest: Guest) -> None:
    running.machine.pause()
    _lost(guest)


def _ended(running: Running, guest: Guest) -> None:
    running.machine.kill()
    _lost(guest)


def _failing_disk(running: Running, guest: Guest) -> None:
    with DiskFaults(running.machine, "data").errors(Operation.WRITE, Operation.READ):
        guest.run(r"type V:\template.txt", timeout=Wait.IDENTITY)
        guest.succeed("ver", timeout=Wait.IDENTITY)


def _stalled_disk(running: Running, guest: Guest) -> None:
    with DiskFaults(running.machine, "data").stalled():
        guest.succeed("ver", timeout=Wait.IDENTITY)


FAULTS: dict[str, Callable[[Running, Guest], None]] = {
    "QEMU is killed": _killed,
    "the disk fails": _failing_disk,
    "the network is lost": _unplugged,
    "the disk stalls": _stalled_disk,
    "the guest is paused": _paused,
    "QEMU is gone": _ended,
}


def _processes() -> Iterator[list[str]]:
    """State, parent, … of every process, after its name."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            yield path.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
