"""Image files as image sections see them: which bytes of the file are where once it is mapped."""

from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812

from harness.nt import NtStatus
from harness.reference.machine.memory.layout import PAGE_SIZE, page_align
from harness.reference.windows.ntos.status_error import StatusError

HEADER_ROOM = 4096
_NEW_HEADER_AT, _SIGNATURE = 0x3C, b"PE\0\0"
_FILE_HEADER = Struct("<HHIIIHH")
_MAGICS = (0x10B, 0x20B)
_SIZE_OF_IMAGE, _SIZE_OF_HEADERS = 56, 60
"""Offsets in the optional header, the same in both kinds."""
_SECTION = Struct("<8sIIII16x")


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """SizeOfImage, and (address in the image, offset in the file, bytes) of headers and sections."""

    size: int
    pieces: tuple[tuple[int, int, int], ...]

    def parts_of_page(self, offset: int) -> list[tuple[int, int, int]]:
        """(offset within the page, offset in the file, bytes) of what a page at `offset` holds."""
        found = []
        for address, place, length in self.pieces:
            first, last = max(address, offset), min(address + length, offset + PAGE_SIZE)
            if first < last:
                found.append((first - offset, place + first - address, last - first))
        return found


def parse_image(head: bytes) -> ImageLayout:
    """Read the headers. INVALID_IMAGE_NOT_MZ or INVALID_IMAGE_FORMAT for what is no image."""
    if head[:2] != b"MZ":
        raise StatusError(NtStatus.INVALID_IMAGE_NOT_MZ)
    try:
        at = int.from_bytes(head[_NEW_HEADER_AT : _NEW_HEADER_AT + 4], "little")
        if head[at : at + 4] != _SIGNATURE:
            raise StatusError(NtStatus.INVALID_IMAGE_FORMAT)
        _, count, _, _, _, optional_size, _ = _FILE_HEADER.unpack_from(head, at + 4)
        optional = at + 4 + _FILE_HEADER.size
        if int.from_bytes(head[optional : optional + 2], "little") not in _MAGICS:
            raise StatusError(NtStatus.INVALID_IMAGE_FORMAT)
        size, headers = Struct("<II").unpack_from(head, optional + _SIZE_OF_IMAGE)
        pieces = [(0, 0, headers)]
        for index in range(count):
            entry = _SECTION.unpack_from(head, optional + optional_size + index * _SECTION.size)
            _, virtual_size, address, raw_size, raw = entry
            pieces.append((address, raw, min(raw_size, page_align(virtual_size or raw_size))))
    except StructError as error:
        raise StatusError(NtStatus.INVALID_IMAGE_FORMAT) from error
    return ImageLayout(page_align(size), tuple(pieces))
