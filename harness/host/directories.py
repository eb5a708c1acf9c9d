"""Where fltlab keeps what outlives a run: images, templates and what it learned about this machine.

`FLTLAB_HOME` overrides the user's data directory; everything below it belongs to one user and is private to them.
"""

import errno
import hashlib
import os
import stat
from pathlib import Path

import platformdirs

from harness.errors import HostError
from harness.shipped import IS_CHECKOUT, SHIPPED

HOME_VARIABLE = "FLTLAB_HOME"


def home() -> Path:
    """Return the directory that holds everything fltlab keeps between runs; it need not exist yet."""
    override = os.environ.get(HOME_VARIABLE)
    return Path(override).expanduser().absolute() if override else Path(platformdirs.user_data_dir("fltlab"))


def own_builds() -> Path:
    """Return where fltlab's own drivers are built: in the checkout, or below `home` where it is installed."""
    if IS_CHECKOUT:
        return SHIPPED / "build" / "drivers"
    key = hashlib.sha256(str(SHIPPED).encode()).hexdigest()[:16]
    return private_directory(home() / "own-builds") / key


def private_directory(path: Path) -> Path:
    """Make `path` (and what leads to it), readable by nobody else, and return it.

    One that is there must be ours: what others can write, they can put links and FIFOs into.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        if status.st_uid not in {os.getuid(), 0} and os.getuid() != 0:
            raise PermissionError(errno.EPERM, "it is another user's", str(path))
        if status.st_mode & stat.S_IWOTH:
            raise PermissionError(errno.EPERM, "everybody can write to it", str(path))
    except OSError as error:
        raise HostError(
            f"cannot make the directory {path}, or use it",
            details=(str(error),),
            hint=f"set {HOME_VARIABLE} to a directory that you can write to",
        ) from error
    return path


def write_private(path: Path, content: bytes) -> Path:
    """Write a file that only its owner can read; it is never readable by others, not even for a moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return path
