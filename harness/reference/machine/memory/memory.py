"""Guest memory as Python sees it: mapped pages, checked reads and writes, and what IRQL takes away.

Reads and writes go to the RAM block directly. A touch of memory that is not mapped, of pageable memory at raised
IRQL, or a write to read-only memory raises `PageFault`.
"""

import mmap
from collections.abc import Callable, Iterable
from itertools import islice
from struct import Struct
from typing import Any

from harness.nt import Irql
from harness.reference.machine.cpu.exceptions import PageFault
from harness.reference.machine.memory.layout import PAGE_SHIFT, PAGE_SIZE, page_align
from harness.reference.machine.memory.pagetables import PageTables

_U8 = Struct("<B")
_U16 = Struct("<H")
_U32 = Struct("<I")
_I32 = Struct("<i")
_U64 = Struct("<Q")
_I64 = Struct("<q")
_UNICODE_STRING = Struct("<HH4xQ")
_OFFSET = PAGE_SIZE - 1
_M64 = (1 << 64) - 1
_LAST_U32, _LAST_U64 = PAGE_SIZE - 4, PAGE_SIZE - 8
_u32_at: Callable[[mmap.mmap, int], tuple[int]] = _U32.unpack_from
_u64_at: Callable[[mmap.mmap, int], tuple[int]] = _U64.unpack_from


class _Pages(dict[int, int]):
    """Page number to offset into RAM. Pageable pages are kept apart and found only while they may be touched."""

    def __init__(self, pageable: dict[int, int], ram: mmap.mmap) -> None:
        super().__init__()
        self.pageable = pageable
        self.ram = ram
        self.irql_at = -1

    def __missing__(self, page: int) -> int:
        offset = self.pageable.get(page)
        if offset is not None and self.ram[self.irql_at] < Irql.DISPATCH:
            return offset
        raise PageFault(page << PAGE_SHIFT)


