"""STATUS_REPARSE: where a create goes on that a reparse point, or a filter, has sent elsewhere."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.io.object_names import ObjectName
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.ntos.executive import Executive

IO_REPARSE, IO_REMOUNT, IO_REPARSE_GLOBAL = 0, 1, 2
_MOUNT_POINT, _SYMBOLIC_LINK = 0xA000_0003, 0xA000_000C
_HEADER = Struct("<IHH")
"""ReparseTag, ReparseDataLength, and Reserved: how many bytes of the name lie behind the reparse point."""
_NAMES = Struct("<HHHH")
_RELATIVE = 1
MOST_REPARSES = 63


def take_auxiliary(k: "Executive", block: int) -> bytes:
    """The REPARSE_DATA_BUFFER that a driver has left in an IRP's AuxiliaryBuffer, which is freed."""
    if not block or k.pool.block_at(block) is None:
        return b""
    head = k.memory.read(block, _HEADER.size)
    data = k.memory.read(block, _HEADER.size + _HEADER.unpack(head)[1])
    k.pool.free(block)
    return data


def target_of(io: "IoManager", file: "FileObject", information: int, data: bytes) -> ObjectName:
    """The name to open instead. IO_REPARSE_TAG_NOT_HANDLED for a reparse point that only its filter understands."""
    if information in (IO_REPARSE, IO_REPARSE_GLOBAL):
        return ObjectName(io.kernel.memory.read_unicode_string(file.address + 0x58))
    if information == IO_REMOUNT:
        return ObjectName(_full_name(io, file))
    if information not in (_MOUNT_POINT, _SYMBOLIC_LINK) or len(data) < _HEADER.size + _NAMES.size:
        raise StatusError(NtStatus.IO_REPARSE_TAG_NOT_HANDLED)
    left = _HEADER.unpack_from(data)[2] // 2
    whole = _full_name(io, file)
    link, rest = (whole[:-left], whole[-left:]) if left else (whole, "")
    fixed, relative = _HEADER.size + _NAMES.size, False
    if information == _SYMBOLIC_LINK:
        relative = bool(int.from_bytes(data[fixed : fixed + 4], "little") & _RELATIVE)
        fixed += 4
    offset, length, _, _ = _NAMES.unpack_from(data, _HEADER.size)
    target = data[fixed + offset : fixed + offset + length].decode("utf-16-le", "surrogatepass")
    if relative:
        target = _join(file.volume.device_name, link.rpartition("\\")[0], target)
    return ObjectName(target.rstrip("\\") + rest if rest.startswith("\\") else target + rest)


def _full_name(io: "IoManager", file: "FileObject") -> str:
    """The absolute path of a name that is being opened."""
    related = io.file_at(file.view.related_file_object) if file.view.related_file_object else None
    if related is None:
        return file.volume.device_name + file.name
    above = related.opened.path if related.opened is not None else related.name
    return related.volume.device_name + above.rstrip("\\") + ("\\" + file.name if file.name else "")


def _join(device: str, above: str, target: str) -> str:
    r"""A relative target from the directory of its link; `\dir` begins at the volume's root."""
    parts = [] if target.startswith("\\") else above[len(device) :].split("\\")
    for part in target.split("\\"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return device + "\\" + "\\".join(part for part in parts if part)
