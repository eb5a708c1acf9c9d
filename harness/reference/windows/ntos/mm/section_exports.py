"""The memory manager's questions about mapped files, which filters and file systems ask before they change one."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.windows.cc.sections import prefetch
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_FLUSH_FOR_DELETE = 0


@export(NTOSKRNL, "MmFlushImageSection", max_irql=Irql.APC)
def mm_flush_image_section(k: "Kernel", pointers: int, kind: U32) -> bool:
    """MmFlushImageSection: FALSE while an image is mapped, and before a delete while a program has data mapped."""
    cache = k.local_file_systems.cache_at(pointers)
    if cache is None:
        return True
    return not cache.image_references and not (kind == _FLUSH_FOR_DELETE and cache.user_references)


@export(NTOSKRNL, "MmCanFileBeTruncated", max_irql=Irql.APC)
def mm_can_file_be_truncated(k: "Kernel", pointers: int, size_at: int) -> bool:
    """MmCanFileBeTruncated: no new size is a size of nothing."""
    cache = k.local_file_systems.cache_at(pointers)
    return cache is None or cache.can_truncate(k.memory.read_i64(size_at) if size_at else 0)


@export(NTOSKRNL, "MmForceSectionClosed", max_irql=Irql.APC)
def mm_force_section_closed(k: "Kernel", pointers: int, delay: U8) -> Code:
    """MmForceSectionClosed: whether no section of the file is in use any more.

    What only the cache manager keeps is given up, and with it the file object that the cache was set up with.
    """
    del delay
    cache = k.local_file_systems.cache_at(pointers)
    if cache is None:
        return True
    return (yield from cache.close_now()) or not (cache.user_references or cache.image_references)


@export(NTOSKRNL, "MmForceSectionClosedEx", max_irql=Irql.APC)
def mm_force_section_closed_ex(k: "Kernel", pointers: int, flags: U32) -> bool:
    """The same, of data sections (1), image sections (2) or both."""
    cache = k.local_file_systems.cache_at(pointers)
    if cache is None:
        return True
    return not (flags & 1 and cache.user_references) and not (flags & 2 and cache.image_references)


@export(NTOSKRNL, "MmIsFileSectionActive", max_irql=Irql.APC)
def mm_is_file_section_active(k: "Kernel", pointers: int, flags: U32, active: int) -> int:
    """Whether an image (1), data (2) or data of a program's (4) is mapped; INVALID_PARAMETER for none of them."""
    if not flags or flags & ~7:
        return int(NtStatus.INVALID_PARAMETER)
    cache = k.local_file_systems.cache_at(pointers)
    mapped = cache is not None and bool((flags & 1 and cache.image_references) or (flags & 6 and cache.user_references))
    k.memory.write_u32(active, int(mapped))
    return 0


@export(NTOSKRNL, "MmDoesFileHaveUserWritableReferences", max_irql=Irql.APC)
def mm_does_file_have_user_writable_references(k: "Kernel", pointers: int) -> int:
    """MmDoesFileHaveUserWritableReferences: not zero while a program can write through a view."""
    cache = k.local_file_systems.cache_at(pointers)
    return int(cache is not None and cache.writable_references)


@export(NTOSKRNL, "MmPrefetchPages", max_irql=Irql.PASSIVE)
def mm_prefetch_pages(k: "Kernel", count: U32, lists: int) -> Code:
    """MmPrefetchPages: the pages of each READ_LIST; the low 12 bits of an entry are no part of its offset."""
    for index in range(count):
        at = k.memory.read_u64(lists + 8 * index)
        file = k.io.file_at(k.memory.read_u64(at))
        entries = k.memory.read_u32(at + 8)
        stream = k.local_file_systems.stream_of(file) if file is not None else None
        if file is None or stream is None:
            return int(NtStatus.INVALID_PARAMETER)
        offsets = [k.memory.read_u64(at + 16 + 8 * entry) for entry in range(entries)]
        try:
            yield from prefetch(stream, file, offsets)
        except StatusError as error:
            return int(error.status)
    return int(NtStatus.SUCCESS)
