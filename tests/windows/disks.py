"""Synthetic disks with a GUID partition table: a system partition, and one that is what a test wants."""

import struct
import uuid
import zlib
from pathlib import Path

SECTOR = 512
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
BASIC_DATA = uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
NTFS = (b"\xeb\x52\x90NTFS    ").ljust(SECTOR, b"\0")
BITLOCKER = (b"\xeb\x58\x90-FVE-FS-").ljust(SECTOR, b"\0")
DATA_BEGIN = 8192 * SECTOR


def gpt_disk(path: Path, content: bytes, mib: int = 64, *, esp: bool = True) -> Path:
    """Make a raw disk whose second partition, from 4 MiB to nearly the end, begins with `content`."""
    total = mib * 2048
    entries = b""
    if esp:
        entries += _entry(ESP, 2048, 8191)
    entries = (entries + _entry(BASIC_DATA, DATA_BEGIN // SECTOR, total - 2049)).ljust(128 * 128, b"\0")
    protective = bytearray(510)
    struct.pack_into("<B3sB3sII", protective, 446, 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, total - 1)
    with path.open("wb") as file:
        file.truncate(total * SECTOR)
        file.write(protective + b"\x55\xaa")
        file.write(_header(total, entries).ljust(SECTOR, b"\0") + entries)
        file.seek(DATA_BEGIN)
        file.write(content)
    return path


def _entry(kind: uuid.UUID, first: int, last: int) -> bytes:
    return struct.pack("<16s16sQQQ72s", kind.bytes_le, uuid.uuid4().bytes_le, first, last, 0, b"")


def _header(total: int, entries: bytes) -> bytes:
    header = struct.pack(
        *("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, 1, total - 1, 34, total - 34),
        *(uuid.UUID(int=9).bytes_le, 2, 128, 128, zlib.crc32(entries)),
    )
    return header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
