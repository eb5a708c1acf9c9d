"""Disks that leave the machine: orderly, if nobody minds, or by surprise; and media that are changed in their drive."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass, nt_success
from harness.reference.windows.io.constants import DeviceFlags, IrpFlags, Minor
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fs.filesystem import FileSystem
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.volumes import Volume


def plug_and_play(io: "IoManager", volume: "Volume", minor: Minor) -> Code:
    """Send IRP_MJ_PNP to the top of what is on a volume: its file system's stack if it is mounted; NTSTATUS."""
    request = Request(
        OperationClass.IRP,
        IrpMajor.PNP,
        None,
        io.kernel.current,
        minor=minor,
        irp_flags=int(IrpFlags.SYNCHRONOUS_API),
    )
    device = io.devices.top(volume.device or volume.disk_device)
    return (yield from io.issue(request, partial(io.send_to, device)))


def remove(io: "IoManager", volume: "Volume", *, surprise: bool) -> Code:
    """Take a disk out of the machine; NTSTATUS, an error of an orderly removal that a driver refuses.

    After a surprise removal its files can only be closed; when the last one is, IRP_MN_REMOVE_DEVICE follows.
    """
    if not surprise:
        status: int = yield from plug_and_play(io, volume, Minor.QUERY_REMOVE_DEVICE)
        if not nt_success(status):
            yield from plug_and_play(io, volume, Minor.CANCEL_REMOVE_DEVICE)
            return status
    else:
        io.disk.removed.add(volume.disk_device)
    for name in io.names_of(volume):
        io.kernel.namespace.remove(name)
    io.volumes.remove(volume)
    vpb = volume.vpb
    io.file_systems.hold(vpb)  # the stack stands until the IRP has come back
    yield from plug_and_play(io, volume, Minor.SURPRISE_REMOVAL if surprise else Minor.REMOVE_DEVICE)
    yield from io.file_systems.release(vpb)
    io.disk.removed.add(volume.disk_device)
    yield from settle(io, volume)
    return int(NtStatus.SUCCESS)


def settle(io: "IoManager", volume: "Volume") -> Code:
    """A file of a volume is closed: a disk that is gone, and that nobody has open any more, loses its device."""
    if volume.disk_device not in io.disk.removed or volume.disk.view.reference_count or volume.disk.deleted:
        return
    if volume.device:  # not mounted by a file system that knows of removal
        return
    yield from plug_and_play(io, volume, Minor.REMOVE_DEVICE)
    yield from io.delete_device(volume.disk)


def change_medium(volume: "Volume", content: "FileSystem") -> None:
    """Put another medium into a drive: whoever uses the volume next is asked to verify it."""
    volume.file_system = content
    volume.disk.view.flags |= DeviceFlags.VERIFY_VOLUME
