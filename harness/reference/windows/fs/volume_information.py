"""Query and set information of the volume."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs.information import answer
from harness.reference.windows.fs.inode import CLUSTER
from harness.reference.windows.io.constants import (
    FILE_DEVICE_DISK,
    SECTOR_SIZE,
    FsInformationClass,
)
from harness.reference.windows.io.parameters import INFORMATION
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver

_SIZE = Struct("<qqII")
_FULL_SIZE = Struct("<qqqII")
_NO_LIMIT = (1 << 64) - 1


def query(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_QUERY_VOLUME_INFORMATION."""
    length, kind, buffer = INFORMATION.unpack_from(request.parameters)
    found = _answer_of(driver, kind)
    if found is None:
        return int(NtStatus.INVALID_INFO_CLASS), 0
    data, minimum = found
    return (yield from answer(driver, buffer, length, data, minimum=minimum))


def _answer_of(driver: "FileSystemDriver", kind: int) -> tuple[bytes, int | None] | None:
    """The bytes of a class, and how many there must be room for (None for all)."""
    volume = driver.volume
    total, free = driver.files.store.space()
    clusters = CLUSTER // SECTOR_SIZE
    if kind == FsInformationClass.VOLUME:
        label = volume.label.encode("utf-16-le")
        objects = not driver.files.kind.plain
        head = Struct("<qIIBx").pack(driver.created, volume.serial & 0xFFFF_FFFF, len(label), objects)
        return head + label, len(head)
    if kind == FsInformationClass.SIZE:
        return _SIZE.pack(total // CLUSTER, free // CLUSTER, clusters, SECTOR_SIZE), None
    if kind == FsInformationClass.FULL_SIZE:
        return _FULL_SIZE.pack(total // CLUSTER, free // CLUSTER, free // CLUSTER, clusters, SECTOR_SIZE), None
    if kind == FsInformationClass.DEVICE:
        return Struct("<II").pack(FILE_DEVICE_DISK, volume.characteristics), None
    if kind == FsInformationClass.ATTRIBUTE:
        name = driver.files.kind.name.encode("utf-16-le")
        return Struct("<IiI").pack(driver.files.kind.attributes, 255, len(name)) + name, 12
    if kind == FsInformationClass.CONTROL:  # quotas are off
        return Struct("<qqqQQI4x").pack(0, 0, 0, _NO_LIMIT, _NO_LIMIT, 0), None
    if kind == FsInformationClass.OBJECT_ID:
        return volume_object_id(driver) + bytes(48), None
    if kind == FsInformationClass.SECTOR_SIZE:
        return Struct("<7I").pack(SECTOR_SIZE, SECTOR_SIZE, SECTOR_SIZE, SECTOR_SIZE, 3, 0, 0), None
    return None


def volume_object_id(driver: "FileSystemDriver") -> bytes:
    """The volume's own object id: always the same for its serial number."""
    return b"fltlab volume" + (driver.volume.serial & 0xFFFFFF).to_bytes(3, "little")


def set_(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_SET_VOLUME_INFORMATION: the label."""
    length, kind, buffer = INFORMATION.unpack_from(request.parameters)
    data = yield from driver.io.views.read(buffer, length)
    if kind != FsInformationClass.LABEL:
        return int(NtStatus.INVALID_PARAMETER), 0
    size = int.from_bytes(data[:4], "little")
    if len(data) < 4 or 4 + size > len(data) or size % 2:
        return int(NtStatus.INVALID_PARAMETER), 0
    if size > 2 * driver.files.kind.longest_label:
        return int(NtStatus.INVALID_VOLUME_LABEL), 0
    driver.volume.label = data[4 : 4 + size].decode("utf-16-le", "surrogatepass")
    return int(NtStatus.SUCCESS), 0
