"""Reparse points and object ids: what FSCTLs set, get and delete on an inode."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs import extended_attributes
from harness.reference.windows.fs.changes import Action, Notify
from harness.reference.windows.fs.opens import OpenFile
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.filesystem import FileSystem

MOUNT_POINT, SYMBOLIC_LINK = 0xA000_0003, 0xA000_000C
_MICROSOFT, _DIRECTORY_BIT = 0x8000_0000, 0x1000_0000
_RESERVED_BITS = 0x0FFF_0000
_HEADER, _GUID_HEADER = 8, 24
_MOST = 16 * 1024
_EX_HEADER = Struct("<II16sQ")
"""REPARSE_DATA_BUFFER_EX: flags, tag and GUID of the existing point, reserved."""
_GIVEN_TAG_OR_NONE = 1
"""REPARSE_DATA_EX_FLAG_GIVEN_TAG_OR_NONE."""
_WRITE_RIGHTS = 0x0000_0102
"""FILE_WRITE_DATA or FILE_WRITE_ATTRIBUTES."""


def set_(files: "FileSystem", opened: OpenFile, data: bytes, *, replaces: bool = False) -> None:
    """FSCTL_SET_REPARSE_POINT: the point that is there is changed only by its own kind, unless it is to be replaced."""
    inode = opened.inode
    if not opened.access & _WRITE_RIGHTS:
        raise StatusError(NtStatus.ACCESS_DENIED)
    if opened.stream.name:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    tag, length = _check_header(data)
    head = _HEADER if tag & _MICROSOFT else _GUID_HEADER
    if len(data) != head + length:
        raise StatusError(NtStatus.IO_REPARSE_DATA_INVALID)
    _check_names(tag, data[head:])
    if tag == MOUNT_POINT and not inode.directory:
        raise StatusError(NtStatus.NOT_A_DIRECTORY)
    if not replaces:
        _check_same(inode.reparse, data, tag)
    if inode.directory and not tag & _DIRECTORY_BIT and not inode.reparse and not files.store.is_empty(inode):
        raise StatusError(NtStatus.DIRECTORY_NOT_EMPTY)
    inode.reparse = bytes(data)
    _changed(files, opened)


def set_in_place_of(files: "FileSystem", opened: OpenFile, data: bytes) -> None:
    """FSCTL_SET_REPARSE_POINT_EX: the point that is there must be the given one, or with a flag there may be none."""
    if len(data) < _EX_HEADER.size:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    flags, tag, guid, reserved = _EX_HEADER.unpack_from(data)
    if flags & ~_GIVEN_TAG_OR_NONE or reserved:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    there = opened.inode.reparse
    if there:
        if int.from_bytes(there[:4], "little") != tag:
            raise StatusError(NtStatus.IO_REPARSE_TAG_MISMATCH)
        if not tag & _MICROSOFT and there[8:24] != guid:
            raise StatusError(NtStatus.REPARSE_ATTRIBUTE_CONFLICT)
    elif tag and not flags:
        raise StatusError(NtStatus.NOT_A_REPARSE_POINT)
    set_(files, opened, data[_EX_HEADER.size :], replaces=True)


def _check_header(data: bytes) -> tuple[int, int]:
    if len(data) < _HEADER or len(data) > _MOST:
        raise StatusError(NtStatus.IO_REPARSE_DATA_INVALID)
    tag, length = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:6], "little")
    if tag & _RESERVED_BITS & ~_DIRECTORY_BIT or tag & 0xFFFF in (0, 1):
        raise StatusError(NtStatus.IO_REPARSE_TAG_INVALID)
    return tag, length


def _check_names(tag: int, data: bytes) -> None:
    """The two names of a link must lie within its buffer."""
    fixed = {MOUNT_POINT: 8, SYMBOLIC_LINK: 12}.get(tag)
    if fixed is None:
        return
    if len(data) < fixed:
        raise StatusError(NtStatus.IO_REPARSE_DATA_INVALID)
    numbers = [int.from_bytes(data[at : at + 2], "little") for at in range(0, 8, 2)]
    for offset, length in (numbers[:2], numbers[2:]):
        if offset % 2 or length % 2 or fixed + offset + length > len(data):
            raise StatusError(NtStatus.IO_REPARSE_DATA_INVALID)
    if not numbers[1]:
        raise StatusError(NtStatus.IO_REPARSE_DATA_INVALID)


def _check_same(old: bytes, new: bytes, tag: int) -> None:
    """A reparse point is only changed by who knows what it is."""
    if not old:
        return
    if old[:4] != new[:4]:
        raise StatusError(NtStatus.IO_REPARSE_TAG_MISMATCH)
    if not tag & _MICROSOFT and old[8:24] != new[8:24]:
        raise StatusError(NtStatus.REPARSE_ATTRIBUTE_CONFLICT)


def get(opened: OpenFile) -> bytes:
    """FSCTL_GET_REPARSE_POINT."""
    if not opened.inode.reparse:
        raise StatusError(NtStatus.NOT_A_REPARSE_POINT)
    return opened.inode.reparse


def delete(files: "FileSystem", opened: OpenFile, data: bytes) -> None:
    """FSCTL_DELETE_REPARSE_POINT: with the tag, and the GUID where there is one, and no data."""
    inode = opened.inode
    if not opened.access & _WRITE_RIGHTS:
        raise StatusError(NtStatus.ACCESS_DENIED)
    tag, length = _check_header(data)
    if length or len(data) != (_HEADER if tag & _MICROSOFT else _GUID_HEADER):
        raise StatusError(NtStatus.IO_REPARSE_DATA_INVALID)
    if not inode.reparse:
        raise StatusError(NtStatus.NOT_A_REPARSE_POINT)
    _check_same(inode.reparse, data, tag)
    inode.reparse = b""
    _changed(files, opened)


def _changed(files: "FileSystem", opened: OpenFile) -> None:
    extended_attributes.data_changed(opened.inode)
    opened.inode.times.change = files.store.now()
    files.changed(opened.inode, Action.MODIFIED, Notify.ATTRIBUTES, link=opened.link)


# -- object ids


def set_object_id(files: "FileSystem", opened: OpenFile, data: bytes) -> None:
    """FSCTL_SET_OBJECT_ID: FILE_OBJECTID_BUFFER."""
    if len(data) != 64:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if opened.inode.object_id:
        raise StatusError(NtStatus.OBJECT_NAME_COLLISION)
    if files.store.by_object_id(data[:16]) is not None:
        raise StatusError(NtStatus.DUPLICATE_NAME)
    opened.inode.object_id = bytes(data)


def get_object_id(opened: OpenFile) -> bytes:
    """FSCTL_GET_OBJECT_ID."""
    if not opened.inode.object_id:
        raise StatusError(NtStatus.OBJECTID_NOT_FOUND)
    return opened.inode.object_id


def set_extended_object_id(opened: OpenFile, data: bytes) -> None:
    """FSCTL_SET_OBJECT_ID_EXTENDED: the 48 bytes behind the id."""
    if len(data) != 48:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    opened.inode.object_id = get_object_id(opened)[:16] + bytes(data)
