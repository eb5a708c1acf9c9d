"""Query information of files: the information classes as bytes."""

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs.filesystem import FileFacts
from harness.reference.windows.fs.finding import find
from harness.reference.windows.fs.inode import FileAttributes
from harness.reference.windows.fs.lifetime import subject_of
from harness.reference.windows.fs.opens import Asked, Disposition, OpenFile
from harness.reference.windows.io.constants import FileInformationClass
from harness.reference.windows.io.parameters import INFORMATION, NETWORK_QUERY_OPEN, QUERY_OPEN
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.se import security
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.io.file_object import FileObject

_BASIC = Struct("<qqqqI4x")
_STANDARD = Struct("<qqIBB2x")
_NETWORK_OPEN = Struct("<qqqqqqI4x")
_STAT = Struct("<QqqqqqqIIII")
_STAT_LX = Struct("<IIIIII4x")
_COMPRESSION = Struct("<qHBBB3x")


def basic(facts: FileFacts) -> bytes:
    """FILE_BASIC_INFORMATION."""
    return _BASIC.pack(
        facts.creation_time, facts.last_access_time, facts.last_write_time, facts.change_time, facts.attributes
    )


def standard(facts: FileFacts) -> bytes:
    """FILE_STANDARD_INFORMATION."""
    return _STANDARD.pack(
        facts.allocation_size, facts.end_of_file, facts.links, int(facts.delete_pending), int(facts.directory)
    )


def network_open(facts: FileFacts) -> bytes:
    """FILE_NETWORK_OPEN_INFORMATION."""
    return _NETWORK_OPEN.pack(
        facts.creation_time,
        facts.last_access_time,
        facts.last_write_time,
        facts.change_time,
        facts.allocation_size,
        facts.end_of_file,
        facts.attributes,
    )


def name(text: str) -> bytes:
    """FILE_NAME_INFORMATION."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    return Struct("<I").pack(len(encoded)) + encoded


def _stat(facts: FileFacts, access: int) -> bytes:
    return _STAT.pack(
        facts.index,
        facts.creation_time,
        facts.last_access_time,
        facts.last_write_time,
        facts.change_time,
        facts.allocation_size,
        facts.end_of_file,
        facts.attributes,
        facts.reparse_tag,
        facts.links,
        access,
    )


def _all(file: "FileObject", facts: FileFacts) -> bytes:
    return (
        basic(facts)
        + standard(facts)
        + Struct("<q").pack(facts.index)
        + Struct("<II").pack(facts.ea_size, file.access)
        + Struct("<q").pack(file.position)
        + Struct("<II").pack(file.mode, 0)
        + name(_path(file))
    )


def _path(file: "FileObject") -> str:
    return file.opened.path if file.opened is not None else file.name


def _standard_link(facts: FileFacts) -> bytes:
    return Struct("<IIBB2x").pack(
        facts.links, facts.links + int(facts.delete_pending), int(facts.delete_pending), int(facts.directory)
    )


def _compression(facts: FileFacts) -> bytes:
    """FileCompressionInformation: the format, and the shifts of its unit, chunk and cluster."""
    how = (2, 16, 12, 12) if facts.attributes & FileAttributes.COMPRESSED else (0, 0, 0, 0)
    return _COMPRESSION.pack(facts.allocation_size, *how)


_Make = Callable[["FileObject", FileFacts], bytes]
_CLASSES: dict[int, _Make] = {
    FileInformationClass.BASIC: lambda _, facts: basic(facts),
    FileInformationClass.STANDARD: lambda _, facts: standard(facts),
    FileInformationClass.NETWORK_OPEN: lambda _, facts: network_open(facts),
    FileInformationClass.INTERNAL: lambda _, facts: Struct("<Q").pack(facts.index),
    FileInformationClass.EA: lambda _, facts: Struct("<I").pack(facts.ea_size),
    FileInformationClass.ACCESS: lambda file, _: Struct("<I").pack(file.access),
    FileInformationClass.POSITION: lambda file, _: Struct("<q").pack(file.position),
    FileInformationClass.MODE: lambda file, _: Struct("<I").pack(file.mode),
    FileInformationClass.ALIGNMENT: lambda file, _: bytes(4),
    FileInformationClass.NAME: lambda file, _: name(_path(file)),
    FileInformationClass.NORMALIZED_NAME: lambda file, _: name(_path(file)),
    FileInformationClass.ALL: _all,
    FileInformationClass.ATTRIBUTE_TAG: lambda _, facts: Struct("<II").pack(facts.attributes, facts.reparse_tag),
    FileInformationClass.STANDARD_LINK: lambda _, facts: _standard_link(facts),
    FileInformationClass.COMPRESSION: lambda _, facts: _compression(facts),
    FileInformationClass.IS_REMOTE_DEVICE: lambda _, facts: b"\0",
    FileInformationClass.STAT: lambda file, facts: _stat(facts, file.access),
    FileInformationClass.STAT_LX: lambda file, facts: _stat(facts, file.access) + _STAT_LX.pack(0, 0, 0, 0, 0, 0),
}
_MINIMUM = {
    FileInformationClass.NAME: 4,
    FileInformationClass.NORMALIZED_NAME: 4,
    FileInformationClass.ALL: 100,
    FileInformationClass.STREAM: 0,
    FileInformationClass.HARD_LINK: 8,
}


def query(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_QUERY_INFORMATION, by IRP or fast I/O."""
    file = request.file
    if file is None or file.opened is None:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    length, kind, buffer = INFORMATION.unpack_from(request.parameters)
    if kind == FileInformationClass.STREAM:
        return (yield from _streams(driver, file.opened, buffer, length))
    if kind == FileInformationClass.HARD_LINK:
        return (yield from _hard_links(driver, file.opened, buffer, length))
    data = _answer_of(driver, file, file.opened, kind)
    if data is None:
        return int(NtStatus.INVALID_INFO_CLASS), 0
    return (yield from answer(driver, buffer, length, data, minimum=_minimum(kind)))


