"""Reserved mappings: addresses that a driver keeps, to map the pages of an MDL at when nothing may be allocated."""

from typing import TYPE_CHECKING, Never

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.memory.layout import PAGE_SHIFT, PAGE_SIZE, page_align
from harness.reference.windows.ntos.mm.mdl import MDL_MAPPED_TO_SYSTEM_VA, MDL_PAGES_LOCKED, Mdl, ReservedMapping
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_RESERVED = Kind("mapping address", "MmFreeMappingAddress", plural="mapping addresses")
_MOST = 1 << 30


@export(NTOSKRNL, "MmAllocateMappingAddress", max_irql=Irql.DISPATCH)
def mm_allocate_mapping_address(k: "Kernel", size: int, tag: U32) -> int:
    """Null for more than there can be; the tag must be none of zero, as that of pool."""
    if not 0 < size <= _MOST or not tag:
        return 0
    base, room = k.next_system_mapping, page_align(size)
    k.next_system_mapping = base + room + PAGE_SIZE
    k.reserved_mappings[base] = ReservedMapping(tag, room >> PAGE_SHIFT)
    k.holdings.take(_RESERVED, base)
    return base


@export(NTOSKRNL, "MmFreeMappingAddress", max_irql=Irql.DISPATCH)
def mm_free_mapping_address(k: "Kernel", base: int, tag: U32) -> None:
    if _reserved(k, base, tag, "MmFreeMappingAddress").mapped:
        _misuse(k, base, "MmFreeMappingAddress: an MDL is mapped there")
    del k.reserved_mappings[base]
    k.holdings.give_back(_RESERVED, base)


@export(NTOSKRNL, "MmMapLockedPagesWithReservedMapping", max_irql=Irql.DISPATCH)
def mm_map_locked_pages_with_reserved_mapping(k: "Kernel", base: int, tag: U32, at: int, cache: U32) -> int:
    """Null where the range has too few pages for the MDL."""
    del cache
    reserved = _reserved(k, base, tag, "MmMapLockedPagesWithReservedMapping")
    mdl = Mdl(k.memory, at)
    if reserved.mapped or not mdl.mdl_flags & MDL_PAGES_LOCKED or mdl.mdl_flags & MDL_MAPPED_TO_SYSTEM_VA:
        _misuse(k, base, "MmMapLockedPagesWithReservedMapping: an MDL is mapped there already, or this one not locked")
    if mdl.pages > reserved.pages:
        return 0
    frames = [k.memory.read_u64(at + Mdl.SIZE + 8 * index) << PAGE_SHIFT for index in range(mdl.pages)]
    k.memory.map(base, mdl.pages * PAGE_SIZE, frames=frames)
    reserved.mapped = mdl.pages
    mdl.mapped_system_va = base + mdl.byte_offset
    mdl.mdl_flags |= MDL_MAPPED_TO_SYSTEM_VA
    return base + mdl.byte_offset


@export(NTOSKRNL, "MmUnmapReservedMapping", max_irql=Irql.DISPATCH)
def mm_unmap_reserved_mapping(k: "Kernel", base: int, tag: U32, at: int) -> None:
    reserved = _reserved(k, base & -PAGE_SIZE, tag, "MmUnmapReservedMapping")
    mdl = Mdl(k.memory, at)
    if not reserved.mapped or mdl.mapped_system_va & -PAGE_SIZE != base & -PAGE_SIZE:
        _misuse(k, base, "MmUnmapReservedMapping: this MDL is not mapped there")
    k.memory.unmap(base & -PAGE_SIZE, reserved.mapped * PAGE_SIZE, keep_frames=True)
    reserved.mapped = 0
    mdl.mdl_flags &= ~MDL_MAPPED_TO_SYSTEM_VA
    mdl.mapped_system_va = 0


def _reserved(k: "Kernel", base: int, tag: int, function: str) -> ReservedMapping:
    """What was reserved; a bug check for what was not reserved so."""
    found = k.reserved_mappings.get(base)
    if found is None or found.tag != tag:
        _misuse(k, base, f"{function}: {base:#x} was not reserved, or with another tag")
    return found


def _misuse(k: "Kernel", base: int, text: str) -> Never:
    k.bugcheck(BugCheck.SYSTEM_PTE_MISUSE, 0, base, message=text)
