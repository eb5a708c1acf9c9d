"""Room on a disk, and files that are mostly holes."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HostError

MIB = 1 << 20
CHUNK = 4 * MIB
LEAST_FILES = 64
"""How many files more must fit on a disk before anything large is begun."""


def free_mib(path: Path) -> int:
    """Return how many MiB can still be written below `path`, which need not exist yet."""
    existing = path
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free // MIB


def free_files(path: Path) -> int | None:
    """Return how many more files can be made below `path`; None where its file system has no such limit."""
    existing = path
    while not existing.exists():
        existing = existing.parent
    status = os.statvfs(existing)
    return status.f_favail if status.f_files else None


def why_not_written(error: OSError, path: Path) -> tuple[tuple[str, ...], str]:
    """What there is to say of a file below `path` that could not be written, and what to do about it."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return (str(error),), f"see to it that {path} can be written"
    files = free_files(path)
    if files is not None and files < LEAST_FILES:
        return (str(error), f"{path} takes {files} more files, however small (inodes)"), "remove files"
    return (str(error), f"{path} has {free_mib(path)} MiB left"), "make room"


def require_room(path: Path, mib: int, purpose: str) -> None:
    """Raise HostError unless `mib` MiB can be written below `path`, and a few files made."""
    free, files = free_mib(path), free_files(path)
    if files is not None and files < LEAST_FILES:
        raise HostError(
            f"not enough room on the disk to {purpose}",
            details=(f"{path} takes {files} more files, however small (inodes); {LEAST_FILES} are needed",),
            hint="remove files, or set FLTLAB_HOME to a directory on another disk",
        )
    if free < mib:
        raise HostError(
            f"not enough room on the disk to {purpose}",
            details=(f"{path} has {free} MiB left, {mib} MiB are needed",),
            hint="free some room, or set FLTLAB_HOME to a directory on another disk",
        )


def used_bytes(directory: Path) -> int:
    """Return how much of the disk the files below a directory take, holes not counted; others may be removing them."""
    total = 0
    with contextlib.suppress(FileNotFoundError):
        for file in directory.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                total += file.lstat().st_blocks * 512
    return total


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
