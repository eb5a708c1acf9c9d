"""What the filter manager keeps of a mounted volume: its FLT_VOLUME, the instances on it, volume contexts.

A volume that is dismounted and mounted again is another FLT_VOLUME. Until the last reference to it is given back, the
old one stays where it is; nothing can be attached to it any more.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.reference.windows.io.constants import FILE_DEVICE_DISK_FILE_SYSTEM

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.contexts import Context
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.fltmgr.frames import Frame, FrameDevice
    from harness.reference.windows.io.volumes import Volume


@dataclass(eq=False, slots=True)
class FilterVolume:
    """A mounted volume as minifilters see it. `address` is its FLT_VOLUME."""

    volume: "Volume"
    address: int
    vpb: int
    """The VPB of this mount: file objects of it point there."""
    instances: "list[Instance]" = field(default_factory=list)
    """Highest altitude first."""
    contexts: "dict[tuple[int, int], Context]" = field(default_factory=dict)
    devices: "dict[Frame, FrameDevice]" = field(default_factory=dict)
    """The device of each frame on the volume's stack."""
    dismounted: bool = False

    @property
    def type(self) -> int:
        """FLT_FSTYPE_*, by the file system that has mounted it; FLT_FSTYPE_UNKNOWN for one from outside."""
        return self.volume.file_system.kind.type if self.volume.file_system is not None else 0

    @property
    def device_type(self) -> int:
        """The type of the file system's volume device."""
        return FILE_DEVICE_DISK_FILE_SYSTEM

    def __repr__(self) -> str:
        return f"<FLT_VOLUME {self.volume.dos_name}>"

    def describe(self) -> str:
        """For findings."""
        return f"volume {self.volume.dos_name}"
