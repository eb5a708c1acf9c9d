"""File system control and device control: a table of what NTFS answers, by control code."""

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus, OperationClass
from harness.reference.windows.fs import oplock_requests, reparse_points, volume_io
from harness.reference.windows.fs.changes import Action, Notify
from harness.reference.windows.fs.inode import CLUSTER
from harness.reference.windows.fs.opens import OpenFile
from harness.reference.windows.fsrtl.oplock_keys import key_of
from harness.reference.windows.fsrtl.oplocks import Does
from harness.reference.windows.io import storage_control
from harness.reference.windows.io.constants import FSCTL_DISMOUNT_VOLUME, SECTOR_SIZE, Minor
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver

LOCK_VOLUME, UNLOCK_VOLUME = 0x90018, 0x9001C
IS_VOLUME_MOUNTED, IS_PATHNAME_VALID, MARK_VOLUME_DIRTY = 0x90028, 0x9002C, 0x90030
GET_COMPRESSION, SET_COMPRESSION = 0x9003C, 0x9C040
GET_NTFS_VOLUME_DATA, GET_RETRIEVAL_POINTERS, IS_VOLUME_DIRTY = 0x90064, 0x90073, 0x90078
ALLOW_EXTENDED_DASD_IO = 0x90083
GET_VOLUME_BITMAP, GET_RETRIEVAL_POINTER_BASE = 0x9006F, 0x90234
SET_OBJECT_ID, GET_OBJECT_ID, DELETE_OBJECT_ID = 0x90098, 0x9009C, 0x900A0
SET_OBJECT_ID_EXTENDED, CREATE_OR_GET_OBJECT_ID = 0x900BC, 0x900C0
SET_REPARSE_POINT, GET_REPARSE_POINT, DELETE_REPARSE_POINT = 0x900A4, 0x900A8, 0x900AC
SET_REPARSE_POINT_EX = 0x9040C
SET_SPARSE, SET_ZERO_DATA, QUERY_ALLOCATED_RANGES = 0x900C4, 0x980C8, 0x940CF
READ_FILE_USN_DATA, QUERY_USN_JOURNAL, MARK_HANDLE = 0x900EB, 0x900F4, 0x900FC
READ_USN_JOURNAL, DELETE_USN_JOURNAL, ENUM_USN_DATA, WRITE_USN_CLOSE_RECORD = 0x900BB, 0x900F8, 0x900B3, 0x900EF
GET_EXTERNAL_BACKING, FILE_LEVEL_TRIM = 0x90310, 0x98208
_WRITE_DATA = 0x2
_UNCOMPRESSED, _DEFAULT, _LZNT1 = 0, 1, 2
"""COMPRESSION_FORMAT_*."""
_NTFS_VOLUME_DATA = Struct("<qqqqqIIIIqqqqq")
_EXTENTS, _EXTENT = Struct("<I4xq"), Struct("<qq")
"""RETRIEVAL_POINTERS_BUFFER: ExtentCount and StartingVcn, then NextVcn and Lcn of each."""
_USN_RECORD = Struct("<IHHQQqqIIIIHH")

Answered = bytes | int | tuple[int, bytes]
"""Output, a status without any, or both."""


def buffers(request: Request) -> tuple[Control, int, int]:
    """The parameters, and where input and output are, by the method of the control code."""
    parameters = Control.unpack(request.parameters)
    if parameters.code & 3 == 0:
        return parameters, parameters.first, parameters.first
    return parameters, parameters.first, parameters.second


