"""Disks: a read-only base, an overlay for one machine's writes, and the controller that the guest sees.

The block nodes of a disk `data` are `data-base` (never written) and `data` (a qcow2 overlay in the machine's own
directory). A fault is put between `data` and the device; see faults.py.
"""

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.host.command import run_program
from harness.host.tools import Tool
from harness.machine.parts import Launch, node, properties


class Format(StrEnum):
    """Formats of disk images."""

    RAW = "raw"
    QCOW2 = "qcow2"


@dataclass(frozen=True)
class DiskImage:
    """A disk image that is never written, and the one below it that it is an overlay of."""

    path: Path
    format: Format
    backing: "DiskImage | None" = None

    def node(self) -> dict[str, object]:
        """Return the block node that reads the image; an overlay of ours names its backing image nowhere else."""
        file = {"driver": "file", "filename": str(self.path), "read-only": True}
        values: dict[str, object] = {"driver": self.format.value, "read-only": True, "file": file}
        if self.format is Format.QCOW2:
            values["backing"] = self.backing.node() if self.backing is not None else None
        return values


class Bus(StrEnum):
    """The device by which a guest sees a disk."""

    VIRTIO = "virtio-blk-pci"
    IDE = "ide-hd"
    USB = "usb-storage"


@dataclass(frozen=True)
class Disk:
    """A disk of a machine.

    `name` is the overlay's block node and, with a `v` before it, the device's id. A disk that is not writable has no
    overlay. `root_port` puts a virtio disk behind a PCI Express root port of that number, so that it can be pulled.
    """

    name: str
    image: DiskImage
    bus: Bus = Bus.VIRTIO
    writable: bool = True
    root_port: int | None = None
    bus_address: str | None = None
    boot_index: int | None = None
    serial: str | None = None

    @property
    def device(self) -> str:
        """The id of the device."""
        return f"v{self.name}"

    @property
    def base(self) -> str:
        """The block node of the image that is never written."""
        return f"{self.name}-base"

    @property
    def top(self) -> str:
        """The block node that the device uses while there is no fault."""
        return self.name if self.writable else self.base

    @property
    def backend(self) -> str:
        """The path of the object that owns the disk's block backend, as QMP's `id` for commands about it."""
        return f"/machine/peripheral/{self.device}" + ("/virtio-backend" if self.bus is Bus.VIRTIO else "")

    def overlay(self, run_dir: Path) -> Path:
        """Return where the overlay of a machine is."""
        return run_dir / f"{self.name}.qcow2"

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return the block nodes and the device."""
        yield from node({"node-name": self.base, **self.image.node()})
        if self.writable:
            yield from node(
                {
                    "driver": Format.QCOW2.value,
                    "node-name": self.name,
                    "file": {"driver": "file", "filename": str(self.overlay(launch.run_dir))},
                    "backing": self.base,
                    "discard": "unmap",
                }
            )
        if self._port is not None:
            yield from ("-device", properties("pcie-root-port", {"id": self._port, "chassis": self.root_port}))
        values = self.device_properties(self.top)
        driver = str(values.pop("driver"))
        yield from ("-device", properties(driver, values))

    def device_properties(self, top: str) -> dict[str, str | int | bool]:
        """Return the device on a block node, as QMP's `device_add` takes it."""
        errors = self.writable and self.bus is not Bus.USB
        values: Mapping[str, str | int | bool | None] = {
            "driver": self.bus.value,
            "drive": top,
            "id": self.device,
            "bus": self._port or self.bus_address,
            "bootindex": self.boot_index,
            "serial": self.serial,
            "werror": "report" if errors else None,
            "rerror": "report" if errors else None,
            "removable": True if self.bus is Bus.USB else None,
        }
        return {key: value for key, value in values.items() if value is not None}

    @property
    def _port(self) -> str | None:
        return f"{self.device}-port" if self.root_port is not None else None


CLUSTER = 1 << 16
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")


def make_overlay(path: Path, size: int) -> None:
    """Make an empty qcow2 overlay of `size` bytes, mode 0600, that names no backing file.

    The backing node is always named on the command line. Written here and not by qemu-img, whose start takes longer
    than everything else about a fork's disk; the format is docs/interop/qcow2.txt of QEMU, version 3: header,
    refcount table, one refcount block, level-1 table, each in clusters of their own.
    """
    entries = -(-size // (CLUSTER * (CLUSTER // 8)))
    l1_clusters = max(1, -(-entries * 8 // CLUSTER))
    refcount_table, refcount_block, l1_table = 1, 2, 3
    used = 3 + l1_clusters
    header = _HEADER.pack(
        b"QFI\xfb",
        3,
        *(0, 0),  # no name of a backing file
        16,  # clusters of 64 KiB
        size,
        0,  # not encrypted
        entries,
        l1_table * CLUSTER,
        refcount_table * CLUSTER,
        1,  # clusters of the refcount table
        *(0, 0),  # no snapshots
        *(0, 0, 0),  # no features
        4,  # refcounts of 16 bits
        _HEADER.size,
    )
    with path.open("xb") as file:
        path.chmod(0o600)
        file.write(header)
        file.seek(refcount_table * CLUSTER)
        file.write(struct.pack(">Q", refcount_block * CLUSTER))
        file.seek(refcount_block * CLUSTER)
        file.write(struct.pack(">H", 1) * used)
        file.truncate(used * CLUSTER)


def virtual_size(image: DiskImage) -> int:
    """Return how many bytes the guest sees of an image."""
    if image.format is Format.RAW:
        return image.path.stat().st_size
    with image.path.open("rb") as file:
        magic, version, _, _, _, size = struct.unpack(">4sIQIIQ", file.read(32))
    if magic != b"QFI\xfb" or version < 2:
        text = run_program(
            [Tool.QEMU_IMG.require(), "info", "--output=json", image.path], purpose="look at a disk image"
        )
        return int(json.loads(text)["virtual-size"])
    return int(size)
