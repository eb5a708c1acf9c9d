"""Set information of files."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs import deletions, renames
from harness.reference.windows.fs.inode import Inode
from harness.reference.windows.fs.names import parse
from harness.reference.windows.fs.opens import OpenFile
from harness.reference.windows.fsrtl.oplock_keys import key_of
from harness.reference.windows.fsrtl.oplocks import Does
from harness.reference.windows.io.constants import FileInformationClass
from harness.reference.windows.io.parameters import SET_INFORMATION
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.io.file_object import FileObject

_BASIC = Struct("<qqqqI4x")
_NAMED = Struct("<I4xQI")
"""Flags, RootDirectory and FileNameLength of FILE_RENAME_INFORMATION and FILE_LINK_INFORMATION."""
_RENAMES = frozenset({FileInformationClass.RENAME, FileInformationClass.RENAME_EX})
_LINKS = frozenset({FileInformationClass.LINK, FileInformationClass.LINK_EX})
_SIZES = frozenset(
    {FileInformationClass.ALLOCATION, FileInformationClass.END_OF_FILE, FileInformationClass.VALID_DATA_LENGTH}
)
_DISPOSITIONS = frozenset({FileInformationClass.DISPOSITION, FileInformationClass.DISPOSITION_EX})
_DELETE = 0x10000


def set_(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_SET_INFORMATION."""
    file = request.file
    if file is None or file.opened is None:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    opened = file.opened
    length, kind, parent, _, buffer = SET_INFORMATION.unpack_from(request.parameters)
    data = yield from driver.io.views.read(buffer, length)
    if opened.inode.gone:
        raise StatusError(NtStatus.FILE_DELETED)
    does = Does.WRITE if kind in _SIZES else Does.RENAME if kind in _RENAMES | _LINKS | _DISPOSITIONS else None
    if does is not None:
        event = driver.state(opened.stream).oplock.check(does, file, key_of(file))
        if event is not None:
            return (yield from driver.wait(request, event, set_))
    if kind == FileInformationClass.BASIC:
        *times, attributes = _BASIC.unpack(_at_least(data, _BASIC.size))
        driver.files.set_basic(opened, (times[0], times[1], times[2], times[3]), attributes)
    elif kind in _DISPOSITIONS:
        _disposition(driver, file, opened, kind, data)
    elif kind in _SIZES:
        yield from _resize(driver, opened, kind, int.from_bytes(_at_least(data, 8), "little", signed=True))
    elif kind in _RENAMES | _LINKS:
        _named(driver, file, opened, kind, data, parent)
    elif kind == FileInformationClass.POSITION:
        file.position = int.from_bytes(_at_least(data, 8), "little", signed=True)
    elif kind == FileInformationClass.CASE_SENSITIVE:
        _set_case_sensitive(driver, opened, int.from_bytes(_at_least(data, 4), "little"))
    elif kind == FileInformationClass.SHORT_NAME:
        raise StatusError(NtStatus.SHORT_NAMES_NOT_ENABLED_ON_VOLUME)
    else:
        return int(NtStatus.INVALID_INFO_CLASS), 0
    return int(NtStatus.SUCCESS), 0


