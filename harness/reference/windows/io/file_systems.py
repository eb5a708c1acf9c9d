"""Registered file systems: who is told when one comes or goes, and mounting a volume by asking each of them."""

from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass, nt_success
from harness.reference.windows.io.constants import IrpFlags, Minor
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.structures.device_objects import VPB_MOUNTED, DeviceObject, DeviceObjectExtension, Vpb

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager

Notify = Callable[[int, bool], Code]
"""Told of a file system's control device, and whether it has come."""
_MOUNT = Struct("<QQ")


class FileSystems:
    """IoRegisterFileSystem, IoRegisterFsRegistrationChange and mounting."""

    def __init__(self, io: "IoManager") -> None:
        self._io = io
        self.registered: list[int] = []
        """Control devices of file systems, the last registered first: so they are asked."""
        self.notify: dict[tuple[int, int], Notify] = {}
        """By driver object and routine, in the order of registering."""

    def register(self, device: int) -> Code:
        """IoRegisterFileSystem."""
        self.registered.insert(0, device)
        for function in list(self.notify.values()):
            yield from function(device, True)

    def unregister(self, device: int) -> Code:
        """IoUnregisterFileSystem."""
        self.registered.remove(device)
        for function in list(self.notify.values()):
            yield from function(device, False)

    def watch(self, key: tuple[int, int], function: Notify) -> Code:
        """IoRegisterFsRegistrationChange: told at once of the file systems that are there."""
        self.notify[key] = function
        for device in reversed(self.registered):
            yield from function(device, True)

    def mount(self, disk: int) -> Code:
        """Ask every registered file system for the volume on a storage device; NTSTATUS."""
        io, kernel = self._io, self._io.kernel
        memory = kernel.memory
        kind = DeviceObject(memory, disk).device_type
        vpb = Vpb(memory, DeviceObject(memory, disk).vpb)
        status = int(NtStatus.UNRECOGNIZED_VOLUME)
        for control in list(self.registered):
            if DeviceObject(memory, control).device_type != _FILE_SYSTEM_OF.get(kind):
                continue
            request = Request(
                OperationClass.IRP,
                IrpMajor.FILE_SYSTEM_CONTROL,
                None,
                kernel.current,
                minor=Minor.MOUNT_VOLUME,
                parameters=_MOUNT.pack(vpb.address, io.devices.top(disk)),
                irp_flags=int(IrpFlags.SYNCHRONOUS_API),
            )
            status = yield from io.issue(request, partial(io.send_to, io.devices.top(control)))
            if nt_success(status):
                vpb.flags |= VPB_MOUNTED
                mounted = DeviceObject(memory, vpb.device_object)
                DeviceObjectExtension(memory, mounted.device_object_extension).vpb = vpb.address
                return status
            if status != NtStatus.UNRECOGNIZED_VOLUME:
                return status
        return status


_FILE_SYSTEM_OF = {0x07: 0x08, 0x02: 0x03}
"""Type of a file system's devices, by the type of the storage device: disk and CD-ROM."""
