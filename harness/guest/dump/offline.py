r"""A dump from the disk of a Windows guest that is switched off: the NTFS volume is read by ntfscat, without root.

Windows writes a dump into the page file, and makes a file of it only at its next start. `C:\Windows\MEMORY.DMP` is the
dump itself, `C:\Windows\Minidump` has the small ones.
"""

import re
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from harness.errors import GuestError
from harness.host.command import tail
from harness.host.tools import Tool
from harness.machine.disks import DiskImage
from harness.machine.export import Partition, as_file, partitions_of

MEMORY_DUMP = "/Windows/MEMORY.DMP"
MINI_DUMPS = "/Windows/Minidump"
SECONDS = 1800.0
_BASIC_DATA = uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
_NTFS = b"NTFS    "
_DUMP_NAME = re.compile(r"[\w.\- ]+\.dmp", re.IGNORECASE)


class NoDumpOnDisk(GuestError):
    """The disk of the guest has no dump."""


def dumps_on_disk(image: DiskImage, folder: Path) -> list[Path]:
    """Copy MEMORY.DMP, else the newest mini dump, from a guest's system disk into `folder`; NoDumpOnDisk if none.

    The machine has ended, and its overlay is still there.
    """
    with_windows = _windows(image, folder)
    with as_file(image, folder, with_windows.begin, with_windows.size) as volume:
        names = [MEMORY_DUMP, *sorted(f"{MINI_DUMPS}/{name}" for name in _list(volume, MINI_DUMPS))[-1:]]
        found = [path for name in names if (path := _copy(volume, name, folder)) is not None]
    if not found:
        raise NoDumpOnDisk(
            "there is no dump on the guest's disk",
            details=(f"looked for {MEMORY_DUMP} and {MINI_DUMPS}/*.dmp",),
            hint="Windows makes the file at the start after the crash; CrashDumpEnabled and the page file decide",
        )
    return found


def _windows(image: DiskImage, folder: Path) -> Partition:
    """The largest NTFS partition, which is the one that Windows is on."""
    candidates = [part for part in partitions_of(image, folder) if part.kind == _BASIC_DATA]
    for part in sorted(candidates, key=lambda item: item.size, reverse=True):
        with as_file(image, folder, part.begin, 512) as head:
            if head.read_bytes()[3:11] == _NTFS:
                return part
    raise NoDumpOnDisk("the guest's disk has no NTFS partition that could be read", details=(str(image.path),))


def _list(volume: Path, directory: str) -> Sequence[str]:
    command = [str(Tool.NTFSLS.require()), "--force", "--path", directory, str(volume)]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode != 0:  # there is no such directory: the usual case
        return ()
    names = done.stdout.decode("utf-8", "replace").splitlines()
    return [name.strip() for name in names if _DUMP_NAME.fullmatch(name.strip())]


def _copy(volume: Path, name: str, folder: Path) -> Path | None:
    """Copy one file; None if it is not there. A volume that was not unmounted is read all the same: `--force`."""
    target = folder / Path(name).name
    with target.open("wb") as file:
        command = [str(Tool.NTFSCAT.require()), "--force", str(volume), name]
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, timeout=SECONDS, check=False)
    if done.returncode == 0 and target.stat().st_size:
        return target
    target.unlink()
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode != 0 and "No such file" not in said:
        raise GuestError(f"{name} cannot be read from the guest's disk", details=tail(said))
    return None
