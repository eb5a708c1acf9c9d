"""Leases: how many machines may run at once on this host, over all processes and users.

Every running guest holds a lease: a file in one directory for all users, locked for as long as its process lives. A
lease is given when the memory and processors that are left allow it, so that a process that was killed holds nothing
and nobody has to clean up after it. One machine is always allowed, however big.

The directory is everybody's, so nothing in it is trusted: no link is followed, no FIFO waited for, and what is no lease
is left aside. A lease of another version of fltlab counts for one processor.
"""

import contextlib
import fcntl
import itertools
import json
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import HostError
from harness.host.memory import Memory, processors, proportional_set_size, read_memory
from harness.host.regular import NotAFileError, open_regular, what_is
from harness.machine.deadlines import Deadline, DeadlineError
from harness.text import read_json

log = logging.getLogger(__name__)

_LEDGER = "ledger"
_MAKING = "making-"
_POLL_SECONDS = 0.05
FORMAT = 1
LOOK_SECONDS = 10.0
"""How long who only looks waits for others that look or take."""
_LEASE_LIMIT = 4096
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

        def look() -> tuple[list[Holder] | None, str]:
            with self._ledger() as ours:
                return (self._scan() if ours else None), "another process has the ledger"

        try:
            return Deadline(LOOK_SECONDS, f"the ledger in {self.directory}").poll(look, interval=_POLL_SECONDS)
        except DeadlineError as error:
            error.hint = f"see who holds it: fuser {self.directory / _LEDGER}"
            raise

    def foreign(self) -> list[str]:
        """What lies in the directory and is none of fltlab's, in words."""
        self._make_directory()
        ours = ("lease-", _LEDGER, _MAKING)
        return [
            f"{path} ({what_is(path)})"
            for path in sorted(self.directory.iterdir())
            if not path.name.startswith(ours) or not stat.S_ISREG(_mode(path))
        ]

    def _try(self, demand: Demand) -> tuple[Lease | None, str]:
        with self._ledger() as ours:
            if not ours:
                return None, "another process looks at the leases"
            holders = self._scan()
            if Budget.of_this_host().fits(demand, holders):
                return self._take(demand), "room"
        pids = ", ".join(str(holder.pid) for holder in holders)
        return None, f"{len(holders)} machines of the processes {pids}; available memory {read_memory().available} MiB"

    def _take(self, demand: Demand) -> Lease:
        path = self.directory / f"lease-{os.getpid()}-{next(self._numbers)}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o644)  # whatever the umask is: others must see what is promised
        holder = Holder(demand, os.getpid())
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _write(descriptor, holder)
        return Lease(path, descriptor, holder)

    def _scan(self) -> list[Holder]:
        """Return the leases whose processes live, and remove those of ours whose processes do not."""
        return [holder for path in self.directory.glob("lease-*") if (holder := self._look(path)) is not None]

    def _look(self, path: Path) -> Holder | None:
        """Who holds a lease; None if nobody does, or what is there is no lease."""
        try:
            with os.fdopen(open_regular(path), "rb") as file:
                try:
                    fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return _read(file.read(_LEASE_LIMIT))
                with contextlib.suppress(PermissionError):  # another user's: it counts for nothing and stays
                    path.unlink()
        except FileNotFoundError:
            return None
        except (NotAFileError, PermissionError) as error:
            if path not in _told:
                _told.add(path)
                log.warning("%s is no lease of fltlab's and is left aside: %s", path, error.strerror)
        return None

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[bool]:
        """Be the only one who looks at the leases or takes one; False if somebody else is just now."""
        self._make_directory()
        descriptor = self._open_ledger(self.directory / _LEDGER)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def _open_ledger(self, path: Path) -> int:
        try:
            # Opening with O_CREAT what another user made is forbidden in a sticky directory (fs.protected_regular).
            with contextlib.suppress(FileNotFoundError):
                return open_regular(path)
            with tempfile.NamedTemporaryFile(dir=self.directory, prefix=_MAKING) as file:
                os.fchmod(file.fileno(), 0o644)  # before anybody sees it
                with contextlib.suppress(FileExistsError):
                    os.link(file.name, path)
            return open_regular(path)
        except OSError as error:
            raise HostError(
                f"{path} is not the ledger of leases that fltlab makes",
                details=(f"{path}: {error.strerror}",),
                hint=f"remove {path}, or set TMPDIR to a directory that is not everybody's",
            ) from error

    def _make_directory(self) -> None:
        if not os.path.lexists(self.directory):
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=f"{self.directory.name}-", dir=self.directory.parent))
            made.chmod(0o1777)  # like the directory for temporary files: for all users, each their own files
            try:
                made.rename(self.directory)  # as it will be from the moment that others see it
            except OSError:  # somebody was quicker
                made.rmdir()
        mode = _mode(self.directory)
        if not stat.S_ISDIR(mode) or (self.directory.lstat().st_uid != os.getuid() and not mode & stat.S_ISVTX):
            raise HostError(
                f"{self.directory} is not the directory for leases that fltlab makes",
                details=(f"it is {what_is(self.directory)}",),
                hint=f"remove {self.directory}, or set TMPDIR to a directory that is not everybody's",
            )


_told: set[Path] = set()
"""What was told of once in this process."""


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return stat.S_IFREG  # gone meanwhile


def _write(descriptor: int, holder: Holder) -> None:
    text = json.dumps({"format": FORMAT, **asdict(holder)}).encode()
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))


def _read(text: bytes) -> Holder:
    """Who holds a lease: one that another version wrote, or that is just being written, is one processor's."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        values = read_json(text.decode("utf-8", "replace"))
        if values["format"] == FORMAT:
            demand = Demand(int(values["demand"]["memory_mib"]), int(values["demand"]["processors"]))
            machine = values["machine"]
            return Holder(demand, int(values["pid"]), None if machine is None else int(machine))
    return Holder(Demand(0), pid=0)
