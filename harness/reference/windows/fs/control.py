"""File system control, device control, extended attributes, security, and the FSFilter acquires: the small ones."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs.errors import VolumeError
from harness.reference.windows.fs.information import answer
from harness.reference.windows.io.constants import SECTOR_SIZE, Minor
from harness.reference.windows.io.parameters import QUERY_EA, QUERY_SECURITY, Control
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver

FSCTL_LOCK_VOLUME, FSCTL_UNLOCK_VOLUME, FSCTL_DISMOUNT_VOLUME = 0x90018, 0x9001C, 0x90020
FSCTL_IS_VOLUME_MOUNTED, FSCTL_GET_COMPRESSION, FSCTL_SET_COMPRESSION = 0x90028, 0x9003C, 0x9C040
FSCTL_GET_REPARSE_POINT, FSCTL_SET_SPARSE, FSCTL_GET_NTFS_VOLUME_DATA = 0x900A8, 0x900C4, 0x90064
FSCTL_QUERY_ALLOCATED_RANGES, FSCTL_SET_ZERO_DATA = 0x940CF, 0x980C8
IOCTL_DISK_GET_LENGTH_INFO, IOCTL_DISK_GET_DRIVE_GEOMETRY = 0x7405C, 0x70000

_EVERYONE_FULL_DACL = (
    Struct("<BBHIIII").pack(1, 0, 0x8004, 48, 48, 0, 20)
    + Struct("<BBHHH").pack(2, 0, 28, 1, 0)
    + Struct("<BBHI").pack(0, 0, 20, 0x001F_01FF)
    + bytes((1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0))
    + bytes((1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0))
)
"""A self-relative security descriptor: owned by SYSTEM, full access for everyone."""


def buffers(request: Request) -> tuple[Control, int, int]:
    """The parameters, and where input and output are, by the method of the control code."""
    parameters = Control.unpack(request.parameters)
    if parameters.code & 3 == 0:
        return parameters, parameters.first, parameters.first
    return parameters, parameters.first, parameters.second


def file_system_control(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_FILE_SYSTEM_CONTROL."""
    if request.minor != Minor.USER_FS_REQUEST:
        return int(NtStatus.INVALID_DEVICE_REQUEST), 0
    parameters, source, target = buffers(request)
    code = parameters.code
    if code in (FSCTL_IS_VOLUME_MOUNTED, FSCTL_LOCK_VOLUME, FSCTL_UNLOCK_VOLUME, FSCTL_SET_SPARSE):
        return int(NtStatus.SUCCESS), 0
    if code == FSCTL_GET_COMPRESSION:
        return (yield from answer(driver, target, parameters.output_length, bytes(2)))
    if code == FSCTL_SET_COMPRESSION:
        return int(NtStatus.SUCCESS), 0
    if code == FSCTL_GET_REPARSE_POINT:
        return int(NtStatus.NOT_A_REPARSE_POINT), 0
    if code == FSCTL_QUERY_ALLOCATED_RANGES:
        return (yield from _allocated_ranges(driver, request, parameters, source, target))
    if code == FSCTL_SET_ZERO_DATA:
        return (yield from _zero(driver, request, parameters, source))
    return int(NtStatus.INVALID_DEVICE_REQUEST), 0


def _allocated_ranges(
    driver: "FileSystemDriver", request: Request, parameters: Control, source: int, target: int
) -> Code:
    if request.file is None or request.file.opened is None:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    asked = yield from driver.kernel.io.views.read(source, min(parameters.input_length, 16))
    if len(asked) < 16:
        return int(NtStatus.INVALID_PARAMETER), 0
    offset, length = Struct("<qq").unpack(asked)
    end = min(offset + length, driver.files.size(request.file.opened.node))
    ranges = Struct("<qq").pack(offset, end - offset) if end > offset else b""
    return (yield from answer(driver, target, parameters.output_length, ranges))


def _zero(driver: "FileSystemDriver", request: Request, parameters: Control, source: int) -> Code:
    if request.file is None or request.file.opened is None:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    node = request.file.opened.node
    asked = yield from driver.kernel.io.views.read(source, min(parameters.input_length, 16))
    if len(asked) < 16:
        return int(NtStatus.INVALID_PARAMETER), 0
    begin, end = Struct("<qq").unpack(asked)
    end = min(end, driver.files.size(node))
    if begin < end:
        zeros = bytes(end - begin)
        driver.files.write(node, begin, zeros)
        cache = driver.cache_of(node)
        if cache is not None:
            cache.purge(begin, zeros)
    return int(NtStatus.SUCCESS), 0


def device_control(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_DEVICE_CONTROL, by IRP or fast I/O: what the disk beneath would answer."""
    parameters, _, target = buffers(request)
    total, _ = driver.files.space()
    if parameters.code == IOCTL_DISK_GET_LENGTH_INFO:
        return (yield from answer(driver, target, parameters.output_length, Struct("<q").pack(total)))
    if parameters.code == IOCTL_DISK_GET_DRIVE_GEOMETRY:
        geometry = Struct("<qIIII").pack(total // (255 * 63 * SECTOR_SIZE), 12, 255, 63, SECTOR_SIZE)
        return (yield from answer(driver, target, parameters.output_length, geometry))
    return int(NtStatus.INVALID_DEVICE_REQUEST), 0


def query_ea(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_QUERY_EA: no file has any."""
    del driver
    QUERY_EA.unpack_from(request.parameters)
    yield from ()
    return int(NtStatus.NO_EAS_ON_FILE), 0


def set_ea(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_SET_EA: the volume keeps none."""
    del driver, request
    yield from ()
    return int(NtStatus.EAS_NOT_SUPPORTED), 0


def query_security(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_QUERY_SECURITY: every file has the same descriptor."""
    _, length, buffer, _ = QUERY_SECURITY.unpack_from(request.parameters)
    if length < len(_EVERYONE_FULL_DACL):
        return int(NtStatus.BUFFER_OVERFLOW), len(_EVERYONE_FULL_DACL)
    yield from driver.kernel.io.views.write(buffer, _EVERYONE_FULL_DACL)
    return int(NtStatus.SUCCESS), len(_EVERYONE_FULL_DACL)


def set_security(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_SET_SECURITY: accepted; access is not checked against descriptors here."""
    del driver, request
    yield from ()
    return int(NtStatus.SUCCESS), 0


def acquire(driver: "FileSystemDriver", request: Request) -> Code:
    """The FSFilter acquires and releases: the file system's resources are never contended in this model."""
    del driver, request
    yield from ()
    return int(NtStatus.SUCCESS), 0
