"""A handle to the volume itself: its sectors, its lock, its dismount.

Only the boot sector is what NTFS would have there; the other sectors are zeros until somebody writes them, since files
lie in the host's directory. A write to a volume that is not locked is refused, as Windows does since Vista.
"""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs.inode import CLUSTER
from harness.reference.windows.fs.kinds import NTFS
from harness.reference.windows.io.constants import SECTOR_SIZE
from harness.reference.windows.io.parameters import Transfer
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.structures.device_objects import VPB_LOCKED, Vpb

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.io.file_object import FileObject

_BOOT = Struct("<3s8sHBHBHHBHHHIIIQQQbxxxbxxxQI")
"""The BIOS parameter block of an NTFS boot sector."""
_MARKS = {"FAT32": (0x52, b"FAT32   "), "exFAT": (3, b"EXFAT   "), "ReFS": (3, b"ReFS\0\0\0\0")}
"""Where a boot sector says what it is of."""
_MFT_CLUSTER, _MFT_MIRROR_CLUSTER = 0xC0000, 2
_RECORD_SHIFT, _INDEX_CLUSTERS = -10, 1
"""1024 bytes a file record, one cluster an index block."""


def total_sectors(driver: "FileSystemDriver") -> int:
    """The length of the volume in sectors."""
    total, _ = driver.files.store.space()
    return total // SECTOR_SIZE


def boot_sector(driver: "FileSystemDriver") -> bytes:
    """Sector 0; of what is not NTFS, no more than by which it is recognised."""
    if driver.files.kind is not NTFS:
        at, mark = _MARKS[driver.files.kind.name]
        return (bytes(at) + mark).ljust(SECTOR_SIZE - 2, b"\0") + b"\x55\xaa"
    parameters = _BOOT.pack(
        b"\xeb\x52\x90", b"NTFS    ", SECTOR_SIZE, CLUSTER // SECTOR_SIZE, 0, 0, 0, 0, 0xF8, 0, 63, 255, 2048, 0,
        0x0080_0080, total_sectors(driver) - 1, _MFT_CLUSTER, _MFT_MIRROR_CLUSTER, _RECORD_SHIFT, _INDEX_CLUSTERS,
        driver.volume.serial, 0,
    )  # fmt: skip
    return parameters.ljust(SECTOR_SIZE - 2, b"\0") + b"\x55\xaa"


def read(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_READ of the volume: whole sectors."""
    transfer = Transfer.unpack(request.parameters)
    if transfer.offset < 0 or transfer.offset % SECTOR_SIZE or transfer.length % SECTOR_SIZE:
        return int(NtStatus.INVALID_PARAMETER), 0
    end = total_sectors(driver) * SECTOR_SIZE
    if not transfer.length:
        return int(NtStatus.SUCCESS), 0
    if transfer.offset >= end:
        return int(NtStatus.END_OF_FILE), 0
    length = min(transfer.length, end - transfer.offset)
    first = transfer.offset // SECTOR_SIZE
    data = b"".join(_sector(driver, number) for number in range(first, first + length // SECTOR_SIZE))
    yield from driver.io.views.write(transfer.buffer, data)
    return int(NtStatus.SUCCESS), len(data)


def _sector(driver: "FileSystemDriver", number: int) -> bytes:
    written = driver.sectors.get(number)
    if written is not None:
        return written
    return boot_sector(driver) if number == 0 else bytes(SECTOR_SIZE)


def write(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_WRITE of the volume."""
    transfer = Transfer.unpack(request.parameters)
    if transfer.offset < 0 or transfer.offset % SECTOR_SIZE or transfer.length % SECTOR_SIZE:
        return int(NtStatus.INVALID_PARAMETER), 0
    if driver.locked_by is not request.file:
        return int(NtStatus.ACCESS_DENIED), 0
    if transfer.offset + transfer.length > total_sectors(driver) * SECTOR_SIZE:
        return int(NtStatus.INVALID_PARAMETER), 0
    data = yield from driver.io.views.read(transfer.buffer, transfer.length)
    first = transfer.offset // SECTOR_SIZE
    for index in range(transfer.length // SECTOR_SIZE):
        driver.sectors[first + index] = data[index * SECTOR_SIZE : (index + 1) * SECTOR_SIZE]
    return int(NtStatus.SUCCESS), transfer.length


def lock(driver: "FileSystemDriver", file: "FileObject") -> int:
    """FSCTL_LOCK_VOLUME: only while nothing else on the volume is open."""
    if file.opened is not None:
        return int(NtStatus.INVALID_PARAMETER)
    if driver.locked_by is not None:
        return int(NtStatus.ACCESS_DENIED)
    if driver.in_use:
        return int(NtStatus.ACCESS_DENIED)
    driver.locked_by = file
    _present_vpb(driver).flags |= VPB_LOCKED
    return int(NtStatus.SUCCESS)


def _present_vpb(driver: "FileSystemDriver") -> Vpb:
    """The VPB that the next open of the volume finds: a lock outlasts the dismount."""
    return Vpb(driver.kernel.memory, driver.volume.vpb)


def unlock(driver: "FileSystemDriver", file: "FileObject") -> int:
    """FSCTL_UNLOCK_VOLUME."""
    if file.opened is not None:
        return int(NtStatus.INVALID_PARAMETER)
    if driver.locked_by is not file:
        return int(NtStatus.NOT_LOCKED)
    driver.locked_by = None
    _present_vpb(driver).flags &= ~VPB_LOCKED
    return int(NtStatus.SUCCESS)


def dismount(driver: "FileSystemDriver", file: "FileObject") -> Code:
    """FSCTL_DISMOUNT_VOLUME: handles to files lead nowhere any more; the next open mounts again."""
    if file.opened is not None:
        return int(NtStatus.INVALID_PARAMETER)
    if driver.dismounted:
        return int(NtStatus.VOLUME_DISMOUNTED)
    if driver.locked_by is not None and driver.locked_by is not file:
        return int(NtStatus.ACCESS_DENIED)
    yield from driver.dismount(flush=True)
    return int(NtStatus.SUCCESS)