def _minimum(kind: int) -> int | None:
    return next((length for of, length in _MINIMUM.items() if of == kind), None)


def _answer_of(driver: "FileSystemDriver", file: "FileObject", opened: OpenFile, kind: int) -> bytes | None:
    facts = driver.files.facts(opened)
    make = _CLASSES.get(kind)
    if make is not None:
        return make(file, facts)
    if kind == FileInformationClass.ID:
        return Struct("<QQQ").pack(driver.volume.serial, facts.index, 0)
    if kind == FileInformationClass.CASE_SENSITIVE:
        if not opened.inode.directory:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        return Struct("<I").pack(int(opened.inode.case_sensitive))
    if kind == FileInformationClass.VOLUME_NAME:
        return name(driver.volume.device_name)
    if kind == FileInformationClass.ALTERNATE_NAME:
        raise StatusError(NtStatus.OBJECT_NAME_NOT_FOUND)  # the volume makes no short names
    if kind == FileInformationClass.REMOTE_PROTOCOL:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    return None


def answer(driver: "FileSystemDriver", buffer: int, length: int, data: bytes, *, minimum: int | None = None) -> Code:
    """Store an answer; one of variable length may be cut to what fits."""
    if length < (len(data) if minimum is None else minimum):
        return int(NtStatus.INFO_LENGTH_MISMATCH), 0
    fits = data[:length]
    yield from driver.io.views.write(buffer, fits)
    return int(NtStatus.SUCCESS if len(fits) == len(data) else NtStatus.BUFFER_OVERFLOW), len(fits)


def _streams(driver: "FileSystemDriver", opened: OpenFile, buffer: int, length: int) -> Code:
    """FILE_STREAM_INFORMATION: whole entries, as many as fit."""
    driver.files.facts(opened)
    entries = []
    for stream in opened.inode.streams.values():
        if stream.directory:
            continue
        text = f":{stream.name}:$DATA".encode("utf-16-le", "surrogatepass")
        sizes = Struct("<Iqq").pack(len(text), driver.files.size(stream), driver.files.allocation(stream))
        entries.append(bytes(4) + sizes + text)
    data, whole = chain(entries, length, 8)
    if entries and not data:
        return int(NtStatus.BUFFER_OVERFLOW), 0
    yield from driver.io.views.write(buffer, data)
    return int(NtStatus.SUCCESS if whole else NtStatus.BUFFER_OVERFLOW), len(data)


