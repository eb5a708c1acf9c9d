r"""Volumes as devices: device objects and VPB in guest memory, and names such as \Device\HarddiskVolume2 and V:."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.windows.io.constants import FILE_DEVICE_DISK, FILE_DEVICE_DISK_FILE_SYSTEM, SECTOR_SIZE
from harness.reference.windows.ntos.ob.objects import Object

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.contexts import Context
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.fs.filesystem import FileSystem
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.guarded_heap import GuardedHeap
    from harness.reference.windows.kernel import Kernel

_DEVICE_OBJECT = Struct("<HHi5QIIQQIB")
DEVICE_OBJECT_SIZE = 0x150
VPB_SIZE = 0x60
_DO_DIRECT_IO, _DO_DEVICE_HAS_NAME = 0x10, 0x40


class Volume:
    """A mounted volume."""

    driver: "FileSystemDriver"

    def __init__(
        self, kernel: "Kernel", heap: "GuardedHeap", number: int, dos_name: str, file_system: "FileSystem"
    ) -> None:
        self.number = number
        self.dos_name = dos_name
        self.device_name = rf"\Device\HarddiskVolume{number}"
        self.guid_name = rf"\??\Volume{{00000000-0000-4000-8000-{number:012x}}}"
        self.file_system = file_system
        self.serial = 0xF17A_0000 + number
        self.label = "fltlab" if dos_name != "C:" else "System"
        memory = kernel.memory
        self.vpb = heap.allocate(VPB_SIZE)
        self.driver_object = heap.allocate(DEVICE_OBJECT_SIZE)
        self.disk_device = self._make_device(kernel, heap, FILE_DEVICE_DISK)
        self.device = self._make_device(kernel, heap, FILE_DEVICE_DISK_FILE_SYSTEM)
        memory.write(
            self.vpb, Struct("<HHHHQQII").pack(10, VPB_SIZE, 1, 0, self.device, self.disk_device, self.serial, 1)
        )
        self.filter_address = heap.allocate(0x40)
        """PFLT_VOLUME."""
        self.instances: list[Instance] = []
        """Highest altitude first."""
        self.files: set[FileObject] = set()
        self.filter_contexts: dict[tuple[int, int], Context] = {}
        self.filter_references = 1
        self.disk_object = kernel.objects.register(Object("IoDeviceObjectType", self, self.disk_device))
        self.device_object = kernel.objects.register(Object("IoDeviceObjectType", self, self.device))

    def _make_device(self, kernel: "Kernel", heap: "GuardedHeap", kind: int) -> int:
        address = heap.allocate(DEVICE_OBJECT_SIZE)
        kernel.memory.write(
            address,
            _DEVICE_OBJECT.pack(
                3, DEVICE_OBJECT_SIZE, 1, self.driver_object, 0, 0, 0, 0, _DO_DIRECT_IO | _DO_DEVICE_HAS_NAME,
                0x20, self.vpb, 0, kind, 8,
            ),
        )  # fmt: skip
        return address

    @property
    def sector_size(self) -> int:
        return SECTOR_SIZE

    def __repr__(self) -> str:
        return f"<Volume {self.dos_name} {self.device_name}>"
