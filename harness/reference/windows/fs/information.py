"""Query and set information of files and of the volume: the information classes as bytes."""

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs import directory
from harness.reference.windows.fs.errors import VolumeError
from harness.reference.windows.fs.filesystem import CLUSTER, FileFacts
from harness.reference.windows.io.constants import (
    FILE_DEVICE_DISK,
    FILE_DEVICE_IS_MOUNTED,
    SECTOR_SIZE,
    FileInformationClass,
    FsInformationClass,
)
from harness.reference.windows.io.parameters import INFORMATION, NETWORK_QUERY_OPEN, QUERY_OPEN, SET_INFORMATION
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.fs.filesystem import Node
    from harness.reference.windows.io.file_object import FileObject

_BASIC = Struct("<qqqqI4x")
_STANDARD = Struct("<qqIBB2x")
_NETWORK_OPEN = Struct("<qqqqqqI4x")
_STAT = Struct("<QqqqqqqIIII")
_RENAME = Struct("<B7xQI")
_FS_SIZE = Struct("<qqII")
_FS_FULL_SIZE = Struct("<qqqII")
_SUPPORTED = 0x00000001 | 0x00000002 | 0x00000004
"""FILE_CASE_SENSITIVE_SEARCH | FILE_CASE_PRESERVED_NAMES | FILE_UNICODE_ON_DISK."""


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


def _name(text: str) -> bytes:
    encoded = text.encode("utf-16-le", "surrogatepass")
    return Struct("<I").pack(len(encoded)) + encoded


def _stat(facts: FileFacts) -> bytes:
    return _STAT.pack(
        facts.index,
        facts.creation_time,
        facts.last_access_time,
        facts.last_write_time,
        facts.change_time,
        facts.allocation_size,
        facts.end_of_file,
        facts.attributes,
        0,
        facts.links,
        0x001F_01FF,
    )


def _all(file: "FileObject", facts: FileFacts) -> bytes:
    access, mode, alignment = file.access, 0, 0
    return (
        basic(facts)
        + standard(facts)
        + Struct("<q").pack(facts.index)
        + Struct("<II").pack(0, access)
        + Struct("<q").pack(file.view.current_byte_offset)
        + Struct("<II").pack(mode, alignment)
        + _name(file.opened.node.relative if file.opened else file.name)
    )


_Make = Callable[["FileObject", FileFacts], bytes]
_CLASSES: dict[int, _Make] = {
    FileInformationClass.BASIC: lambda _, facts: basic(facts),
    FileInformationClass.STANDARD: lambda _, facts: standard(facts),
    FileInformationClass.NETWORK_OPEN: lambda _, facts: network_open(facts),
    FileInformationClass.INTERNAL: lambda _, facts: Struct("<q").pack(facts.index),
    FileInformationClass.EA: lambda _, facts: bytes(4),
    FileInformationClass.ACCESS: lambda file, _: Struct("<I").pack(file.access),
    FileInformationClass.POSITION: lambda file, _: Struct("<q").pack(file.view.current_byte_offset),
    FileInformationClass.MODE: lambda file, _: Struct("<I").pack(0x20 if file.synchronous else 0),
    FileInformationClass.ALIGNMENT: lambda file, _: bytes(4),
    FileInformationClass.NAME: lambda file, _: _name(file.opened.node.relative if file.opened else file.name),
    FileInformationClass.NORMALIZED_NAME: lambda file, _: _name(
        file.opened.node.relative if file.opened else file.name
    ),
    FileInformationClass.ALL: _all,
    FileInformationClass.ATTRIBUTE_TAG: lambda _, facts: Struct("<II").pack(facts.attributes, 0),
    FileInformationClass.STANDARD_LINK: lambda _, facts: Struct("<IIBB2x").pack(
        facts.links, facts.links, int(facts.delete_pending), int(facts.directory)
    ),
    FileInformationClass.STAT: lambda _, facts: _stat(facts),
    FileInformationClass.ID: lambda _, facts: Struct("<QQQ").pack(0xF17A, facts.index, 0),
}
_VARIABLE = frozenset({FileInformationClass.NAME, FileInformationClass.ALL, FileInformationClass.NORMALIZED_NAME})
_VARIABLE_MINIMUM = {
    FileInformationClass.NAME: 4,
    FileInformationClass.NORMALIZED_NAME: 4,
    FileInformationClass.ALL: 100,
}


