"""Room on a disk, and files that are mostly holes."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HostError

MIB = 1 << 20
CHUNK = 4 * MIB


def free_mib(path: Path) -> int:
    """Return how many MiB can still be written below `path`, which need not exist yet."""
    existing = path
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free // MIB


def require_room(path: Path, mib: int, purpose: str) -> None:
    """Raise HostError unless `mib` MiB can be written below `path`."""
    free = free_mib(path)
    if free < mib:
        raise HostError(
            f"not enough room on the disk to {purpose}",
            details=(f"{path} has {free} MiB left, {mib} MiB are needed",),
            hint="free some room, or set FLTLAB_HOME to a directory on another disk",
        )


def used_bytes(directory: Path) -> int:
    """Return how much of the disk the files below a directory take, holes not counted."""
    return sum(file.lstat().st_blocks * 512 for file in directory.rglob("*"))


def extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each part of a file that is not a hole."""
    begin = 0
    while begin < size:
        try:
            begin = os.lseek(descriptor, begin, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return
            raise
        end = os.lseek(descriptor, begin, os.SEEK_HOLE)
        yield begin, end
        begin = end


def copy_sparse(source: Path, target: Path, mode: int = 0o600) -> None:
    """Copy a file, holes as holes; the file system shares the blocks where it can."""
    with source.open("rb") as read, os.fdopen(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), "wb") as write:
        size = os.fstat(read.fileno()).st_size
        os.truncate(write.fileno(), size)
        for begin, end in extents(read.fileno(), size):
            offset = begin
            while offset < end:
                offset += _copy_range(read.fileno(), write.fileno(), offset, min(CHUNK, end - offset))


def _copy_range(source: int, target: int, offset: int, count: int) -> int:
    """Copy some of a range; how much. By reading and writing where the kernel cannot: it refuses some file systems."""
    try:
        return os.copy_file_range(source, target, count, offset, offset)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
    return os.pwrite(target, os.pread(source, count, offset), offset)
