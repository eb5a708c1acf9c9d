"""Read, write and flush: cached, non-cached and paging."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus, OperationClass
from harness.reference.windows.fs.errors import VolumeError
from harness.reference.windows.io.constants import SECTOR_SIZE, FileObjectFlags, IrpFlags
from harness.reference.windows.io.parameters import Transfer
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.cc.cache_map import CacheMap
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.fs.filesystem import Node
    from harness.reference.windows.io.file_object import FileObject

WRITE_TO_END_OF_FILE, USE_FILE_POINTER = -1, -2


def read(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_READ, by IRP or fast I/O."""
    file = _file(request)
    if file.opened is None:
        return int(NtStatus.INVALID_DEVICE_REQUEST), 0  # the sectors of a volume are not modelled
    node = file.opened.node
    transfer = Transfer.unpack(request.parameters)
    paging = bool(request.irp_flags & IrpFlags.PAGING_IO) and request.kind is OperationClass.IRP
    if not transfer.length:
        return int(NtStatus.SUCCESS), 0
    if not paging:
        if node.directory:
            return int(NtStatus.INVALID_DEVICE_REQUEST), 0
        driver.lock_table(node).check(file, transfer.offset, transfer.length, transfer.key, write=False)
    size = driver.files.size(node)
    if transfer.offset >= size:
        return int(NtStatus.END_OF_FILE), 0
    length = min(transfer.length, size - transfer.offset)
    if paging or request.irp_flags & IrpFlags.NOCACHE:
        if not paging:
            _check_aligned(transfer)
            yield from _flush_range(driver, node, transfer.offset, transfer.length)
        data = driver.files.read(node, transfer.offset, transfer.length)
    else:
        cache = _initialize_cache(driver, node, file)
        data = yield from cache.read(transfer.offset, length)
    # Paging reads fill whole pages: what lies behind the end of the file is zero.
    yield from driver.kernel.io.views.write(transfer.buffer, data.ljust(transfer.length, b"\0") if paging else data)
    _move_position(file, transfer.offset, len(data), paging=paging)
    return int(NtStatus.SUCCESS), len(data)


def write(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_WRITE, by IRP or fast I/O."""
    file = _file(request)
    if file.opened is None:
        return int(NtStatus.INVALID_DEVICE_REQUEST), 0
    node = file.opened.node
    transfer = Transfer.unpack(request.parameters)
    paging = bool(request.irp_flags & IrpFlags.PAGING_IO) and request.kind is OperationClass.IRP
    offset = driver.files.size(node) if transfer.offset == WRITE_TO_END_OF_FILE else transfer.offset
    if not transfer.length:
        return int(NtStatus.SUCCESS), 0
    data = yield from driver.kernel.io.views.read(transfer.buffer, transfer.length)
    if paging:
        driver.files.write(node, offset, data, paging=True)
        return int(NtStatus.SUCCESS), transfer.length
    driver.lock_table(node).check(file, offset, transfer.length, transfer.key, write=True)
    if request.irp_flags & IrpFlags.NOCACHE:
        _check_aligned(transfer)
        yield from _flush_range(driver, node, offset, transfer.length)
        driver.files.write(node, offset, data)
        cache = driver.cache_of(node)
        if cache is not None:
            cache.purge(offset, data)
    else:
        if offset + len(data) > driver.files.size(node):
            driver.files.set_end_of_file(node, offset + len(data))
        cache = _initialize_cache(driver, node, file)
        yield from cache.write(offset, data)
        if file.flags & FileObjectFlags.WRITE_THROUGH:
            yield from cache.flush(offset, len(data))
    file.add_flags(int(FileObjectFlags.FILE_MODIFIED))
    _move_position(file, offset, len(data), paging=False)
    return int(NtStatus.SUCCESS), len(data)


def flush(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_FLUSH_BUFFERS: dirty pages are written, then the host's disk is asked to keep them."""
    file = _file(request)
    if file.opened is None:
        return int(NtStatus.SUCCESS), 0
    node = file.opened.node
    if node.directory:
        return int(NtStatus.SUCCESS), 0
    yield from _flush_range(driver, node, 0, driver.files.size(node))
    driver.files.flush(node)
    return int(NtStatus.SUCCESS), 0


def check_if_possible(driver: "FileSystemDriver", request: Request) -> Code:
    """FastIoCheckIfPossible: no byte-range lock is in the way."""
    file = _file(request)
    possible = file.opened is not None and not driver.lock_table(file.opened.node).locks
    yield from ()
    return int(NtStatus.SUCCESS if possible else NtStatus.FLT_DISALLOW_FAST_IO), 0


def _file(request: Request) -> "FileObject":
    if request.file is None:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    return request.file


def _move_position(file: "FileObject", offset: int, length: int, *, paging: bool) -> None:
    """After a transfer on a synchronous file object its position is behind it."""
    if file.synchronous and not paging:
        file.view.current_byte_offset = offset + length


def _check_aligned(transfer: Transfer) -> None:
    """Non-cached transfers are whole sectors."""
    if transfer.offset % SECTOR_SIZE or transfer.length % SECTOR_SIZE:
        raise VolumeError(NtStatus.INVALID_PARAMETER)


def _initialize_cache(driver: "FileSystemDriver", node: "Node", file: "FileObject") -> "CacheMap":
    """CcInitializeCacheMap: from here on the handle's reads and writes may be fast I/O."""
    from harness.reference.windows.cc.cache_map import CacheMap

    cache = driver.caches.get(node)
    if cache is None:
        cache = driver.caches[node] = CacheMap(driver, node, file)
    if not file.caches:
        file.caches = True
        file.view.private_cache_map = file.address + 0xD0
    return cache


def _flush_range(driver: "FileSystemDriver", node: "Node", offset: int, length: int) -> Code:
    cache = driver.cache_of(node)
    if cache is not None:
        yield from cache.flush(offset, length)
