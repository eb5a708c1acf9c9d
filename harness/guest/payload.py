"""A large file for a guest that has no SFTP: on a CD that is put into its drive, copied and checked in the guest.

It needs no network, and nowhere more than a piece of the file in memory.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pycdlib

from harness.errors import ConfigurationError
from harness.guest.transfer import checked_path
from harness.host.disk import require_room
from harness.machine.machine import Machine
from harness.machine.media import eject, insert
from harness.machine.state import ALIVE

FILE = "payload.bin"
LARGEST = (1 << 32) - 2049
"""What one file of ISO 9660 holds in one piece; Windows' driver for CDs is not known to read more."""

_BYTES_PER_SECOND = 5 << 20
_MIB = 1 << 20


@dataclass
class PayloadDrive:
    """A CD drive of a running machine, by the id of its device; CDs are made in the machine's own directory."""

    machine: Machine
    device: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @contextlib.contextmanager
    def loaded(self, source: Path) -> Iterator[str]:
        """Have a file on a CD in the drive, as `FILE`; its label. Afterwards the drive is empty and the CD is gone."""
        label = f"FLT{os.urandom(4).hex().upper()}"
        image = self.machine.run_dir / f"payload-{next(self._numbers)}.iso"
        with contextlib.ExitStack() as undo:
            undo.callback(image.unlink, missing_ok=True)
            make_cd(source, image, label)
            insert(self.machine, self.device, image)
            undo.callback(self._eject)
            yield label

    def _eject(self) -> None:
        """A machine that has ended meanwhile has no drive any more, and that is not what is to be told."""
        if self.machine.state in ALIVE:
            eject(self.machine, self.device)


def make_cd(source: Path, image: Path, label: str) -> Path:
    """Write a CD that holds one file; readable by its owner only. ConfigurationError if the file is too large."""
    size = source.stat().st_size
    if size > LARGEST:
        raise ConfigurationError(
            f"{source} has {size // _MIB} MiB, and a CD takes files of less than 4 GiB",
            hint="build the image with --openssh, or send the file in parts",
        )
    require_room(image.parent, size // _MIB + 2, "make a CD")
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, vol_ident=label)
    try:
        iso.add_file(str(source), f"/{FILE.upper()};1", joliet_path=f"/{FILE}")
        with os.fdopen(os.open(image, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            iso.write_fp(file)
    finally:
        iso.close()
    return image


def copy_request(label: str, windows_path: str) -> bytes:
    """What a profile's `from_cd` command reads; TransferError unless it is a full path."""
    return json.dumps({"label": label, "file": FILE, "path": checked_path(windows_path)}).encode()


def seconds_for(size: int) -> float:
    """How much longer a file of this size may take."""
    return size / _BYTES_PER_SECOND
