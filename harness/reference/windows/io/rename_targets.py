"""The directory that a rename or link leads to: the I/O manager opens it before any driver sees the request."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.io.constants import FileInformationClass, StackFlags
from harness.reference.windows.io.create import OpenParameters, open_file
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.object_names import ObjectName
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager

_NAMED = Struct("<I4xQI")
"""Flags, RootDirectory and FileNameLength of FILE_RENAME_INFORMATION and FILE_LINK_INFORMATION."""
CLASSES = frozenset(
    {
        FileInformationClass.RENAME,
        FileInformationClass.RENAME_EX,
        FileInformationClass.LINK,
        FileInformationClass.LINK_EX,
    }
)
_LINKS = frozenset({FileInformationClass.LINK, FileInformationClass.LINK_EX})
_ADD_FILE, _ADD_SUBDIRECTORY, _SYNCHRONIZE = 0x2, 0x4, 0x0010_0000
_FOR_BACKUP_INTENT = 0x4000
_EXISTS = 4


def open_target(io: "IoManager", mode: int, file: FileObject, kind: int, data: bytes) -> Code:
    """The file object of the target's directory; None for a name in the same directory.

    Raises the refusal of the open, INVALID_PARAMETER for a buffer that cannot be, NOT_SAME_DEVICE.
    """
    flags, root, length = _NAMED.unpack_from(data)
    if not length or length % 2 or _NAMED.size + length > len(data):
        raise StatusError(NtStatus.INVALID_PARAMETER)
    path = data[_NAMED.size : _NAMED.size + length].decode("utf-16-le", "surrogatepass")
    if not root and not path.startswith("\\"):
        return None
    above: FileObject | None = None
    if root:
        found = io.kernel.objects.lookup(root)
        if found is None:
            raise StatusError(NtStatus.INVALID_HANDLE)
        if not isinstance(found.object.body, FileObject):
            raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)
        above = found.object.body
    directory = file.opened is not None and file.opened.stream.directory
    parameters = OpenParameters(
        access=(_ADD_SUBDIRECTORY if directory else _ADD_FILE) | _SYNCHRONIZE,
        options=_FOR_BACKUP_INTENT,
        mode=mode,
        stack_flags=int(StackFlags.OPEN_TARGET_DIRECTORY),
    )
    status, information, target = yield from open_file(io, ObjectName(path, above), parameters)
    if target is None:
        raise StatusError(status)
    replace = (
        bool(flags & 1) if kind in (FileInformationClass.RENAME_EX, FileInformationClass.LINK_EX) else flags & 0xFF
    )
    refusal = 0
    if target.volume is not file.volume:
        refusal = int(NtStatus.NOT_SAME_DEVICE)
    elif kind in _LINKS and information == _EXISTS and not replace:
        refusal = int(NtStatus.OBJECT_NAME_COLLISION)
    if refusal:
        yield from close_target(io, target)
        raise StatusError(refusal)
    return target


def close_target(io: "IoManager", target: FileObject | None) -> Code:
    """The request is over: the directory's handle goes."""
    if target is not None:
        yield from io.cleanup(target)
        yield from io.kernel.objects.release(target.object)
