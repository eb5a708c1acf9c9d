"""The cache's own pages in a driver's hands by MDLs, and what drivers tell and ask the cache manager beside copying."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.machine.memory.layout import PAGE_SHIFT, PAGE_SIZE
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.cc.cache_use import cache_of, check_within, raising
from harness.reference.windows.io.constants import FileObjectFlags
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.mm.mdl import (
    MDL_MAPPED_TO_SYSTEM_VA,
    MDL_PAGES_LOCKED,
    Mdl,
    allocate_mdl,
    unmap_pages,
)
from harness.reference.windows.ntos.structures import IoStatusBlock

if TYPE_CHECKING:
    from harness.reference.windows.cc.cache_map import CacheMap
    from harness.reference.windows.kernel import Kernel


def _lend(k: "Kernel", cache: "CacheMap", offset: int, length: int) -> Code:
    """An MDL of the cache's pages of a range, which has no address of its own."""
    frames = yield from raising(cache.lock(offset, length))
    at = allocate_mdl(k, offset % PAGE_SIZE, length)
    for index, frame in enumerate(frames):
        k.memory.write_u64(at + Mdl.SIZE + 8 * index, frame >> PAGE_SHIFT)
    Mdl(k.memory, at).mdl_flags |= MDL_PAGES_LOCKED
    k.cache_mdls[at] = (cache, frames)
    return at


def _lend_range(
    k: "Kernel", call: str, file_object: int, offset_at: int, length: int, chain_out: int, iosb: int
) -> Code:
    """What both calls do that lend pages: a chain for the range, none for nothing, and the status."""
    _, cache = cache_of(k, file_object, call)
    offset = k.memory.read_i64(offset_at)
    check_within(k, cache, offset, length, call)
    k.memory.write_u64(chain_out, (yield from _lend(k, cache, offset, length)) if length else 0)
    block = IoStatusBlock(k.memory, iosb)
    block.status, block.information = int(NtStatus.SUCCESS), length
    return 0


def _take_back(k: "Kernel", chain: int, call: str, *, dirty: bool) -> None:
    while chain:
        lent = k.cache_mdls.pop(chain, None)
        if lent is None:
            k.bugcheck(
                BugCheck.CACHE_MANAGER, chain, message=f"{call} of {chain:#x}, which the cache manager never gave"
            )
        cache, frames = lent
        mdl = Mdl(k.memory, chain)
        following = mdl.next
        if mdl.mdl_flags & MDL_MAPPED_TO_SYSTEM_VA:
            unmap_pages(k, mdl.mapped_system_va, chain)
        k.pool.free(chain)
        cache.unlock(frames, dirty=dirty)
        chain = following


@export(NTOSKRNL, "CcMdlRead", max_irql=Irql.APC)
def cc_mdl_read(k: "Kernel", file_object: int, offset_at: int, length: U32, chain_out: int, iosb: int) -> Code:
    """CcMdlRead: the pages themselves, until CcMdlReadComplete."""
    return (yield from _lend_range(k, "CcMdlRead", file_object, offset_at, length, chain_out, iosb))


@export(NTOSKRNL, "CcMdlReadComplete", max_irql=Irql.APC)
def cc_mdl_read_complete(k: "Kernel", file_object: int, chain: int) -> int:
    """CcMdlReadComplete."""
    del file_object
    _take_back(k, chain, "CcMdlReadComplete", dirty=False)
    return 0


@export(NTOSKRNL, "CcPrepareMdlWrite", max_irql=Irql.APC)
def cc_prepare_mdl_write(k: "Kernel", file_object: int, offset_at: int, length: U32, chain_out: int, iosb: int) -> Code:
    """CcPrepareMdlWrite: the pages to be written to, until CcMdlWriteComplete."""
    return (yield from _lend_range(k, "CcPrepareMdlWrite", file_object, offset_at, length, chain_out, iosb))


@export(NTOSKRNL, "CcMdlWriteComplete", max_irql=Irql.APC)
def cc_mdl_write_complete(k: "Kernel", file_object: int, offset_at: int, chain: int) -> Code:
    """CcMdlWriteComplete: the pages are dirty now, and on the disk for a file object with FO_WRITE_THROUGH."""
    file, cache = cache_of(k, file_object, "CcMdlWriteComplete")
    length = Mdl(k.memory, chain).byte_count if chain else 0
    _take_back(k, chain, "CcMdlWriteComplete", dirty=True)
    if length and file.flags & FileObjectFlags.WRITE_THROUGH:
        yield from raising(cache.flush(k.memory.read_i64(offset_at), length))
    return 0


@export(NTOSKRNL, "CcMdlWriteAbort", max_irql=Irql.APC)
def cc_mdl_write_abort(k: "Kernel", file_object: int, chain: int) -> int:
    """CcMdlWriteAbort: nothing has been written to them."""
    del file_object
    _take_back(k, chain, "CcMdlWriteAbort", dirty=False)
    return 0


# -- beside copying


@export(NTOSKRNL, "CcCanIWrite", max_irql=Irql.PASSIVE)
def cc_can_i_write(k: "Kernel", file_object: int, length: U32, wait: U8, retrying: U8) -> bool:
    """CcCanIWrite: there is always room."""
    del file_object, length, wait, retrying
    return k.irql <= Irql.APC


@export(NTOSKRNL, "CcDeferWrite", max_irql=Irql.APC)
def cc_defer_write(
    k: "Kernel", file_object: int, routine: int, first: int, second: int, length: U32, retrying: U8
) -> int:
    """CcDeferWrite: there is room, so that the routine is called at once, in a system thread."""
    del file_object, length, retrying

    def post() -> Code:
        yield Call(routine, first, second)

    k.queue_worker(post())
    return 0


@export(
    NTOSKRNL,
    "CcSetReadAheadGranularity",
    "CcSetDirtyPageThreshold",
    "CcSetAdditionalCacheAttributes",
    "CcSetAdditionalCacheAttributesEx",
    max_irql=Irql.APC,
)
def cc_set_attributes(k: "Kernel", file_object: int, first: U32, second: U32) -> int:
    """How far ahead is read and how far behind is written: advice, and nothing is read ahead here."""
    del first, second
    cache_of(k, file_object, "CcSetAdditionalCacheAttributes")
    return 0


@export(NTOSKRNL, "CcScheduleReadAhead", "CcScheduleReadAheadEx", max_irql=Irql.APC)
def cc_schedule_read_ahead(k: "Kernel", file_object: int, offset_at: int, length: U32) -> int:
    """CcScheduleReadAhead and its Ex form: advice as well."""
    del offset_at, length
    cache_of(k, file_object, "CcScheduleReadAhead")
    return 0


@export(NTOSKRNL, "CcGetFlushedValidData", max_irql=Irql.DISPATCH)
def cc_get_flushed_valid_data(k: "Kernel", pointers: int, held: U8) -> int:
    """CcGetFlushedValidData: the offset of the first page that is dirty; MAXLONGLONG if none is."""
    del held
    cache = k.local_file_systems.cache_at(pointers)
    first = cache.first_dirty() if cache is not None else None
    return (1 << 63) - 1 if first is None else first