class Memory:
    """The guest's virtual memory. One address space: processes differ only in who owns a range."""

    def __init__(self, tables: PageTables) -> None:
        self.tables = tables
        self.ram = tables.ram
        self._pageable_readable: dict[int, int] = {}
        self._pageable_writable: dict[int, int] = {}
        self._readable = _Pages(self._pageable_readable, self.ram)
        self._writable = _Pages(self._pageable_writable, self.ram)
        self.irql_at = -1
        """Where the current processor's IRQL is in `ram`: from DISPATCH_LEVEL on pageable memory is out of reach."""

    # -- mapping

    def map(
        self,
        address: int,
        size: int,
        *,
        writable: bool = True,
        executable: bool = False,
        user: bool = False,
        pageable: bool = False,
        frames: Iterable[int] | None = None,
    ) -> None:
        """Map zeroed pages over [address, address + size), or `frames` where given (a second mapping)."""
        if frames is None:  # of any size that a driver asks for
            self.tables.require(page_align(size))
        pages = range(address >> PAGE_SHIFT, (address + page_align(size)) >> PAGE_SHIFT)
        for mapped in (self._readable, self._pageable_readable):
            if not mapped.keys().isdisjoint(pages):
                taken = next(page for page in pages if page in mapped)
                raise ValueError(f"{taken << PAGE_SHIFT:#x} is mapped already")
        chosen = self.tables.allocate_frames(len(pages)) if frames is None else [*islice(frames, len(pages))]
        begin = pages.start << PAGE_SHIFT
        self.tables.set_free(begin, chosen, writable=writable, executable=executable, user=user or pageable)
        entered = dict(zip(pages, chosen, strict=True))
        (self._pageable_readable if pageable else self._readable).update(entered)
        if writable:
            (self._pageable_writable if pageable else self._writable).update(entered)

    def map_page(self, page: int, *, shielded: bool = False) -> int:
        """Map one zeroed page that is free, for data; its frame: where it is in `ram`.

        What is shielded guest code only reads (`let_guest_write`); Python writes it.
        """
        frame = self.tables.map_data(page, writable=not shielded)
        number = page >> PAGE_SHIFT
        self._readable[number] = self._writable[number] = frame
        return frame

    def unmap_page(self, page: int) -> None:
        """Unmap what `map_page` has mapped."""
        number = page >> PAGE_SHIFT
        self.tables.clear(page)
        self.tables.free_frame(self._readable.pop(number))
        del self._writable[number]

    def let_guest_write(self, address: int, *, allowed: bool) -> None:
        """Whether guest code may write a page that was mapped shielded."""
        page = address >> PAGE_SHIFT
        self.tables.set(page << PAGE_SHIFT, self._readable[page], writable=allowed, executable=False, user=False)

    def select_processor(self, irql_at: int) -> None:
        """Go on as the processor whose IRQL is at this place of `ram`."""
        self.irql_at = self._readable.irql_at = self._writable.irql_at = irql_at

    def _enter(self, page: int, frame: int, *, writable: bool, pageable: bool) -> None:
        (self._pageable_readable if pageable else self._readable)[page] = frame
        if writable:
            (self._pageable_writable if pageable else self._writable)[page] = frame

    def _leave(self, page: int) -> int:
        """Forget a page; its frame."""
        frame = self._readable.pop(page, None)
        if frame is None:
            frame = self._pageable_readable.pop(page)
            self._pageable_writable.pop(page, None)
        else:
            self._writable.pop(page, None)
        return frame

    def protect(
        self,
        address: int,
        size: int,
        *,
        writable: bool,
        executable: bool = False,
        user: bool = False,
        pageable: bool = False,
    ) -> None:
        """Change the protection of mapped pages."""
        for page in range(address >> PAGE_SHIFT, (address + size + _OFFSET) >> PAGE_SHIFT):
            frame = self._leave(page)
            self.tables.set(
                page << PAGE_SHIFT, frame, writable=writable, executable=executable, user=user, pageable=pageable
            )
            self._enter(page, frame, writable=writable, pageable=pageable)

    def unmap(self, address: int, size: int, *, keep_frames: bool = False) -> None:
        """Unmap pages; their frames are free again unless they belong to another mapping."""
        pages = range(address >> PAGE_SHIFT, (address + page_align(size)) >> PAGE_SHIFT)
        frames = [self._leave(page) for page in pages]
        self.tables.clear_all(pages.start << PAGE_SHIFT, len(pages))
        if not keep_frames:
            self.tables.free_frames(frames)

    def frames(self, address: int, size: int) -> list[int]:
        """The page frames behind a range, for a second mapping. Raises PageFault."""
        first, last = address >> PAGE_SHIFT, (address + max(size, 1) - 1) >> PAGE_SHIFT
        return [self._readable[page] for page in range(first, last + 1)]

    def is_mapped(self, address: int, size: int = 1, *, write: bool = False) -> bool:
        """Whether a range can be read (or written) now."""
        pages = self._writable if write else self._readable
        first, last = address >> PAGE_SHIFT, (address + max(size, 1) - 1) >> PAGE_SHIFT
        try:
            for page in range(first, last + 1):
                pages[page]
        except PageFault:
            return False
        return True

    def is_free(self, page: int) -> bool:
        """Whether nothing is mapped at the page at an address, pageable or not."""
        number = page >> PAGE_SHIFT
        return number not in self._readable and number not in self._pageable_readable

    def is_pageable(self, address: int) -> bool:
        """Whether an address is in pageable memory."""
        return address >> PAGE_SHIFT in self._pageable_readable

    # -- bytes

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at `address`."""
        within = address & _OFFSET
        if within + size <= PAGE_SIZE:
            try:
                start = self._readable[address >> PAGE_SHIFT] + within
            except PageFault:
                raise PageFault(address) from None
            return self.ram[start : start + size]
        pieces = []
        while size:
            count = min(size, PAGE_SIZE - (address & _OFFSET))
            pieces.append(self.read(address, count))
            address += count
            size -= count
        return b"".join(pieces)

    def write(self, address: int, data: bytes) -> None:
        """Write `data` at `address`; nothing is written if any of it cannot be."""
        within = address & _OFFSET
        size = len(data)
        if within + size <= PAGE_SIZE:
            try:
                start = self._writable[address >> PAGE_SHIFT] + within
            except PageFault:
                raise PageFault(address, write=True) from None
            self.ram[start : start + size] = data
            return
        places = []
        done = 0
        while done < size:
            at = address + done
            count = min(size - done, PAGE_SIZE - (at & _OFFSET))
            try:
                places.append((self._writable[at >> PAGE_SHIFT] + (at & _OFFSET), done, count))
            except PageFault:
                raise PageFault(at, write=True) from None
            done += count
        for start, offset, count in places:
            self.ram[start : start + count] = data[offset : offset + count]

    def patch(self, address: int, data: bytes) -> None:
        """Write regardless of protection: the loader and the debugger's way."""
        for index, byte in enumerate(data):
            at = address + index
            page = at >> PAGE_SHIFT
            frame = self._readable.get(page)
            if frame is None:
                frame = self._pageable_readable.get(page)
            if frame is None:
                raise PageFault(at, write=True)
            self.ram[frame + (at & _OFFSET)] = byte

    def patch_page(self, address: int, data: bytes | bytearray) -> None:
        """Set the content of one whole page, regardless of protection."""
        frame = self._readable.get(address >> PAGE_SHIFT)
        if frame is None:
            frame = self._pageable_readable[address >> PAGE_SHIFT]
        self.ram[frame : frame + PAGE_SIZE] = bytes(data)

    def read_physical(self, address: int, size: int) -> bytes:
        """Read mapped memory whatever the IRQL: for the kernel's own checks."""
        pieces = []
        while size:
            within = address & _OFFSET
            count = min(size, PAGE_SIZE - within)
            frame = self._readable.get(address >> PAGE_SHIFT)
            if frame is None:
                frame = self._pageable_readable[address >> PAGE_SHIFT]
            pieces.append(self.ram[frame + within : frame + within + count])
            address += count
            size -= count
        return b"".join(pieces)

    # -- numbers

    def unpack(self, layout: Struct, address: int) -> tuple[Any, ...]:
        """Read the fields of a layout."""
        within = address & _OFFSET
        if within + layout.size > PAGE_SIZE:
            return layout.unpack(self.read(address, layout.size))
        try:
            return layout.unpack_from(self.ram, self._readable[address >> PAGE_SHIFT] + within)
        except PageFault:
            raise PageFault(address) from None

    def pack(self, layout: Struct, address: int, *values: int) -> None:
        """Write the fields of a layout."""
        within = address & _OFFSET
        if within + layout.size > PAGE_SIZE:
            self.write(address, layout.pack(*values))
            return
        try:
            layout.pack_into(self.ram, self._writable[address >> PAGE_SHIFT] + within, *values)
        except PageFault:
            raise PageFault(address, write=True) from None

    def read_u8(self, address: int) -> int:
        return self.read(address, 1)[0]

    def read_u16(self, address: int) -> int:
        value: int = self.unpack(_U16, address)[0]
        return value

    def read_u32(self, address: int) -> int:
        within = address & _OFFSET
        if within > _LAST_U32:
            return int(self.unpack(_U32, address)[0])
        try:
            return _u32_at(self.ram, self._readable[address >> PAGE_SHIFT] + within)[0]
        except PageFault:
            raise PageFault(address) from None

    def read_i32(self, address: int) -> int:
        value: int = self.unpack(_I32, address)[0]
        return value

    def read_u64(self, address: int) -> int:
        within = address & _OFFSET
        if within > _LAST_U64:
            return int(self.unpack(_U64, address)[0])
        try:
            return _u64_at(self.ram, self._readable[address >> PAGE_SHIFT] + within)[0]
        except PageFault:
            raise PageFault(address) from None

    def read_i64(self, address: int) -> int:
        value: int = self.unpack(_I64, address)[0]
        return value

    def write_u8(self, address: int, value: int) -> None:
        self.pack(_U8, address, value & 0xFF)

    def write_u16(self, address: int, value: int) -> None:
        self.pack(_U16, address, value & 0xFFFF)

    def write_u32(self, address: int, value: int) -> None:
        self.pack(_U32, address, value & 0xFFFF_FFFF)

    def write_u64(self, address: int, value: int) -> None:
        within = address & _OFFSET
        if within > _LAST_U64:
            self.pack(_U64, address, value & _M64)
            return
        try:
            _U64.pack_into(self.ram, self._writable[address >> PAGE_SHIFT] + within, value & _M64)
        except PageFault:
            raise PageFault(address, write=True) from None

    # -- strings

    def read_cstring(self, address: int, limit: int | None = None) -> bytes:
        """The bytes before the first NUL, or `limit` bytes if no NUL comes before."""
        return self._read_until(address, 1, limit)

    def read_wide(self, address: int, limit: int | None = None) -> str:
        """A NUL-terminated UTF-16 string, of at most `limit` characters."""
        return self._read_until(address, 2, limit).decode("utf-16-le", "surrogatepass")

    def _read_until(self, address: int, unit: int, limit: int | None) -> bytes:
        pieces = bytearray()
        left = limit * unit if limit is not None else 1 << 30
        while left:
            room = PAGE_SIZE - (address & _OFFSET)
            chunk = self.read(address, min(left, room if room % unit == 0 else room + 1))
            end = _find_nul(chunk, unit)
            if end >= 0:
                return bytes(pieces + chunk[:end])
            pieces += chunk
            address += len(chunk)
            left -= len(chunk)
        return bytes(pieces)

    def read_unicode_string(self, address: int) -> str:
        """The text of a UNICODE_STRING; "" for a null pointer."""
        if not address:
            return ""
        length, _, buffer = _UNICODE_STRING.unpack(self.read(address, 16))
        if not length:
            return ""
        return self.read(buffer, length & ~1).decode("utf-16-le", "surrogatepass")

    def write_unicode_string(self, address: int, buffer: int, length: int, maximum: int) -> None:
        """Fill in a UNICODE_STRING (lengths in bytes)."""
        self.write(address, _UNICODE_STRING.pack(length, maximum, buffer))


def _find_nul(chunk: bytes, unit: int) -> int:
    """Offset of the first NUL unit, or -1."""
    if unit == 1:
        return chunk.find(0)
    end = chunk.find(b"\0\0")
    while end >= 0 and end % 2:
        end = chunk.find(b"\0\0", end + 1)
    return end