def query(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_QUERY_INFORMATION, by IRP or fast I/O."""
    file = request.file
    if file is None or file.opened is None:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    length, kind, buffer = INFORMATION.unpack_from(request.parameters)
    make = _CLASSES.get(kind)
    if make is None:
        return int(NtStatus.INVALID_INFO_CLASS), 0
    data = make(file, driver.files.facts(file.opened.node))
    return (yield from answer(driver, buffer, length, data, minimum=_VARIABLE_MINIMUM.get(FileInformationClass(kind))))


def answer(driver: "FileSystemDriver", buffer: int, length: int, data: bytes, *, minimum: int | None = None) -> Code:
    """Store an answer; one of variable length may be cut to what fits."""
    if length < (len(data) if minimum is None else minimum):
        return int(NtStatus.INFO_LENGTH_MISMATCH), 0
    fits = data[:length]
    yield from driver.kernel.io.views.write(buffer, fits)
    return int(NtStatus.SUCCESS if len(fits) == len(data) else NtStatus.BUFFER_OVERFLOW), len(fits)


def network_query_open(driver: "FileSystemDriver", request: Request) -> Code:
    """NetworkQueryOpen: open, query and close in one."""
    _, buffer = NETWORK_QUERY_OPEN.unpack_from(request.parameters)
    assert request.file is not None
    facts = driver.files.facts(driver.files.node(request.file.name))
    data = network_open(facts)
    yield from driver.kernel.io.views.write(buffer, data)
    return int(NtStatus.SUCCESS), len(data)


def query_open(driver: "FileSystemDriver", request: Request) -> Code:
    """QueryOpen, the FSFilter operation for queries by name."""
    _, buffer, length_at, kind = QUERY_OPEN.unpack_from(request.parameters)
    assert request.file is not None
    make = _CLASSES.get(kind)
    if make is None:
        return int(NtStatus.INVALID_INFO_CLASS), 0
    data = make(request.file, driver.files.facts(driver.files.node(request.file.name)))
    length = driver.kernel.memory.read_u32(length_at)
    return (yield from answer(driver, buffer, length, data))


# -- set


def set_(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_SET_INFORMATION."""
    file = request.file
    if file is None or file.opened is None:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    node, files = file.opened.node, driver.files
    length, kind, _, _, buffer = SET_INFORMATION.unpack_from(request.parameters)
    data = yield from driver.kernel.io.views.read(buffer, length)
    if kind == FileInformationClass.BASIC:
        _, accessed, written, _, attributes = _BASIC.unpack(data[: _BASIC.size].ljust(_BASIC.size, b"\0"))
        files.set_basic(node, attributes, accessed, written)
    elif kind in (FileInformationClass.DISPOSITION, FileInformationClass.DISPOSITION_EX):
        if not file.access & 0x10000:
            raise VolumeError(NtStatus.ACCESS_DENIED)
        files.set_disposition(node, bool(data[0] & 1))
        file.view.delete_pending = data[0] & 1
    elif kind == FileInformationClass.END_OF_FILE:
        yield from _resize(driver, node, int.from_bytes(data[:8], "little", signed=True), end_of_file=True)
    elif kind == FileInformationClass.ALLOCATION:
        yield from _resize(driver, node, int.from_bytes(data[:8], "little", signed=True), end_of_file=False)
    elif kind in (FileInformationClass.RENAME, FileInformationClass.RENAME_EX):
        _rename(driver, file, data)
    elif kind == FileInformationClass.POSITION:
        file.view.current_byte_offset = int.from_bytes(data[:8], "little", signed=True)
    else:
        return int(NtStatus.INVALID_INFO_CLASS), 0
    return int(NtStatus.SUCCESS), 0


def _resize(driver: "FileSystemDriver", node: "Node", size: int, *, end_of_file: bool) -> Code:
    if size < 0:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    cache = driver.cache_of(node)
    if cache is not None:
        if cache.views and size < driver.files.size(node):
            raise VolumeError(NtStatus.USER_MAPPED_FILE)
        cache.truncate(size)
    if end_of_file:
        driver.files.set_end_of_file(node, size)
    else:
        driver.files.set_allocation(node, size)
    yield from ()
    return


def _rename(driver: "FileSystemDriver", file: "FileObject", data: bytes) -> None:
    if not file.access & 0x10000:
        raise VolumeError(NtStatus.ACCESS_DENIED)
    assert file.opened is not None
    replace, root, length = _RENAME.unpack_from(data)
    name = data[_RENAME.size : _RENAME.size + length].decode("utf-16-le", "surrogatepass")
    del root
    if "\\" not in name:
        name = file.opened.node.relative.rpartition("\\")[0] + "\\" + name
    else:
        found = driver.kernel.io.volume_of(name)
        if found is not None:
            if found[0] is not driver.volume:
                raise VolumeError(NtStatus.NOT_SAME_DEVICE)
            name = found[1]
    directory.changed(driver, file.opened.node, directory.Action.RENAMED_OLD_NAME)
    replaced = driver.files.rename(file.opened.node, name, bool(replace))
    cache = driver.cache_of(replaced) if replaced is not None else None
    if cache is not None:
        cache.truncate(0)  # what is cached goes nowhere: least of all into the file that has the name now
    directory.changed(driver, file.opened.node, directory.Action.RENAMED_NEW_NAME)


# -- the volume


def query_volume(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_QUERY_VOLUME_INFORMATION."""
    length, kind, buffer = INFORMATION.unpack_from(request.parameters)
    volume = driver.volume
    total, free = driver.files.space()
    clusters = CLUSTER // SECTOR_SIZE
    label = volume.label.encode("utf-16-le")
    name = "NTFS".encode("utf-16-le")
    minimum: int | None = None
    if kind == FsInformationClass.VOLUME:
        data = Struct("<qIIBx").pack(0, volume.serial, len(label), 0) + label
        minimum = 18
    elif kind == FsInformationClass.SIZE:
        data = _FS_SIZE.pack(total // CLUSTER, free // CLUSTER, clusters, SECTOR_SIZE)
    elif kind == FsInformationClass.FULL_SIZE:
        data = _FS_FULL_SIZE.pack(total // CLUSTER, free // CLUSTER, free // CLUSTER, clusters, SECTOR_SIZE)
    elif kind == FsInformationClass.DEVICE:
        data = Struct("<II").pack(FILE_DEVICE_DISK, FILE_DEVICE_IS_MOUNTED)
    elif kind == FsInformationClass.ATTRIBUTE:
        data = Struct("<IiI").pack(_SUPPORTED, 255, len(name)) + name
        minimum = 12
    elif kind == FsInformationClass.SECTOR_SIZE:
        data = Struct("<7I").pack(SECTOR_SIZE, SECTOR_SIZE, SECTOR_SIZE, SECTOR_SIZE, 3, 0, 0)
    else:
        return int(NtStatus.INVALID_INFO_CLASS), 0
    return (yield from answer(driver, buffer, length, data, minimum=minimum))
