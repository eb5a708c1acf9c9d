"""Media that are not the usual read-only disk with an overlay: CDs, and disks that a machine writes for good."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.machine.disks import DiskImage, Format
from harness.machine.parts import Launch, node, properties


@dataclass(frozen=True)
class CdDrive:
    """A CD drive on an AHCI port; `image` None means that it is empty."""

    name: str
    port: int
    image: DiskImage | None = None
    boot_index: int | None = None

    @property
    def device(self) -> str:
        """The id of the device, for QMP's `blockdev-change-medium` and `eject`."""
        return f"v{self.name}"

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return the block node and the device."""
        if self.image is not None:
            yield from node({"node-name": self.name, **self.image.node()})
        values = {
            "id": self.device,
            "drive": self.name if self.image is not None else None,
            "bus": f"ide.{self.port}",
            "bootindex": self.boot_index,
        }
        yield from ("-device", properties("ide-cd", values))


@dataclass(frozen=True)
class OwnDisk:
    """A qcow2 disk on an AHCI port that the machine writes: while an image is built."""

    name: str
    path: Path
    port: int
    boot_index: int | None = None
    serial: str | None = None

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return the block node and the device."""
        yield from node(
            {
                "driver": Format.QCOW2.value,
                "node-name": self.name,
                "discard": "unmap",
                "detect-zeroes": "unmap",
                "file": {"driver": "file", "filename": str(self.path), "discard": "unmap"},
            }
        )
        values = {
            "id": f"v{self.name}",
            "drive": self.name,
            "bus": f"ide.{self.port}",
            "bootindex": self.boot_index,
            "serial": self.serial,
        }
        yield from ("-device", properties("ide-hd", values))
