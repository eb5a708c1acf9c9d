"""Memory descriptor lists: allocating, locking, mapping and releasing them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.machine.cpu.exceptions import PageFault
from harness.reference.machine.memory.layout import PAGE_SHIFT, PAGE_SIZE
from harness.reference.windows.ntos.ex.pool import PoolError
from harness.reference.windows.structures.mdl_layout import MdlView
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.machine.memory.guarded_heap import GuardedHeap
    from harness.reference.windows.ntos.executive import Executive

_LOCKED_PAGES = Kind("locked MDL", "MmUnlockPages")
MDL_MAPPED_TO_SYSTEM_VA = 0x0001
MDL_PAGES_LOCKED = 0x0002
MDL_SOURCE_IS_NONPAGED_POOL = 0x0004
MDL_PARTIAL = 0x0010
MDL_WRITE_OPERATION = 0x0080
_MOST_PAGES = 1 << 20
"""Of the largest MDL that is believed."""


@dataclass(slots=True)
class ReservedMapping:
    """Addresses that a driver has reserved for MDLs to come."""

    tag: int
    pages: int
    mapped: int = 0
    """How many of the pages are an MDL's now."""


class Mdl(MdlView):
    """MDL; the page frame numbers follow it."""

    @property
    def virtual_address(self) -> int:
        """MmGetMdlVirtualAddress."""
        return self.start_va + self.byte_offset

    @property
    def pages(self) -> int:
        return (self.byte_offset + self.byte_count + PAGE_SIZE - 1) >> PAGE_SHIFT

    def initialize(self, address: int, length: int) -> None:
        """MmInitializeMdl."""
        self.next = 0
        pages = (address % PAGE_SIZE + length + PAGE_SIZE - 1) >> PAGE_SHIFT
        self.size = (self.SIZE + 8 * pages + 0x8000 & 0xFFFF) - 0x8000  # a CSHORT, whatever the length
        self.mdl_flags = 0
        self.start_va = address & -PAGE_SIZE
        self.byte_offset = address % PAGE_SIZE
        self.byte_count = length


def allocate_mdl(k: "Executive", address: int, length: int, *, owner: str | None = None, where: int = 0) -> int:
    """A new MDL for a range."""
    pages = (address % PAGE_SIZE + length + PAGE_SIZE - 1) >> PAGE_SHIFT
    at = k.pool.allocate(Mdl.SIZE + 8 * pages, "Mdl ", owner=owner, allocated_by=where)
    Mdl(k.memory, at).initialize(address, length)
    return at


def lock_pages(k: "Executive", at: int, *, write: bool) -> None:
    """MmProbeAndLockPages; raises PageFault for memory that cannot be touched so."""
    mdl = Mdl(k.memory, at)
    address = mdl.virtual_address
    if not k.memory.is_mapped(address, max(mdl.byte_count, 1), write=write):
        raise PageFault(address, write=write)
    for index, frame in enumerate(k.memory.frames(mdl.start_va, mdl.pages * PAGE_SIZE)):
        k.memory.write_u64(at + Mdl.SIZE + 8 * index, frame >> PAGE_SHIFT)
    mdl.mdl_flags |= MDL_PAGES_LOCKED | (MDL_WRITE_OPERATION if write else 0)
    k.holdings.take(_LOCKED_PAGES, at)


def unlock_pages(k: "Executive", at: int) -> None:
    """MmUnlockPages; a second mapping goes with it."""
    mdl = Mdl(k.memory, at)
    if mdl.mdl_flags & MDL_MAPPED_TO_SYSTEM_VA:
        unmap_pages(k, mdl.mapped_system_va, at)
    mdl.mdl_flags &= ~(MDL_PAGES_LOCKED | MDL_WRITE_OPERATION)
    k.holdings.give_back(_LOCKED_PAGES, at)


def map_pages(k: "Executive", at: int) -> int:
    """Map an MDL's locked pages into system space; the address of its first byte."""
    mdl = Mdl(k.memory, at)
    base = k.next_system_mapping
    k.next_system_mapping = base + (mdl.pages + 1) * PAGE_SIZE
    frames = [k.memory.read_u64(at + Mdl.SIZE + 8 * index) << PAGE_SHIFT for index in range(mdl.pages)]
    k.memory.map(base, mdl.pages * PAGE_SIZE, frames=frames)
    mdl.mapped_system_va = base + mdl.byte_offset
    mdl.mdl_flags |= MDL_MAPPED_TO_SYSTEM_VA
    return base + mdl.byte_offset


