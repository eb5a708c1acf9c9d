"""MmMapViewInSystemSpace: views of sections that every process has, as filters map what they scan."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.windows.cc.sections import PAGE_EXECUTE_READWRITE, PAGE_READWRITE, Section
from harness.reference.windows.io.request import Code
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_VIEW = Kind("view in system space", "MmUnmapViewInSystemSpace")
_GRANULARITY = 0x10000
_MOST = 1 << 40


@export(NTOSKRNL, "MmMapViewInSystemSpace", max_irql=Irql.APC)
def mm_map_view_in_system_space(k: "Kernel", section: int, base_out: int, size_at: int) -> int:
    """From the beginning of the section; its size, where none is asked for."""
    return _map(k, section, base_out, size_at, 0)


@export(NTOSKRNL, "MmMapViewInSystemSpaceEx", max_irql=Irql.APC)
def mm_map_view_in_system_space_ex(
    k: "Kernel", section: int, base_out: int, size_at: int, offset_at: int, flags: int
) -> int:
    """From an offset, which is made one of the granularity of allocations, and told."""
    if flags & ~1:
        return int(NtStatus.INVALID_PARAMETER)
    offset = k.memory.read_u64(offset_at) & -_GRANULARITY
    status = _map(k, section, base_out, size_at, offset)
    if not status:
        k.memory.write_u64(offset_at, offset)
    return status


def _map(k: "Kernel", address: int, base_out: int, size_at: int, offset: int) -> int:
    item = k.objects.at(address)
    if item is None or not isinstance(item.body, Section):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    section, size = item.body, k.memory.read_u64(size_at)
    if offset >= section.size or size > section.size - offset or (size or section.size) > _MOST:
        return int(NtStatus.INVALID_VIEW_SIZE)
    private = section.image is not None
    writable = private or bool(section.protection & (PAGE_READWRITE | PAGE_EXECUTE_READWRITE))
    view = k.views.map(section, k.processes.system, offset, size, writable=writable, private=private, system=True)
    k.holdings.take(_VIEW, view.base)
    k.memory.write_u64(base_out, view.base)
    k.memory.write_u64(size_at, view.size)
    return 0


@export(NTOSKRNL, "MmUnmapViewInSystemSpace", max_irql=Irql.APC)
def mm_unmap_view_in_system_space(k: "Kernel", base: int) -> Code:
    view = k.views.at(base)
    if view is None or view.base != base or not k.holdings.give_back(_VIEW, base):
        return int(NtStatus.NOT_MAPPED_VIEW)
    yield from k.views.unmap(view)
    return 0
