"""A disk with Windows on it that fltlab did not make: VHDX, VHD, VMDK or qcow2, looked at before it is imported."""

import json
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigurationError, HostError
from harness.host.command import run_program
from harness.host.tools import Tool
from harness.image.windows.system_partition import architectures
from harness.image.windows.wim import DamagedMediaError
from harness.machine.export import SECTOR, Partition, read_partitions

FORMATS = {"vhdx": "VHDX", "vpc": "VHD", "vmdk": "VMDK", "qcow2": "qcow2"}
"""Formats by QEMU's name for them."""

_ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_BASIC_DATA = uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
_BITLOCKER = b"-FVE-FS-"
_NTFS = b"NTFS    "
_TABLE_SECTORS = 34
_DUMP_LINE = re.compile(r"^[0-9a-f]{8,}:  ((?:[0-9a-f]{2} ?){1,16})", re.MULTILINE)


@dataclass(frozen=True)
class ForeignDisk:
    """The user's disk: its format (QEMU's name), how large the guest sees it, and where Windows is on it."""

    path: Path
    format: str
    virtual_size: int
    windows: Partition


def look_at_disk(path: Path) -> ForeignDisk:
    """Look at a disk; raise ConfigurationError unless a UEFI machine can boot an unencrypted Windows from it."""
    path = path.absolute()
    kind, size = _information(path)
    head = read_disk(path, kind, 0, _TABLE_SECTORS * SECTOR)
    if head[SECTOR : SECTOR + 8] != b"EFI PART":
        raise ConfigurationError(
            f"{path.name} is for a machine with BIOS: it has no GUID partition table",
            details=("fltlab's Windows guests are UEFI machines",),
            hint="use a generation 2 disk, convert it in Windows with mbr2gpt, or build from the ISO",
        )
    partitions = read_partitions(head)
    system = next((partition for partition in partitions if partition.kind == _ESP), None)
    if system is None:
        raise ConfigurationError(
            f"{path.name} has no EFI system partition: it does not boot", hint="build from the ISO"
        )
    _require_x64(path, kind, system)
    candidates = [partition for partition in partitions if partition.kind == _BASIC_DATA]
    encrypted = False
    for partition in sorted(candidates, key=lambda item: item.size, reverse=True):
        oem = read_disk(path, kind, partition.begin, SECTOR)[3:11]
        if oem == _NTFS:
            return ForeignDisk(path, kind, size, partition)
        encrypted = encrypted or oem == _BITLOCKER
    if encrypted:
        raise ConfigurationError(
            f"{path.name} is encrypted with BitLocker",
            details=("neither the firmware's start nor anything offline can be prepared on it",),
            hint="switch BitLocker off in that Windows (manage-bde -off C:), wait until it is done, and import again",
        )
    raise ConfigurationError(f"{path.name} has no partition with NTFS: there is no Windows on it")


def _require_x64(path: Path, kind: str, system: Partition) -> None:
    """Refuse a disk whose system partition starts machines, but none of x64; one that does not say may pass."""
    found = architectures(lambda offset, length: read_disk(path, kind, system.begin + offset, length))
    if found and "x64" not in found:
        raise ConfigurationError(
            f"{path.name} is for {', '.join(sorted(found))}",
            details=("its EFI system partition has no \\EFI\\Boot\\bootx64.efi",),
            hint="fltlab's machines and drivers are x64: take the x64 disk",
        )


def read_disk(path: Path, kind: str, offset: int, length: int) -> bytes:
    """Return a part of what the guest sees of a disk image; offset and length are multiples of 512."""
    # Not `qemu-img dd`: whether its count includes what it skips depends on QEMU's version.
    command: list[str | Path] = [Tool.QEMU_IO.require(), "-r", "-f", kind, "-c", f"read -v {offset} {length}", path]
    dump = run_program(command, purpose=f"read {path.name}").decode("ascii", "replace")
    data = b"".join(bytes.fromhex(found[1]) for found in _DUMP_LINE.finditer(dump))
    if len(data) != length:
        raise DamagedMediaError(f"{path} cannot be read at byte {offset}", details=tuple(dump.splitlines()[-1:]))
    return data


def _information(path: Path) -> tuple[str, int]:
    if not path.is_file():
        raise ConfigurationError(f"there is no disk {path}", hint="--disk FILE names a VHDX, VHD, VMDK or qcow2 file")
    try:
        text = run_program([Tool.QEMU_IMG.require(), "info", "--output=json", path], purpose=f"look at {path.name}")
    except HostError as error:
        raise DamagedMediaError(f"{path} cannot be read as a disk", details=error.details) from error
    values = json.loads(text)
    if values["format"] not in FORMATS:
        raise ConfigurationError(
            f"{path.name} is a disk of the format {values['format']}",
            details=(f"fltlab imports {', '.join(FORMATS.values())}",),
            hint="an ISO goes to: fltlab image build NAME --iso FILE",
        )
    return str(values["format"]), int(values["virtual-size"])
