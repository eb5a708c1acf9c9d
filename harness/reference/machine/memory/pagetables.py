"""Real x64 page tables over one block of RAM that Python and the emulated processor share.

Unicorn cannot fetch from canonical kernel addresses with paging off, so paging is on, with four levels, NX and
write protection. RAM is one `mmap`: Python reads and writes guest memory without a call into Unicorn.
"""

import ctypes
import mmap
from struct import Struct

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
_U64 = Struct("<Q")
_SHIFT_OF_ENTRY, _ENTRIES = PAGE_SHIFT - 3, 511 << 3
"""Where in a table the 8 bytes of an address's page are."""
_ZEROS = bytes(PAGE_SIZE)


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
        value = (frame + PHYSICAL_BASE) | PRESENT | ACCESSED_DIRTY
        if writable:
            value |= WRITABLE
        if user or pageable:
            value |= USER  # out of reach where EFLAGS.AC is clear (cpu/emulator.py)
        if not executable:
            value |= NO_EXECUTE
        offset = self.entry(address)
        if self.ram[offset] & PRESENT:
            self.stale.append(address)
        _U64.pack_into(self.ram, offset, value)

    def map_data(self, address: int, *, writable: bool) -> int:
        """Map a zeroed frame for data where nothing is mapped, out of reach of user mode; the frame."""
        frame = self.allocate_frame()
        _U64.pack_into(self.ram, self.entry(address), frame + (_WRITABLE_DATA if writable else _READABLE_DATA))
        return frame

    def clear(self, address: int) -> None:
        """Unmap the page at `address`."""
        _U64.pack_into(self.ram, self.entry(address), 0)
        self.stale.append(address)
