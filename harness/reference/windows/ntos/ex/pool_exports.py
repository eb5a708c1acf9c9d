"""Pool allocation and lookaside lists."""

from struct import unpack
from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U16, U32, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.requests import Call, KernelCode
from harness.reference.windows.ntos.ex.driver_pool import allocate, free, tag_text
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_PAGED_POOL_BIT = 1
_RAISE_IF_FAILURE = 0x10
_ZERO_ALLOCATION = 0x400
"""POOL_ZERO_ALLOCATION: what the kit's inline ExAllocatePoolZero asks older exports for."""
_FLAG_UNINITIALIZED, _FLAG_RAISE, _FLAG_PAGED = 0x02, 0x20, 0x100
_POOL_FLAG_NON_PAGED = 0x40 | 0x80
_NONE = int.from_bytes(b"None", "little")
_PRIORITY, _NUMA_NODE, _OPTIONAL = 1, 3, 1 << 8
"""Of POOL_EXTENDED_PARAMETER: a type, and the flag that it may be left out."""


@export(NTOSKRNL, "ExAllocatePoolWithTag", max_irql=Irql.DISPATCH)
def ex_allocate_pool_with_tag(k: "Kernel", kind: U32, size: int, tag: U32) -> int:
    return allocate(
        k,
        size,
        tag,
        paged=bool(kind & _PAGED_POOL_BIT),
        zero=bool(kind & _ZERO_ALLOCATION),
        raise_on_failure=bool(kind & _RAISE_IF_FAILURE),
    )


@export(NTOSKRNL, "ExAllocatePool", max_irql=Irql.DISPATCH)
def ex_allocate_pool(k: "Kernel", kind: U32, size: int) -> int:
    return ex_allocate_pool_with_tag(k, kind, size, int.from_bytes(b"None", "little"))


@export(NTOSKRNL, "ExAllocatePoolZero", "ExAllocatePoolQuotaZero", max_irql=Irql.DISPATCH)
def ex_allocate_pool_zero(k: "Kernel", kind: U32, size: int, tag: U32) -> int:
    return allocate(k, size, tag, paged=bool(kind & _PAGED_POOL_BIT), zero=True, raise_on_failure=False)


@export(NTOSKRNL, "ExAllocatePoolWithTagPriority", max_irql=Irql.DISPATCH)
def ex_allocate_pool_with_tag_priority(k: "Kernel", kind: U32, size: int, tag: U32, priority: U32) -> int:
    del priority
    return ex_allocate_pool_with_tag(k, kind, size, tag)


@export(NTOSKRNL, "ExAllocatePoolWithQuotaTag", max_irql=Irql.DISPATCH)
def ex_allocate_pool_with_quota_tag(k: "Kernel", kind: U32, size: int, tag: U32) -> int:
    zero = bool(kind & _ZERO_ALLOCATION)
    return allocate(k, size, tag, paged=bool(kind & _PAGED_POOL_BIT), zero=zero, raise_on_failure=not kind & 8)


@export(NTOSKRNL, "ExAllocatePool2", max_irql=Irql.DISPATCH)
def ex_allocate_pool2(k: "Kernel", flags: int, size: int, tag: U32) -> int:
    if not flags & (_FLAG_PAGED | _POOL_FLAG_NON_PAGED) or not size or not tag:
        return 0
    return allocate(
        k,
        size,
        tag,
        paged=bool(flags & _FLAG_PAGED),
        zero=not flags & _FLAG_UNINITIALIZED,
        raise_on_failure=bool(flags & _FLAG_RAISE),
    )


@export(NTOSKRNL, "ExFreePoolWithTag", max_irql=Irql.DISPATCH)
def ex_free_pool_with_tag(k: "Kernel", address: int, tag: U32) -> int:
    free(k, address, tag_text(tag) if tag else None)
    return 0


@export(NTOSKRNL, "ExFreePool", "ExFreePool2", max_irql=Irql.DISPATCH)
def ex_free_pool(k: "Kernel", address: int) -> int:
    free(k, address, None)
    return 0


_LOOKASIDE = Kind("lookaside list", "ExDeleteNPagedLookasideList, or that of its type")


class GeneralLookaside(Structure):
    """GENERAL_LOOKASIDE: inlined allocation reads ListHead, Depth and the function pointers."""

    SIZE = 0x80
    depth = Field(0x10, "H")
    maximum_depth = Field(0x12, "H")
    total_allocates = Field(0x14, "I")
    total_frees = Field(0x1C, "I")
    type = Field(0x24, "I")
    tag = Field(0x28, "I")
    size = Field(0x2C, "I")
    allocate = Field(0x30)
    free = Field(0x38)


def _initialize_lookaside(
    k: "Kernel", at: int, allocate_at: int, free_at: int, pool_type: int, size: int, tag: int
) -> int:
    lookaside = GeneralLookaside(k.memory, at)
    lookaside.clear()
    # A depth of 0 makes every inlined free go to the pool, where wrong uses are found.
    lookaside.type = pool_type
    lookaside.tag = tag
    lookaside.size = size
    lookaside.allocate = allocate_at or k.exports.address_of(NTOSKRNL, "ExAllocatePoolWithTag")
    lookaside.free = free_at or k.exports.address_of(NTOSKRNL, "ExFreePool")
    k.holdings.take(_LOOKASIDE, at)
    return 0


@export(NTOSKRNL, "ExInitializeNPagedLookasideList", max_irql=Irql.DISPATCH)
def ex_initialize_npaged_lookaside_list(
    k: "Kernel", lookaside: int, allocate_at: int, free_at: int, flags: U32, size: int, tag: U32, depth: U16
) -> int:
    del flags, depth
    return _initialize_lookaside(k, lookaside, allocate_at, free_at, 512, size, tag)


