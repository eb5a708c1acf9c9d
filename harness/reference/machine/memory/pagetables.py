"""Real x64 page tables over one block of RAM that Python and the emulated processor share.

Unicorn cannot fetch from canonical kernel addresses with paging off, so paging is on, with four levels, NX and
write protection. RAM is one `mmap`: Python reads and writes guest memory without a call into Unicorn.
"""

import ctypes
import mmap
import struct
from collections.abc import Iterable, Iterator, Sequence

from harness.reference.machine.memory.layout import PAGE_SHIFT, PAGE_SIZE

PRESENT = 1 << 0
WRITABLE = 1 << 1
USER = 1 << 2
ACCESSED_DIRTY = 0x60
NO_EXECUTE = 1 << 63

PHYSICAL_BASE = 0x100000
"""Physical address of the first byte of RAM."""

_READABLE_DATA = PHYSICAL_BASE | PRESENT | ACCESSED_DIRTY | NO_EXECUTE
_WRITABLE_DATA = _READABLE_DATA | WRITABLE
"""What makes a page-table entry of a frame, added to it."""
_U64 = struct.Struct("<Q")
_SHIFT_OF_ENTRY, _ENTRIES = PAGE_SHIFT - 3, 511 << 3
"""Where in a table the 8 bytes of an address's page are."""
_ZEROS = bytes(PAGE_SIZE)


def _flags(*, writable: bool, executable: bool, user: bool) -> int:
    """What makes a page-table entry of a frame, added to it."""
    return (
        _READABLE_DATA
        + (WRITABLE if writable else 0)
        + (USER if user else 0)  # out of reach where EFLAGS.AC is clear (cpu/emulator.py)
        - (NO_EXECUTE if executable else 0)
    )


class OutOfMemoryError(Exception):
    """The guest's RAM is used up."""


class PageTables:
    """Physical page frames and the tables that map them."""

    def __init__(self, size: int) -> None:
        self.size = size
        # Private: a fork of this process is a machine of its own.
        self.ram = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._buffer = (ctypes.c_char * size).from_buffer(self.ram)
        self._free: list[int] = []
        self._next = 0
        self._tables: dict[tuple[int, int], int] = {}
        """By level and what they map."""
        self._last_tables: dict[int, int] = {}
        """Those of them that map pages, by their 2 MiB."""
        self._root = self._table_frame()
        self.stale: list[int] = []
        """Pages whose entries have changed: the processor must forget what it has cached before it runs again."""

    @property
    def host_address(self) -> int:
        """Where RAM is in this process."""
        return ctypes.addressof(self._buffer)

    @property
    def root(self) -> int:
        """What CR3 holds."""
        return self._root + PHYSICAL_BASE

    @property
    def used(self) -> int:
        """Bytes of RAM in use, tables included."""
        return self._next - len(self._free) * PAGE_SIZE

    @property
    def available(self) -> int:
        """Bytes of RAM that are not in use."""
        return self.size - self.used

    def allocate_frame(self) -> int:
        """A zeroed page frame, as an offset into `ram`."""
        if self._free:
            offset = self._free.pop()
            self.ram[offset : offset + PAGE_SIZE] = _ZEROS
            return offset
        offset = self._next
        if offset + PAGE_SIZE > self.size:
            raise OutOfMemoryError(f"the guest's {self.size >> 20} MiB of RAM are used up")
        self._next = offset + PAGE_SIZE
        return offset

    def require(self, size: int) -> None:
        """Raise OutOfMemoryError if so many bytes are not left."""
        if size > self.available:
            raise OutOfMemoryError(f"{size:#x} bytes are wanted, and {self.available:#x} are left")

    def allocate_frames(self, count: int) -> list[int]:
        """So many of them, as they would come one after another. OutOfMemoryError if there are not so many: none is."""
        self.require(count * PAGE_SIZE)
        again = min(count, len(self._free))
        frames = self._free[len(self._free) - again :][::-1]
        del self._free[len(self._free) - again :]
        for offset in frames:
            self.ram[offset : offset + PAGE_SIZE] = _ZEROS
        begin, self._next = self._next, self._next + (count - again) * PAGE_SIZE
        return [*frames, *range(begin, self._next, PAGE_SIZE)]

    def free_frames(self, offsets: Iterable[int]) -> None:
        """Give page frames back."""
        self._free.extend(offsets)

    def free_frame(self, offset: int) -> None:
        """Give a page frame back."""
        self._free.append(offset)

    def _table_frame(self) -> int:
        return self.allocate_frame()

    def entry(self, address: int) -> int:
        """The offset into `ram` of the page-table entry of `address`, with tables made where they lack."""
        table = self._last_tables.get(address >> 21)
        if table is None:
            table = self._last_tables[address >> 21] = self._table_for(address)
        return table + (address >> _SHIFT_OF_ENTRY & _ENTRIES)

    def _table_for(self, address: int) -> int:
        table = self._root
        for level, shift in ((3, 39), (2, 30), (1, 21)):
            key = (level, address >> shift)
            child = self._tables.get(key)
            if child is None:
                child = self._tables[key] = self._table_frame()
                entry = (child + PHYSICAL_BASE) | PRESENT | WRITABLE | USER | ACCESSED_DIRTY
                _U64.pack_into(self.ram, table + 8 * (address >> shift & 511), entry)
            table = child
        return table

    def set(
        self, address: int, frame: int, *, writable: bool, executable: bool, user: bool, pageable: bool = False
    ) -> None:
        """Map the page at `address` to `frame`."""
        value = frame + _flags(writable=writable, executable=executable, user=user or pageable)
        offset = self.entry(address)
        if self.ram[offset] & PRESENT:
            self.stale.append(address)
        _U64.pack_into(self.ram, offset, value)

    def set_free(self, address: int, frames: Sequence[int], *, writable: bool, executable: bool, user: bool) -> None:
        """Map the pages from `address` on, which are not mapped, to `frames`."""
        flags = _flags(writable=writable, executable=executable, user=user)
        done = 0
        for offset, count in self._entries(address, len(frames)):
            values = [frame + flags for frame in frames[done : done + count]]
            self.ram[offset : offset + 8 * count] = struct.pack(f"<{count}Q", *values)
            done += count

    def _entries(self, address: int, count: int) -> Iterator[tuple[int, int]]:
        """Where the entries of so many pages from `address` on lie: the offset into `ram` of some, and of how many."""
        while count > 0:
            here = min(count, 512 - (address >> PAGE_SHIFT & 511))
            yield self.entry(address), here
            address += here << PAGE_SHIFT
            count -= here

    def map_data(self, address: int, *, writable: bool) -> int:
        """Map a zeroed frame for data where nothing is mapped, out of reach of user mode; the frame."""
        frame = self.allocate_frame()
        _U64.pack_into(self.ram, self.entry(address), frame + (_WRITABLE_DATA if writable else _READABLE_DATA))
        return frame

    def clear_all(self, address: int, count: int) -> None:
        """Unmap so many pages from `address` on."""
        for offset, here in self._entries(address, count):
            self.ram[offset : offset + 8 * here] = bytes(8 * here)
        self.stale.extend(range(address, address + (count << PAGE_SHIFT), PAGE_SIZE))

    def clear(self, address: int) -> None:
        """Unmap the page at `address`."""
        _U64.pack_into(self.ram, self.entry(address), 0)
        self.stale.append(address)
