"""Makes and reads the image of a disk with labfs on it (labfs/labfs.h has the layout)."""

from pathlib import Path
from struct import Struct

SECTOR, ENTRIES, SLOT = 512, 32, 0x10000
_SUPERBLOCK = Struct("<II32s")
_ENTRY = Struct("<qqIHH96s8x")
_MAGIC = 0x5346424C
_TABLE = SECTOR
_FIRST_SLOT = SECTOR + ENTRIES * _ENTRY.size
ARCHIVE = 0x20


def make_image(path: Path, files: dict[str, bytes]) -> None:
    """A disk with these files."""
    image = bytearray(_FIRST_SLOT + ENTRIES * SLOT)
    _SUPERBLOCK.pack_into(image, 0, _MAGIC, 0x1AB0F500, "labfs".encode("utf-16-le"))
    for index, (name, content) in enumerate(files.items()):
        encoded = name.encode("utf-16-le")
        _ENTRY.pack_into(image, _TABLE + index * _ENTRY.size, 1, 1, len(content), ARCHIVE, len(encoded), encoded)
        at = _FIRST_SLOT + index * SLOT
        image[at : at + len(content)] = content
    path.write_bytes(image)


def read_image(path: Path) -> dict[str, bytes]:
    """The files on a disk."""
    image = path.read_bytes()
    assert _SUPERBLOCK.unpack_from(image)[0] == _MAGIC
    files: dict[str, bytes] = {}
    for index in range(ENTRIES):
        _, _, size, _, length, name = _ENTRY.unpack_from(image, _TABLE + index * _ENTRY.size)
        if length:
            at = _FIRST_SLOT + index * SLOT
            files[name[:length].decode("utf-16-le")] = image[at : at + size]
    return files
