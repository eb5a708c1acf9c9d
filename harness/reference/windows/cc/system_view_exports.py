"""Views of sections in the system's address space: MmMapViewInSystemSpace, by which scanners look at files."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.windows.cc.sections import PAGE_READWRITE, SYSTEM_VIEWS, Section
from harness.reference.windows.io.request import Code
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_VIEW = Kind("view in system space", "MmUnmapViewInSystemSpace", plural="views in system space")
_WRITABLE = PAGE_READWRITE | 0x40
_GRANULARITY = 0x10000


def _map(k: "Kernel", object_: int, base_out: int, size_at: int, offset: int) -> int:
    item = k.objects.at(object_)
    if item is None or not isinstance(item.body, Section):
        driver, what = k.blame.current().driver, k.describe_address(object_)
        k.verifier.report(None, driver, f"MmMapViewInSystemSpace was given {what}, which is no section object")
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    section, size = item.body, k.memory.read_u64(size_at)
    if offset % _GRANULARITY:
        return int(NtStatus.MAPPED_ALIGNMENT)
    if offset >= section.size or size > section.size - offset:
        return int(NtStatus.INVALID_VIEW_SIZE)
    private = section.image is not None
    writable = private or bool(section.protection & _WRITABLE)
    view = k.views.map(section, k.processes.system, offset, size, writable=writable, private=private, system=True)
    k.memory.write_u64(base_out, view.base)
    k.memory.write_u64(size_at, view.size)
    k.holdings.take(_VIEW, view.base, f"at {view.base:#x}")
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "MmMapViewInSystemSpace", max_irql=Irql.APC)
def mm_map_view_in_system_space(k: "Kernel", section: int, base_out: int, size_at: int) -> int:
    """MmMapViewInSystemSpace: all of a section where the size is 0; its pages come when they are touched."""
    return _map(k, section, base_out, size_at, 0)


@export(NTOSKRNL, "MmMapViewInSystemSpaceEx", max_irql=Irql.APC)
def mm_map_view_in_system_space_ex(
    k: "Kernel", section: int, base_out: int, size_at: int, offset_at: int, flags: int
) -> int:
    """The same from an offset on."""
    del flags
    offset = k.memory.read_u64(offset_at)
    status = _map(k, section, base_out, size_at, offset)
    if not status:
        k.memory.write_u64(offset_at, offset)
    return status


@export(NTOSKRNL, "MmUnmapViewInSystemSpace", max_irql=Irql.APC)
def mm_unmap_view_in_system_space(k: "Kernel", base: int) -> Code:
    """MmUnmapViewInSystemSpace."""
    view = k.views.at(base) if base >= SYSTEM_VIEWS else None
    if view is None:
        text = f"MmUnmapViewInSystemSpace was given {base:#x}, where no view is mapped"
        k.verifier.report(None, k.blame.current().driver, text)
        return int(NtStatus.NOT_MAPPED_VIEW)
    k.holdings.give_back(_VIEW, view.base)
    yield from k.views.unmap(view)
    return int(NtStatus.SUCCESS)
