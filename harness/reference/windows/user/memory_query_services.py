"""NtQueryVirtualMemory: what lies at an address of a process, and which file it is a view of."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import pack
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import U32
from harness.reference.machine.loader.pe import Section as ImagePart
from harness.reference.machine.memory.layout import PAGE_SIZE, is_user, page_align
from harness.reference.machine.scheduler.thread import Process
from harness.reference.windows.cc.sections import View
from harness.reference.windows.io.constants import USER_MODE
from harness.reference.windows.io.system_services import service
from harness.reference.windows.ntos.ob.objects import CURRENT_PROCESS
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.user.query_answers import body_of, counted_name

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.kernel import Kernel

_BASIC, _MAPPED_FILE_NAME = 0, 2
"""MemoryBasicInformation and MemoryMappedFilenameInformation of MEMORY_INFORMATION_CLASS."""
_COMMIT, _FREE = 0x1000, 0x1_0000
_PRIVATE, _MAPPED, _IMAGE = 0x2_0000, 0x4_0000, 0x100_0000
_NOACCESS, _READONLY, _READWRITE, _WRITECOPY, _EXECUTE_READ, _EXECUTE_WRITECOPY = 0x01, 0x02, 0x04, 0x08, 0x20, 0x80
_END = 0x0000_7FFF_FFFF_0000
"""Behind the highest address of a process."""
_QUERY_INFORMATION, _QUERY_LIMITED = 0x0400, 0x1000


@dataclass(frozen=True, slots=True)
class _Range:
    """Pages that have everything in common."""

    base: int
    size: int
    allocation: int
    """Where their allocation begins."""
    allocated_as: int
    protection: int
    kind: int
    file: "FileObject | None" = None
    path: str = ""


def _of_part(part: ImagePart) -> int:
    if part.executable:
        return _EXECUTE_READ
    return _WRITECOPY if part.writable else _READONLY


def _ranges(k: "Kernel", process: Process) -> Iterator[_Range]:
    program = k.programs.running.get(process)
    for region in program.regions if program is not None else k.system_regions:
        yield _Range(region.base, region.size, region.base, _READWRITE, _READWRITE, _PRIVATE)
    for view in k.views.of_process(process):
        yield _of_view(view)
    if program is None:
        return
    for image in (program.image, program.library):
        if image is None:
            continue
        path = k.processes.facts[process].nt_path if image is program.image else ""
        at = image.base
        for part in sorted(image.sections, key=lambda part: part.address):
            begin, end = image.base + part.address, image.base + page_align(part.address + part.size)
            if begin > at:  # the headers
                yield _Range(at, begin - at, image.base, _EXECUTE_WRITECOPY, _READONLY, _IMAGE, path=path)
            yield _Range(begin, end - begin, image.base, _EXECUTE_WRITECOPY, _of_part(part), _IMAGE, path=path)
            at = end


def _of_view(view: View) -> _Range:
    section = view.section
    if section.image is not None:
        kind, protection = _IMAGE, _EXECUTE_WRITECOPY
    else:
        kind = _MAPPED
        protection = _WRITECOPY if view.private else _READWRITE if view.writable else _READONLY
    file = section.cache.file if section.cache is not None else None
    return _Range(view.base, view.size, view.base, protection, protection, kind, file)


def _basic(ranges: list[_Range], page: int) -> bytes:
    """MEMORY_BASIC_INFORMATION."""
    for found in ranges:
        if found.base <= page < found.base + found.size:
            return pack(
                "<QQIIQIIII", page, found.allocation, found.allocated_as, 0, found.base + found.size - page,
                _COMMIT, found.protection, found.kind, 0,
            )  # fmt: skip
    following = min((item.base for item in ranges if item.base > page), default=_END)
    return pack("<QQIIQIIII", page, 0, 0, 0, following - page, _FREE, _NOACCESS, 0, 0)


def _file_name(ranges: list[_Range], page: int) -> str:
    """What is mapped at an address; INVALID_ADDRESS where nothing is, or nothing of a file."""
    for found in ranges:
        if found.base <= page < found.base + found.size:
            if found.file is not None:
                return found.file.volume.device_name + found.file.name
            if found.path:
                return found.path
    raise StatusError(NtStatus.INVALID_ADDRESS)


@service("QueryVirtualMemory")
def query_virtual_memory(
    k: "Kernel", mode: int, process: int, address: int, kind: U32, buffer: int, length: int, returned: int
) -> int:
    """NtQueryVirtualMemory: MemoryBasicInformation and MemoryMappedFilenameInformation."""
    found = k.current.process if process == CURRENT_PROCESS else body_of(k, process, Process)
    assert isinstance(found, Process)
    handle = k.objects.lookup(process)
    if mode == USER_MODE and handle is not None and not handle.access & (_QUERY_INFORMATION | _QUERY_LIMITED):
        return int(NtStatus.ACCESS_DENIED)
    if not is_user(address) or address >= _END:
        return int(NtStatus.INVALID_PARAMETER)
    ranges, page = list(_ranges(k, found)), address & ~(PAGE_SIZE - 1)
    if kind == _BASIC:
        data, small = _basic(ranges, page), NtStatus.INFO_LENGTH_MISMATCH
    elif kind == _MAPPED_FILE_NAME:
        data, small = counted_name(_file_name(ranges, page), buffer), NtStatus.BUFFER_OVERFLOW
    else:
        return int(NtStatus.INVALID_INFO_CLASS)
    if returned:
        k.memory.write_u64(returned, len(data))
    if length < len(data):
        return int(NtStatus.INFO_LENGTH_MISMATCH if length < 16 else small)
    k.memory.write(buffer, data)
    return int(NtStatus.SUCCESS)
