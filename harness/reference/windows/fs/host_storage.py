"""Host storage: the directory of the host that the bytes of a volume lie in.

Another program may put and take files there while the volume is mounted, so what the store knows is held against the
host at every lookup. A file that is open here is held by a descriptor: it keeps its bytes when its name goes.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.nt import NtStatus
from harness.reference.windows.fs.errors import status_of
from harness.reference.windows.ntos.status_error import StatusError

EPOCH_DELTA_100NS = 116_444_736_000_000_000
"""1601-01-01 to 1970-01-01 in 100 ns, the distance between NT and Unix time."""

HostId = tuple[int, int]
"""Device and inode number of the host."""


class host_errors:  # noqa: N801 - a function to those who use it; as a generator it would take each read 1 us more
    """Errors of the host as the NTSTATUS that a disk driver would have caused."""

    __slots__ = ("_missing",)

    def __init__(self, missing: NtStatus | None = None) -> None:
        self._missing = missing

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            return
        if isinstance(error, FileNotFoundError):
            raise StatusError(self._missing or status_of(error)) from error
        if isinstance(error, OSError):
            raise StatusError(status_of(error)) from error
        if isinstance(error, UnicodeEncodeError):  # half of a surrogate pair has no name on the host
            raise StatusError(NtStatus.OBJECT_NAME_INVALID) from error


def nt_time(nanoseconds: int) -> int:
    """Unix time in ns as NT time."""
    return nanoseconds // 100 + EPOCH_DELTA_100NS


def unix_time(time: int) -> int:
    """NT time as Unix time in ns."""
    return (time - EPOCH_DELTA_100NS) * 100


def is_ours(status: os.stat_result) -> bool:
    """Whether a volume shows it: files and directories; no links, devices or sockets of the host."""
    return stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)


def host_id(status: os.stat_result) -> HostId:
    return status.st_dev, status.st_ino


class HostPlace:
    """Where an inode is on the host. `path` answers its present path, as long as it has a name."""

    def __init__(self, identity: HostId, path: Callable[[], Path], modified: int) -> None:
        self.identity = identity
        self._path = path
        self._descriptor: int | None = None
        self._modified: int | None = modified
        """When its bytes were last known to be ours, in ns; None after a write of ours."""

    @property
    def path(self) -> Path:
        return self._path()

    def descriptor(self) -> int:
        """A descriptor for its bytes; FILE_DELETED if it has gone from the host."""
        if self._descriptor is None:
            with host_errors(NtStatus.FILE_DELETED):
                path = self._path()
                try:
                    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                except PermissionError:
                    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                if host_id(os.fstat(descriptor)) != self.identity:  # another program has put another file there
                    os.close(descriptor)
                    raise StatusError(NtStatus.FILE_DELETED)
                self._descriptor = descriptor
        return self._descriptor

    def status(self) -> os.stat_result:
        """The host's facts."""
        with host_errors(NtStatus.FILE_DELETED):
            if self._descriptor is not None:
                return os.fstat(self._descriptor)
            return self._path().lstat()

    def changed_elsewhere(self) -> int | None:
        """When another program has written it since we last looked, in ns."""
        modified = self.status().st_mtime_ns
        before, self._modified = self._modified, modified
        return modified if before is not None and before != modified else None

    def was_left_so(self, status: os.stat_result) -> bool:
        """Whether this may be what we have known: nobody has written it since we last looked."""
        return stat.S_ISDIR(status.st_mode) or self._modified == status.st_mtime_ns

    def touched(self) -> None:
        """We have written it."""
        self._modified = None

    def set_times(self, access: int, write: int) -> None:
        """Let the host know access and write time, in NT time."""
        with host_errors(NtStatus.FILE_DELETED):
            if self._descriptor is not None:
                os.utime(self._descriptor, ns=(unix_time(access), unix_time(write)))
            else:
                os.utime(self._path(), ns=(unix_time(access), unix_time(write)))
        self.touched()

    def __del__(self) -> None:
        self.release()

    def release(self) -> None:
        """Close the descriptor."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None


@dataclass
class Medium:
    """How the host's disk is used: `through` its cache, and as if it were `full`."""

    full: bool = False
    through: bool = False


class HostData:
    """The bytes of a file's default stream."""

    def __init__(self, place: HostPlace, medium: Medium) -> None:
        self._place = place
        self._medium = medium

    def size(self) -> int:
        return self._place.status().st_size

    def read(self, offset: int, length: int) -> bytes:
        with host_errors(NtStatus.FILE_DELETED):
            descriptor = self._place.descriptor()
            if self._medium.through:
                os.fdatasync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            return os.pread(descriptor, length, offset)

    def extents(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        descriptor = self._place.descriptor()
        with suppress(OSError):  # ENXIO: nothing but a hole up to the end
            while begin < end:
                begin = os.lseek(descriptor, begin, os.SEEK_DATA)
                last = min(end, os.lseek(descriptor, begin, os.SEEK_HOLE))
                if begin < last:
                    yield begin, last
                begin = last

    def write(self, offset: int, data: bytes) -> None:
        written, descriptor = 0, self._place.descriptor()
        self._check_room(offset + len(data))
        with host_errors(NtStatus.FILE_DELETED):
            while written < len(data):
                written += os.pwrite(descriptor, data[written:], offset + written)
            if self._medium.through:
                os.fdatasync(descriptor)
        self._place.touched()

    def _check_room(self, size: int) -> None:
        if self._medium.full and size > self.size():
            raise StatusError(NtStatus.DISK_FULL)

    def resize(self, size: int) -> None:
        self._check_room(size)
        with host_errors(NtStatus.FILE_DELETED):
            os.ftruncate(self._place.descriptor(), size)
        self._place.touched()

    def flush(self) -> None:
        with host_errors(NtStatus.FILE_DELETED):
            os.fsync(self._place.descriptor())

    def hold(self) -> None:
        self._place.descriptor()

    def release(self) -> None:
        self._place.release()
