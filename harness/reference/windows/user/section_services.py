"""NtCreateSection, NtMapViewOfSection and NtUnmapViewOfSection."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import U32
from harness.reference.windows.cc.sections import (
    PAGE_EXECUTE,
    PAGE_EXECUTE_READ,
    PAGE_EXECUTE_READWRITE,
    PAGE_READONLY,
    PAGE_READWRITE,
    PAGE_WRITECOPY,
    Section,
    create_section,
)
from harness.reference.windows.io.constants import USER_MODE
from harness.reference.windows.io.request import Code
from harness.reference.windows.io.system_services import file_of, service
from harness.reference.windows.ntos.ob.objects import CURRENT_PROCESS
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_WRITABLE = PAGE_READWRITE | PAGE_EXECUTE_READWRITE
_PAGE_EXECUTE_WRITECOPY = 0x80
_EXECUTABLE = PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE | _PAGE_EXECUTE_WRITECOPY
_COPIED = PAGE_WRITECOPY | _PAGE_EXECUTE_WRITECOPY
_PROTECTIONS = (
    *(PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY),
    *(PAGE_EXECUTE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, _PAGE_EXECUTE_WRITECOPY),
)
_READ_ACCESS, _EXECUTE_ACCESS, _WRITE_ACCESS = 0x1, 0x20, 0x2
_GRANULARITY = 0x10000
_SEC_IMAGE = 0x0100_0000
_MAP_WRITE, _MAP_READ, _MAP_EXECUTE, _GENERIC_ALL = 0x2, 0x4, 0x8, 0x1000_0000


@service("CreateSection")
def create_section_service(
    k: "Kernel",
    mode: int,
    out: int,
    access: U32,
    attributes: int,
    size_at: int,
    protection: U32,
    allocation: U32,
    file_handle: int,
) -> Code:
    """NtCreateSection: data sections and image sections."""
    del attributes
    size = k.memory.read_u64(size_at) if size_at else 0
    if protection not in _PROTECTIONS or (not file_handle and not size):
        return int(NtStatus.INVALID_PARAMETER)
    image = bool(allocation & _SEC_IMAGE)
    if image and not file_handle:
        return int(NtStatus.INVALID_FILE_FOR_SECTION)
    file = None
    if file_handle:
        file = file_of(k, file_handle, _EXECUTE_ACCESS if protection & _EXECUTABLE else _READ_ACCESS)
        if protection & _WRITABLE and not image:
            file_of(k, file_handle, _WRITE_ACCESS)
    stream = k.local_file_systems.stream_of(file) if file is not None else None
    status, item = yield from create_section(k, k.io, stream, file, size, protection, image=image)
    if item is not None:
        k.memory.write_u64(out, k.objects.open(item, kernel=mode == 0, access=access))
        k.objects.dereference(item)
    return status


def _section_of(k: "Kernel", handle: int, mode: int, protection: int) -> Section:
    """The section of a handle that may be mapped so."""
    found = k.objects.lookup(handle)
    if found is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    if not isinstance(found.object.body, Section):
        raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)
    needed = _MAP_READ | (_MAP_WRITE if protection & _WRITABLE else 0)
    needed |= _MAP_EXECUTE if protection & _EXECUTABLE else 0
    if mode == USER_MODE and needed & ~found.access and not found.access & _GENERIC_ALL:
        raise StatusError(NtStatus.ACCESS_DENIED)
    return found.object.body


@service("MapViewOfSection")
def map_view_of_section(
    k: "Kernel",
    mode: int,
    handle: int,
    process: int,
    base_at: int,
    zero_bits: int,
    commit: int,
    offset_at: int,
    size_at: int,
    inherit: U32,
    allocation: U32,
    protection: U32,
) -> int:
    """NtMapViewOfSection into the calling process, where the system wants it."""
    del zero_bits, commit, inherit, allocation
    section = _section_of(k, handle, mode, protection)
    offset = k.memory.read_u64(offset_at) if offset_at else 0
    size = k.memory.read_u64(size_at)
    if process != CURRENT_PROCESS or k.memory.read_u64(base_at):
        return int(NtStatus.NOT_SUPPORTED)
    if offset % _GRANULARITY:
        return int(NtStatus.MAPPED_ALIGNMENT)
    if offset >= section.size or size > section.size - offset:
        return int(NtStatus.INVALID_VIEW_SIZE)
    writable = bool(protection & _WRITABLE)
    private = bool(protection & _COPIED) or section.image is not None
    if protection not in _PROTECTIONS or (writable and not private and not section.protection & _WRITABLE):
        return int(NtStatus.SECTION_PROTECTION)
    view = k.views.map(section, k.current.process, offset, size, writable=writable or private, private=private)
    k.memory.write_u64(base_at, view.base)
    k.memory.write_u64(size_at, view.size)
    if offset_at:
        k.memory.write_u64(offset_at, offset)
    return int(NtStatus.SUCCESS)


@service("UnmapViewOfSection")
def unmap_view_of_section(k: "Kernel", mode: int, process: int, base: int) -> Code:
    """NtUnmapViewOfSection."""
    del mode
    view = k.views.at(base)
    if process != CURRENT_PROCESS or view is None or view.process is not k.current.process:
        return int(NtStatus.NOT_MAPPED_VIEW)
    yield from k.views.unmap(view)
    return int(NtStatus.SUCCESS)


_BASIC = Struct("<QI4xQ")
"""SECTION_BASIC_INFORMATION: BaseAddress, AllocationAttributes, MaximumSize."""
_SECTION_QUERY, _SEC_FILE, _SEC_COMMIT = 0x1, 0x0080_0000, 0x0800_0000


@service("QuerySection")
def query_section(k: "Kernel", mode: int, handle: int, kind: U32, buffer: int, length: int, returned: int) -> int:
    """NtQuerySection: SectionBasicInformation."""
    found = k.objects.lookup(handle)
    if found is None:
        return int(NtStatus.INVALID_HANDLE)
    section = found.object.body
    if not isinstance(section, Section):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    if mode == USER_MODE and not found.access & (_SECTION_QUERY | _GENERIC_ALL):
        return int(NtStatus.ACCESS_DENIED)
    if kind:
        return int(NtStatus.INVALID_INFO_CLASS)
    if length < _BASIC.size:
        return int(NtStatus.INFO_LENGTH_MISMATCH)
    of_file = _SEC_FILE if section.cache is not None else _SEC_COMMIT
    k.memory.write(buffer, _BASIC.pack(0, of_file | (_SEC_IMAGE if section.image else 0), section.size))
    if returned:
        k.memory.write_u64(returned, _BASIC.size)
    return int(NtStatus.SUCCESS)
