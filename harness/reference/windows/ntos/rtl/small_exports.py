"""Rtl functions of a line or two: checksums, LUIDs, access masks, versions, initialization once, images, stacks."""

from struct import pack, unpack
from typing import TYPE_CHECKING
from zlib import crc32

from harness.nt import Irql, NtStatus
from harness.nt.hresult import win32_of_status
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U16, U32, export
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import KernelCode, Wait
from harness.reference.windows.ntos.ke.shared_data import BUILD
from harness.reference.windows.ntos.se.access_check import map_generic

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_REVISION_MISMATCH = 0xC0000059
_ONCE_CHECK_ONLY, _ONCE_ASYNC, _ONCE_INIT_FAILED = 1, 2, 4
_ONCE_RUNNING, _ONCE_DONE = 1, 2
_VERSIONS = {1: 0, 2: 10, 4: BUILD, 8: 2, 16: 0, 32: 0, 64: 0x100, 128: 1}
"""By VER_* bit: minor, major, build, platform, service pack minor and major, suite, product type (a workstation)."""
_FIELDS = {1: (8, 4), 2: (4, 4), 4: (12, 4), 8: (16, 4), 16: (278, 2), 32: (276, 2), 64: (280, 2), 128: (282, 1)}
_ORDER = (2, 1, 4, 32, 16)
_EQUAL, _GREATER, _GREATER_EQUAL, _LESS, _LESS_EQUAL, _AND, _OR = range(1, 8)


@export(NTOSKRNL, "RtlComputeCrc32")
def rtl_compute_crc32(k: "Kernel", initial: U32, buffer: int, length: U32) -> int:
    return crc32(k.memory.read(buffer, length), initial)


@export(NTOSKRNL, "RtlGetSuiteMask")
def rtl_get_suite_mask(k: "Kernel") -> int:
    """VER_SUITE_SINGLEUSERTS."""
    del k
    return _VERSIONS[64]


@export(NTOSKRNL, "RtlGetNtProductType", max_irql=Irql.APC)
def rtl_get_nt_product_type(k: "Kernel", answer: int) -> bool:
    """NtProductWinNt: a workstation."""
    k.memory.write_u32(answer, _VERSIONS[128])
    return True


@export(NTOSKRNL, "RtlIsStateSeparationEnabled")
def rtl_is_state_separation_enabled(k: "Kernel") -> bool:
    """Programs and drivers write where they always have."""
    del k
    return False


@export(NTOSKRNL, "RtlCompareMemoryUlong")
def rtl_compare_memory_ulong(k: "Kernel", source: int, length: int, pattern: U32) -> int:
    """How many bytes, in whole ULONGs from the beginning, are the pattern."""
    data, same = k.memory.read(source, length & ~3), 0
    for (value,) in (unpack("<I", data[at : at + 4]) for at in range(0, len(data), 4)):
        if value != pattern:
            break
        same += 4
    return same


@export(NTOSKRNL, "RtlPrefetchMemoryNonTemporal")
def rtl_prefetch_memory_non_temporal(k: "Kernel", source: int, length: int) -> int:
    del k, source, length
    return 0


@export(NTOSKRNL, "RtlCopyMemoryNonTemporal")
def rtl_copy_memory_non_temporal(k: "Kernel", target: int, source: int, length: int) -> int:
    k.memory.write(target, k.memory.read(source, length))
    return 0


@export(NTOSKRNL, "RtlCopyLuid")
def rtl_copy_luid(k: "Kernel", target: int, source: int) -> int:
    k.memory.write_u64(target, k.memory.read_u64(source))
    return 0


@export(NTOSKRNL, "RtlEqualLuid")
def rtl_equal_luid(k: "Kernel", first: int, second: int) -> bool:
    return k.memory.read_u64(first) == k.memory.read_u64(second)


@export(NTOSKRNL, "RtlCopyLuidAndAttributesArray")
def rtl_copy_luid_and_attributes_array(k: "Kernel", count: U32, source: int, target: int) -> int:
    k.memory.write(target, k.memory.read(source, 12 * count))
    return 0


@export(NTOSKRNL, "RtlMapGenericMask")
def rtl_map_generic_mask(k: "Kernel", mask: int, mapping: int) -> int:
    read, write, execute, everything = unpack("<4I", k.memory.read(mapping, 16))
    k.memory.write_u32(mask, map_generic((read, write, execute, everything), k.memory.read_u32(mask)))
    return 0


