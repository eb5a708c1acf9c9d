"""Memory: copies that do not fault, physical addresses, pages for MDLs, contiguous memory, verifier's questions."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.machine.memory.layout import PAGE_SIZE, is_user, page_align
from harness.reference.machine.memory.pagetables import OutOfMemoryError
from harness.reference.windows.ntos.ex.driver_pool import free
from harness.reference.windows.ntos.mm.mdl import Mdl, allocate_mdl, lock_pages, unlock_pages
from harness.reference.windows.ntos.ps.process_objects import process_at
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_COPY_PHYSICAL, _COPY_VIRTUAL = 1, 2
_PARTIAL_COPY = 0x8000000D
_SECURED = Kind("secured range of memory", "MmUnsecureVirtualMemory")


@export(NTOSKRNL, "MmCopyMemory", max_irql=Irql.APC)
def mm_copy_memory(k: "Kernel", target: int, source: int, size: int, flags: U32, copied: int) -> int:
    """Of virtual addresses, as far as they are there: ACCESS_VIOLATION and how much was copied before."""
    k.memory.write_u64(copied, 0)
    if flags not in (_COPY_PHYSICAL, _COPY_VIRTUAL):
        return int(NtStatus.INVALID_PARAMETER)
    if flags == _COPY_PHYSICAL:
        if source + size > len(k.memory.ram):
            return int(NtStatus.INVALID_PARAMETER)
        k.memory.write(target, bytes(k.memory.ram[source : source + size]))
        k.memory.write_u64(copied, size)
        return 0
    done = 0
    while done < size:
        at = source + done
        part = min(size - done, PAGE_SIZE - at % PAGE_SIZE)
        if is_user(at) or not k.memory.is_mapped(at, part):
            k.memory.write_u64(copied, done)
            return int(NtStatus.ACCESS_VIOLATION)
        k.memory.write(target + done, k.memory.read(at, part))
        done += part
    k.memory.write_u64(copied, done)
    return 0


@export(NTOSKRNL, "MmCopyVirtualMemory", max_irql=Irql.APC)
def mm_copy_virtual_memory(
    k: "Kernel", of: int, source: int, to: int, target: int, size: int, mode: U8, copied: int
) -> int:
    """From a process to another, as far as both are there; PARTIAL_COPY where that is less. All share one space."""
    process_at(k, of, "MmCopyVirtualMemory")
    process_at(k, to, "MmCopyVirtualMemory")
    k.memory.write_u64(copied, 0)
    if not size:
        return 0
    if mode and not (is_user(source + size - 1) and is_user(target + size - 1)):
        return int(NtStatus.ACCESS_VIOLATION)
    done = 0
    while done < size:
        part = min(size - done, *(PAGE_SIZE - (at + done) % PAGE_SIZE for at in (source, target)))
        if not k.memory.is_mapped(source + done, part) or not k.memory.is_mapped(target + done, part, write=True):
            break
        k.memory.write(target + done, k.memory.read(source + done, part))
        done += part
    k.memory.write_u64(copied, done)
    return 0 if done == size else _PARTIAL_COPY


@export(NTOSKRNL, "MmGetPhysicalAddress", max_irql=Irql.DISPATCH)
def mm_get_physical_address(k: "Kernel", address: int) -> int:
    """0 for an address that is not there."""
    if not k.memory.is_mapped(address, 1):
        return 0
    page = address & ~(PAGE_SIZE - 1)
    (frame,) = k.memory.frames(page, PAGE_SIZE)
    return frame + address - page


@export(NTOSKRNL, "MmIsNonPagedSystemAddressValid", max_irql=Irql.DISPATCH)
def mm_is_non_paged_system_address_valid(k: "Kernel", address: int) -> bool:
    return not is_user(address) and k.memory.is_mapped(address, 1) and not k.memory.is_pageable(address)


@export(NTOSKRNL, "MmIsDriverVerifying", "MmIsDriverVerifyingByAddress", "MmIsDriverSuspectForVerifier")
def mm_is_driver_verifying(k: "Kernel", item: int) -> bool:
    """Every driver is watched here."""
    k.memory.read(item, 1)
    return True


@export(NTOSKRNL, "MmIsVerifierEnabled", max_irql=Irql.DISPATCH)
def mm_is_verifier_enabled(k: "Kernel", flags: int) -> int:
    """Special pool, IRQL checking, pool tracking, I/O verification, deadlock detection."""
    k.memory.write_u32(flags, 0x3B)
    return 0


@export(NTOSKRNL, "MmIsRecursiveIoFault", max_irql=Irql.APC)
def mm_is_recursive_io_fault(k: "Kernel") -> bool:
    """No page is brought in while one is brought in."""
    del k
    return False


@export(NTOSKRNL, "MmGetMaximumFileSectionSize", max_irql=Irql.APC)
def mm_get_maximum_file_section_size(k: "Kernel") -> int:
    del k
    return 0xFFF_FFFF_F000


# -- pages of a driver's own


def _contiguous(k: "Kernel", size: int) -> int:
    where = k.blame.current()
    try:
        return k.pool.allocate(page_align(size), "MmCn", paged=False, owner=where.driver, allocated_by=where.address)
    except OutOfMemoryError:
        return 0


@export(NTOSKRNL, "MmAllocateContiguousMemory", "MmAllocateContiguousMemorySpecifyCache", max_irql=Irql.DISPATCH)
def mm_allocate_contiguous_memory(k: "Kernel", size: int, highest: int) -> int:
    """Any memory will do: no device looks at physical addresses."""
    del highest
    return _contiguous(k, size) if size else 0


@export(NTOSKRNL, "MmAllocateContiguousNodeMemory", max_irql=Irql.DISPATCH)
def mm_allocate_contiguous_node_memory(k: "Kernel", size: int) -> int:
    return _contiguous(k, size) if size else 0


@export(
    NTOSKRNL, "MmFreeContiguousMemory", "MmFreeContiguousMemorySpecifyCache", "MmFreeNonCachedMemory",
    max_irql=Irql.DISPATCH,
)  # fmt: skip
def mm_free_contiguous_memory(k: "Kernel", address: int) -> int:
    free(k, address, None)
    return 0


@export(NTOSKRNL, "MmAllocateNonCachedMemory", max_irql=Irql.APC)
def mm_allocate_non_cached_memory(k: "Kernel", size: int) -> int:
    return _contiguous(k, size) if size else 0


@export(NTOSKRNL, "MmAllocatePagesForMdl", "MmAllocatePagesForMdlEx", max_irql=Irql.DISPATCH)
def mm_allocate_pages_for_mdl(k: "Kernel", low: int, high: int, skip: int, size: int) -> int:
    """An MDL of locked pages; MmFreePagesFromMdl, and then ExFreePool of the MDL."""
    del low, high, skip
    pages = _contiguous(k, size)
    if not pages:
        return 0
    where = k.blame.current()
    k.memory.write(pages, bytes(page_align(size)))
    mdl = allocate_mdl(k, pages, page_align(size), owner=where.driver, where=where.address)
    lock_pages(k, mdl, write=True)
    k.mdl_pages[mdl] = pages
    return mdl


@export(NTOSKRNL, "MmFreePagesFromMdl", "MmFreePagesFromMdlEx", max_irql=Irql.APC)
def mm_free_pages_from_mdl(k: "Kernel", mdl: int) -> int:
    pages = k.mdl_pages.pop(mdl, None)
    if pages is None:
        k.verifier.report(
            None, k.blame.current().driver, f"MmFreePagesFromMdl was given {mdl:#x}, which has no pages of its own"
        )
        return 0
    unlock_pages(k, mdl)
    free(k, pages, None)
    return 0


@export(NTOSKRNL, "MmCreateMdl", max_irql=Irql.DISPATCH)
def mm_create_mdl(k: "Kernel", at: int, address: int, length: int) -> int:
    """In the caller's memory, or in pool."""
    where = k.blame.current()
    made = allocate_mdl(k, address, length, owner=where.driver, where=where.address)
    if not at:
        return made
    k.memory.write(at, k.memory.read(made, Mdl.SIZE))
    free(k, made, None)
    return at


