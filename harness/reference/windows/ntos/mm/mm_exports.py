"""Memory manager: system routines by name, MDLs, and the odd question about addresses."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql, NtStatus
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.exports import FLTMGR, HAL, NTOSKRNL, U8, U32, export
from harness.reference.machine.memory.layout import PAGE_SHIFT, PAGE_SIZE, is_user, page_align
from harness.reference.machine.memory.pagetables import OutOfMemoryError
from harness.reference.windows.ntos.ex.driver_pool import free
from harness.reference.windows.ntos.mm.mdl import (
    MDL_MAPPED_TO_SYSTEM_VA,
    MDL_PAGES_LOCKED,
    MDL_PARTIAL,
    MDL_SOURCE_IS_NONPAGED_POOL,
    Mdl,
    advance,
    allocate_mdl,
    lock_pages,
    map_pages,
    unlock_pages,
    unmap_pages,
)

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_NOT_MAPPED_VIEW, _INVALID_PAGE_PROTECTION = 0xC0000019, 0xC0000045
_PROTECTIONS = {0x02: (False, False), 0x04: (True, False), 0x20: (False, True), 0x40: (True, True)}
"""By PAGE_READONLY, _READWRITE, _EXECUTE_READ, _EXECUTE_READWRITE: may be written, may be executed."""
_MOST_PAGES = 1 << 20


@export(NTOSKRNL, "IoAllocateMdl", max_irql=Irql.DISPATCH)
def io_allocate_mdl(k: "Kernel", address: int, length: U32, secondary: bool, charge: bool, irp: int) -> int:
    del charge
    where = k.blame.current()
    try:
        at = allocate_mdl(k, address, length, owner=where.driver, where=where.address)
    except OutOfMemoryError:
        return 0
    if irp:
        first = k.memory.read_u64(irp + 8)  # IRP.MdlAddress
        if not secondary or not first:
            k.memory.write_u64(irp + 8, at)
        else:
            last = Mdl(k.memory, first)
            while last.next:
                last = Mdl(k.memory, last.next)
            last.next = at
    return at


@export(NTOSKRNL, "IoFreeMdl", max_irql=Irql.DISPATCH)
def io_free_mdl(k: "Kernel", at: int) -> int:
    mdl = Mdl(k.memory, at)
    if mdl.mdl_flags & MDL_PAGES_LOCKED:
        k.verifier.report(
            None, k.blame.current().driver, f"the MDL at {at:#x} is freed while its pages are locked (MmUnlockPages)"
        )
        unlock_pages(k, at)
    elif mdl.mdl_flags & MDL_MAPPED_TO_SYSTEM_VA:
        unmap_pages(k, mdl.mapped_system_va, at)
    free(k, at, None)
    return 0


@export(NTOSKRNL, "MmProbeAndLockPages", max_irql=Irql.DISPATCH)
def mm_probe_and_lock_pages(k: "Kernel", at: int, mode: U8, operation: U32) -> int:
    mdl = Mdl(k.memory, at)
    address = mdl.virtual_address
    if k.irql > Irql.APC and (is_user(address) or k.memory.is_pageable(address)):
        k.bugcheck(
            BugCheck.IRQL_NOT_LESS_OR_EQUAL, address, k.irql,
            message=f"MmProbeAndLockPages for pageable memory at IRQL {k.irql}",
        )  # fmt: skip
    if mode and not is_user(address + max(mdl.byte_count, 1) - 1):
        raise GuestException(0xC0000005, 0, address)
    write = operation != 0
    if not k.memory.is_mapped(address, max(mdl.byte_count, 1), write=write):
        # Locking raises in any case, also for kernel addresses; that is what callers catch.
        raise GuestException(0xC0000005, int(write), address)
    lock_pages(k, at, write=write)
    k.verifier.locked_by_drivers.add(address)
    return 0


@export(NTOSKRNL, "MmUnlockPages", max_irql=Irql.DISPATCH)
def mm_unlock_pages(k: "Kernel", at: int) -> int:
    if not Mdl(k.memory, at).mdl_flags & MDL_PAGES_LOCKED:
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, 0x7C, at,
            message=f"MmUnlockPages: the pages of the MDL at {at:#x} are not locked",
        )  # fmt: skip
    unlock_pages(k, at)
    return 0


@export(NTOSKRNL, "MmBuildMdlForNonPagedPool", max_irql=Irql.DISPATCH)
def mm_build_mdl_for_non_paged_pool(k: "Kernel", at: int) -> int:
    mdl = Mdl(k.memory, at)
    address = mdl.virtual_address
    if is_user(address) or k.memory.is_pageable(address):
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, 0, at, address,
            message=f"MmBuildMdlForNonPagedPool for {k.describe_address(address)}",
        )  # fmt: skip
    for index, frame in enumerate(k.memory.frames(mdl.start_va, mdl.pages * PAGE_SIZE)):
        k.memory.write_u64(at + Mdl.SIZE + 8 * index, frame >> PAGE_SHIFT)
    mdl.mapped_system_va = address
    mdl.mdl_flags |= MDL_SOURCE_IS_NONPAGED_POOL
    return 0


@export(NTOSKRNL, "MmMapLockedPagesSpecifyCache", max_irql=Irql.DISPATCH)
def mm_map_locked_pages_specify_cache(
    k: "Kernel", at: int, mode: U8, cache: U32, address: int, bug_check: U32, priority: U32
) -> int:
    del mode, cache, address, bug_check, priority
    return _map_locked(k, at)


@export(NTOSKRNL, "MmMapLockedPages", max_irql=Irql.DISPATCH)
def mm_map_locked_pages(k: "Kernel", at: int, mode: U8) -> int:
    del mode
    return _map_locked(k, at)


def _map_locked(k: "Kernel", at: int) -> int:
    mdl = Mdl(k.memory, at)
    if not mdl.mdl_flags & (MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL | MDL_PARTIAL):
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, 0x81, at,
            message=f"the MDL at {at:#x} is mapped, but its pages are not locked",
        )  # fmt: skip
    if mdl.mdl_flags & MDL_MAPPED_TO_SYSTEM_VA:
        return mdl.mapped_system_va
    return map_pages(k, at)


@export(NTOSKRNL, "MmUnmapLockedPages", max_irql=Irql.DISPATCH)
def mm_unmap_locked_pages(k: "Kernel", address: int, at: int) -> int:
    unmap_pages(k, address, at)
    return 0


@export(NTOSKRNL, "MmProtectMdlSystemAddress", max_irql=Irql.DISPATCH)
def mm_protect_mdl_system_address(k: "Kernel", at: int, protection: U32) -> int:
    """Of the mapping of an MDL, which a second one of the same pages does not see."""
    mdl = Mdl(k.memory, at)
    if not mdl.mdl_flags & MDL_MAPPED_TO_SYSTEM_VA or mdl.mdl_flags & MDL_SOURCE_IS_NONPAGED_POOL:
        return _NOT_MAPPED_VIEW
    allowed = _PROTECTIONS.get(protection)
    if allowed is None:
        return _INVALID_PAGE_PROTECTION
    base, size = mdl.mapped_system_va & -PAGE_SIZE, mdl.pages * PAGE_SIZE
    if mdl.pages > _MOST_PAGES or not k.memory.is_mapped(base, size):
        return _NOT_MAPPED_VIEW
    k.memory.protect(base, size, writable=allowed[0], executable=allowed[1])
    return 0


@export(NTOSKRNL, "IoBuildPartialMdl", max_irql=Irql.DISPATCH)
def io_build_partial_mdl(k: "Kernel", source: int, target: int, address: int, length: U32) -> int:
    original, partial = Mdl(k.memory, source), Mdl(k.memory, target)
    length = length or original.virtual_address + original.byte_count - address
    partial.initialize(address, length)
    skip = (partial.start_va - original.start_va) >> PAGE_SHIFT
    frames = k.memory.read(source + Mdl.SIZE + 8 * skip, 8 * partial.pages)
    k.memory.write(target + Mdl.SIZE, frames)
    partial.mdl_flags |= MDL_PARTIAL | original.mdl_flags & MDL_SOURCE_IS_NONPAGED_POOL
    if original.mdl_flags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL):
        partial.mapped_system_va = original.mapped_system_va + address - original.virtual_address
    return 0


@export(NTOSKRNL, "MmAdvanceMdl", max_irql=Irql.DISPATCH)
def mm_advance_mdl(k: "Kernel", at: int, count: U32) -> int:
    """MmAdvanceMdl: pages that are left behind are not the MDL's any more."""
    return int(NtStatus.SUCCESS if advance(k, at, count) else NtStatus.INVALID_PARAMETER_2)


