"""NtAllocateVirtualMemory and NtFreeVirtualMemory, of the calling process."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import U32
from harness.reference.machine.memory.layout import PAGE_SIZE, page_align
from harness.reference.windows.io.system_services import service
from harness.reference.windows.ntos.ob.objects import CURRENT_PROCESS
from harness.reference.windows.user.address_space import Region

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_COMMIT, _RESERVE, _RELEASE, _DECOMMIT = 0x1000, 0x2000, 0x8000, 0x4000
_MOST = 1 << 30


def _regions(k: "Kernel") -> list[Region]:
    """What the current process has: a program, or the System process."""
    program = k.programs.running.get(k.current.process)
    return program.regions if program is not None else k.system_regions


def _region_at(k: "Kernel", address: int, size: int = 1) -> Region | None:
    for region in _regions(k):
        if region.contains(address, size):
            return region
    return None


@service("AllocateVirtualMemory")
def nt_allocate_virtual_memory(
    k: "Kernel", mode: int, process: int, base_at: int, zero_bits: int, size_at: int, kind: U32, protection: U32
) -> int:
    """NtAllocateVirtualMemory: reserving commits, and every page can be written."""
    del mode, zero_bits, protection
    base, size = k.memory.read_u64(base_at), k.memory.read_u64(size_at)
    if process != CURRENT_PROCESS:
        return int(NtStatus.INVALID_HANDLE)
    if not size or not kind & (_COMMIT | _RESERVE):
        return int(NtStatus.INVALID_PARAMETER)
    if size > _MOST:
        return int(NtStatus.NO_MEMORY)
    if base:
        first = base & ~(PAGE_SIZE - 1)
        length = page_align(base + size - first)
        if _region_at(k, first, length) is None or kind & _RESERVE:
            return int(NtStatus.CONFLICTING_ADDRESSES)
        k.memory.write_u64(base_at, first)
        k.memory.write_u64(size_at, length)
        return int(NtStatus.SUCCESS)
    region = k.programs.space.allocate("heap", size)
    _regions(k).append(region)
    k.memory.write_u64(base_at, region.base)
    k.memory.write_u64(size_at, region.size)
    return int(NtStatus.SUCCESS)


@service("FreeVirtualMemory")
def nt_free_virtual_memory(k: "Kernel", mode: int, process: int, base_at: int, size_at: int, kind: U32) -> int:
    """NtFreeVirtualMemory: releases a whole allocation; decommitting keeps it."""
    del mode
    if process != CURRENT_PROCESS:
        return int(NtStatus.INVALID_HANDLE)
    region = _region_at(k, k.memory.read_u64(base_at))
    if region is None:
        return int(NtStatus.MEMORY_NOT_ALLOCATED)
    if kind == _DECOMMIT:
        return int(NtStatus.SUCCESS)
    if kind != _RELEASE:
        return int(NtStatus.INVALID_PARAMETER)
    _regions(k).remove(region)
    region.free()
    k.memory.write_u64(base_at, region.base)
    k.memory.write_u64(size_at, region.size)
    return int(NtStatus.SUCCESS)
