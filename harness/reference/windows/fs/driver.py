"""The file system driver: what happens to a request that has come through all minifilters.

Parameters are read from the request as the lowest filter left them. A handler answers (status, Information), or None
where the request is kept and completed later (a lock that is waited for, a directory that is watched).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.cc.cache_map import CacheMap
from harness.reference.windows.fs import (
    byte_range_locks,
    control,
    directory,
    ea_and_security,
    information,
    lifetime,
    notify_requests,
    section_requests,
    set_information,
    transfer,
    volume_information,
)
from harness.reference.windows.fs.errors import Reparse, VolumeError
from harness.reference.windows.fs.names import length
from harness.reference.windows.fs.stream_state import StreamState
from harness.reference.windows.fsrtl.notify import NotifyList
from harness.reference.windows.fsrtl.oplocks import ACKNOWLEDGEMENT_TICKS
from harness.reference.windows.io.constants import Minor
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.structures.irp import Irp

if TYPE_CHECKING:
    from harness.reference.windows.fs.inode import Stream
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel

Answer = tuple[int, int] | None
Handler = Callable[["FileSystemDriver", Request], Code]


def _directory_control(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_DIRECTORY_CONTROL."""
    if request.minor == Minor.NOTIFY_CHANGE_DIRECTORY:
        return (yield from notify_requests.notify(driver, request))
    return (yield from directory.query(driver, request))


_HANDLERS: dict[int, Handler] = {
    IrpMajor.CREATE: lifetime.create,
    IrpMajor.CLEANUP: lifetime.cleanup,
    IrpMajor.CLOSE: lifetime.close,
    IrpMajor.READ: transfer.read,
    IrpMajor.WRITE: transfer.write,
    IrpMajor.FLUSH_BUFFERS: transfer.flush,
    IrpMajor.QUERY_INFORMATION: information.query,
    IrpMajor.SET_INFORMATION: set_information.set_,
    IrpMajor.QUERY_VOLUME_INFORMATION: volume_information.query,
    IrpMajor.SET_VOLUME_INFORMATION: volume_information.set_,
    IrpMajor.NETWORK_QUERY_OPEN: information.network_query_open,
    IrpMajor.QUERY_OPEN: information.query_open,
    IrpMajor.DIRECTORY_CONTROL: _directory_control,
    IrpMajor.FILE_SYSTEM_CONTROL: control.file_system_control,
    IrpMajor.DEVICE_CONTROL: control.device_control,
    IrpMajor.LOCK_CONTROL: byte_range_locks.control,
    IrpMajor.QUERY_EA: ea_and_security.query_ea,
    IrpMajor.SET_EA: ea_and_security.set_ea,
    IrpMajor.QUERY_SECURITY: ea_and_security.query_security,
    IrpMajor.SET_SECURITY: ea_and_security.set_security,
    IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION: section_requests.acquire_for_section,
    IrpMajor.RELEASE_FOR_SECTION_SYNCHRONIZATION: section_requests.release,
    IrpMajor.ACQUIRE_FOR_MOD_WRITE: section_requests.release,
    IrpMajor.RELEASE_FOR_MOD_WRITE: section_requests.release,
    IrpMajor.ACQUIRE_FOR_CC_FLUSH: section_requests.release,
    IrpMajor.RELEASE_FOR_CC_FLUSH: section_requests.release,
    IrpMajor.FAST_IO_CHECK_IF_POSSIBLE: transfer.check_if_possible,
}
_AFTER_DISMOUNT = frozenset({IrpMajor.CREATE, IrpMajor.CLEANUP, IrpMajor.CLOSE})


class FileSystemDriver:
    """The file system of one volume."""

    def __init__(self, kernel: "Kernel", volume: "Volume") -> None:
        self.kernel = kernel
        self.volume = volume
        assert volume.file_system is not None
        self.files = volume.file_system
        self.files.watch = lambda change: notify_requests.changed(self, change)
        self.files.sections = section_requests.StreamSections(self)
        self.caches: dict[Stream, CacheMap] = {}
        self.created = self.files.store.now()
        """VolumeCreationTime."""
        self.notify = NotifyList()
        self.locked_by: FileObject | None = None
        """The volume handle that has the volume locked."""
        self.dismounted: set[FileObject] = set()
        """File objects of a mount that has ended."""
        self.sectors: dict[int, bytes] = {}
        """Sectors that were written through a handle to the volume."""
        self._states: dict[Stream, StreamState] = {}

    def dispatch(self, request: Request) -> Code:
        """Do a request."""
        handler = _HANDLERS.get(request.major)
        if handler is None:
            return int(NtStatus.INVALID_DEVICE_REQUEST), 0
        if self.dismounted and request.file in self.dismounted and request.major not in _AFTER_DISMOUNT:
            return int(NtStatus.VOLUME_DISMOUNTED), 0
        try:
            return (yield from handler(self, request))
        except VolumeError as error:
            return int(error.status), 0
        except Reparse as reparse:
            self._give_reparse_data(request, reparse)
            return int(NtStatus.REPARSE), reparse.tag
        except GuestException as exception:
            # A user buffer that cannot be touched.
            return exception.status, 0

    def _give_reparse_data(self, request: Request, reparse: Reparse) -> None:
        """The IRP's AuxiliaryBuffer has the reparse point's data; Reserved says how much of the name was left."""
        if not request.irp:
            return
        left = 2 * length(reparse.remaining)
        data = reparse.data[:6] + left.to_bytes(2, "little") + reparse.data[8:]
        block = self.kernel.pool.allocate(len(data), "NtFr", paged=True)
        self.kernel.memory.write(block, data)
        Irp(self.kernel.memory, request.irp).auxiliary_buffer = block

    def cache_of(self, stream: "Stream") -> CacheMap | None:
        """The stream's pages in memory, if it has any."""
        return self.caches.get(stream)

    def state(self, stream: "Stream") -> StreamState:
        """What the driver keeps for a stream while somebody has it open."""
        state = self._states.get(stream)
        if state is None:
            state = self._states[stream] = StreamState(self.kernel, stream)
        return state

    def known_state(self, stream: "Stream") -> StreamState | None:
        """The same, if there is any."""
        return self._states.get(stream)

    def forget(self, stream: "Stream") -> None:
        """The last file object of a stream is closed: what was kept for it goes, and the contexts on it."""
        state = self._states.pop(stream, None)
        if state is not None:
            self.kernel.flt.stream_gone(self.volume, stream)
            state.free()

    def wait_for_break(self, stream: "Stream", event: Event, reason: str) -> Code:
        """Wait for the acknowledgement of an oplock break. A holder that takes too long loses its oplock."""
        yield Wait([event], timeout=ACKNOWLEDGEMENT_TICKS, reason=reason)
        if not event.state:
            self.state(stream).oplock.give_up()

    def wait(self, request: Request, event: Event, again: Handler) -> Code:
        """Do a request once an oplock break is acknowledged: here if its issuer waits, else in a system thread."""
        assert request.file is not None
        assert request.file.opened is not None
        stream = request.file.opened.stream
        reason = f"{request.describe()} to be let on by an oplock's holder"
        if request.synchronous:
            yield from self.wait_for_break(stream, event, reason)
            return (yield from again(self, request))

        def later() -> Code:
            yield from self.wait_for_break(stream, event, reason)
            answer = yield from self.dispatch(request)
            if answer is not None:
                self.kernel.io.complete_later(request, *answer)

        self.kernel.queue_worker(later())
        return None
