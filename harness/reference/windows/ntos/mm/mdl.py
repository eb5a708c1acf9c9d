"""Memory descriptor lists for buffers of the kernel's own."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.memory.layout import PAGE_SIZE

if TYPE_CHECKING:
    from harness.reference.windows.io.guarded_heap import GuardedHeap
    from harness.reference.windows.ntos.executive import Executive

_MDL = Struct("<QhhIQQQII")
_MAPPED_TO_SYSTEM_VA, _PAGES_LOCKED, _SOURCE_IS_NONPAGED_POOL = 0x0001, 0x0002, 0x0004
_HEADER = 0x30


def make_mdl(kernel: "Executive", heap: "GuardedHeap", buffer: int, length: int) -> int:
    """An MDL for a resident kernel buffer; the guest address. Free it with `heap.free`."""
    first = buffer & ~(PAGE_SIZE - 1)
    pages = (buffer + max(length, 1) - first + PAGE_SIZE - 1) // PAGE_SIZE
    size = _HEADER + 8 * pages
    mdl = heap.allocate(size)
    flags = _MAPPED_TO_SYSTEM_VA | _PAGES_LOCKED
    kernel.memory.write(mdl, _MDL.pack(0, size, flags, 0, 0, buffer, first, length, buffer - first))
    for index, frame in enumerate(kernel.memory.frames(buffer, length)):
        kernel.memory.write_u64(mdl + _HEADER + 8 * index, frame // PAGE_SIZE)
    return mdl


__all__ = ["make_mdl"]
