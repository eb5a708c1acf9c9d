"""What lies around of fltlab on this machine and is nobody's any more: `fltlab doctor` shows it, `--clean` removes it.

Only what is provably left over: its lock is free, the tree it was built from is gone, or nothing has been done with it
for long and no process has it open.
"""

import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from harness.fleet import cluster_files
from harness.fleet.builds import builds_of_users, stale_builds
from harness.host.checks import Check, Status
from harness.host.leftovers import Leftover, mebibytes, open_paths, remove
from harness.image.store import ImageStore
from harness.machine.leases import Leases
from harness.machine.template_store import TemplateStore

REST_SECONDS = 3600.0
_MAKERS = "bench|drivers|firmware|guest|image|layout|leaves|local|payload|probe|replay|shell|soak|verify"
_SCRATCH = re.compile(rf"fltlab-(?:{_MAKERS})-[a-z0-9_]{{8}}")
"""Directories as `tempfile` names and makes them for us (0700): somebody may have a checkout at /tmp/fltlab-mine."""


def leftovers() -> list[Leftover]:
    """Everything that may be removed."""
    return [
        *(Leftover(path, "a template that was being made") for path in TemplateStore().leftovers()),
        *(Leftover(path, "an image that was being built") for path in ImageStore().leftovers()),
        *cluster_files.leftovers(),
        *stale_builds(builds_of_users()),
        *stale_scratch(Path(tempfile.gettempdir())),
    ]


def stale_scratch(directory: Path) -> Iterator[Leftover]:
    """Scratch directories whose process was killed."""
    found = [path for path in sorted(directory.glob("fltlab-*")) if _SCRATCH.fullmatch(path.name)]
    resting = [path for path in found if _is_ours(path) and path.stat().st_mtime < time.time() - REST_SECONDS]
    used = open_paths() if resting else set()
    for path in resting:
        if not any(name == str(path) or name.startswith(f"{path}/") for name in used):
            yield Leftover(path, "scratch of a process that was killed")


def clean() -> list[Leftover]:
    """Remove what may be removed, and say what it was."""
    found = leftovers()
    TemplateStore().reclaim()
    ImageStore().reclaim()
    cluster_files.reclaim_runs()
    for leftover in found:
        remove(leftover.path)
    return found


def housekeeping_checks() -> list[Check]:
    """What `fltlab doctor` says of it."""
    found = leftovers()
    checks = [Check("leftovers", Status.OK, "nothing lies around")]
    if found:
        total = sum(mebibytes(leftover.path) for leftover in found)
        lines = [f"{leftover.path}: {leftover.why}" for leftover in found[:5]]
        more = [f"and {len(found) - 5} more"] if len(found) > 5 else []
        told = "\n".join([f"{len(found)} leftovers, {total} MiB", *lines, *more])
        command = (sys.executable, "-m", "harness.cli", "doctor", "--clean")
        checks = [Check("leftovers", Status.WARNING, told, "fltlab doctor --clean   removes them", command)]
    foreign = Leases().foreign()
    if foreign:
        remedy = "whoever made it may remove it; fltlab leaves it aside"
        checks.append(Check("leases", Status.WARNING, f"not fltlab's: {', '.join(foreign)}", remedy))
    return checks


def _is_ours(path: Path) -> bool:
    status = path.lstat()
    return status.st_mode == stat.S_IFDIR | 0o700 and status.st_uid == os.getuid()
