"""Registered file systems: who is told when one comes or goes, and mounting a volume by asking each of them."""

from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass, nt_success
from harness.reference.windows.io.constants import DeviceFlags, IrpFlags, Minor
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.structures.device_objects import (
    VPB_LOCKED,
    VPB_MOUNTED,
    DeviceObject,
    DeviceObjectExtension,
    Vpb,
)

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.volumes import Volume

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

    def vpb_in_use(self, vpb: int) -> bool:
        """Whether file objects that were opened on a mount are not closed yet."""
        return Vpb(self._io.kernel.memory, vpb).reference_count > 0

    def dismounted(self, volume: "Volume") -> Code:
        """A file system gives a volume up, and the next open mounts it. Its open files keep the VPB."""
        old = Vpb(self._io.kernel.memory, volume.vpb)
        locked = old.flags & VPB_LOCKED
        old.flags &= ~(VPB_MOUNTED | VPB_LOCKED)
        volume.renew_vpb(self._io.heap)
        Vpb(self._io.kernel.memory, volume.vpb).flags |= locked
        yield from self._settle(old)

    def hold(self, vpb: int) -> None:
        """Keep what is mounted by a VPB, as an open file does."""
        Vpb(self._io.kernel.memory, vpb).reference_count += 1

    def release(self, vpb: int) -> Code:
        """A file object that was opened on a mount is closed."""
        view = Vpb(self._io.kernel.memory, vpb)
        view.reference_count -= 1
        yield from self._settle(view)

    def _settle(self, vpb: Vpb) -> Code:
        """The last file of a volume that was dismounted is closed: its file system's device goes, and its VPB."""
        current = DeviceObject(self._io.kernel.memory, vpb.real_device).vpb == vpb.address
        if vpb.reference_count or vpb.flags & VPB_MOUNTED or current:
            return
        device = self._io.devices.at(vpb.device_object)
        native = self._io.native_drivers.get(device.view.driver_object) if device is not None else None
        if native is None:  # a file system from outside does so itself, in its close
            return
        assert device is not None
        yield from self._io.delete_device(device)
        self._io.heap.free(vpb.address)

    def make_ready(self, volume: "Volume") -> Code:
        """What comes before an open: the volume is verified, and mounted; 0, or the NTSTATUS of a refusal."""
        if not volume.vpb:
            return 0
        memory = self._io.kernel.memory
        if Vpb(memory, volume.vpb).flags & VPB_LOCKED:
            return int(NtStatus.ACCESS_DENIED)
        if volume.device and DeviceObject(memory, volume.disk_device).flags & DeviceFlags.VERIFY_VOLUME:
            status: int = yield from self.verify(volume)
            return 0 if nt_success(status) else status
        if not volume.device:
            status = yield from self.mount(volume.disk_device)
            return 0 if nt_success(status) else status
        return 0

    def verify(self, volume: "Volume") -> Code:
        """IoVerifyVolume: the file system says whether its volume is still in the drive; another one is mounted."""
        io = self._io
        if volume.device:
            request = Request(
                OperationClass.IRP,
                IrpMajor.FILE_SYSTEM_CONTROL,
                None,
                io.kernel.current,
                minor=Minor.VERIFY_VOLUME,
                parameters=_MOUNT.pack(volume.vpb, io.devices.top(volume.disk_device)),
                irp_flags=int(IrpFlags.SYNCHRONOUS_API),
            )
            status: int = yield from io.issue(request, partial(io.send_to, io.devices.top(volume.device)))
            if nt_success(status) or volume.device:
                return status
        return (yield from self.mount(volume.disk_device))

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
