"""RTL_BITMAP: runs of bits in an array of ULONGs."""

from itertools import groupby
from struct import pack
from typing import TYPE_CHECKING

from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.reference.windows.kernel import Kernel

NOT_FOUND = 0xFFFF_FFFF


def _size(k: "Kernel", bitmap: int) -> int:
    return k.memory.read_u32(bitmap)


def _load(k: "Kernel", bitmap: int) -> int:
    """All bits as one number; those behind the size are zero."""
    size = _size(k, bitmap)
    data = k.memory.read(k.memory.read_u64(bitmap + 8), (size + 31) // 32 * 4)
    return int.from_bytes(data, "little") & ((1 << size) - 1)


def _store(k: "Kernel", bitmap: int, bits: int) -> None:
    """What is behind the size stays as it is."""
    size, at = _size(k, bitmap), k.memory.read_u64(bitmap + 8)
    length = (size + 31) // 32 * 4
    kept = int.from_bytes(k.memory.read(at, length), "little") >> size << size
    k.memory.write(at, (bits | kept).to_bytes(length, "little"))


def _mask(start: int, count: int) -> int:
    return (1 << count) - 1 << start


def _change(k: "Kernel", bitmap: int, start: int, count: int, *, value: bool) -> int:
    mask = _mask(start, count)
    bits = _load(k, bitmap)
    _store(k, bitmap, bits | mask if value else bits & ~mask)
    return 0


def _runs(k: "Kernel", bitmap: int, *, value: bool = False) -> "Iterator[tuple[int, int]]":
    """(start, length) of every run of bits that are set, or clear."""
    size = _size(k, bitmap)
    text = f"{_load(k, bitmap):0{size}b}"[::-1] if size else ""
    wanted, at = "1" if value else "0", 0
    for bit, group in groupby(text):
        length = sum(1 for _ in group)
        if bit == wanted:
            yield at, length
        at += length


def _find(k: "Kernel", bitmap: int, count: int, hint: int, *, value: bool) -> int:
    """The first run that is long enough, from the hint on, then from the beginning."""
    if not count:
        return hint & ~7 if hint < _size(k, bitmap) else 0
    found = list(_runs(k, bitmap, value=value))
    if hint < _size(k, bitmap):
        for start, length in found:
            first = max(start, hint)
            if start + length - first >= count:
                return first
    return next((start for start, length in found if length >= count), NOT_FOUND)


@export(NTOSKRNL, "RtlInitializeBitMap")
def rtl_initialize_bit_map(k: "Kernel", bitmap: int, buffer: int, size: U32) -> int:
    k.memory.write(bitmap, pack("<IIQ", size, 0, buffer))
    return 0


@export(NTOSKRNL, "RtlClearAllBits")
def rtl_clear_all_bits(k: "Kernel", bitmap: int) -> int:
    k.memory.write(k.memory.read_u64(bitmap + 8), bytes((_size(k, bitmap) + 31) // 32 * 4))
    return 0


@export(NTOSKRNL, "RtlSetAllBits")
def rtl_set_all_bits(k: "Kernel", bitmap: int) -> int:
    k.memory.write(k.memory.read_u64(bitmap + 8), b"\xff" * ((_size(k, bitmap) + 31) // 32 * 4))
    return 0


@export(NTOSKRNL, "RtlClearBit")
def rtl_clear_bit(k: "Kernel", bitmap: int, number: U32) -> int:
    return _change(k, bitmap, number, 1, value=False)


@export(NTOSKRNL, "RtlSetBit")
def rtl_set_bit(k: "Kernel", bitmap: int, number: U32) -> int:
    return _change(k, bitmap, number, 1, value=True)


@export(NTOSKRNL, "RtlClearBits")
def rtl_clear_bits(k: "Kernel", bitmap: int, start: U32, count: U32) -> int:
    return _change(k, bitmap, start, count, value=False)


@export(NTOSKRNL, "RtlSetBits")
def rtl_set_bits(k: "Kernel", bitmap: int, start: U32, count: U32) -> int:
    return _change(k, bitmap, start, count, value=True)


@export(NTOSKRNL, "RtlTestBit")
def rtl_test_bit(k: "Kernel", bitmap: int, number: U32) -> bool:
    return bool(_load(k, bitmap) >> number & 1)


@export(NTOSKRNL, "RtlAreBitsClear")
def rtl_are_bits_clear(k: "Kernel", bitmap: int, start: U32, count: U32) -> bool:
    return bool(count) and start + count <= _size(k, bitmap) and not _load(k, bitmap) & _mask(start, count)


@export(NTOSKRNL, "RtlAreBitsSet")
def rtl_are_bits_set(k: "Kernel", bitmap: int, start: U32, count: U32) -> bool:
    mask = _mask(start, count)
    return bool(count) and start + count <= _size(k, bitmap) and _load(k, bitmap) & mask == mask


@export(NTOSKRNL, "RtlNumberOfSetBits")
def rtl_number_of_set_bits(k: "Kernel", bitmap: int) -> int:
    return _load(k, bitmap).bit_count()


@export(NTOSKRNL, "RtlNumberOfClearBits")
def rtl_number_of_clear_bits(k: "Kernel", bitmap: int) -> int:
    return _size(k, bitmap) - _load(k, bitmap).bit_count()


@export(NTOSKRNL, "RtlNumberOfSetBitsUlongPtr")
def rtl_number_of_set_bits_ulong_ptr(k: "Kernel", value: int) -> int:
    del k
    return value.bit_count()


@export(NTOSKRNL, "RtlFindClearBits")
def rtl_find_clear_bits(k: "Kernel", bitmap: int, count: U32, hint: U32) -> int:
    return _find(k, bitmap, count, hint, value=False)


@export(NTOSKRNL, "RtlFindSetBits")
def rtl_find_set_bits(k: "Kernel", bitmap: int, count: U32, hint: U32) -> int:
    return _find(k, bitmap, count, hint, value=True)


@export(NTOSKRNL, "RtlFindClearBitsAndSet")
def rtl_find_clear_bits_and_set(k: "Kernel", bitmap: int, count: U32, hint: U32) -> int:
    start = _find(k, bitmap, count, hint, value=False)
    if start != NOT_FOUND:
        _change(k, bitmap, start, count, value=True)
    return start


@export(NTOSKRNL, "RtlFindSetBitsAndClear")
def rtl_find_set_bits_and_clear(k: "Kernel", bitmap: int, count: U32, hint: U32) -> int:
    start = _find(k, bitmap, count, hint, value=True)
    if start != NOT_FOUND:
        _change(k, bitmap, start, count, value=False)
    return start


@export(NTOSKRNL, "RtlFindClearRuns")
def rtl_find_clear_runs(k: "Kernel", bitmap: int, runs: int, room: U32, longest: U8) -> int:
    """How many RTL_BITMAP_RUNs were stored: the first, or the longest, which come longest first."""
    found = list(_runs(k, bitmap))
    if longest:
        found.sort(key=lambda run: run[1], reverse=True)
    for index, run in enumerate(found[:room]):
        k.memory.write(runs + 8 * index, pack("<II", *run))
    return min(len(found), room)


def _tell(k: "Kernel", run: tuple[int, int] | None, start: int, otherwise: int) -> int:
    first, length = run or (otherwise, 0)
    k.memory.write_u32(start, first)
    return length


@export(NTOSKRNL, "RtlFindLongestRunClear")
def rtl_find_longest_run_clear(k: "Kernel", bitmap: int, start: int) -> int:
    return _tell(k, max(_runs(k, bitmap), key=lambda run: run[1], default=None), start, 0)


@export(NTOSKRNL, "RtlFindFirstRunClear")
def rtl_find_first_run_clear(k: "Kernel", bitmap: int, start: int) -> int:
    return _tell(k, next(_runs(k, bitmap), None), start, _size(k, bitmap))


@export(NTOSKRNL, "RtlFindNextForwardRunClear")
def rtl_find_next_forward_run_clear(k: "Kernel", bitmap: int, from_index: U32, start: int) -> int:
    later = ((max(at, from_index), at + length) for at, length in _runs(k, bitmap) if at + length > from_index)
    run = next(((first, end - first) for first, end in later), None)
    return _tell(k, run, start, _size(k, bitmap))


@export(NTOSKRNL, "RtlFindLastBackwardRunClear")
def rtl_find_last_backward_run_clear(k: "Kernel", bitmap: int, from_index: U32, start: int) -> int:
    earlier = [(at, min(at + length, from_index + 1) - at) for at, length in _runs(k, bitmap) if at <= from_index]
    return _tell(k, earlier[-1] if earlier else None, start, 0)


@export(NTOSKRNL, "RtlFindLeastSignificantBit")
def rtl_find_least_significant_bit(k: "Kernel", value: int) -> int:
    del k
    return (value & -value).bit_length() - 1 & 0xFF


@export(NTOSKRNL, "RtlFindMostSignificantBit")
def rtl_find_most_significant_bit(k: "Kernel", value: int) -> int:
    del k
    return value.bit_length() - 1 & 0xFF