@export(NTOSKRNL, "ExInitializePagedLookasideList", max_irql=Irql.APC)
def ex_initialize_paged_lookaside_list(
    k: "Kernel", lookaside: int, allocate_at: int, free_at: int, flags: U32, size: int, tag: U32, depth: U16
) -> int:
    del flags, depth
    return _initialize_lookaside(k, lookaside, allocate_at, free_at, 1, size, tag)


@export(NTOSKRNL, "ExInitializeLookasideListEx", max_irql=Irql.DISPATCH)
def ex_initialize_lookaside_list_ex(
    k: "Kernel", lookaside: int, allocate_at: int, free_at: int, pool_type: U32, flags: U32, size: int, tag: U32
) -> int:
    del flags
    return _initialize_lookaside(k, lookaside, allocate_at, free_at, pool_type, size, tag)


@export(
    NTOSKRNL, "ExDeleteNPagedLookasideList", "ExDeletePagedLookasideList", "ExDeleteLookasideListEx",
    max_irql=Irql.DISPATCH,
)  # fmt: skip
def ex_delete_lookaside_list(k: "Kernel", lookaside: int) -> int:
    GeneralLookaside(k.memory, lookaside).clear()
    k.holdings.give_back(_LOOKASIDE, lookaside)
    return 0


class SlistHeader(Structure):
    """SLIST_HEADER of x64: depth and sequence, then the first entry."""

    SIZE = 0x10
    depth = Field(0, "H")
    first = Field(8)


_ENTRY_MASK = ~0xF


@export(NTOSKRNL, "ExpInterlockedPopEntrySList", "InterlockedPopEntrySList", "RtlInterlockedPopEntrySList")
def pop_entry_slist(k: "Kernel", header_at: int) -> int:
    header = SlistHeader(k.memory, header_at)
    entry = header.first & _ENTRY_MASK
    if entry:
        header.first = k.memory.read_u64(entry)
        header.depth -= 1
    return entry


@export(NTOSKRNL, "ExpInterlockedPushEntrySList", "InterlockedPushEntrySList", "RtlInterlockedPushEntrySList")
def push_entry_slist(k: "Kernel", header_at: int, entry: int) -> int:
    header = SlistHeader(k.memory, header_at)
    before = header.first & _ENTRY_MASK
    k.memory.write_u64(entry, before)
    header.first = entry
    header.depth += 1
    return before


@export(NTOSKRNL, "ExpInterlockedFlushSList", "InterlockedFlushSList")
def flush_slist(k: "Kernel", header_at: int) -> int:
    header = SlistHeader(k.memory, header_at)
    entry = header.first & _ENTRY_MASK
    header.first = 0
    header.depth = 0
    return entry


@export(NTOSKRNL, "ExQueryDepthSList")
def query_depth_slist(k: "Kernel", header_at: int) -> int:
    return SlistHeader(k.memory, header_at).depth


@export(NTOSKRNL, "InitializeSListHead", "RtlInitializeSListHead", "ExInitializeSListHead")
def initialize_slist_head(k: "Kernel", header_at: int) -> int:
    SlistHeader(k.memory, header_at).clear()
    return 0


@export(NTOSKRNL, "ExAllocatePool3", max_irql=Irql.DISPATCH)
def ex_allocate_pool3(k: "Kernel", flags: int, size: int, tag: U32, parameters: int, count: U32) -> int:
    """ExAllocatePool2 with extended parameters: a priority, a node, and what may be left out."""
    for index in range(count):
        word, _ = unpack("<QQ", k.memory.read(parameters + 16 * index, 16))
        if word & 0xFF not in (_PRIORITY, _NUMA_NODE) and not word & _OPTIONAL:
            return 0
    return int(ex_allocate_pool2(k, flags, size, tag))


@export(NTOSKRNL, "ExAllocatePoolWithQuota", max_irql=Irql.DISPATCH)
def ex_allocate_pool_with_quota(k: "Kernel", kind: U32, size: int) -> int:
    return int(ex_allocate_pool_with_quota_tag(k, kind, size, _NONE))


@export(NTOSKRNL, "ExQueryPoolBlockSize", max_irql=Irql.DISPATCH)
def ex_query_pool_block_size(k: "Kernel", address: int, charged: int) -> int:
    block = k.pool.block_at(address)
    if charged:
        k.memory.write_u8(charged, 0)
    return block.size if block is not None else 0


@export(NTOSKRNL, "ExAllocateFromPagedLookasideList", max_irql=Irql.APC)
def ex_allocate_from_paged_lookaside_list(k: "Kernel", lookaside: int) -> KernelCode:
    """The list's own routine: nothing is kept in it, so that wrong uses are found."""
    view = GeneralLookaside(k.memory, lookaside)
    view.total_allocates += 1
    return (yield Call(view.allocate, view.type, view.size, view.tag))


@export(NTOSKRNL, "ExFreeToPagedLookasideList", max_irql=Irql.APC)
def ex_free_to_paged_lookaside_list(k: "Kernel", lookaside: int, entry: int) -> KernelCode:
    view = GeneralLookaside(k.memory, lookaside)
    view.total_frees += 1
    yield Call(view.free, entry)


@export(NTOSKRNL, "ExFlushLookasideListEx", max_irql=Irql.DISPATCH)
def ex_flush_lookaside_list_ex(k: "Kernel", lookaside: int) -> int:
    k.memory.read(lookaside, GeneralLookaside.SIZE)
    return 0
