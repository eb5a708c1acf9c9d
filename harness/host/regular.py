"""Files in places where others may have put something else: a link is not followed, a FIFO not waited for."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

from harness.text import read_json

LIMIT = 64 << 20
"""Bytes of the largest file that is read whole."""


class NotAFileError(OSError):
    """What is there is no file: a directory, a link, a FIFO, a device; or one that is far too large."""


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open what must be a file, and return its descriptor. OSError says what is wrong, NotAFileError what it is."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise NotAFileError(error.errno, f"{what_is(path)}, and no file", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFileError(errno.EINVAL, f"{what_is(path)}, and no file", str(path))
    return descriptor


def read_regular(path: Path, limit: int = LIMIT) -> bytes:
    """The content of what must be a file of at most so many bytes; OSError as `open_regular`."""
    with os.fdopen(open_regular(path), "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise NotAFileError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
    return content


def what_is(path: Path) -> str:
    """What there is at a path, in words."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return error.strerror or "nothing"
    kinds = {
        stat.S_IFLNK: "a link",
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFREG: "a file",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")


def kept_json(path: Path) -> Any:
    """The JSON in what must be a file: OSError as `read_regular`, ValueError for what is no JSON of ours."""
    return read_json(read_regular(path).decode("utf-8"))
