"""The memory in a dump: physical pages by the runs or the bitmap of the file, virtual addresses by the page tables.

A bitmap dump has a header of its own at 0x2000, as kdmp-parser and Rekall read it: "SDMP" or "FDMP", "DUMP", offset of
the first page @ 0x20, pages present @ 0x28, pages in the bitmap @ 0x30, the bitmap @ 0x38. Its pages follow in order.
"""

import mmap
import struct
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from harness.guest.dump.layout import HEADER_SIZE, DumpHeader, DumpType, Run

PAGE = 0x1000
_BITMAP = HEADER_SIZE
_BITS = _BITMAP + 0x38
_PRESENT, _LARGE = 1, 1 << 7
_FRAME = 0x000F_FFFF_FFFF_F000
_BITMAP_TYPES = {DumpType.KERNEL, DumpType.BITMAP_FULL, DumpType.BITMAP_KERNEL, DumpType.AUTOMATIC}


class Unreadable(Exception):
    """An address whose memory the dump does not hold; never leaves this package."""


class Memory(Protocol):
    """Reads virtual memory; raises Unreadable."""

    def read(self, address: int, size: int) -> bytes:
        """The bytes at a virtual address."""


class Pages(Protocol):
    """Where physical pages are in the file."""

    end: int
    """How large the file must be to hold them all."""

    def find(self, page: int) -> int | None:
        """The offset in the file of a page frame, None if it is not there."""


class RunPages:
    """The pages of a full dump: run after run, from behind the header."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self.end = HEADER_SIZE + sum(run.page_count for run in runs) * PAGE

    def find(self, page: int) -> int | None:
        offset = HEADER_SIZE
        for run in self._runs:
            if run.base_page <= page < run.base_page + run.page_count:
                return offset + (page - run.base_page) * PAGE
            offset += run.page_count * PAGE
        return None


class BitmapPages:
    """The pages of a bitmap dump: those whose bit is set, in the order of their numbers."""

    def __init__(self, data: "mmap.mmap | bytes") -> None:
        self._first, present, count = struct.unpack_from("<QQQ", data, _BITMAP + 0x20)
        self._bits = bytes(data[_BITS : _BITS + (count + 7) // 8])
        self._before = [0, *accumulate(byte.bit_count() for byte in self._bits)]
        self.end = self._first + present * PAGE

    def find(self, page: int) -> int | None:
        byte, bit = divmod(page, 8)
        if byte >= len(self._bits) or not self._bits[byte] >> bit & 1:
            return None
        before = self._before[byte] + (self._bits[byte] & ((1 << bit) - 1)).bit_count()
        return int(self._first) + before * PAGE


def pages_of(header: DumpHeader, data: "mmap.mmap | bytes") -> Pages | None:
    """Where the dump's pages are; None for a kind of dump that holds none, or whose order is not known to us."""
    if header.type == DumpType.FULL:
        return RunPages(header.runs)
    has_bitmap = data[_BITMAP : _BITMAP + 8] in {b"SDMPDUMP", b"FDMPDUMP"} and len(data) >= _BITS
    return BitmapPages(data) if header.type in _BITMAP_TYPES and has_bitmap else None


class PagedMemory:
    """Virtual memory through four levels of page tables, which are in the dump themselves."""

    def __init__(self, data: "mmap.mmap | bytes", pages: Pages, directory_table: int) -> None:
        self._data = data
        self._pages = pages
        self._root = directory_table & _FRAME

    def read(self, address: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            take = min(size, PAGE - address % PAGE)
            parts.append(self._physical(self._translate(address), take))
            address, size = address + take, size - take
        return b"".join(parts)

    def _translate(self, address: int) -> int:
        table = self._root
        for shift in (39, 30, 21, 12):
            entry = int.from_bytes(self._physical(table + (address >> shift & 0x1FF) * 8, 8), "little")
            if not entry & _PRESENT:
                raise Unreadable(f"0x{address:X} is not mapped")
            if shift == 12 or (shift < 39 and entry & _LARGE):
                within = (1 << shift) - 1
                return (entry & _FRAME & ~within) | (address & within)
            table = entry & _FRAME
        raise AssertionError("the last level always returns")

    def _physical(self, address: int, size: int) -> bytes:
        offset = self._pages.find(address // PAGE)
        found = self._data[offset + address % PAGE : offset + address % PAGE + size] if offset is not None else b""
        if len(found) != size:
            raise Unreadable(f"the dump has no page 0x{address // PAGE:X}")
        return bytes(found)


class KdmpMemory:
    """Virtual memory as the package kdmp-parser reads it: it knows kinds of dump that we do not (live dumps)."""

    def __init__(self, parser: Any, directory_table: int) -> None:
        self._parser = parser
        self._root = directory_table & _FRAME

    def read(self, address: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            take = min(size, PAGE - address % PAGE)
            page = self._parser.read_virtual_page(address, self._root)
            if page is None:
                raise Unreadable(f"the dump does not have 0x{address:X}")
            parts.append(bytes(page)[address % PAGE : address % PAGE + take])
            address, size = address + take, size - take
        return b"".join(parts)


def kdmp_memory(path: Path, directory_table: int) -> KdmpMemory | None:
    """The memory of a dump through kdmp-parser; None if that is not installed or cannot read this dump either."""
    try:
        from kdmp_parser import KernelDumpParser
    except ImportError:
        return None
    try:
        return KdmpMemory(KernelDumpParser(str(path)), directory_table)
    except RuntimeError:  # what it raises for whatever it cannot read
        return None
