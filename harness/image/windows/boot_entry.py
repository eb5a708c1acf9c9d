"""Booting an ISO without "Press any key": its boot catalog points to efisys_noprompt.bin, in an overlay.

The ISO is never written. The overlay is a qcow2 file of which 2 KiB are used: the sector with the boot catalog.
Source: the El Torito specification 1.0 (catalog: 32-byte entries; 0x90 and 0x91 begin a section, whose platform 0xEF is
UEFI; a bootable entry begins with 0x88 and has its first sector at byte 8).
"""

import struct
from pathlib import Path

from harness.errors import ConfigurationError
from harness.host.command import run_program
from harness.host.tools import Tool
from harness.image.windows.media import SECTOR, Media
from harness.image.windows.wim import DamagedMediaError

_ENTRY = 32
_BOOT_RECORD = b"\0CD001\x01EL TORITO SPECIFICATION"
_CATALOG_SECTOR_AT = 0x47
_VALIDATION = 0x01
_SECTION_HEADERS = {0x90, 0x91}
_BOOTABLE = 0x88
_UEFI = 0xEF
_LAST_DESCRIPTOR = 64


class NoBootImageError(ConfigurationError):
    """The ISO has no boot image without a prompt."""


def patched_catalog(iso: Path, sector: int) -> tuple[int, bytes]:
    """Return where an ISO's boot catalog is (bytes), and the catalog with every UEFI entry pointing to `sector`."""
    with iso.open("rb") as file:
        where = _catalog_sector(iso, file.read((16 + _LAST_DESCRIPTOR) * SECTOR)) * SECTOR
        file.seek(where)
        catalog = bytearray(file.read(SECTOR))
    if len(catalog) < SECTOR or catalog[0] != _VALIDATION or catalog[30:32] != b"\x55\xaa":
        raise DamagedMediaError(f"the boot catalog of {iso} is damaged")
    entries = _uefi_entries(catalog)
    if not entries:
        raise NoBootImageError(
            f"{iso} does not boot on UEFI firmware: its boot catalog has no UEFI entry",
            hint="fltlab's Windows guests are UEFI machines; use an ISO as Microsoft offers it",
        )
    for entry in entries:
        struct.pack_into("<I", catalog, entry + 8, sector)
    return where, bytes(catalog)


def make_no_prompt_overlay(media: Media, overlay: Path) -> Path:
    """Make a qcow2 overlay of an ISO that boots at once; QEMU must be given the ISO as its backing node."""
    if media.no_prompt_sector is None:
        raise NoBootImageError(f"{media.path} has no efisys_noprompt.bin")
    where, catalog = patched_catalog(media.path, media.no_prompt_sector)
    overlay = overlay.absolute()
    patch = overlay.with_name("boot-catalog")  # qemu-io splits at blanks and knows no quotes: hence no path there
    patch.write_bytes(catalog)
    try:
        image, qemu_io = Tool.QEMU_IMG.require(), Tool.QEMU_IO.require()
        run_program(
            [image, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", media.path, overlay],
            purpose="make an overlay of the ISO",
        )
        run_program(
            [qemu_io, "-f", "qcow2", "-c", f"write -q -s {patch.name} {where} {SECTOR}", overlay],
            cwd=overlay.parent,
            purpose="write the boot catalog into the overlay of the ISO",
        )
    finally:
        patch.unlink()
    return overlay


def _catalog_sector(iso: Path, head: bytes) -> int:
    for offset in range(16 * SECTOR, len(head) - SECTOR + 1, SECTOR):
        descriptor = head[offset : offset + SECTOR]
        if descriptor.startswith(_BOOT_RECORD):
            return int(struct.unpack_from("<I", descriptor, _CATALOG_SECTOR_AT)[0])
        if descriptor[1:6] not in {b"CD001", b"BEA01", b"NSR02", b"NSR03", b"TEA01", b"BOOT2", b"CDW02"}:
            break
    raise NoBootImageError(f"{iso} is not bootable: it has no El Torito boot record")


def _uefi_entries(catalog: bytearray) -> list[int]:
    """Return the offsets of the bootable UEFI entries."""
    found = []
    platform = catalog[1]
    if catalog[_ENTRY] == _BOOTABLE and platform == _UEFI:  # the default entry has the validation entry's platform
        found.append(_ENTRY)
    for offset in range(2 * _ENTRY, SECTOR, _ENTRY):
        kind = catalog[offset]
        if kind in _SECTION_HEADERS:
            platform = catalog[offset + 1]
        elif kind == _BOOTABLE and platform == _UEFI:
            found.append(offset)
    return found
