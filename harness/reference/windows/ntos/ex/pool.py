"""The guarded pool: each block on pages of its own, so that a wrong access is found when it happens, or when freed.

A block ends at a page that is not mapped: reading or writing past it faults. What lies between the block and its
page's edges is filled with a pattern that is checked on free (underruns, and overruns inside the 16-byte rounding).
Freed blocks are unmapped at once, and their addresses stay unused for a long while: touching one faults, freeing one
again is named. Fresh blocks are filled with zeros, or with what says that they were never written (unwritten.py).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from harness.reference.machine.loader.images import ImageTable
from harness.reference.machine.memory.layout import NONPAGED_POOL, PAGE_SHIFT, PAGE_SIZE, PAGED_POOL, page_align
from harness.reference.machine.memory.memory import Memory
from harness.reference.windows.ntos.ex.unwritten import Unwritten

_CANARIES = b"\xa5" * PAGE_SIZE
ZEROS = bytes(PAGE_SIZE)
_ALIGNMENT = 16
_QUARANTINE = 1 << 15


@dataclass(eq=False, slots=True)
class Block:
    """A pool block, live or freed."""

    address: int
    size: int
    tag: str
    paged: bool
    owner: str | None
    """The driver that allocated it, or was given it; None for the kernel."""
    base: int
    pages: int
    allocated_by: int
    """The return address of the call that allocated it; 0 for the kernel."""

    @property
    def end(self) -> int:
        return self.base + self.pages * PAGE_SIZE

    def __str__(self) -> str:
        return f"a {self.size}-byte {'paged' if self.paged else 'nonpaged'} pool block, tag '{self.tag}'" + (
            f", of {self.owner}" if self.owner else ""
        )


@dataclass(frozen=True, slots=True)
class FreedBlock:
    """A freed block and where it was freed."""

    block: Block
    freed_by: int


class PoolError(Exception):
    """A wrong free, or a block whose surroundings were overwritten."""

    def __init__(self, message: str, block: Block | None = None, *, corrupted: bool = False) -> None:
        super().__init__(message)
        self.block = block
        self.corrupted = corrupted


class Pool:
    """Nonpaged and paged pool."""

    def __init__(self, memory: Memory, images: ImageTable) -> None:
        self._memory = memory
        self._images = images
        self.unwritten = Unwritten(images)
        """What fills blocks that need not be zeroed."""
        self._next = {False: NONPAGED_POOL + PAGE_SIZE, True: PAGED_POOL + PAGE_SIZE}
        self._reusable: dict[tuple[bool, int], deque[int]] = {}
        self._live: dict[int, Block] = {}
        self._by_page: dict[int, Block] = {}
        self._freed: dict[int, FreedBlock] = {}
        self._freed_by_page: dict[int, FreedBlock] = {}
        self._quarantine: deque[FreedBlock] = deque()
        self.allocations = 0

    def allocate(
        self,
        size: int,
        tag: str = "Knl ",
        *,
        paged: bool = False,
        fill: bytes = ZEROS,
        owner: str | None = None,
        allocated_by: int = 0,
    ) -> int:
        """A new block, each page of which begins as `fill`; its guest address."""
        rounded = (max(size, 1) + _ALIGNMENT - 1) & ~(_ALIGNMENT - 1)
        pages = page_align(rounded) >> PAGE_SHIFT
        base = self._place(paged, pages)
        memory = self._memory
        memory.map(base, pages * PAGE_SIZE, pageable=paged)
        # Whole pages begin at a page boundary, as Windows promises; smaller blocks end at one.
        address = base if rounded >= PAGE_SIZE else base + pages * PAGE_SIZE - rounded
        block = Block(address, size, tag, paged, owner, base, pages, allocated_by)
        self._fill(block, fill)
        self._live[address] = block
        self._by_page[base >> PAGE_SHIFT] = block
        self.allocations += 1
        return address

    def _place(self, paged: bool, pages: int) -> int:
        reusable = self._reusable.get((paged, pages))
        if reusable:
            return reusable.popleft()
        base = self._next[paged]
        self._next[paged] = base + (pages + 1) * PAGE_SIZE
        return base

    def _fill(self, block: Block, content: bytes) -> None:
        """Canaries around the block."""
        lead = block.address - block.base
        left = block.size
        for page in range(block.base, block.end, PAGE_SIZE):
            inside = min(PAGE_SIZE - lead, left)
            self._memory.patch_page(page, _CANARIES[:lead] + content[:inside] + _CANARIES[: PAGE_SIZE - lead - inside])
            left -= inside
            lead = 0

    def free(self, address: int, tag: str | None = None, *, freed_by: int = 0) -> Block:
        """Free a block. Raises PoolError for what is no live block, a wrong tag, or overwritten surroundings."""
        block = self._live.get(address)
        if block is None:
            raise PoolError(self._wrong_free(address), self._describe_block(address))
        if tag is not None and tag != block.tag:
            raise PoolError(f"{block} is freed with tag '{tag}'", block)
        damage = self.damage(block)
        if damage is not None:
            raise PoolError(damage, block, corrupted=True)
        del self._live[address]
        del self._by_page[block.base >> PAGE_SHIFT]
        self._memory.unmap(block.base, block.pages * PAGE_SIZE)
        freed = FreedBlock(block, freed_by)
        self._freed[address] = freed
        self._freed_by_page[block.base >> PAGE_SHIFT] = freed
        self._quarantine.append(freed)
        if len(self._quarantine) > _QUARANTINE:
            self._release(self._quarantine.popleft().block)
        return block

    def _release(self, block: Block) -> None:
        """Let the addresses of a block that was freed long ago be used again."""
        del self._freed[block.address]
        del self._freed_by_page[block.base >> PAGE_SHIFT]
        self._reusable.setdefault((block.paged, block.pages), deque()).append(block.base)

    def _describe_block(self, address: int) -> Block | None:
        freed = self._freed.get(address)
        return freed.block if freed is not None else self._find(address)

    def _wrong_free(self, address: int) -> str:
        freed = self._freed.get(address)
        if freed is not None:
            return f"double free of {freed.block}: it was freed by {self.place(freed.freed_by)}"
        block = self._find(address)
        if block is not None:
            return f"free of {address:#x}, {address - block.address} bytes into {block}"
        return f"free of {address:#x}, which is no pool block"

    def damage(self, block: Block) -> str | None:
        """What was overwritten around a block, or None."""
        lead = block.address - block.base
        before = self._read(block.base, lead)
        if before != _CANARIES[:lead]:
            before = before.rstrip(_CANARIES[:1])
            return f"{lead - len(before) + 1} bytes before {block} something was written (underrun)"
        slack = block.end - block.address - block.size
        after = self._read(block.address + block.size, slack)
        if after != _CANARIES[:slack]:
            offset = len(after) - len(after.lstrip(_CANARIES[:1]))
            return f"{offset} bytes past the end of {block} something was written (overrun)"
        return None

    def _read(self, address: int, size: int) -> bytes:
        return self._memory.read_physical(address, size)

    # -- questions

    def place(self, address: int) -> str:
        """The place of an allocation or a free, in words."""
        return self._images.describe(address) if address else "the kernel"

    def _find(self, address: int) -> Block | None:
        """The live block whose pages hold an address."""
        page = address >> PAGE_SHIFT
        for candidate in range(page, page - 512, -1):
            block = self._by_page.get(candidate)
            if block is not None:
                return block if address < block.end else None
        return None

    def block_at(self, address: int) -> Block | None:
        """The live block that contains an address."""
        block = self._find(address)
        return block if block is not None and block.address <= address < block.address + block.size else None

    def beyond(self, address: int, length: int) -> str | None:
        """What is wrong with so many bytes at an address in a live block: that they are not all in it."""
        if address < NONPAGED_POOL or address >= max(self._next.values()):
            return None
        block = self.block_at(address)
        if block is None or address + length <= block.address + block.size:
            return None
        left = block.address + block.size - address
        return f"{length} bytes, and there are {left} from offset {address - block.address} of {block} on"

    def block_starting_at(self, address: int) -> Block | None:
        """The live block that begins at an address."""
        return self._live.get(address)

    def is_block(self, address: int) -> bool:
        """Whether a live block begins at an address."""
        return address in self._live

    def explain(self, address: int) -> str | None:
        """What is wrong with touching an address in or near the pool; None if it is none of the pool's."""
        page = address >> PAGE_SHIFT
        for candidate in range(page, page - 512, -1):
            freed = self._freed_by_page.get(candidate)
            if freed is not None and address < freed.block.end:
                offset = address - freed.block.address
                return f"use after free: offset {offset} of {freed.block}, freed by {self.place(freed.freed_by)}"
            block = self._by_page.get(candidate)
            if block is not None and address < block.end + PAGE_SIZE:
                return f"out of bounds: {address - block.address - block.size} bytes past the end of {block}"
        following = self._by_page.get(page + 1)
        if following is not None:
            return f"out of bounds: {following.address - address} bytes before {following}"
        return None

    def live(self, owner: str | None = None) -> Iterator[Block]:
        """Live blocks, of one owner if given."""
        for block in self._live.values():
            if owner is None or block.owner == owner:
                yield block
