"""The cache manager's routines that filters call: flushing and purging what is cached, and asking about it."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_IO_STATUS = Struct("<I4xQ")
_WHOLE = 1 << 62
_NO_PURGE, _PURGE_INVALIDATES = 0x1, 0x2


def _range(k: "Kernel", offset_at: int, length: int) -> tuple[int, int]:
    """The range that is meant: all of the file without an offset, all behind it without a length."""
    if not offset_at:
        return 0, _WHOLE
    return k.memory.read_i64(offset_at), length or _WHOLE


@export(NTOSKRNL, "CcFlushCache", max_irql=Irql.APC)
def cc_flush_cache(k: "Kernel", pointers: int, offset_at: int, length: U32, iosb: int) -> Code:
    """CcFlushCache: dirty pages go down as paging writes, from the top of the stack."""
    cache = k.local_file_systems.cache_at(pointers)
    if cache is not None:
        yield from cache.flush(*_range(k, offset_at, length))
    if iosb:
        k.memory.write(iosb, _IO_STATUS.pack(0, 0))


@export(NTOSKRNL, "CcPurgeCacheSection", max_irql=Irql.APC)
def cc_purge_cache_section(k: "Kernel", pointers: int, offset_at: int, length: U32, flags: U32) -> bool:
    """CcPurgeCacheSection: FALSE while a program has the file mapped."""
    del flags
    cache = k.local_file_systems.cache_at(pointers)
    return cache is None or cache.purge_range(*_range(k, offset_at, length))


@export(NTOSKRNL, "CcCoherencyFlushAndPurgeCache", max_irql=Irql.APC)
def cc_coherency_flush_and_purge_cache(
    k: "Kernel", pointers: int, offset_at: int, length: U32, iosb: int, flags: U32
) -> Code:
    """CcCoherencyFlushAndPurgeCache: CACHE_NOT_PURGED... is STATUS_CACHE_PAGE_LOCKED where a view stands in the way."""
    cache = k.local_file_systems.cache_at(pointers)
    status = int(NtStatus.SUCCESS)
    if cache is not None:
        where = _range(k, offset_at, length)
        yield from cache.flush(*where)
        if not flags & _NO_PURGE and not cache.purge_range(*where):
            status = int(NtStatus.CACHE_PAGE_LOCKED)
    k.memory.write(iosb, _IO_STATUS.pack(status, 0))


@export(NTOSKRNL, "CcIsThereDirtyData", max_irql=Irql.APC)
def cc_is_there_dirty_data(k: "Kernel", vpb: int) -> bool:
    """CcIsThereDirtyData, of a volume by its VPB."""
    return _dirty_pages(k, vpb) > 0


@export(NTOSKRNL, "CcIsThereDirtyDataEx", max_irql=Irql.APC)
def cc_is_there_dirty_data_ex(k: "Kernel", vpb: int, count_out: int) -> bool:
    """The same, with the number of pages."""
    pages = _dirty_pages(k, vpb)
    if count_out:
        k.memory.write_u32(count_out, pages)
    return pages > 0


def _dirty_pages(k: "Kernel", vpb: int) -> int:
    return sum(
        cache.is_dirty() for driver in k.local_file_systems.volumes() if driver.vpb == vpb for cache in driver.caches()
    )


@export(NTOSKRNL, "CcGetFileObjectFromSectionPtrs", max_irql=Irql.DISPATCH)
def cc_get_file_object_from_section_ptrs(k: "Kernel", pointers: int) -> int:
    """The file object that the file's cache was set up with; NULL for a file that is not cached."""
    cache = k.local_file_systems.cache_at(pointers)
    return cache.file.address if cache is not None else 0


@export(NTOSKRNL, "CcGetFileObjectFromSectionPtrsRef", max_irql=Irql.DISPATCH)
def cc_get_file_object_from_section_ptrs_ref(k: "Kernel", pointers: int) -> int:
    """The same, with a reference for the caller."""
    cache = k.local_file_systems.cache_at(pointers)
    if cache is None:
        return 0
    k.objects.take(cache.file.object)
    return cache.file.address


@export(NTOSKRNL, "CcWaitForCurrentLazyWriterActivity", max_irql=Irql.PASSIVE)
def cc_wait_for_current_lazy_writer_activity(k: "Kernel") -> Code:
    """CcWaitForCurrentLazyWriterActivity: what is dirty now is written when it returns."""
    for driver in k.local_file_systems.volumes():
        for cache in driver.caches():
            yield from cache.flush(0, _WHOLE)
    return int(NtStatus.SUCCESS)
