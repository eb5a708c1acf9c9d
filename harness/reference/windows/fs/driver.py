"""The file system driver: what happens to a request that has come through all minifilters.

Parameters are read from the request as the lowest filter left them. A handler answers (status, Information), or None
where the request is kept and completed later (a lock that is waited for, a directory that is watched).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.windows.cc.cache_map import CacheMap
from harness.reference.windows.fs import byte_range_locks, control, directory, information, lifetime, transfer
from harness.reference.windows.fs.byte_range_locks import LockTable
from harness.reference.windows.fs.errors import VolumeError
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fs.filesystem import Node
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel

Answer = tuple[int, int] | None
Handler = Callable[["FileSystemDriver", Request], Code]

_HANDLERS: dict[int, Handler] = {
    IrpMajor.CREATE: lifetime.create,
    IrpMajor.CLEANUP: lifetime.cleanup,
    IrpMajor.CLOSE: lifetime.close,
    IrpMajor.READ: transfer.read,
    IrpMajor.WRITE: transfer.write,
    IrpMajor.FLUSH_BUFFERS: transfer.flush,
    IrpMajor.QUERY_INFORMATION: information.query,
    IrpMajor.SET_INFORMATION: information.set_,
    IrpMajor.QUERY_VOLUME_INFORMATION: information.query_volume,
    IrpMajor.NETWORK_QUERY_OPEN: information.network_query_open,
    IrpMajor.QUERY_OPEN: information.query_open,
    IrpMajor.DIRECTORY_CONTROL: directory.control,
    IrpMajor.FILE_SYSTEM_CONTROL: control.file_system_control,
    IrpMajor.DEVICE_CONTROL: control.device_control,
    IrpMajor.LOCK_CONTROL: byte_range_locks.control,
    IrpMajor.QUERY_EA: control.query_ea,
    IrpMajor.SET_EA: control.set_ea,
    IrpMajor.QUERY_SECURITY: control.query_security,
    IrpMajor.SET_SECURITY: control.set_security,
    IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION: control.acquire,
    IrpMajor.RELEASE_FOR_SECTION_SYNCHRONIZATION: control.acquire,
    IrpMajor.ACQUIRE_FOR_MOD_WRITE: control.acquire,
    IrpMajor.RELEASE_FOR_MOD_WRITE: control.acquire,
    IrpMajor.ACQUIRE_FOR_CC_FLUSH: control.acquire,
    IrpMajor.RELEASE_FOR_CC_FLUSH: control.acquire,
    IrpMajor.FAST_IO_CHECK_IF_POSSIBLE: transfer.check_if_possible,
}


class FileSystemDriver:
    """The file system of one volume."""

    def __init__(self, kernel: "Kernel", volume: "Volume") -> None:
        self.kernel = kernel
        self.volume = volume
        self.files = volume.file_system
        self.caches: dict[Node, CacheMap] = {}
        self.locks: dict[Node, LockTable] = {}
        self.watches: list[Request] = []
        self._streams: dict[Node, int] = {}

    def dispatch(self, request: Request) -> Code:
        """Do a request."""
        handler = _HANDLERS.get(request.major)
        if handler is None:
            return int(NtStatus.INVALID_DEVICE_REQUEST), 0
        try:
            return (yield from handler(self, request))
        except VolumeError as error:
            return int(error.status), 0
        except GuestException as exception:
            # A user buffer that cannot be touched.
            return exception.status, 0

    def cache_of(self, node: "Node") -> CacheMap | None:
        """The file's pages in memory, if it has any."""
        return self.caches.get(node)

    def lock_table(self, node: "Node") -> LockTable:
        """The byte-range locks of a file."""
        table = self.locks.get(node)
        if table is None:
            table = self.locks[node] = LockTable()
        return table

    def stream_address(self, node: "Node") -> int:
        """FsContext: the same for all file objects of a file."""
        address = self._streams.get(node)
        if address is None:
            address = self._streams[node] = self.kernel.io.heap.allocate(0x80)
        return address

    def forget(self, node: "Node") -> None:
        """The last file object of a file is closed: its stream goes, and the contexts on it."""
        address = self._streams.pop(node, None)
        if address is not None:
            self.kernel.flt.stream_gone(self.volume, node)
            self.kernel.io.heap.free(address)
        self.locks.pop(node, None)
