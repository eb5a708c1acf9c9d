"""Control codes of storage: what disk, partition and volume answer (ntddstor.h, ntdddisk.h, ntddvol.h, mountdev.h).

A volume is one partition that is all of its disk, on SATA; a removable one is a stick on USB. Drivers ask the disk's
device (FltGetDiskDeviceObject), or the file system through a handle to the volume.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct

from harness.nt import NtStatus
from harness.reference.windows.io.constants import FILE_DEVICE_DISK, FILE_REMOVABLE_MEDIA, SECTOR_SIZE
from harness.reference.windows.io.volumes import Volume

_HEADS, _TRACK = 255, 63
_REMOVABLE_MEDIA, _FIXED_MEDIA = 11, 12
"""MEDIA_TYPE."""
_BUS_USB, _BUS_SATA = 7, 11
"""STORAGE_BUS_TYPE."""
_GPT_LENGTH_OF_UNION = 112
_PARTITION_IFS = 7
_FIRST_PARTITION = 1
_EXISTS = 1
"""STORAGE_QUERY_TYPE: only whether the property is there."""
_GEOMETRY = Struct("<qIIII")
_PARTITION = Struct("<qqIIBBBx4x")
_PARTITION_EX = Struct("<I4xqqIBBxx")
_EXTENTS = Struct("<I4xI4xqq")
_DEVICE_DESCRIPTOR = Struct("<IIBBBBIIIIII")
_ADAPTER_DESCRIPTOR = Struct("<IIIIIBBBBBxHHBB")
_ALIGNMENT_DESCRIPTOR = Struct("<IIIIIII")
_FLAG_DESCRIPTOR = Struct("<IIB3x")
_QUERY = Struct("<II")
_QUERY_SIZE = 12
"""STORAGE_PROPERTY_QUERY."""

Answer = bytes | NtStatus


@dataclass(frozen=True)
class _Asked:
    """A control code at a disk of `total` bytes."""

    volume: Volume
    total: int
    data: bytes

    @property
    def removable(self) -> bool:
        return bool(self.volume.disk.view.characteristics & FILE_REMOVABLE_MEDIA)


def answer(volume: Volume, total: int, code: int, data: bytes, room: int) -> tuple[NtStatus, bytes]:
    """The status of a control code and what goes into an output buffer of `room` bytes; `data` is its input."""
    handler = _CODES.get(code)
    if handler is None:
        return NtStatus.INVALID_DEVICE_REQUEST, b""
    found = handler(_Asked(volume, total, data))
    if isinstance(found, NtStatus):
        return found, b""
    if len(found) <= room:
        return NtStatus.SUCCESS, found
    least, status = _CUT.get(code, (0, NtStatus.BUFFER_TOO_SMALL))
    if not least or room < least:
        return NtStatus.BUFFER_TOO_SMALL, b""
    return status, found[: room if status is NtStatus.SUCCESS else least]


def _geometry(asked: _Asked) -> bytes:
    media = _REMOVABLE_MEDIA if asked.removable else _FIXED_MEDIA
    return _GEOMETRY.pack(asked.total // (_HEADS * _TRACK * SECTOR_SIZE), media, _HEADS, _TRACK, SECTOR_SIZE)


def _geometry_ex(asked: _Asked) -> bytes:
    return _geometry(asked) + Struct("<q").pack(asked.total)


def _length(asked: _Asked) -> bytes:
    return Struct("<q").pack(asked.total)


def _partition(asked: _Asked) -> bytes:
    return _PARTITION.pack(0, asked.total, 0, _FIRST_PARTITION, _PARTITION_IFS, 0, 1)


def _partition_ex(asked: _Asked) -> bytes:
    of_mbr = bytes([_PARTITION_IFS, 0, 1]).ljust(_GPT_LENGTH_OF_UNION, b"\0")
    return _PARTITION_EX.pack(0, 0, asked.total, _FIRST_PARTITION, 0, 0) + of_mbr


def _device_number(asked: _Asked) -> bytes:
    return Struct("<III").pack(FILE_DEVICE_DISK, asked.volume.number - 1, _FIRST_PARTITION)


def _extents(asked: _Asked) -> bytes:
    return _EXTENTS.pack(1, asked.volume.number - 1, 0, asked.total)


def _hotplug(asked: _Asked) -> bytes:
    return Struct("<IBBBB").pack(8, 0, 0, asked.removable, 0)


def _device_name(asked: _Asked) -> bytes:
    name = asked.volume.device_name.encode("utf-16-le")
    return len(name).to_bytes(2, "little") + name


def _unique_id(asked: _Asked) -> bytes:
    own = b"fltlab" + asked.volume.serial.to_bytes(4, "little")
    return len(own).to_bytes(2, "little") + own


def _ready(asked: _Asked) -> bytes:
    del asked
    return b""


def _property(asked: _Asked) -> Answer:
    if len(asked.data) < _QUERY_SIZE:
        return NtStatus.INFO_LENGTH_MISMATCH
    which, how = _QUERY.unpack_from(asked.data)
    found = _PROPERTIES.get(which)
    if found is None or how > _EXISTS:
        return NtStatus.INVALID_DEVICE_REQUEST
    return b"" if how == _EXISTS else found(asked)


def _device_property(asked: _Asked) -> bytes:
    strings = [b"fltlab\0", b"Reference Disk\0", b"1.0\0", b"F%08X\0" % asked.volume.serial]
    head = _DEVICE_DESCRIPTOR.size + 4  # RawDeviceProperties[1], padded
    places = [head + sum(map(len, strings[:index])) for index in range(len(strings))]
    size = head + sum(map(len, strings))
    bus = _BUS_USB if asked.removable else _BUS_SATA
    return _DEVICE_DESCRIPTOR.pack(head, size, 0, 0, asked.removable, 1, *places, bus, 0).ljust(head, b"\0") + b"".join(
        strings
    )


def _adapter_property(asked: _Asked) -> bytes:
    bus = _BUS_USB if asked.removable else _BUS_SATA
    size = _ADAPTER_DESCRIPTOR.size
    return _ADAPTER_DESCRIPTOR.pack(size, size, 0x10_0000, 0x101, 1, 0, 0, 1, 1, bus, 2, 0, 0, 0)


def _alignment_property(asked: _Asked) -> bytes:
    del asked
    size = _ALIGNMENT_DESCRIPTOR.size
    return _ALIGNMENT_DESCRIPTOR.pack(size, size, 0, 0, SECTOR_SIZE, SECTOR_SIZE, 0)


def _no(asked: _Asked) -> bytes:
    """Seek penalty and trim: a disk that has neither."""
    del asked
    return _FLAG_DESCRIPTOR.pack(_FLAG_DESCRIPTOR.size, _FLAG_DESCRIPTOR.size, 0)


_PROPERTIES: Mapping[int, Callable[[_Asked], bytes]] = {
    0: _device_property,
    1: _adapter_property,
    6: _alignment_property,
    7: _no,
    8: _no,
}
"""STORAGE_PROPERTY_ID."""
_QUERY_PROPERTY, _QUERY_DEVICE_NAME, _QUERY_UNIQUE_ID = 0x2D1400, 0x4D0008, 0x4D0000
_CODES: Mapping[int, Callable[[_Asked], Answer]] = {
    0x70000: _geometry,  # IOCTL_DISK_GET_DRIVE_GEOMETRY
    0x700A0: _geometry_ex,  # IOCTL_DISK_GET_DRIVE_GEOMETRY_EX
    0x7405C: _length,  # IOCTL_DISK_GET_LENGTH_INFO
    0x74004: _partition,  # IOCTL_DISK_GET_PARTITION_INFO
    0x70048: _partition_ex,  # IOCTL_DISK_GET_PARTITION_INFO_EX
    0x70024: _ready,  # IOCTL_DISK_IS_WRITABLE
    0x74800: _ready,  # IOCTL_DISK_CHECK_VERIFY
    0x2D4800: _ready,  # IOCTL_STORAGE_CHECK_VERIFY
    0x2D0800: _ready,  # IOCTL_STORAGE_CHECK_VERIFY2
    0x2D1080: _device_number,  # IOCTL_STORAGE_GET_DEVICE_NUMBER
    0x2D0C14: _hotplug,  # IOCTL_STORAGE_GET_HOTPLUG_INFO
    _QUERY_PROPERTY: _property,  # IOCTL_STORAGE_QUERY_PROPERTY
    _QUERY_DEVICE_NAME: _device_name,  # IOCTL_MOUNTDEV_QUERY_DEVICE_NAME
    _QUERY_UNIQUE_ID: _unique_id,  # IOCTL_MOUNTDEV_QUERY_UNIQUE_ID
    0x560000: _extents,  # IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS
    0x56C008: _ready,  # IOCTL_VOLUME_ONLINE
}
_CUT: Mapping[int, tuple[int, NtStatus]] = {
    _QUERY_PROPERTY: (8, NtStatus.SUCCESS),
    _QUERY_DEVICE_NAME: (4, NtStatus.BUFFER_OVERFLOW),
    _QUERY_UNIQUE_ID: (4, NtStatus.BUFFER_OVERFLOW),
}
"""What is given where there is not room for all: from how many bytes on, and with which status."""
