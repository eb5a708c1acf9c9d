"""What is asked of a kernel's disks: to be as they should not be."""

from harness.nt import IrpMajor
from harness.reference.windows.io.disk import DiskState
from harness.reference.windows.io.volumes import Volume
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire


def set_disk(system: Kernel, place: Volume, asked: wire.SetDisk) -> None:
    """Have the disk of a volume fail, or take its time, or be full; or be sound again."""
    failing = frozenset(IrpMajor[word.upper()] for word in asked.failing)
    system.io.disk.states[place.disk_device] = DiskState(failing, asked.status, asked.count, asked.milliseconds)
    if place.file_system is not None:
        medium = place.file_system.store.medium
        medium.full, medium.through = asked.full, asked.through