@export(NTOSKRNL, "MmAreMdlPagesCached", max_irql=Irql.DISPATCH)
def mm_are_mdl_pages_cached(k: "Kernel", mdl: int) -> int:
    k.memory.read(mdl, Mdl.SIZE)
    return 1


@export(NTOSKRNL, "MmMdlPagesAreZero", "MmMdlPageContentsState", max_irql=Irql.DISPATCH)
def mm_mdl_pages_are_zero(k: "Kernel", mdl: int) -> int:
    """Not known to be."""
    k.memory.read(mdl, Mdl.SIZE)
    return 0


@export(NTOSKRNL, "MmSecureVirtualMemory", "MmSecureVirtualMemoryEx", max_irql=Irql.APC)
def mm_secure_virtual_memory(k: "Kernel", address: int, size: int, mode: U32) -> int:
    """A handle, or null for what is no user memory; nobody can change its protection anyway."""
    del mode
    if not is_user(address) or not k.memory.is_mapped(address, max(size, 1)):
        return 0
    handle = k.heap.allocate(0x10)
    k.holdings.take(_SECURED, handle)
    return handle


@export(NTOSKRNL, "MmUnsecureVirtualMemory", max_irql=Irql.APC)
def mm_unsecure_virtual_memory(k: "Kernel", handle: int) -> int:
    if k.holdings.give_back(_SECURED, handle):
        k.heap.free(handle)
    else:
        k.verifier.report(None, k.blame.current().driver, f"MmUnsecureVirtualMemory: {handle:#x} is no handle")
    return 0
