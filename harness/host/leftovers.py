"""What makers leave behind that were killed: scratch directories in a store, each under the lock of what it was for.

A store's folder has `<prefix><key>-<random>` while something is made, `<prefix>removed-<random>` while something is
removed, and `.<key>.lock`, which whoever makes it holds: where that is free, the maker is dead.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from harness.host.disk import used_bytes

REMOVED = "removed"


@dataclass(frozen=True)
class Leftover:
    """Something that is nobody's any more, and why that is known."""

    path: Path
    why: str


def lock_file(folder: Path, key: str) -> Path:
    """The lock of what has a key."""
    return folder / f".{key}.lock"


def left_behind(folder: Path, prefix: str) -> Iterator[Path]:
    """What dead makers have left in a store's folder, whatever its key; nobody makes the same while it is looked at."""
    for path in sorted(folder.glob(f"{prefix}*")):
        key = path.name.removeprefix(prefix).partition("-")[0]
        if key == REMOVED:
            yield path
            continue
        lock = FileLock(lock_file(folder, key))
        try:
            lock.acquire(timeout=0)
        except OSError:  # somebody has it (Timeout), or it is no lock
            continue
        try:
            yield path
        finally:
            lock.release()


def reclaim(folder: Path, prefix: str) -> None:
    """Remove what dead makers have left in a store's folder."""
    for path in left_behind(folder, prefix):
        remove(path)


def remove(path: Path) -> None:
    """Remove whatever is there; others may be at it too. No link is followed."""

    def gone(_function: object, _path: object, error: tuple[type[BaseException], BaseException, object]) -> None:
        if not isinstance(error[1], FileNotFoundError):
            raise error[1]

    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path, onerror=gone)
        else:
            path.unlink()


def mebibytes(path: Path) -> int:
    """How much of the disk something takes."""
    return (used_bytes(path) if path.is_dir() else 0) >> 20


def open_paths() -> set[str]:
    """What processes that we may look at have open, mapped or as their directory."""
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            links = [process / "cwd", *(process / "fd").iterdir()]
            for link in links:
                with contextlib.suppress(OSError):
                    found.add(os.readlink(link))  # noqa: PTH115 - a name, and not what it leads to
            maps = (process / "maps").read_text(encoding="utf-8", errors="replace").splitlines()
            found |= {line.partition("/")[1] + line.partition("/")[2] for line in maps if "/" in line}
    return found
