"""The unique names of volumes: their GUIDs, and the paths with them."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.windows.io.blocks import give_block

if TYPE_CHECKING:
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel


def _named(k: "Kernel", name: int) -> "Volume | None":
    r"""The volume whose device has this name: \Device\HarddiskVolume3."""
    wanted = k.memory.read_unicode_string(name).upper()
    return next((volume for volume in k.io.volumes if volume.device_name.upper() == wanted), None)


def _path(k: "Kernel", volume: "Volume | None", out: int) -> int:
    if volume is None or not volume.guid_name:
        return int(NtStatus.INVALID_PARAMETER)
    data = volume.guid_name.encode("utf-16-le")
    block = give_block(k, data + b"\0\0", "IoGp")
    k.memory.write_unicode_string(out, block, len(data), len(data) + 2)
    return 0


def _guid(k: "Kernel", volume: "Volume | None", out: int) -> int:
    if volume is None or "{" not in volume.guid_name:
        return int(NtStatus.INVALID_PARAMETER)
    text = volume.guid_name[volume.guid_name.index("{") + 1 : -1].replace("-", "")
    raw = bytes.fromhex(text)
    k.memory.write(out, raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:])
    return 0


@export(NTOSKRNL, "IoVolumeDeviceToGuidPath", max_irql=Irql.PASSIVE)
def io_volume_device_to_guid_path(k: "Kernel", device: int, out: int) -> int:
    r"""\??\Volume{...}, in a block that the caller frees."""
    return _path(k, k.io.volume_of_device(device), out)


@export(NTOSKRNL, "IoVolumeDeviceToGuid", max_irql=Irql.PASSIVE)
def io_volume_device_to_guid(k: "Kernel", device: int, out: int) -> int:
    """The GUID alone."""
    return _guid(k, k.io.volume_of_device(device), out)


@export(NTOSKRNL, "IoVolumeDeviceNameToGuidPath", max_irql=Irql.PASSIVE)
def io_volume_device_name_to_guid_path(k: "Kernel", name: int, out: int) -> int:
    """IoVolumeDeviceToGuidPath, of a volume by the name of its device."""
    volume = _named(k, name)
    return _path(k, volume, out) if volume is not None else int(NtStatus.OBJECT_NAME_NOT_FOUND)


@export(NTOSKRNL, "IoVolumeDeviceNameToGuid", max_irql=Irql.PASSIVE)
def io_volume_device_name_to_guid(k: "Kernel", name: int, out: int) -> int:
    """IoVolumeDeviceToGuid, of a volume by the name of its device."""
    volume = _named(k, name)
    return _guid(k, volume, out) if volume is not None else int(NtStatus.OBJECT_NAME_NOT_FOUND)
