"""The cache manager as drivers use it for file objects of their own: setting a cache up, copying, sizes, its end."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.machine.memory.layout import PAGE_SIZE
from harness.reference.windows.cc.cache_use import cache_of, check_within, driver_cache_of, file_at, raising
from harness.reference.windows.io.constants import FileObjectFlags
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.structures import IoStatusBlock

if TYPE_CHECKING:
    from harness.reference.windows.cc.cache_map import CacheMap
    from harness.reference.windows.kernel import Kernel

_SIZES = Struct("<qqq")
"""CC_FILE_SIZES: AllocationSize, FileSize, ValidDataLength."""
_LAST_PAGE = 0xFFF


# -- setting up, sizes, the end


@export(NTOSKRNL, "CcInitializeCacheMap", max_irql=Irql.APC)
def cc_initialize_cache_map(
    k: "Kernel", file_object: int, sizes: int, pin_access: U8, callbacks: int, context: int
) -> int:
    """CcInitializeCacheMap: FileObject->PrivateCacheMap is set, and the file object referenced until the cache goes."""
    del pin_access
    file = file_at(k, file_object, "CcInitializeCacheMap")
    stream = k.driver_streams.of(file)
    if stream is None:
        k.bugcheck(
            BugCheck.CACHE_MANAGER,
            file_object,
            message=f"CcInitializeCacheMap of {file.name}: no driver has given its file object SECTION_OBJECT_POINTERS",
        )
    _, size, _ = _SIZES.unpack(k.memory.read(sizes, _SIZES.size))
    cache = stream.make_cache(file)
    stream.set_callbacks(callbacks, context)
    if size > stream.size() or not cache.used:
        stream.set_size(size)
    cache.cached_by(file)
    return 0


@export(NTOSKRNL, "CcInitializeCacheMapEx", max_irql=Irql.APC)
def cc_initialize_cache_map_ex(
    k: "Kernel", file_object: int, sizes: int, pin_access: U8, callbacks: int, context: int, flags: U32
) -> int:
    """The same with flags, which are of read ahead and write behind."""
    del flags
    return cc_initialize_cache_map(k, file_object, sizes, pin_access, callbacks, context)


@export(NTOSKRNL, "CcUninitializeCacheMap", max_irql=Irql.APC)
def cc_uninitialize_cache_map(k: "Kernel", file_object: int, truncate_at: int, event: int) -> bool:
    """CcUninitializeCacheMap: also of a file object that is not cached; whether the cache map goes.

    The last one's TruncateSize cuts what is cached; `event` is signaled once nothing is.
    """
    cache = driver_cache_of(k, file_object)
    file = k.io.file_at(file_object)
    if cache is None or file is None:
        if event:
            k.driver_streams.signal_end(event)
        return False
    if event:
        cache.driver_stream.tell_end(event)
    if not file.caches:
        return False
    if truncate_at and cache.used_only_by(file) and not cache.user_references:
        cache.driver_stream.set_size(k.memory.read_i64(truncate_at))
    return cache.uncached_by(file) and not cache.user_references


@export(NTOSKRNL, "CcSetFileSizes", max_irql=Irql.APC)
def cc_set_file_sizes(k: "Kernel", file_object: int, sizes: int) -> int:
    """CcSetFileSizes: nothing is to be told of a file that is not cached."""
    _, size, _ = _SIZES.unpack(k.memory.read(sizes, _SIZES.size))
    cache = driver_cache_of(k, file_object)
    if cache is not None:
        cache.driver_stream.set_size(size)
    return 0


@export(NTOSKRNL, "CcSetFileSizesEx", max_irql=Irql.APC)
def cc_set_file_sizes_ex(k: "Kernel", file_object: int, sizes: int) -> int:
    """The same, with a status in the place of an exception."""
    cc_set_file_sizes(k, file_object, sizes)
    return int(NtStatus.SUCCESS)


# -- copying


def _report(k: "Kernel", iosb: int, length: int) -> None:
    block = IoStatusBlock(k.memory, iosb)
    block.status, block.information = int(NtStatus.SUCCESS), length


def _read(k: "Kernel", call: str, file_object: int, offset: int, length: int, wait: int, buffer: int) -> Code:
    _, cache = cache_of(k, file_object, call)
    check_within(k, cache, offset, length, call)
    if length and not wait and not cache.is_resident(offset, length):
        return False
    if length:
        data = yield from raising(cache.read(offset, length))
        yield from k.io.views.write(buffer, data)
    return True


def _write(k: "Kernel", call: str, file_object: int, offset: int, length: int, wait: int, buffer: int) -> Code:
    file, cache = cache_of(k, file_object, call)
    check_within(k, cache, offset, length, call)
    if not wait and (file.flags & FileObjectFlags.WRITE_THROUGH or not _fits(cache, offset, length)):
        return False
    if length:
        data = yield from k.io.views.read(buffer, length)
        yield from raising(cache.write(offset, data))
        if file.flags & FileObjectFlags.WRITE_THROUGH:
            yield from raising(cache.flush(offset, length))
    return True


def _fits(cache: "CacheMap", offset: int, length: int) -> bool:
    """Whether what is written in part is resident, so that nothing has to be read first."""
    ends = {offset, offset + length} if length else set()
    return all(end % PAGE_SIZE == 0 or cache.is_resident(end & ~_LAST_PAGE, 1) for end in ends)


@export(NTOSKRNL, "CcCopyRead", max_irql=Irql.APC)
def cc_copy_read(k: "Kernel", file_object: int, offset_at: int, length: U32, wait: U8, buffer: int, iosb: int) -> Code:
    """CcCopyRead: what is not there is fetched by paging reads, in this thread; FALSE if that may not be waited for."""
    done = yield from _read(k, "CcCopyRead", file_object, k.memory.read_i64(offset_at), length, wait, buffer)
    if done:
        _report(k, iosb, length)
    return done


@export(NTOSKRNL, "CcCopyReadEx", max_irql=Irql.APC)
def cc_copy_read_ex(
    k: "Kernel", file_object: int, offset_at: int, length: U32, wait: U8, buffer: int, iosb: int, thread: int
) -> Code:
    """The same, with the thread that the I/O is charged to."""
    del thread
    return (yield from cc_copy_read(k, file_object, offset_at, length, wait, buffer, iosb))


@export(NTOSKRNL, "CcFastCopyRead", max_irql=Irql.APC)
def cc_fast_copy_read(
    k: "Kernel", file_object: int, offset: U32, length: U32, pages: U32, buffer: int, iosb: int
) -> Code:
    """CcCopyRead below 4 GiB, which always waits."""
    del pages
    yield from _read(k, "CcFastCopyRead", file_object, offset, length, 1, buffer)
    _report(k, iosb, length)
    return 0


@export(NTOSKRNL, "CcCopyWrite", max_irql=Irql.APC)
def cc_copy_write(k: "Kernel", file_object: int, offset_at: int, length: U32, wait: U8, buffer: int) -> Code:
    """CcCopyWrite: into the cache, and through it for a file object with FO_WRITE_THROUGH."""
    return _write(k, "CcCopyWrite", file_object, k.memory.read_i64(offset_at), length, wait, buffer)


@export(NTOSKRNL, "CcCopyWriteEx", max_irql=Irql.APC)
def cc_copy_write_ex(
    k: "Kernel", file_object: int, offset_at: int, length: U32, wait: U8, buffer: int, thread: int
) -> Code:
    """The same, with the thread that the I/O is charged to."""
    del thread
    return cc_copy_write(k, file_object, offset_at, length, wait, buffer)


@export(NTOSKRNL, "CcFastCopyWrite", max_irql=Irql.APC)
def cc_fast_copy_write(k: "Kernel", file_object: int, offset: U32, length: U32, buffer: int) -> Code:
    """CcCopyWrite below 4 GiB, which always waits."""
    return _write(k, "CcFastCopyWrite", file_object, offset, length, 1, buffer)


@export(NTOSKRNL, "CcZeroData", max_irql=Irql.APC)
def cc_zero_data(k: "Kernel", file_object: int, start_at: int, end_at: int, wait: U8) -> Code:
    """CcZeroData: in the cache, and through it for a file object with FO_WRITE_THROUGH."""
    file, cache = cache_of(k, file_object, "CcZeroData")
    start, end = k.memory.read_i64(start_at), k.memory.read_i64(end_at)
    if not wait and (file.flags & FileObjectFlags.WRITE_THROUGH or not _fits(cache, start, end - start)):
        return False
    step = 1 << 20
    for at in range(start, end, step):
        yield from raising(cache.write(at, bytes(min(step, end - at))))
    if file.flags & FileObjectFlags.WRITE_THROUGH and end > start:
        yield from raising(cache.flush(start, end - start))
    return True
