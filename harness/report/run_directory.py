"""The directory of a run: told from others by a marker, held by a lock, and emptied of nothing that is not ours."""

import fcntl
import os
import shutil
from pathlib import Path

from harness.errors import ConfigurationError
from harness.report.html import FILE_NAME as REPORT
from harness.report.journal import FILE_NAME as JOURNAL
from harness.report.junit import FILE_NAME as JUNIT
from harness.report.provenance import FILE_NAME as RUN_JSON
from harness.report.provenance import read_run_json

MARKER = ".fltlab-run"
_SAYS = "This directory is written by a run of fltlab; `fltlab run --out` may replace what is in it.\n"
_FILES = (RUN_JSON, f"{RUN_JSON}.new", JOURNAL, JUNIT, REPORT, MARKER)
_FOLDERS = ("tests", "guests")


class RunDirectory:
    """A directory that this process writes a run into, until it ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, *, keep: bool) -> "RunDirectory":
        """Make the directory, or take one that an earlier run has left; with `keep` what that run wrote stays.

        Raises ConfigurationError if it holds what no run of fltlab has written, or another run is writing into it.
        """
        path.mkdir(parents=True, exist_ok=True)
        if not keep:
            require_ours(path)
        marker = path / MARKER
        try:
            descriptor = os.open(marker, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise ConfigurationError(
                f"another run is writing into {path}", details=(f"it holds the lock of {marker}",), hint="--out DIR"
            ) from error
        os.pwrite(descriptor, _SAYS.encode(), 0)
        if not keep:
            _empty(path)
        return cls(path, descriptor)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)


def require_ours(path: Path) -> None:
    """Raise ConfigurationError unless what is in the directory is a run's, or nothing is."""
    if not path.is_dir():
        return
    entries = sorted(entry.name for entry in path.iterdir())
    foreign = [name for name in entries if name not in (*_FILES, *_FOLDERS)]
    if foreign:
        raise ConfigurationError(
            f"--out {path} holds files that no run of fltlab has written",
            details=(f"among them {', '.join(foreign[:3])}; nothing was touched",),
            hint="an empty or a new directory",
        )
    if entries and MARKER not in entries and not _was_a_run(path):
        raise ConfigurationError(
            f"--out {path} is not empty, and holds no earlier run that could be replaced",
            details=("nothing was touched",),
            hint="an empty or a new directory",
        )


def _was_a_run(path: Path) -> bool:
    """Whether an earlier fltlab, which left no marker, has written this."""
    try:
        read_run_json(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return True


def _empty(path: Path) -> None:
    """Remove what a run has written; a link is removed, and not followed."""
    for name in _FOLDERS:
        folder = path / name
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)
    for name in _FILES:
        if name != MARKER:
            (path / name).unlink(missing_ok=True)
