"""Memory of the kernel's own that drivers see: each block on its own page, gone when it is freed.

Callback data, file objects and the filter manager's objects live here and not in pool, so that they count as nobody's
leak; a driver that touches one too late faults.
"""

from typing import TYPE_CHECKING

from harness.reference.machine.memory.layout import PAGE_SIZE, page_align

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory

EXECUTIVE_OBJECTS = 0xFFFF_9A80_0005_E000
FILTER_OBJECTS = 0xFFFF_9B00_0000_0000
IO_OBJECTS = 0xFFFF_9C00_0000_0000
_ADDRESSES_BEFORE_REUSE = 0x1_0000_0000


class GuardedHeap:
    """Blocks that end at the end of a page, with an unmapped page behind each."""

    def __init__(self, memory: "Memory", base: int) -> None:
        self.memory = memory
        self._base = base
        self._end = base + _ADDRESSES_BEFORE_REUSE
        self._next = base
        self._blocks: dict[int, tuple[int, int, int]] = {}
        """By address: where the pages begin, their size, and the frame of a single one."""

    def allocate(self, size: int, *, shielded: bool = False) -> int:
        """A zeroed block of `size` bytes, 16-byte aligned; `shielded`: on one page, which guest code only reads."""
        pages = page_align(max(size, 1))
        if pages == PAGE_SIZE:
            return self.allocate_on_page(size, shielded=shielded)[0]
        start = self._take_addresses(pages)
        self.memory.map(start, pages)
        address = start + pages - ((size + 15) & ~15)
        self._blocks[address] = (start, pages, 0)
        return address

    def allocate_on_page(self, size: int, *, shielded: bool = False) -> tuple[int, int]:
        """The same for a block that fits on a page, and where it is in RAM; it stays there until it is freed."""
        start = self._take_addresses(PAGE_SIZE)
        frame = self.memory.map_page(start, shielded=shielded)
        within = PAGE_SIZE - ((size + 15) & ~15)
        self._blocks[start + within] = (start, PAGE_SIZE, frame)
        return start + within, frame + within

    def _take_addresses(self, pages: int) -> int:
        """So many free bytes of address space, with a page behind them that stays unmapped."""
        while True:
            start = self._next
            behind = start + pages + PAGE_SIZE
            self._next = behind if behind <= self._end else self._base
            if self.memory.is_free(start):
                return start

    def place(self, address: int) -> int:
        """Where a block that fits on a page is in RAM."""
        start, pages, frame = self._blocks[address]
        assert pages == PAGE_SIZE
        return frame + address - start

    def free(self, address: int) -> None:
        """Unmap a block."""
        start, pages, _ = self._blocks.pop(address)
        if pages == PAGE_SIZE:
            self.memory.unmap_page(start)
        else:
            self.memory.unmap(start, pages)

    def __contains__(self, address: int) -> bool:
        return address in self._blocks
