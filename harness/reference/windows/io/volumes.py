r"""Volumes: a storage device with its VPB, and once it is mounted the file system's device; names such as V:."""

from typing import TYPE_CHECKING

from harness.reference.windows.io.constants import (
    FILE_DEVICE_DISK,
    FILE_DEVICE_IS_MOUNTED,
    FILE_REMOVABLE_MEDIA,
    SECTOR_SIZE,
    DeviceFlags,
)
from harness.reference.windows.structures.device_objects import IO_TYPE_VPB, Vpb
from harness.reference.windows.verifier.shields import Shield

if TYPE_CHECKING:
    from harness.reference.machine.memory.guarded_heap import GuardedHeap
    from harness.reference.windows.fs.filesystem import FileSystem
    from harness.reference.windows.io.devices import Device, DeviceTable

VPB_SIZE = Vpb.SIZE


class Volume:
    """A volume."""

    def __init__(
        self,
        devices: "DeviceTable",
        heap: "GuardedHeap",
        disk_driver: int,
        number: int,
        dos_name: str,
        file_system: "FileSystem | None",
        *,
        removable: bool = False,
    ) -> None:
        self._shields = devices.shields
        self.number = number
        self.dos_name = dos_name
        self.device_name = rf"\Device\HarddiskVolume{number}"
        self.guid_name = rf"\??\Volume{{00000000-0000-4000-8000-{number:012x}}}"
        self.file_system = file_system
        self.serial = 0xF17A_0000 + number
        self.label = "fltlab" if dos_name != "C:" else "System"
        self.disk = devices.create(
            disk_driver,
            FILE_DEVICE_DISK,
            flags=int(DeviceFlags.DIRECT_IO | DeviceFlags.DEVICE_HAS_NAME),
            name=self.device_name,
            ours=True,
        )
        self.disk.view.characteristics = FILE_REMOVABLE_MEDIA if removable else 0
        self.disk_device = self.disk.address
        self.vpb = 0
        """That of the present mount; a file object keeps the one it was opened with."""
        self._parameters: Vpb
        self.renew_vpb(heap)

    def renew_vpb(self, heap: "GuardedHeap") -> None:
        """Begin with a new VPB: the volume is not mounted."""
        self.vpb = heap.allocate(Vpb.SIZE, shielded=True)
        name = f"the VPB of {self.dos_name}"
        self._shields.add(Shield(self.vpb, Vpb.SIZE, lambda: name, Vpb, self._accepts))
        self._parameters = vpb = Vpb(heap.memory, self.vpb)
        vpb.type, vpb.size, vpb.real_device = IO_TYPE_VPB, Vpb.SIZE, self.disk_device
        self.disk.view.vpb = self.vpb

    def _accepts(self, before: bytes, after: bytes) -> bytes:
        """A file system that is a driver's fills in the VPB when it mounts."""
        return before if self.file_system is not None else after

    @property
    def device(self) -> int:
        """The file system's device, once the volume is mounted; 0 before."""
        return self._parameters.device_object

    @property
    def characteristics(self) -> int:
        """Characteristics of FILE_FS_DEVICE_INFORMATION."""
        return self.disk.view.characteristics | FILE_DEVICE_IS_MOUNTED

    @property
    def file_system_name(self) -> str:
        """What is mounted, in a word; RAW for what only a driver from outside knows."""
        return self.file_system.kind.name if self.file_system is not None else "RAW"

    @property
    def sector_size(self) -> int:
        return SECTOR_SIZE

    def __repr__(self) -> str:
        return f"<Volume {self.dos_name} {self.device_name}>"


class DeviceTarget(Volume):
    """A device of a driver that is no file system, as what a file object is opened on."""

    def __init__(self, device: "Device") -> None:
        self.number = self.serial = self.vpb = 0
        self.dos_name = self.device_name = device.name
        self.guid_name = self.label = ""
        self.file_system = None
        self.disk = device
        self.disk_device = device.address

    @property
    def device(self) -> int:
        """The device itself: there is nothing to mount."""
        return self.disk_device

    def __repr__(self) -> str:
        return f"<DeviceTarget {self.device_name}>"