@export(NTOSKRNL, "MmSizeOfMdl")
def mm_size_of_mdl(k: "Kernel", address: int, length: int) -> int:
    del k
    return Mdl.SIZE + 8 * (page_align(address % PAGE_SIZE + length) >> PAGE_SHIFT)


@export(NTOSKRNL, "MmGetSystemRoutineAddress", max_irql=Irql.PASSIVE)
def mm_get_system_routine_address(k: "Kernel", name_pointer: int) -> int:
    """Null for what is not implemented too: a driver that asks is ready for an older Windows."""
    name = k.memory.read_unicode_string(name_pointer)
    for module in (NTOSKRNL, HAL):
        if k.exports.is_implemented(module, name):
            return k.exports.address_of(module, name)
    return 0


def get_filter_manager_routine(k: "Kernel", name: str) -> int:
    """FltGetRoutineAddress."""
    return k.exports.address_of(FLTMGR, name) if k.exports.is_implemented(FLTMGR, name) else 0


@export(NTOSKRNL, "MmIsAddressValid", max_irql=Irql.DISPATCH)
def mm_is_address_valid(k: "Kernel", address: int) -> bool:
    return k.memory.is_mapped(address)


@export(NTOSKRNL, "MmIsThisAnNtAsSystem")
def mm_is_this_an_nt_as_system(k: "Kernel") -> bool:
    """A workstation."""
    del k
    return False


@export(NTOSKRNL, "MmQuerySystemSize")
def mm_query_system_size(k: "Kernel") -> int:
    """MmLargeSystem."""
    del k
    return 2


@export(NTOSKRNL, "MmLockPagableDataSection", "MmLockPagableSectionByHandle", max_irql=Irql.APC)
def mm_lock_pagable_data_section(k: "Kernel", address: int) -> int:
    """The section stays resident from now on."""
    _set_pageable(k, address, pageable=False)
    return address


@export(NTOSKRNL, "MmUnlockPagableImageSection", max_irql=Irql.APC)
def mm_unlock_pagable_image_section(k: "Kernel", address: int) -> int:
    _set_pageable(k, address, pageable=True)
    return 0


def _set_pageable(k: "Kernel", address: int, *, pageable: bool) -> None:
    image = k.images.at(address)
    section = image.section_at(address) if image is not None else None
    if image is None or section is None or not section.pageable or k.policy["pageable"] != "enforce":
        return
    k.memory.protect(
        image.base + section.address,
        section.size,
        writable=section.writable,
        executable=section.executable,
        pageable=pageable,
    )
