"""Read, write and flush: cached, non-cached and paging."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus, OperationClass
from harness.reference.windows.cc.cache_map import CacheMap
from harness.reference.windows.fs import volume_io
from harness.reference.windows.fs.opens import OpenFile
from harness.reference.windows.fsrtl.oplock_keys import key_of
from harness.reference.windows.fsrtl.oplocks import Does
from harness.reference.windows.io.constants import SECTOR_SIZE, WRITE_TO_END_OF_FILE, FileObjectFlags, IrpFlags, Minor
from harness.reference.windows.io.parameters import Transfer
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.fs.inode import Stream
    from harness.reference.windows.fs.stream_state import StreamState
    from harness.reference.windows.io.file_object import FileObject

MOST_ZEROED = 1 << 20
"""A gap before what is written to the cache is zeroed there (CcZeroData), so that filters see its paging writes.

Of a larger one the file system makes the zeros: all of it would go into the memory of the machine.
"""


def read(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_READ, by IRP or fast I/O."""
    file = _file(request)
    if file.opened is None:
        return (yield from volume_io.read(driver, request))
    stream = file.opened.stream
    state, transfer = driver.state(stream), Transfer.unpack(request.parameters)
    paging = _is_paging(request)
    if not transfer.length:
        return int(NtStatus.SUCCESS), 0
    if not paging:
        if stream.directory:
            return int(NtStatus.INVALID_DEVICE_REQUEST), 0
        _check_present(file.opened)
        event = state.oplock.check(Does.READ, file, key_of(file))
        if event is not None:
            return (yield from driver.wait(request, event, read))
        state.locks.check(file, transfer.offset, transfer.length, transfer.key, write=False)
    size = driver.files.size(stream)
    if transfer.offset >= size:
        return int(NtStatus.END_OF_FILE), 0
    length = min(transfer.length, size - transfer.offset)
    if paging or request.irp_flags & IrpFlags.NOCACHE:
        if not paging:
            _check_aligned(transfer)
            yield from _flush_range(driver, stream, transfer.offset, transfer.length)
        data = driver.files.read(stream, transfer.offset, transfer.length)
    else:
        data = yield from initialize_cache(state, file).read(transfer.offset, length)
    # Paging reads fill whole pages: what lies behind the end of the file is zero.
    yield from driver.io.views.write(transfer.buffer, data.ljust(transfer.length, b"\0") if paging else data)
    _move_position(file, transfer.offset, len(data), paging=paging)
    return int(NtStatus.SUCCESS), len(data)


def write(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_WRITE, by IRP or fast I/O."""
    file = _file(request)
    if file.opened is None:
        return (yield from volume_io.write(driver, request))
    stream = file.opened.stream
    state, transfer = driver.state(stream), Transfer.unpack(request.parameters)
    paging = _is_paging(request)
    if not paging:
        if stream.directory:
            return int(NtStatus.INVALID_DEVICE_REQUEST), 0
        _check_present(file.opened)
    offset = driver.files.size(stream) if transfer.offset == WRITE_TO_END_OF_FILE else transfer.offset
    if not transfer.length:
        return int(NtStatus.SUCCESS), 0
    data = yield from driver.io.views.read(transfer.buffer, transfer.length)
    if paging:
        driver.files.write(stream, offset, data, paging=True)
        return int(NtStatus.SUCCESS), transfer.length
    event = state.oplock.check(Does.WRITE, file, key_of(file))
    if event is not None:
        return (yield from driver.wait(request, event, write))
    state.locks.check(file, offset, transfer.length, transfer.key, write=True)
    if request.irp_flags & IrpFlags.NOCACHE:
        _check_aligned(transfer)
        yield from _write_past_cache(driver, stream, offset, data)
    else:
        end = driver.files.size(stream)
        if offset + len(data) > end:
            driver.files.resize(stream, offset + len(data))
        cache = initialize_cache(state, file)
        if end < offset <= end + MOST_ZEROED and stream.allocated is None:
            yield from cache.write(end, bytes(offset - end))
        yield from cache.write(offset, data)
        if driver.files.valid_up_to(stream, offset + len(data)):
            state.show_sizes()
        if file.flags & FileObjectFlags.WRITE_THROUGH:
            yield from cache.flush(offset, len(data))
    driver.files.written(file.opened)
    file.add_flags(int(FileObjectFlags.FILE_MODIFIED))
    _move_position(file, offset, len(data), paging=False)
    return int(NtStatus.SUCCESS), len(data)


def _write_past_cache(driver: "FileSystemDriver", stream: "Stream", offset: int, data: bytes) -> Code:
    yield from _flush_range(driver, stream, offset, len(data))
    before = driver.files.size(stream)
    driver.files.write(stream, offset, data)
    cache = driver.cache_of(stream)
    if cache is not None:
        cache.purge(offset, data)
    if driver.files.size(stream) != before:
        driver.state(stream).show_sizes()


def flush(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_FLUSH_BUFFERS: dirty pages are written; the host's disk keeps them, unless the minor says they are all."""
    file = _file(request)
    if file.opened is None:
        return int(NtStatus.SUCCESS), 0
    stream = file.opened.stream
    if stream.directory:
        return int(NtStatus.SUCCESS), 0
    yield from _flush_range(driver, stream, 0, driver.files.size(stream))
    if request.minor not in (Minor.FLUSH_DATA_ONLY, Minor.FLUSH_NO_SYNC):
        driver.files.flush(stream)
    driver.files.report_data_changes(file.opened)
    return int(NtStatus.SUCCESS), 0


def check_if_possible(driver: "FileSystemDriver", request: Request) -> Code:
    """FastIoCheckIfPossible: no byte-range lock and no oplock is in the way."""
    yield from ()
    file = _file(request)
    possible = False
    if file.opened is not None:
        state = driver.state(file.opened.stream)
        possible = not state.locks.locks and not state.oplock.holders
    return int(NtStatus.SUCCESS if possible else NtStatus.FLT_DISALLOW_FAST_IO), 0


def _file(request: Request) -> "FileObject":
    if request.file is None:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    return request.file


def _move_position(file: "FileObject", offset: int, length: int, *, paging: bool) -> None:
    """After a transfer on a synchronous file object its position is behind it."""
    if not paging and file.synchronous:
        file.position = offset + length


def _is_paging(request: Request) -> bool:
    return bool(request.irp_flags & IrpFlags.PAGING_IO) and request.kind is OperationClass.IRP


def _check_present(opened: OpenFile) -> None:
    """After the last cleanup of a deleted file there is nothing to read or write."""
    if opened.inode.gone or opened.stream.deleted:
        raise StatusError(NtStatus.FILE_DELETED)


def _check_aligned(transfer: Transfer) -> None:
    """Non-cached transfers are whole sectors."""
    if (transfer.offset >= 0 and transfer.offset % SECTOR_SIZE) or transfer.length % SECTOR_SIZE:
        raise StatusError(NtStatus.INVALID_PARAMETER)


def initialize_cache(state: "StreamState", file: "FileObject") -> CacheMap:
    """CcInitializeCacheMap: from here on the handle's reads and writes may be fast I/O."""
    cache = state.make_cache(file)
    cache.cached_by(file)
    return cache


def _flush_range(driver: "FileSystemDriver", stream: "Stream", offset: int, length: int) -> Code:
    cache = driver.cache_of(stream)
    if cache is not None:
        yield from cache.flush(offset, length)
