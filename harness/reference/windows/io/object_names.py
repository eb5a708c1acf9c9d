r"""Names of files as callers give them: an absolute path of the object manager, or one relative to a file object.

`\??\V:\dir\file` leads to volume V: and the name `\dir\file`; what no device has is answered here, above every filter.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.io.constants import DeviceFlags
from harness.reference.windows.io.devices import Device
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.ntos.ob.namespace import NameRefused
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.ntos.structures import ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.ntos.executive import Executive

_DIRECTORIES = frozenset({"", "??", "dosdevices", "global??", "device", "filesystem", "driver", "registry"})
"""Directories of the object manager that are no devices."""
_GLOBAL_ROOT = "\\??\\globalroot"


@dataclass(frozen=True, slots=True)
class ObjectName:
    """A name, and the file object that it is relative to, if there is one."""

    path: str
    root: FileObject | None = None


def name_of(k: "Executive", attributes: int) -> ObjectName:
    """The name that OBJECT_ATTRIBUTES give. Raises INVALID_HANDLE or OBJECT_TYPE_MISMATCH for a bad root."""
    view = ObjectAttributes(k.memory, attributes)
    path = k.memory.read_unicode_string(view.object_name) if view.object_name else ""
    if not view.root_directory:
        return ObjectName(path)
    found = k.objects.lookup(view.root_directory)
    if found is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    if not isinstance(found.object.body, FileObject):
        raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)
    return ObjectName(path, found.object.body)


def resolve(io: "IoManager", name: ObjectName) -> tuple["Volume", str]:
    """The volume, and the name on it (with its file object, if it is relative). Raises the object manager's refusal."""
    if name.root is not None:
        if name.path.startswith("\\"):
            raise StatusError(NtStatus.OBJECT_NAME_INVALID)
        return name.root.volume, name.path
    path = name.path
    if path.lower().startswith(_GLOBAL_ROOT + "\\"):
        path = path[len(_GLOBAL_ROOT) :]
    found = io.volume_of(path) or _device_of(io, path)
    if found is None:
        raise StatusError(_refusal(path))
    return found


def _device_of(io: "IoManager", path: str) -> "tuple[Volume, str] | None":
    """What a name that drivers have made leads to: one of their devices, or a volume by another name."""
    try:
        item, rest = io.kernel.namespace.resolve(path)
    except NameRefused:
        return None
    if not isinstance(item.body, Device):
        return None
    device = item.body
    volume = next((volume for volume in io.volumes if volume.disk is device), None)
    if volume is not None:
        return volume, rest
    if device.view.flags & DeviceFlags.DEVICE_INITIALIZING or device.deleted or device.unloading:
        raise StatusError(NtStatus.NO_SUCH_DEVICE)
    if device.view.flags & DeviceFlags.EXCLUSIVE and device.view.reference_count:
        raise StatusError(NtStatus.ACCESS_DENIED)
    return io.target_of(device), rest


def _refusal(path: str) -> NtStatus:
    r"""Why the object manager finds nothing under a path.

    A directory of its own is no file; with a backslash behind it, or two in the middle, there is an empty name.
    """
    if not path.startswith("\\"):
        return NtStatus.OBJECT_PATH_SYNTAX_BAD
    parts = path[1:].split("\\")
    if path != "\\" and "" in parts:
        return NtStatus.OBJECT_NAME_INVALID
    if len(parts) == 1:
        return NtStatus.OBJECT_TYPE_MISMATCH if parts[0].lower() in _DIRECTORIES else NtStatus.OBJECT_NAME_NOT_FOUND
    if len(parts) == 2 and parts[0].lower() in _DIRECTORIES:
        return NtStatus.OBJECT_NAME_NOT_FOUND
    return NtStatus.OBJECT_PATH_NOT_FOUND
