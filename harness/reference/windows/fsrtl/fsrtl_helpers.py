"""Small FsRtl routines: pool that raises, names, what the system is, waits, requests to a file's own stack."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.windows.fsrtl.cancellable_waits import wait_for
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.ex.driver_pool import allocate
from harness.reference.windows.ntos.structures import UnicodeString

if TYPE_CHECKING:
    from harness.reference.windows.io.request import Request
    from harness.reference.windows.kernel import Kernel

_TAG = int.from_bytes(b"FSrt", "little")
_TOTAL_FAILURES = frozenset({0xC00000A3, 0xC0000013, 0xC000009D, 0xC0000015})
"""DEVICE_NOT_READY, NO_MEDIA_IN_DEVICE, DEVICE_NOT_CONNECTED, NONEXISTENT_SECTOR."""
_MICROSOFT_TAG = 0x8000_0000
_LONGEST_REPARSE = 16 * 1024
_IO_REPARSE_TAG_INVALID = 0xC0000276
_IO_REPARSE_DATA_INVALID = 0xC0000278


def _pool(k: "Kernel", kind: int, size: int, tag: int) -> int:
    """Raises INSUFFICIENT_RESOURCES instead of an answer of null."""
    return allocate(k, size, tag, paged=bool(kind & 1), zero=bool(kind & 0x400), raise_on_failure=True)


@export(NTOSKRNL, "FsRtlAllocatePool", "FsRtlAllocatePoolWithQuota", max_irql=Irql.DISPATCH)
def fs_rtl_allocate_pool(k: "Kernel", kind: U32, size: U32) -> int:
    return _pool(k, kind, size, _TAG)


@export(NTOSKRNL, "FsRtlAllocatePoolWithTag", "FsRtlAllocatePoolWithQuotaTag", max_irql=Irql.DISPATCH)
def fs_rtl_allocate_pool_with_tag(k: "Kernel", kind: U32, size: U32, tag: U32) -> int:
    return _pool(k, kind, size, tag)


@export(NTOSKRNL, "FsRtlDissectName", max_irql=Irql.APC)
def fs_rtl_dissect_name(k: "Kernel", name: int, first: int, rest: int) -> int:
    r"""The first component of a path, and what is left of it; the path comes by value, which is a pointer to a copy."""
    path = UnicodeString(k.memory, name)
    text, at = k.memory.read_unicode_string(name), path.buffer
    begin = 1 if text.startswith("\\") else 0
    end = text.find("\\", begin)
    stop = len(text) if end < 0 else end
    after = len(text) if end < 0 else end + 1
    for out, start, finish in ((first, begin, stop), (rest, after, len(text))):
        size = 2 * (finish - start)
        k.memory.write_unicode_string(out, at + 2 * start if size else 0, size, size)
    return 0


@export(NTOSKRNL, "FsRtlIsTotalDeviceFailure")
def fs_rtl_is_total_device_failure(k: "Kernel", status: U32) -> bool:
    del k
    return status in _TOTAL_FAILURES


@export(NTOSKRNL, "FsRtlIsSystemPagingFile", "FsRtlIsDaxVolume", "FsRtlIs32BitProcess", max_irql=Irql.APC)
def fs_rtl_is_none(k: "Kernel", item: int) -> bool:
    """There is no paging file, no such volume, no such process."""
    k.memory.read(item, 1)
    return False


@export(NTOSKRNL, "FsRtlIsMobileOS", "FsRtlIsNonEmptyDirectoryReparsePointAllowed")
def fs_rtl_is_mobile_os(k: "Kernel") -> bool:
    del k
    return False


@export(NTOSKRNL, "FsRtlAreVolumeStartupApplicationsComplete")
def fs_rtl_are_volume_startup_applications_complete(k: "Kernel") -> bool:
    del k
    return True


@export(NTOSKRNL, "FsRtlGetVirtualDiskNestingLevel", max_irql=Irql.PASSIVE)
def fs_rtl_get_virtual_disk_nesting_level(k: "Kernel", device: int, level: int, flags: int) -> int:
    """No disk is in a file."""
    k.memory.read(device, 2)
    k.memory.write_u32(level, 0)
    if flags:
        k.memory.write_u32(flags, 0)
    return 0


@export(NTOSKRNL, "FsRtlQueryMaximumVirtualDiskNestingLevel", max_irql=Irql.PASSIVE)
def fs_rtl_query_maximum_virtual_disk_nesting_level(k: "Kernel") -> int:
    del k
    return 2


@export(NTOSKRNL, "FsRtlGetSupportedFeatures", max_irql=Irql.PASSIVE)
def fs_rtl_get_supported_features(k: "Kernel", device: int, features: int) -> int:
    """Neither offloaded reads nor offloaded writes, nor named pipe and mailslot creates."""
    k.memory.read(device, 2)
    k.memory.write_u32(features, 0)
    return 0


@export(
    NTOSKRNL,
    "FsRtlIncrementCcFastReadNoWait",
    "FsRtlIncrementCcFastReadWait",
    "FsRtlIncrementCcFastReadNotPossible",
    "FsRtlIncrementCcFastReadResourceMiss",
    "FsRtlIncrementCcFastMdlReadWait",
)
def fs_rtl_increment(k: "Kernel") -> int:
    """Counters that nobody reads."""
    del k
    return 0


@export(NTOSKRNL, "FsRtlUpdateDiskCounters", "FsRtlLogCcFlushError")
def fs_rtl_update_disk_counters(k: "Kernel", read: int, written: int) -> int:
    del k, read, written
    return 0


@export(NTOSKRNL, "FsRtlValidateReparsePointBuffer", max_irql=Irql.PASSIVE)
def fs_rtl_validate_reparse_point_buffer(k: "Kernel", length: U32, buffer: int) -> int:
    """REPARSE_DATA_BUFFER, or with another vendor's tag REPARSE_GUID_DATA_BUFFER: header and length agree."""
    if length < 8 or length > _LONGEST_REPARSE:
        return _IO_REPARSE_DATA_INVALID
    tag, size = k.memory.read_u32(buffer), k.memory.read_u16(buffer + 4)
    if not tag & 0x0FFF_FFFF or tag & 0x0FFF_FFFF == 1:
        return _IO_REPARSE_TAG_INVALID
    header = 8 if tag & _MICROSOFT_TAG else 24
    return 0 if length == header + size else _IO_REPARSE_DATA_INVALID