def chain(entries: list[bytes], room: int, alignment: int) -> tuple[bytes, bool]:
    """Entries that begin with the offset of the next one, as many as fit; and whether all did."""
    out, last = bytearray(), 0
    for index, entry in enumerate(entries):
        padding = -len(out) % alignment
        if len(out) + padding + len(entry) > room:
            return bytes(out), False
        out += bytes(padding)
        if index:
            out[last : last + 4] = (len(out) - last).to_bytes(4, "little")
        last = len(out)
        out += entry
    return bytes(out), True


def _hard_links(driver: "FileSystemDriver", opened: OpenFile, buffer: int, length: int) -> Code:
    """FILE_LINKS_INFORMATION."""
    driver.files.facts(opened)
    entries = []
    for link in opened.inode.links:
        text = link.name.encode("utf-16-le", "surrogatepass")
        entries.append(Struct("<4xQI").pack(link.parent.reference, len(text) // 2) + text)
    if length < 8:
        return int(NtStatus.INFO_LENGTH_MISMATCH), 0
    needed = 8 + len(chain(entries, 1 << 30, 8)[0])
    fits = entries
    while 8 + len(chain(fits, 1 << 30, 8)[0]) > length:
        fits = fits[:-1]
    data = Struct("<II").pack(needed, len(fits)) + chain(fits, length, 8)[0]
    yield from driver.io.views.write(buffer, data)
    return int(NtStatus.SUCCESS if len(fits) == len(entries) else NtStatus.BUFFER_OVERFLOW), len(data)


# -- queries by name


def _facts_by_name(driver: "FileSystemDriver", request: Request) -> FileFacts:
    """What an open for attributes would find; it is not opened, so nobody else has a say."""
    assert request.file is not None
    related = request.file.view.related_file_object
    if not related and not request.file.name:
        raise StatusError(NtStatus.INVALID_PARAMETER)  # the volume itself
    above = driver.io.file_at(related) if related else None
    asked = Asked(
        request.file.name,
        0x80,
        7,
        int(Disposition.OPEN),
        related=above.opened if above is not None else None,
        subject=subject_of(driver, request),
    )
    found = find(driver.files, asked)
    assert found.stream is not None
    return driver.files.facts_of(found.stream, found.link)


def network_query_open(driver: "FileSystemDriver", request: Request) -> Code:
    """NetworkQueryOpen: open, query and close in one."""
    _, buffer = NETWORK_QUERY_OPEN.unpack_from(request.parameters)
    data = network_open(_facts_by_name(driver, request))
    yield from driver.io.views.write(buffer, data)
    return int(NtStatus.SUCCESS), len(data)


def query_open(driver: "FileSystemDriver", request: Request) -> Code:
    """QueryOpen, the FSFilter operation for queries by name."""
    _, buffer, length_at, kind = QUERY_OPEN.unpack_from(request.parameters)
    assert request.file is not None
    facts = _facts_by_name(driver, request)
    if kind == FileInformationClass.ID:
        data = Struct("<QQQ").pack(driver.volume.serial, facts.index, 0)
    elif kind in (FileInformationClass.STAT, FileInformationClass.STAT_LX):
        data = _stat(facts, security.FILE_ALL_ACCESS)
        data += _STAT_LX.pack(0, 0, 0, 0, 0, 0) if kind == FileInformationClass.STAT_LX else b""
    else:
        make = _CLASSES.get(kind)
        if make is None:
            return int(NtStatus.INVALID_INFO_CLASS), 0
        data = make(request.file, facts)
    length = driver.kernel.memory.read_u32(length_at)
    return (yield from answer(driver, buffer, length, data))
