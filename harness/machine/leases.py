"""Leases: how many machines may run at once on this host, over all processes and users.

Every running guest holds a lease: a file in one directory for all users, locked for as long as its process lives. A
lease is given when the memory and processors that are left allow it, so that a process that was killed holds nothing
and nobody has to clean up after it. One machine is always allowed, however big.
"""

import contextlib
import fcntl
import itertools
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import HostError
from harness.host.memory import Memory, processors, proportional_set_size, read_memory
from harness.machine.deadlines import Deadline

_LEDGER = "ledger"
_POLL_SECONDS = 0.05
RESERVE = 0.1
"""The part of the host's memory that machines leave alone."""


@dataclass(frozen=True)
class Demand:
    """What a machine needs: memory in MiB that it will really use, and processors that it keeps busy.

    A fork shares most of its memory with its template; what it uses is far less than what its guest sees.
    """

    memory_mib: int
    processors: int = 1


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, and what for."""

    demand: Demand
    pid: int
    machine: int | None = None

    def still_to_come(self) -> int:
        """Return how much of the memory, in MiB, is promised but not used yet."""
        if self.machine is None:
            return self.demand.memory_mib
        try:
            return max(0, self.demand.memory_mib - proportional_set_size(self.machine))
        except (FileNotFoundError, ProcessLookupError):
            return 0  # the machine has ended; its lease is about to
        except PermissionError:
            return 0  # another user's: it has started, so what it uses is no longer counted as available


@dataclass(frozen=True)
class Budget:
    """What there is for all machines together."""

    processors: int
    memory: Memory

    @classmethod
    def of_this_host(cls) -> "Budget":
        """Return what this host has now."""
        return cls(processors(), read_memory())

    def fits(self, demand: Demand, holders: list[Holder]) -> bool:
        """Whether one more machine may start beside those that hold a lease."""
        if not holders:
            return True
        busy = sum(holder.demand.processors for holder in holders)
        promised = sum(holder.still_to_come() for holder in holders)
        free = self.memory.available - promised - int(self.memory.total * RESERVE)
        return busy + demand.processors <= self.processors and demand.memory_mib <= free


class Lease:
    """A lease that is held; `of(pid)` says which process it turned out to be for."""

    def __init__(self, path: Path, descriptor: int, holder: Holder) -> None:
        self._path = path
        self._descriptor = descriptor
        self._holder = holder

    def of(self, machine: int) -> None:
        """Tell others which process uses the memory, so that they count what it really uses."""
        self._holder = Holder(self._holder.demand, self._holder.pid, machine)
        _write(self._descriptor, self._holder)

    def release(self) -> None:
        """Give the lease back."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


class Leases:
    """The leases of this host."""

    _numbers = itertools.count()

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory if directory is not None else Path(tempfile.gettempdir(), "fltlab-leases")

    @contextlib.contextmanager
    def lease(self, demand: Demand, deadline: Deadline) -> Iterator[Lease]:
        """Hold a lease, waiting until there is room for it; raises DeadlineError that says who has it all."""
        lease = deadline.poll(lambda: self._try(demand), interval=_POLL_SECONDS)
        try:
            yield lease
        finally:
            lease.release()

    def holders(self) -> list[Holder]:
        """Return who holds a lease now."""
        with self._ledger():
            return self._scan()

    def _try(self, demand: Demand) -> tuple[Lease | None, str]:
        with self._ledger():
            holders = self._scan()
            if Budget.of_this_host().fits(demand, holders):
                return self._take(demand), "room"
        pids = ", ".join(str(holder.pid) for holder in holders)
        return None, f"{len(holders)} machines of the processes {pids}; available memory {read_memory().available} MiB"

    def _take(self, demand: Demand) -> Lease:
        path = self.directory / f"lease-{os.getpid()}-{next(self._numbers)}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        holder = Holder(demand, os.getpid())
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _write(descriptor, holder)
        return Lease(path, descriptor, holder)

    def _scan(self) -> list[Holder]:
        """Return the leases whose processes live, and remove those of ours whose processes do not."""
        live: list[Holder] = []
        for path in self.directory.glob("lease-*"):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                try:
                    fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    live.append(_read(file.read()))
                else:
                    with contextlib.suppress(PermissionError):  # another user's: it counts for nothing and stays
                        path.unlink()
        return live

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[None]:
        """Be the only one who looks at the leases or takes one."""
        self._make_directory()
        path = self.directory / _LEDGER
        # Opening with O_CREAT what another user made is forbidden in a sticky directory (fs.protected_regular).
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make_directory(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.directory.mkdir(parents=True)
            self.directory.chmod(0o1777)  # like the directory for temporary files: for all users, each their own files
        status = self.directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or (status.st_uid != os.getuid() and not status.st_mode & stat.S_ISVTX):
            raise HostError(
                f"{self.directory} is not the directory for leases that fltlab makes",
                hint=f"remove {self.directory}",
            )


def _write(descriptor: int, holder: Holder) -> None:
    text = json.dumps(asdict(holder)).encode()
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))


def _read(text: bytes) -> Holder:
    values = json.loads(text)
    return Holder(Demand(**values["demand"]), values["pid"], values["machine"])