def _at_least(data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise StatusError(NtStatus.INFO_LENGTH_MISMATCH)
    return data[:size]


def _disposition(driver: "FileSystemDriver", file: "FileObject", opened: OpenFile, kind: int, data: bytes) -> None:
    if not file.access & _DELETE:
        raise StatusError(NtStatus.ACCESS_DENIED)
    if kind == FileInformationClass.DISPOSITION:
        wanted = deletions.Disposition(bool(_at_least(data, 1)[0]))
    else:
        wanted = deletions.Disposition.from_flags(int.from_bytes(_at_least(data, 4), "little"))
    deletions.set_disposition(driver.files, opened, wanted)
    if not wanted.on_close:
        file.view.delete_pending = int(wanted.delete)
    if wanted.delete and opened.stream.directory:
        driver.notify.directory_goes(opened.inode)


def _resize(driver: "FileSystemDriver", opened: OpenFile, kind: int, size: int) -> Code:
    yield from ()
    if opened.stream.directory or size < 0:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if kind == FileInformationClass.END_OF_FILE:
        driver.files.set_end_of_file(opened, size)
    elif kind == FileInformationClass.ALLOCATION:
        driver.files.set_allocation(opened, size)
    else:
        if not opened.manages_volume:
            raise StatusError(NtStatus.PRIVILEGE_NOT_HELD)
        driver.files.set_valid_data_length(opened.stream, size)
    driver.state(opened.stream).show_sizes()


def _set_case_sensitive(driver: "FileSystemDriver", opened: OpenFile, flags: int) -> None:
    if not opened.stream.directory or flags & ~1:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    driver.files.store.set_case_sensitive(opened.inode, sensitive=bool(flags & 1))


# -- renames and links


def _named(
    driver: "FileSystemDriver", file: "FileObject", opened: OpenFile, kind: int, data: bytes, parent: int
) -> None:
    if len(data) < _NAMED.size:
        raise StatusError(NtStatus.INFO_LENGTH_MISMATCH)
    flags, root, length = _NAMED.unpack_from(data)
    if kind in (FileInformationClass.RENAME, FileInformationClass.LINK):
        flags = int(bool(flags & 0xFF))
    if not length or length % 2 or _NAMED.size + length > len(data):
        raise StatusError(NtStatus.INVALID_PARAMETER)
    text = data[_NAMED.size : _NAMED.size + length].decode("utf-16-le", "surrogatepass")
    if kind in _RENAMES and not file.access & _DELETE:
        raise StatusError(NtStatus.ACCESS_DENIED)
    if text.startswith(":") and kind in _RENAMES:
        renames.rename_stream(driver.files, opened, text, replace=bool(flags & 1))
        return
    if opened.stream.name:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    directory, name = _target(driver, opened, root, text, parent)
    target = renames.Target.from_flags(directory, name, flags)
    act = renames.rename if kind in _RENAMES else renames.make_link
    for replaced in act(driver.files, opened, target):
        cache = driver.cache_of(replaced.default_stream)
        if cache is not None and not replaced.default_stream.handles:
            cache.truncate(0)  # what is cached goes nowhere: least of all into the file that has the name now


def _target(driver: "FileSystemDriver", opened: OpenFile, root: int, text: str, parent: int) -> tuple[Inode, str]:
    """The directory and the name that a rename leads to."""
    if parent:
        other = driver.io.file_at(parent)
        if other is None or other.opened is None or other.volume is not driver.volume:
            raise StatusError(NtStatus.NOT_SAME_DEVICE if other is not None else NtStatus.INVALID_PARAMETER)
        return other.opened.inode, text.rstrip("\\").rpartition("\\")[2]
    if root:
        return _below_root(driver, root, text)
    if "\\" not in text:
        if opened.link is None:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        return opened.link.parent, text
    found = driver.io.volume_of(text)
    if found is None:
        raise StatusError(NtStatus.OBJECT_PATH_NOT_FOUND)
    if found[0] is not driver.volume:
        raise StatusError(NtStatus.NOT_SAME_DEVICE)
    return _walk(driver, driver.files.store.root, found[1].lstrip("\\"))


def _below_root(driver: "FileSystemDriver", root: int, text: str) -> tuple[Inode, str]:
    found = driver.kernel.objects.lookup(root)
    other = driver.io.file_at(found.object.address) if found is not None else None
    if other is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    if other.volume is not driver.volume:
        raise StatusError(NtStatus.NOT_SAME_DEVICE)
    if other.opened is None or not other.opened.inode.directory:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    return _walk(driver, other.opened.inode, text)


def _walk(driver: "FileSystemDriver", start: Inode, text: str) -> tuple[Inode, str]:
    components = parse(text, relative=True).components
    if not components:
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    at = start
    for component in components[:-1]:
        link = driver.files.store.lookup(at, component)
        if link is None or not link.inode.directory:
            raise StatusError(NtStatus.OBJECT_PATH_NOT_FOUND)
        at = link.inode
    return at, components[-1]