@export(NTOSKRNL, "RtlAreAllAccessesGranted")
def rtl_are_all_accesses_granted(k: "Kernel", granted: U32, desired: U32) -> bool:
    del k
    return not desired & ~granted


@export(NTOSKRNL, "RtlAreAnyAccessesGranted")
def rtl_are_any_accesses_granted(k: "Kernel", granted: U32, desired: U32) -> bool:
    del k
    return bool(desired & granted)


@export(NTOSKRNL, "RtlNtStatusToDosError", "RtlNtStatusToDosErrorNoTeb", "RtlMapSecurityErrorToNtStatus")
def rtl_nt_status_to_dos_error(k: "Kernel", status: U32) -> int:
    del k
    return win32_of_status(status)


# -- versions


@export(NTOSKRNL, "RtlIsNtDdiVersionAvailable")
def rtl_is_nt_ddi_version_available(k: "Kernel", version: U32) -> bool:
    """The model is of version 0x0A000000 and later; a number with a service pack in it is wrong use."""
    del k
    return not version & 0xFFFF and version <= 0x0A00_0000


@export(NTOSKRNL, "RtlIsServicePackVersionInstalled")
def rtl_is_service_pack_version_installed(k: "Kernel", version: U32) -> bool:
    del k
    return version & 0xFFFF_0000 == 0x0A00_0000


@export(NTOSKRNL, "IoIsWdmVersionAvailable")
def io_is_wdm_version_available(k: "Kernel", major: U8, minor: U8) -> bool:
    del k
    return major == 1 and minor <= 0x30


@export(NTOSKRNL, "VerSetConditionMask")
def ver_set_condition_mask(k: "Kernel", mask: int, kind: U32, condition: U8) -> int:
    del k
    for bit in range(8):
        if kind >> bit & 1:
            return mask | (condition & 7) << 3 * bit
    return mask


@export(NTOSKRNL, "RtlVerifyVersionInfo", max_irql=Irql.PASSIVE)
def rtl_verify_version_info(k: "Kernel", information: int, kinds: U32, conditions: int) -> int:
    """Versions are compared from the major number on: the first that differs decides."""
    if not kinds:
        return int(NtStatus.INVALID_PARAMETER)
    asked = {
        bit: int.from_bytes(k.memory.read(information + offset, size), "little")
        for bit, (offset, size) in _FIELDS.items()
        if kinds & bit
    }

    def condition(bit: int) -> int:
        return conditions >> 3 * (bit.bit_length() - 1) & 7

    for bit in (8, 64, 128):
        if bit in asked and not _holds(_VERSIONS[bit], asked[bit], condition(bit)):
            return _REVISION_MISMATCH
    for bit in (item for item in _ORDER if item in asked):
        if _VERSIONS[bit] != asked[bit] or condition(bit) == _EQUAL or bit == [i for i in _ORDER if i in asked][-1]:
            if not _holds(_VERSIONS[bit], asked[bit], condition(bit)):
                return _REVISION_MISMATCH
            if _VERSIONS[bit] != asked[bit]:
                break
    return 0


def _holds(ours: int, asked: int, condition: int) -> bool:
    return {
        _EQUAL: ours == asked,
        _GREATER: ours > asked,
        _GREATER_EQUAL: ours >= asked,
        _LESS: ours < asked,
        _LESS_EQUAL: ours <= asked,
        _AND: ours & asked == asked,
        _OR: bool(ours & asked),
    }.get(condition, False)


# -- initialization once: RTL_RUN_ONCE is a pointer, whose low two bits say how far it is


@export(NTOSKRNL, "RtlRunOnceInitialize")
def rtl_run_once_initialize(k: "Kernel", once: int) -> int:
    k.memory.write_u64(once, 0)
    return 0


def _wait_for(k: "Kernel", once: int) -> KernelCode:
    """Another thread initializes: wait until it has ended."""
    while k.memory.read_u64(once) & 3 == _ONCE_RUNNING:
        event = k.once_waiters.setdefault(once, Event("an initialization that runs once"))
        yield Wait([event], reason="an initialization that runs once, in another thread")


def _ended(k: "Kernel", once: int, value: int) -> None:
    k.memory.write_u64(once, value)
    event = k.once_waiters.pop(once, None)
    if event is not None:
        k.signal(event)