def file_system_control(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_FILE_SYSTEM_CONTROL."""
    if request.minor not in (Minor.USER_FS_REQUEST, Minor.KERNEL_CALL):
        return int(NtStatus.INVALID_DEVICE_REQUEST), 0
    parameters, source, target = buffers(request)
    code, file = parameters.code, request.file
    if code in oplock_requests.CODES:
        return (yield from oplock_requests.control(driver, request, parameters, source, target))
    if file is None:
        return int(NtStatus.INVALID_PARAMETER), 0
    if code == FSCTL_DISMOUNT_VOLUME:
        return (yield from volume_io.dismount(driver, file)), 0
    on_volume = _ON_VOLUME.get(code)
    if on_volume is not None:
        return on_volume(driver, request), 0
    on_file = _ON_FILE.get(code)
    if on_file is None:
        return int(NtStatus.INVALID_DEVICE_REQUEST), 0
    if file.opened is None and code not in _EITHER:
        return int(NtStatus.INVALID_PARAMETER), 0
    data = yield from driver.io.views.read(source, parameters.input_length) if parameters.input_length else _none()
    if code == SET_ZERO_DATA and file.opened is not None:
        event = driver.state(file.opened.stream).oplock.check(Does.WRITE, file, key_of(file))
        if event is not None:
            return (yield from driver.wait(request, event, file_system_control))
    answered = on_file(driver, request, data)
    if isinstance(answered, int):
        return answered, 0
    if isinstance(answered, tuple):
        status, answered = answered
        yield from driver.io.views.write(target, answered)
        return status, len(answered)
    return (yield from _output(driver, target, parameters.output_length, answered, code))


def _none() -> Code:
    yield from ()
    return b""


def _output(driver: "FileSystemDriver", target: int, room: int, data: bytes, code: int) -> Code:
    """Give an answer: what fits of one of variable length, all or nothing of another."""
    if room < len(data):
        least, unit = _VARIABLE.get(code, (0, 0))
        if not unit or room < least:
            return int(_TOO_SMALL.get(code, NtStatus.BUFFER_TOO_SMALL)), 0
        data = data[: room // unit * unit]
        yield from driver.io.views.write(target, data)
        return int(NtStatus.BUFFER_OVERFLOW), len(data)
    if data:
        yield from driver.io.views.write(target, data)
    return int(NtStatus.SUCCESS), len(data)


_VARIABLE = {QUERY_ALLOCATED_RANGES: (16, 16), GET_REPARSE_POINT: (8, 1), GET_VOLUME_BITMAP: (24, 1)}
"""Least room, and the unit that is not cut."""
_TOO_SMALL = dict.fromkeys(
    (GET_COMPRESSION, GET_OBJECT_ID, CREATE_OR_GET_OBJECT_ID, IS_VOLUME_DIRTY), NtStatus.INVALID_PARAMETER
)
"""What room for less than the whole answer is, where it is not BUFFER_TOO_SMALL ([MS-FSA] 2.1.5.10)."""


# -- on a handle to the volume


def _lock(driver: "FileSystemDriver", request: Request) -> int:
    assert request.file is not None
    return volume_io.lock(driver, request.file)


def _unlock(driver: "FileSystemDriver", request: Request) -> int:
    assert request.file is not None
    return volume_io.unlock(driver, request.file)


def _is_mounted(driver: "FileSystemDriver", request: Request) -> int:
    del request
    return int(NtStatus.VOLUME_DISMOUNTED if driver.dismounted else NtStatus.SUCCESS)


def _success(driver: "FileSystemDriver", request: Request) -> int:
    del driver, request
    return int(NtStatus.SUCCESS)


def _only_on_volume(driver: "FileSystemDriver", request: Request) -> int:
    del driver
    opened = request.file is None or request.file.opened is not None
    return int(NtStatus.INVALID_PARAMETER if opened else NtStatus.SUCCESS)


def _no_journal(driver: "FileSystemDriver", request: Request) -> int:
    del driver, request
    return int(NtStatus.JOURNAL_NOT_ACTIVE)


_ON_VOLUME: dict[int, Callable[["FileSystemDriver", Request], int]] = {
    LOCK_VOLUME: _lock,
    UNLOCK_VOLUME: _unlock,
    IS_VOLUME_MOUNTED: _is_mounted,
    IS_PATHNAME_VALID: _success,
    MARK_VOLUME_DIRTY: _only_on_volume,
    ALLOW_EXTENDED_DASD_IO: _only_on_volume,
    MARK_HANDLE: _success,
    QUERY_USN_JOURNAL: _no_journal,
    READ_USN_JOURNAL: _no_journal,
    DELETE_USN_JOURNAL: _no_journal,
    ENUM_USN_DATA: _no_journal,
    WRITE_USN_CLOSE_RECORD: _no_journal,
}


# -- on files


def _open_of(request: Request) -> OpenFile:
    assert request.file is not None
    if request.file.opened is None:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if request.file.opened.inode.gone:
        raise StatusError(NtStatus.FILE_DELETED)
    return request.file.opened


def _get_compression(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    del driver, data
    return (_LZNT1 if _open_of(request).inode.compressed else _UNCOMPRESSED).to_bytes(2, "little")


def _set_compression(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    """A file is marked as compressed, a directory for what is made in it; the bytes stay as they are."""
    inode = _open_of(request).inode
    wanted = int.from_bytes(data[:2], "little") if len(data) >= 2 else -1
    if wanted not in (_UNCOMPRESSED, _DEFAULT, _LZNT1):
        return int(NtStatus.INVALID_PARAMETER)
    inode.compressed = wanted != _UNCOMPRESSED
    driver.files.changed(inode, Action.MODIFIED, Notify.ATTRIBUTES)
    return b""


def _volume_data(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    del request, data
    total, free = driver.files.store.space()
    clusters = total // CLUSTER
    return _NTFS_VOLUME_DATA.pack(
        driver.volume.serial, clusters * (CLUSTER // SECTOR_SIZE), clusters, free // CLUSTER, 0, SECTOR_SIZE, CLUSTER,
        1024, 0, 0x40000, 0xC0000, 2, 0xC0000, 0xC8000,
    )  # fmt: skip


def _retrieval_pointers(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    """Runs from the one on in which the VCN lies that is asked for: as many as there is room for."""
    opened, room = _open_of(request), buffers(request)[0].output_length
    if len(data) < 8:
        return int(NtStatus.INVALID_PARAMETER)
    first = int.from_bytes(data[:8], "little", signed=True)
    runs = [run for run in driver.clusters.runs(opened.stream) if run[0] + run[2] > first]
    if first < 0 or not runs:
        return int(NtStatus.END_OF_FILE)
    if room < _EXTENTS.size + _EXTENT.size:
        return int(NtStatus.BUFFER_TOO_SMALL)
    fitting = runs[: (room - _EXTENTS.size) // _EXTENT.size]
    head = _EXTENTS.pack(len(fitting), runs[0][0])
    status = NtStatus.BUFFER_OVERFLOW if len(fitting) < len(runs) else NtStatus.SUCCESS
    return int(status), head + b"".join(_EXTENT.pack(vcn + count, lcn) for vcn, lcn, count in fitting)


def _volume_bitmap(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    """VOLUME_BITMAP_BUFFER, from a multiple of 8 on."""
    if request.file is None or request.file.opened is not None or len(data) < 8:
        return int(NtStatus.INVALID_PARAMETER)
    total = driver.files.store.space()[0] // CLUSTER
    start = int.from_bytes(data[:8], "little", signed=True)
    if start < 0 or start >= total:
        return int(NtStatus.INVALID_PARAMETER)
    start &= ~7
    return Struct("<qq").pack(start, total - start) + driver.clusters.bitmap(start)


def _retrieval_pointer_base(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    """RETRIEVAL_POINTER_BASE: LCN 0 is at the first sector of an NTFS volume."""
    del driver, request, data
    return bytes(8)


def _is_dirty(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    del driver, data
    opened = request.file is None or request.file.opened is not None
    return int(NtStatus.INVALID_PARAMETER) if opened else bytes(4)


def _set_sparse(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    opened = _open_of(request)
    if not opened.access & 0x106:
        return int(NtStatus.ACCESS_DENIED)
    driver.files.set_sparse(opened.stream, sparse=not data or bool(data[0]))
    return b""


def _set_zero(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    opened = _open_of(request)
    if not opened.access & _WRITE_DATA:
        return int(NtStatus.ACCESS_DENIED)
    if opened.stream.directory or len(data) < 16:
        return int(NtStatus.INVALID_PARAMETER)
    begin, end = Struct("<qq").unpack_from(data)
    if begin < 0 or end < begin:
        return int(NtStatus.INVALID_PARAMETER)
    end = min(end, driver.files.size(opened.stream))
    if begin < end:
        driver.state(opened.stream).locks.check(request.file, begin, end - begin, 0, write=True)
        driver.files.set_zero(opened.stream, begin, end)
        cache = driver.cache_of(opened.stream)
        if cache is not None:
            cache.zero(begin, end)
        driver.files.written(opened)
    return b""


def _allocated_ranges(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    opened = _open_of(request)
    if opened.stream.directory or len(data) < 16:
        return int(NtStatus.INVALID_PARAMETER)
    offset, length = Struct("<qq").unpack_from(data)
    if offset < 0 or length < 0 or offset + length > 1 << 63:
        return int(NtStatus.INVALID_PARAMETER)
    ranges = driver.files.allocated_ranges(opened.stream, offset, length)
    return b"".join(Struct("<qq").pack(*item) for item in ranges)


def _set_reparse(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    reparse_points.set_(driver.files, _open_of(request), data)
    return b""


def _set_reparse_ex(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    reparse_points.set_in_place_of(driver.files, _open_of(request), data)
    return b""


def _get_reparse(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    del driver, data
    return reparse_points.get(_open_of(request))


def _delete_reparse(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    reparse_points.delete(driver.files, _open_of(request), data)
    return b""


def _set_object_id(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    reparse_points.set_object_id(driver.files, _open_of(request), data)
    return b""


def _get_object_id(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    del driver, data
    return reparse_points.get_object_id(_open_of(request))


def _create_or_get_object_id(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    del data
    inode = _open_of(request).inode
    if not inode.object_id:
        made = driver.kernel.random.getrandbits(128).to_bytes(16, "little")
        inode.object_id = made + bytes(16) + made + bytes(16)
    return inode.object_id


def _delete_object_id(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    del driver, data
    _open_of(request).inode.object_id = b""
    return b""


def _set_extended_object_id(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    del driver
    reparse_points.set_extended_object_id(_open_of(request), data)
    return b""


def _usn_data(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    """READ_FILE_USN_DATA: a record without a journal behind it."""
    del data
    opened = _open_of(request)
    link = opened.link
    name = (link.name if link is not None else "").encode("utf-16-le", "surrogatepass")
    size = _USN_RECORD.size + len(name)
    above = driver.files.store.above(opened.inode).reference
    record = _USN_RECORD.pack(
        size + -size % 8, 2, 0, opened.inode.reference, above, 0, 0, 0, 0, 0, opened.inode.file_attributes, len(name),
        _USN_RECORD.size,
    )  # fmt: skip
    return (record + name).ljust(size + -size % 8, b"\0")


def _no_backing(driver: "FileSystemDriver", request: Request, data: bytes) -> Answered:
    del driver, request, data
    return int(NtStatus.OBJECT_NOT_EXTERNALLY_BACKED)


_ON_FILE: dict[int, Callable[["FileSystemDriver", Request, bytes], Answered]] = {
    GET_COMPRESSION: _get_compression,
    SET_COMPRESSION: _set_compression,
    GET_NTFS_VOLUME_DATA: _volume_data,
    GET_RETRIEVAL_POINTERS: _retrieval_pointers,
    GET_VOLUME_BITMAP: _volume_bitmap,
    GET_RETRIEVAL_POINTER_BASE: _retrieval_pointer_base,
    IS_VOLUME_DIRTY: _is_dirty,
    SET_SPARSE: _set_sparse,
    SET_ZERO_DATA: _set_zero,
    QUERY_ALLOCATED_RANGES: _allocated_ranges,
    SET_REPARSE_POINT: _set_reparse,
    SET_REPARSE_POINT_EX: _set_reparse_ex,
    GET_REPARSE_POINT: _get_reparse,
    DELETE_REPARSE_POINT: _delete_reparse,
    SET_OBJECT_ID: _set_object_id,
    GET_OBJECT_ID: _get_object_id,
    CREATE_OR_GET_OBJECT_ID: _create_or_get_object_id,
    DELETE_OBJECT_ID: _delete_object_id,
    SET_OBJECT_ID_EXTENDED: _set_extended_object_id,
    READ_FILE_USN_DATA: _usn_data,
    GET_EXTERNAL_BACKING: _no_backing,
}
_EITHER = frozenset({GET_NTFS_VOLUME_DATA, IS_VOLUME_DIRTY, GET_VOLUME_BITMAP, GET_RETRIEVAL_POINTER_BASE})


# -- the disk beneath


def device_control(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_DEVICE_CONTROL: through a handle to the volume, what the disk beneath answers.

    NTFS has no FastIoDeviceControl, and takes no device control through a file.
    """
    if request.kind is OperationClass.FAST_IO:
        return int(NtStatus.FLT_DISALLOW_FAST_IO), 0
    if request.file is None or request.file.opened is not None:
        return int(NtStatus.INVALID_PARAMETER), 0
    parameters, source, target = buffers(request)
    data = yield from driver.io.views.read(source, parameters.input_length) if parameters.input_length else _none()
    total, _ = driver.files.store.space()
    status, answered = storage_control.answer(driver.volume, total, parameters.code, data, parameters.output_length)
    if answered:
        yield from driver.io.views.write(target, answered)
    return int(status), len(answered)
