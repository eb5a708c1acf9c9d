"""Media that are not the usual read-only disk with an overlay: CDs, and disks that a machine writes for good.

The CD in a drive can be changed while the machine runs: the guest sees the tray open and close.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.machine.deadlines import Wait
from harness.machine.disks import DiskImage, Format
from harness.machine.machine import Machine
from harness.machine.parts import Launch, node, properties
from harness.machine.qmp import Event


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


def insert(machine: Machine, device: str, image: Path) -> None:
    """Put a CD into a drive of a running machine, in the place of what is in it; returns when the tray is closed."""
    qmp = machine.qmp
    before = qmp.last_event
    arguments = {"id": device, "filename": str(image.absolute()), "format": Format.RAW.value, "force": True}
    qmp.execute("blockdev-change-medium", {**arguments, "read-only-mode": "read-only"})
    _wait_for_tray(machine, device, before, is_open=False)


def eject(machine: Machine, device: str) -> None:
    """Take the CD out of a drive, also if the guest has locked it; returns when the tray is open."""
    qmp = machine.qmp
    before = qmp.last_event
    qmp.execute("eject", id=device, force=True)
    _wait_for_tray(machine, device, before, is_open=True)


def _wait_for_tray(machine: Machine, device: str, before: int, *, is_open: bool) -> None:
    def moved(event: Event) -> bool:
        return event.data["id"] == device and event.data["tray-open"] is is_open

    deadline = machine.deadlines.begin(Wait.TRAY)
    machine.qmp.wait_event("DEVICE_TRAY_MOVED", deadline, after=before, where=moved)