def _request(k: "Kernel", irp: int) -> "Request | None":
    return k.io.irps.request_of(irp) if irp else None


@export(NTOSKRNL, "FsRtlCancellableWaitForSingleObject", max_irql=Irql.APC)
def fs_rtl_cancellable_wait_for_single_object(k: "Kernel", item: int, timeout: int, irp: int) -> Code:
    return wait_for(k, [item], timeout, request=_request(k, irp), every=False)


@export(NTOSKRNL, "FsRtlCancellableWaitForMultipleObjects", max_irql=Irql.APC)
def fs_rtl_cancellable_wait_for_multiple_objects(
    k: "Kernel", count: U32, items: int, kind: U32, timeout: int, blocks: int, irp: int
) -> Code:
    del blocks
    objects = [k.memory.read_u64(items + 8 * index) for index in range(count)]
    return wait_for(k, objects, timeout, request=_request(k, irp), every=kind == 0)


@export(NTOSKRNL, "FsRtlIsFatDbcsLegal", "FsRtlIsHpfsDbcsLegal", max_irql=Irql.APC)
def fs_rtl_is_fat_dbcs_legal(k: "Kernel", name: int, wild: U8, path: U8, leading: U8) -> bool:
    """An 8.3 name of the OEM code page; the string comes by value, which is a pointer to a copy."""
    view = UnicodeString(k.memory, name)
    text = k.memory.read(view.buffer, view.length)
    if leading and text.startswith(b"\\"):
        text = text[1:]
    parts = text.split(b"\\") if path else [text]
    return all(_legal(part, wild=bool(wild)) for part in parts)


def _legal(name: bytes, *, wild: bool) -> bool:
    if name in (b".", b".."):
        return True
    base, _, extension = name.partition(b".")
    bad = b'"+,/:;<=>[\\]|' + (b"" if wild else b"*?")
    sizes = 1 <= len(base) <= 8 and len(extension) <= 3
    return sizes and b"." not in extension and not any(byte < 0x20 or byte in bad for byte in name)
