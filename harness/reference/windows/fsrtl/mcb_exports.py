"""The exports of map control blocks: BASE_MCB, LARGE_MCB (the same with a mutex before it) and the 32-bit MCB."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import I64, NTOSKRNL, U32, export
from harness.reference.windows.fsrtl.mapping_control_blocks import HOLE, Mcb

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_BASE = 8
"""Offset of BaseMcb in LARGE_MCB, behind the pointer to its mutex."""
_MUTEX_SIZE = 0x38


def _large(k: "Kernel", mcb: int) -> Mcb:
    return Mcb(k, mcb + _BASE)


def _lookup(k: "Kernel", mcb: Mcb, vbn: int, outs: tuple[int, int, int, int, int]) -> bool:
    """LBN, count from there, LBN and count of the whole run, index of the run; each where it is asked for."""
    found = mcb.find(vbn)
    if found is None:
        return False
    index, (first, lbn, count) = found
    hole = lbn == HOLE
    values = (lbn if hole else lbn + vbn - first, first + count - vbn, lbn, count)
    for out, value in zip(outs, values, strict=False):
        if out:
            k.memory.write_u64(out, value & (1 << 64) - 1)
    if outs[4]:
        k.memory.write_u32(outs[4], index)
    return True


def _last(k: "Kernel", mcb: Mcb, vbn: int, lbn: int, index: int) -> bool:
    runs = mcb.runs
    if not runs:
        return False
    first, at, count = runs[-1]
    k.memory.write_u64(vbn, first + count - 1)
    k.memory.write_u64(lbn, at + count - 1)
    if index:
        k.memory.write_u32(index, len(runs) - 1)
    return True


def _next(k: "Kernel", mcb: Mcb, index: int, vbn: int, lbn: int, count: int) -> bool:
    runs = mcb.runs
    if index >= len(runs):
        return False
    for out, value in zip((vbn, lbn, count), runs[index], strict=True):
        k.memory.write_u64(out, value & (1 << 64) - 1)
    return True


# -- LARGE_MCB


@export(NTOSKRNL, "FsRtlInitializeLargeMcb", max_irql=Irql.APC)
def fs_rtl_initialize_large_mcb(k: "Kernel", mcb: int, pool: U32) -> None:
    where = k.blame.current()
    mutex = k.pool.allocate(_MUTEX_SIZE, "FSmg", owner=where.driver, allocated_by=where.address)
    k.memory.write_u64(mcb, mutex)
    _large(k, mcb).initialize(pool)


@export(NTOSKRNL, "FsRtlUninitializeLargeMcb", max_irql=Irql.APC)
def fs_rtl_uninitialize_large_mcb(k: "Kernel", mcb: int) -> None:
    mutex = k.memory.read_u64(mcb)
    if mutex:
        k.pool.free(mutex)
        k.memory.write_u64(mcb, 0)
        _large(k, mcb).uninitialize()


@export(NTOSKRNL, "FsRtlResetLargeMcb", max_irql=Irql.APC)
def fs_rtl_reset_large_mcb(k: "Kernel", mcb: int) -> None:
    _large(k, mcb).truncate(0)


@export(NTOSKRNL, "FsRtlTruncateLargeMcb", max_irql=Irql.APC)
def fs_rtl_truncate_large_mcb(k: "Kernel", mcb: int, vbn: I64) -> None:
    _large(k, mcb).truncate(vbn)


@export(NTOSKRNL, "FsRtlAddLargeMcbEntry", max_irql=Irql.APC)
def fs_rtl_add_large_mcb_entry(k: "Kernel", mcb: int, vbn: I64, lbn: I64, count: I64) -> bool:
    return _large(k, mcb).add(vbn, lbn, count)


@export(NTOSKRNL, "FsRtlRemoveLargeMcbEntry", max_irql=Irql.APC)
def fs_rtl_remove_large_mcb_entry(k: "Kernel", mcb: int, vbn: I64, count: I64) -> None:
    _large(k, mcb).remove(vbn, count)


@export(NTOSKRNL, "FsRtlSplitLargeMcb", max_irql=Irql.APC)
def fs_rtl_split_large_mcb(k: "Kernel", mcb: int, vbn: I64, amount: I64) -> bool:
    return _large(k, mcb).split(vbn, amount)


@export(NTOSKRNL, "FsRtlNumberOfRunsInLargeMcb", max_irql=Irql.APC)
def fs_rtl_number_of_runs_in_large_mcb(k: "Kernel", mcb: int) -> int:
    return len(_large(k, mcb).runs)


@export(NTOSKRNL, "FsRtlLookupLargeMcbEntry", max_irql=Irql.APC)
def fs_rtl_lookup_large_mcb_entry(
    k: "Kernel", mcb: int, vbn: I64, lbn: int, count: int, first: int, whole: int, index: int
) -> bool:
    return _lookup(k, _large(k, mcb), vbn, (lbn, count, first, whole, index))


@export(NTOSKRNL, "FsRtlLookupLastLargeMcbEntry", max_irql=Irql.APC)
def fs_rtl_lookup_last_large_mcb_entry(k: "Kernel", mcb: int, vbn: int, lbn: int) -> bool:
    return _last(k, _large(k, mcb), vbn, lbn, 0)


@export(NTOSKRNL, "FsRtlLookupLastLargeMcbEntryAndIndex", max_irql=Irql.APC)
def fs_rtl_lookup_last_large_mcb_entry_and_index(k: "Kernel", mcb: int, vbn: int, lbn: int, index: int) -> bool:
    return _last(k, _large(k, mcb), vbn, lbn, index)


@export(NTOSKRNL, "FsRtlGetNextLargeMcbEntry", max_irql=Irql.APC)
def fs_rtl_get_next_large_mcb_entry(k: "Kernel", mcb: int, index: U32, vbn: int, lbn: int, count: int) -> bool:
    return _next(k, _large(k, mcb), index, vbn, lbn, count)


# -- BASE_MCB


@export(NTOSKRNL, "FsRtlInitializeBaseMcb", "FsRtlInitializeBaseMcbEx", max_irql=Irql.APC)
def fs_rtl_initialize_base_mcb(k: "Kernel", mcb: int, pool: U32) -> bool:
    """The Ex form may raise or fail, which it does not here."""
    Mcb(k, mcb).initialize(pool)
    return True


@export(NTOSKRNL, "FsRtlUninitializeBaseMcb", max_irql=Irql.APC)
def fs_rtl_uninitialize_base_mcb(k: "Kernel", mcb: int) -> None:
    Mcb(k, mcb).uninitialize()


@export(NTOSKRNL, "FsRtlResetBaseMcb", max_irql=Irql.APC)
def fs_rtl_reset_base_mcb(k: "Kernel", mcb: int) -> None:
    Mcb(k, mcb).truncate(0)


@export(NTOSKRNL, "FsRtlTruncateBaseMcb", max_irql=Irql.APC)
def fs_rtl_truncate_base_mcb(k: "Kernel", mcb: int, vbn: I64) -> None:
    Mcb(k, mcb).truncate(vbn)


@export(NTOSKRNL, "FsRtlAddBaseMcbEntry", max_irql=Irql.APC)
def fs_rtl_add_base_mcb_entry(k: "Kernel", mcb: int, vbn: I64, lbn: I64, count: I64) -> bool:
    return Mcb(k, mcb).add(vbn, lbn, count)


@export(NTOSKRNL, "FsRtlRemoveBaseMcbEntry", max_irql=Irql.APC)
def fs_rtl_remove_base_mcb_entry(k: "Kernel", mcb: int, vbn: I64, count: I64) -> bool:
    Mcb(k, mcb).remove(vbn, count)
    return True


@export(NTOSKRNL, "FsRtlSplitBaseMcb", max_irql=Irql.APC)
def fs_rtl_split_base_mcb(k: "Kernel", mcb: int, vbn: I64, amount: I64) -> bool:
    return Mcb(k, mcb).split(vbn, amount)


@export(NTOSKRNL, "FsRtlNumberOfRunsInBaseMcb", max_irql=Irql.APC)
def fs_rtl_number_of_runs_in_base_mcb(k: "Kernel", mcb: int) -> int:
    return len(Mcb(k, mcb).runs)


@export(NTOSKRNL, "FsRtlLookupBaseMcbEntry", max_irql=Irql.APC)
def fs_rtl_lookup_base_mcb_entry(
    k: "Kernel", mcb: int, vbn: I64, lbn: int, count: int, first: int, whole: int, index: int
) -> bool:
    return _lookup(k, Mcb(k, mcb), vbn, (lbn, count, first, whole, index))


@export(NTOSKRNL, "FsRtlLookupLastBaseMcbEntry", max_irql=Irql.APC)
def fs_rtl_lookup_last_base_mcb_entry(k: "Kernel", mcb: int, vbn: int, lbn: int) -> bool:
    return _last(k, Mcb(k, mcb), vbn, lbn, 0)


@export(NTOSKRNL, "FsRtlLookupLastBaseMcbEntryAndIndex", max_irql=Irql.APC)
def fs_rtl_lookup_last_base_mcb_entry_and_index(k: "Kernel", mcb: int, vbn: int, lbn: int, index: int) -> bool:
    return _last(k, Mcb(k, mcb), vbn, lbn, index)


@export(NTOSKRNL, "FsRtlGetNextBaseMcbEntry", max_irql=Irql.APC)
def fs_rtl_get_next_base_mcb_entry(k: "Kernel", mcb: int, index: U32, vbn: int, lbn: int, count: int) -> bool:
    return _next(k, Mcb(k, mcb), index, vbn, lbn, count)
