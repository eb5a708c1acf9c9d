"""A guest's disk, or a partition of it, as a file of the host: read-only, without root, while no machine runs on it.

By FUSE where there is /dev/fuse (nothing is copied), else as a sparse copy that qemu-img makes.
"""

import contextlib
import json
import os
import struct
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.host.command import run_program, tail
from harness.host.tools import Tool
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.disks import DiskImage, virtual_size

SECTOR = 512
_FUSE = Path("/dev/fuse")
_TABLE_BYTES = 34 * SECTOR


@dataclass(frozen=True)
class Partition:
    """A partition of a GUID partition table: its type, and where it lies, in bytes."""

    kind: uuid.UUID
    begin: int
    size: int


def read_partitions(head: bytes) -> tuple[Partition, ...]:
    """The partitions that the first 34 sectors of a disk list; none where there is no GUID partition table."""
    if head[SECTOR : SECTOR + 8] != b"EFI PART":
        return ()
    table, count, length = struct.unpack_from("<QII", head, SECTOR + 72)
    entries = (head[at : at + 48] for at in range(table * SECTOR, table * SECTOR + count * length, length))
    used = (entry for entry in entries if len(entry) == 48 and any(entry[:16]))
    return tuple(
        Partition(uuid.UUID(bytes_le=entry[:16]), first * SECTOR, (last - first + 1) * SECTOR)
        for entry in used
        for first, last in [struct.unpack_from("<QQ", entry, 32)]
    )


def partitions_of(image: DiskImage, folder: Path) -> tuple[Partition, ...]:
    """The partitions of a disk image; `folder` is for scratch."""
    with as_file(image, folder, size=_TABLE_BYTES) as path:
        return read_partitions(path.read_bytes())


@contextlib.contextmanager
def as_file(
    image: DiskImage, folder: Path, offset: int = 0, size: int | None = None, *, fuse: bool | None = None
) -> Iterator[Path]:
    """A part of what the guest sees of an image, as a file below `folder` for as long as the context is."""
    part = {
        "driver": "raw",
        "read-only": True,
        "offset": offset,
        "size": size if size is not None else virtual_size(image) - offset,
        "file": image.node(),
    }
    path = folder / f"export-{uuid.uuid4().hex}"
    path.touch(0o600)
    if fuse is None:
        fuse = os.access(_FUSE, os.R_OK | os.W_OK) and all(
            tool.find() for tool in (Tool.QEMU_STORAGE_DAEMON, Tool.FUSERMOUNT)
        )
    try:
        with _mounted(part, path) if fuse else _copied(part, path):
            yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _copied(part: dict[str, object], path: Path) -> Iterator[None]:
    source = f"json:{json.dumps(part)}"
    run_program(
        [Tool.QEMU_IMG.require(), "convert", "-q", "-O", "raw", source, path],
        purpose="copy a partition of the guest's disk",
        timeout=3600,
    )
    yield


@contextlib.contextmanager
def _mounted(part: dict[str, object], path: Path) -> Iterator[None]:
    size = part["size"]
    command = [
        *(str(Tool.QEMU_STORAGE_DAEMON.require()), "--blockdev", json.dumps({"node-name": "part", **part})),
        *("--export", f"type=fuse,id=file,node-name=part,mountpoint={path},writable=off"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as daemon:
        try:
            deadline = Deadlines().begin(Wait.DISK_AS_FILE)

            def look() -> tuple[bool | None, str]:
                if daemon.poll() is not None:
                    printed = tail(daemon.stdout.read() if daemon.stdout is not None else "")
                    raise deadline.error("qemu-storage-daemon ended: " + " ".join(printed))
                there = path.stat().st_size
                return there == size or None, f"a file of {there} bytes"

            deadline.poll(look)
            yield
        finally:
            daemon.terminate()
            daemon.wait(Wait.DISK_AS_FILE.seconds)