@export(NTOSKRNL, "RtlRunOnceBeginInitialize", max_irql=Irql.APC)
def rtl_run_once_begin_initialize(k: "Kernel", once: int, flags: U32, context: int) -> KernelCode:
    """PENDING: the caller is to initialize, and to call RtlRunOnceComplete."""
    if flags & _ONCE_CHECK_ONLY:
        value = k.memory.read_u64(once)
        if value & 3 != _ONCE_DONE:
            return int(NtStatus.UNSUCCESSFUL)
    elif not flags & _ONCE_ASYNC:
        yield from _wait_for(k, once)
    value = k.memory.read_u64(once)
    if value & 3 == _ONCE_DONE:
        if context:
            k.memory.write_u64(context, value & ~3)
        return 0
    k.memory.write_u64(once, _ONCE_RUNNING if not flags & _ONCE_ASYNC else 3)
    return int(NtStatus.PENDING)


@export(NTOSKRNL, "RtlRunOnceComplete", max_irql=Irql.APC)
def rtl_run_once_complete(k: "Kernel", once: int, flags: U32, context: int) -> int:
    if context & 3 or (flags & _ONCE_INIT_FAILED and context):
        return int(NtStatus.INVALID_PARAMETER)
    if k.memory.read_u64(once) & 3 not in (_ONCE_RUNNING, 3):
        return int(NtStatus.UNSUCCESSFUL)
    _ended(k, once, 0 if flags & _ONCE_INIT_FAILED else context | _ONCE_DONE)
    return 0


@export(NTOSKRNL, "RtlRunOnceExecuteOnce", max_irql=Irql.APC)
def rtl_run_once_execute_once(k: "Kernel", once: int, routine: int, parameter: int, context: int) -> KernelCode:
    """UNSUCCESSFUL if the routine says FALSE; the next caller tries again."""
    yield from _wait_for(k, once)
    value = k.memory.read_u64(once)
    if value & 3 != _ONCE_DONE:
        k.memory.write_u64(once, _ONCE_RUNNING)
        place = k.heap.allocate(16)
        done = (yield from k.kept.call("its RtlRunOnce routine", routine, once, parameter, place)) & 0xFFFF_FFFF
        value = k.memory.read_u64(place) & ~3 | _ONCE_DONE
        k.heap.free(place)
        _ended(k, once, value if done else 0)
        if not done:
            return int(NtStatus.UNSUCCESSFUL)
    if context:
        k.memory.write_u64(context, value & ~3)
    return 0


# -- images and stacks


@export(NTOSKRNL, "RtlPcToFileHeader")
def rtl_pc_to_file_header(k: "Kernel", address: int, base_pointer: int) -> int:
    image = k.images.at(address)
    base = image.base if image is not None else 0
    k.memory.write_u64(base_pointer, base)
    return base


@export(NTOSKRNL, "RtlImageNtHeader")
def rtl_image_nt_header(k: "Kernel", base: int) -> int:
    if not base or k.memory.read_u16(base) != 0x5A4D:
        return 0
    header = base + k.memory.read_u32(base + 0x3C)
    return header if k.memory.read_u32(header) == 0x4550 else 0


@export(NTOSKRNL, "RtlImageDirectoryEntryToData")
def rtl_image_directory_entry_to_data(k: "Kernel", base: int, mapped: U8, entry: U16, size: int) -> int:
    """Of a mapped image; a file that was only read has its sections elsewhere, and is not looked at."""
    header = rtl_image_nt_header(k, base & ~3)
    if not header or not mapped or entry >= k.memory.read_u32(header + 24 + 108):
        return 0
    address, length = unpack("<II", k.memory.read(header + 24 + 112 + 8 * entry, 8))
    k.memory.write_u32(size, length)
    return (base & ~3) + address if address else 0


@export(NTOSKRNL, "RtlCaptureStackBackTrace", max_irql=Irql.DISPATCH)
def rtl_capture_stack_back_trace(k: "Kernel", skip: U32, count: U32, frames: int, total: int) -> int:
    """The nearest call site alone: how many frames there are is not part of the contract."""
    found = [k.memory.read_u64(k.traps.stack_pointer)][skip : skip + count]
    k.memory.write(frames, pack(f"<{len(found)}Q", *found))
    if total:
        k.memory.write_u32(total, sum(found) & 0xFFFF_FFFF)
    return len(found)


@export(NTOSKRNL, "RtlWalkFrameChain", max_irql=Irql.DISPATCH)
def rtl_walk_frame_chain(k: "Kernel", callers: int, count: U32, flags: U32) -> int:
    return 0 if flags else rtl_capture_stack_back_trace(k, 0, count, callers, 0)
