"""Where the drivers of users are built, below fltlab's home, and what of that is not needed any more."""

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

from harness.host.directories import home, own_builds, private_directory
from harness.host.leftovers import Leftover, remove
from harness.host.regular import read_regular
from harness.minifilter.imports import SUPPORT

ROOT_FILE = ".root"
"""In a directory of builds: which directory's drivers they are. Its time is when they were last asked for."""
KEPT_DAYS = 30
"""Builds that nobody has asked for in so many days are made again when somebody does."""
_HASH = re.compile(r"[0-9a-f]{16}")


def output_of(root: Path) -> Path:
    """Where the drivers of a directory are built: for our own build/drivers, for a user's below fltlab's home."""
    if root == SUPPORT:
        return own_builds()
    key = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    return private_directory(builds_of_users()) / key


def builds_of_users() -> Path:
    """Where the drivers of all further directories are built."""
    return home() / "builds"


def note_use(root: Path) -> None:
    """Note that the drivers of a directory were asked for, and remove what is not needed any more of others."""
    (output_of(root) / ROOT_FILE).write_text(str(root), encoding="utf-8")
    for leftover in stale_builds(builds_of_users()):
        if _HASH.fullmatch(leftover.path.name):  # what a build of a Windows image has kept is for people to remove
            remove(leftover.path)


def stale_builds(directory: Path) -> Iterator[Leftover]:
    """Driver builds whose sources are gone, and builds, of Windows images too, that rest for long."""
    for path in sorted(directory.glob("*")):
        if not path.is_dir() or path.is_symlink():
            continue
        root = _root_of(path) if _HASH.fullmatch(path.name) else None
        if root is not None and not root.exists():
            yield Leftover(path, f"the builds of {root}, which is gone")
        elif _last_use(path) < time.time() - KEPT_DAYS * 86400:
            yield Leftover(path, f"a build that nobody has asked for in {KEPT_DAYS} days")


def _root_of(build: Path) -> Path | None:
    try:
        return Path(read_regular(build / ROOT_FILE).decode())
    except (OSError, ValueError):
        return None  # of an older fltlab


def _last_use(path: Path) -> float:
    return max(entry.lstat().st_mtime for entry in (path, *path.glob("*")))