def unmap_pages(k: "Executive", address: int, at: int) -> None:
    """Undo `map_pages`."""
    mdl = Mdl(k.memory, at)
    if not mdl.mdl_flags & MDL_MAPPED_TO_SYSTEM_VA:
        return
    pages = range(address & -PAGE_SIZE, (address & -PAGE_SIZE) + mdl.pages * PAGE_SIZE, PAGE_SIZE)
    if mdl.pages > _MOST_PAGES or not all(k.memory.is_mapped(page) for page in pages):
        block = k.pool.block_at(at)
        k.bugcheck(
            BugCheck.MEMORY_MANAGEMENT,
            at,
            address,
            message=f"the MDL at {at:#x} has {mdl.pages} pages, which are not mapped at {address:#x} as it says",
            driver=block.owner if block is not None else None,
        )
    k.memory.unmap(address & -PAGE_SIZE, mdl.pages * PAGE_SIZE, keep_frames=True)
    mdl.mdl_flags &= ~MDL_MAPPED_TO_SYSTEM_VA
    mdl.mapped_system_va = 0


def make_mdl(kernel: "Executive", heap: "GuardedHeap", buffer: int, length: int) -> int:
    """An MDL for a resident kernel buffer; the guest address. Free it with `heap.free`."""
    first = buffer & ~(PAGE_SIZE - 1)
    pages = (buffer + max(length, 1) - first + PAGE_SIZE - 1) // PAGE_SIZE
    size = Mdl.SIZE + 8 * pages
    mdl = heap.allocate(size)
    view = Mdl(kernel.memory, mdl)
    view.initialize(buffer, length)
    view.mdl_flags = MDL_MAPPED_TO_SYSTEM_VA | MDL_PAGES_LOCKED
    view.mapped_system_va = buffer
    for index, frame in enumerate(kernel.memory.frames(buffer, length)):
        kernel.memory.write_u64(mdl + Mdl.SIZE + 8 * index, frame // PAGE_SIZE)
    return mdl


def release_mdl(k: "Executive", at: int) -> None:
    """What the end of an IRP does with an MDL that a driver allocated for it: unlock its pages, and free it."""
    mdl = Mdl(k.memory, at)
    if mdl.mdl_flags & MDL_PAGES_LOCKED:
        unlock_pages(k, at)
    elif mdl.mdl_flags & MDL_MAPPED_TO_SYSTEM_VA:
        unmap_pages(k, mdl.mapped_system_va, at)
    try:
        k.pool.free(at, None)
    except PoolError as problem:
        block = problem.block
        k.bugcheck(
            BugCheck.BAD_POOL_HEADER,
            7,
            at,
            message=f"the MDL at {at:#x}: {problem}",
            driver=block.owner if block is not None else None,
        )


def release_mdls(executive: "Executive", irp: int) -> None:
    """What the end of an IRP takes: the MDLs that drivers have put into it are unlocked and freed."""
    at = executive.memory.read_u64(irp + 0x08)
    while at and executive.pool.block_at(at) is not None:
        following = executive.memory.read_u64(at)
        release_mdl(executive, at)
        at = following


def advance(k: "Executive", at: int, count: int) -> bool:
    """MmAdvanceMdl: the MDL describes its buffer from `count` bytes on; False if it has not so many."""
    mdl = Mdl(k.memory, at)
    if count > mdl.byte_count:
        return False
    gone, offset = divmod(mdl.byte_offset + count, PAGE_SIZE)
    kept = k.memory.read(at + Mdl.SIZE + 8 * gone, 8 * max(mdl.pages - gone, 0))
    k.memory.write(at + Mdl.SIZE, kept)
    mdl.start_va += gone * PAGE_SIZE
    mdl.byte_offset = offset
    mdl.byte_count -= count
    if mdl.mdl_flags & MDL_MAPPED_TO_SYSTEM_VA and gone:
        k.memory.unmap(mdl.mapped_system_va & -PAGE_SIZE, gone * PAGE_SIZE, keep_frames=True)
    if mdl.mdl_flags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL):
        mdl.mapped_system_va += count
    return True
