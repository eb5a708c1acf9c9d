"""The file system driver: what happens to a request that has come through all minifilters.

Parameters are read from the request as the lowest filter left them. A handler answers (status, Information), or None
where the request is kept and completed later (a lock that is waited for, a directory that is watched).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.cc.cache_map import CacheMap
from harness.reference.windows.fs.cluster_map import ClusterMap
from harness.reference.windows.fs.errors import Reparse
from harness.reference.windows.fs.limits import refusal
from harness.reference.windows.fs.names import length
from harness.reference.windows.fs.stream_state import FileContexts, StreamState
from harness.reference.windows.fsrtl.filter_contexts import FilterContext
from harness.reference.windows.fsrtl.notify import NotifyList
from harness.reference.windows.fsrtl.oplock_keys import key_of
from harness.reference.windows.fsrtl.oplocks import ACKNOWLEDGEMENT_TICKS
from harness.reference.windows.io.constants import DeviceFlags, FileObjectFlags
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.unwritten_data import look_at_question
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.structures.irp import Irp

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.fs.inode import Inode, Stream
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.ntos.executive import Executive

Answer = tuple[int, int] | None
Handler = Callable[["FileSystemDriver", Request], Code]


_AFTER_DISMOUNT = frozenset({IrpMajor.CLEANUP, IrpMajor.CLOSE})
_OF_THE_DISK = frozenset({IrpMajor.READ, IrpMajor.WRITE, IrpMajor.FILE_SYSTEM_CONTROL, IrpMajor.DEVICE_CONTROL})
"""What still works by a handle to the volume after its dismount: it is the disk that is asked."""


class FileSystemDriver:
    """The file system of one volume."""

    def __init__(
        self, kernel: "Executive", io: "IoManager", volume: "Volume", handlers: "Mapping[int, Handler]"
    ) -> None:
        self.kernel = kernel
        self.io = io
        self.volume = volume
        self._handlers = handlers
        assert volume.file_system is not None
        self.files = volume.file_system
        self.created = self.files.store.now()
        """VolumeCreationTime."""
        self.clusters = ClusterMap(self.files)
        self.notify = NotifyList()
        self._acting: dict[Thread, FileObject | None] = {}
        """By whose request each thread is here now."""
        self.locked_by: FileObject | None = None
        """The volume handle that has the volume locked."""
        self.vpb = volume.vpb
        """Of this mount."""
        self.dismounted = False
        """The mount has ended; its files are still to be closed."""
        self.sectors: dict[int, bytes] = {}
        """Sectors that were written through a handle to the volume."""
        self._states: dict[Stream, StreamState] = {}
        self._file_contexts: dict[Inode, FileContexts] = {}

    def dispatch(self, request: Request) -> Code:
        """Do a request."""
        handler = self._handlers.get(request.major)
        if handler is None:
            return int(NtStatus.INVALID_DEVICE_REQUEST), 0
        if request.file is not None and request.file.opened is None and self._is_foreign(request.file, request.major):
            return self._refuse_foreign(request), 0
        if self.dismounted and request.major not in _AFTER_DISMOUNT and not self._asks_disk(request):
            return int(NtStatus.VOLUME_DISMOUNTED), 0
        refused = refusal(self.kernel, self.files.kind, request)
        if refused:
            return refused, 0
        if self.kernel.pool.unwritten.is_known:
            look_at_question(self.kernel, request)
        thread = self.kernel.current
        before, self._acting[thread] = self._acting.get(thread), request.file
        try:
            return (yield from handler(self, request))
        except StatusError as error:
            return int(error.status), 0
        except Reparse as reparse:
            self._give_reparse_data(request, reparse)
            return int(NtStatus.REPARSE), reparse.tag
        except GuestException as exception:
            # A user buffer that cannot be touched.
            return exception.status, 0
        finally:
            self._acting[thread] = before
            if before is None:
                del self._acting[thread]

    def acting(self) -> "FileObject | None":
        """The file object of the request that the current thread does."""
        return self._acting.get(self.kernel.current)

    @staticmethod
    def _is_foreign(file: "FileObject", major: int) -> bool:
        """Whether a filter has opened it: FsContext is set, and not by a create of ours."""
        if major == IrpMajor.CREATE or file.flags & FileObjectFlags.VOLUME_OPEN:
            return False
        return bool(file.view.fs_context)

    def _refuse_foreign(self, request: Request) -> int:
        """What comes here of a file object that is a filter's own: on Windows, NTFS takes its FsContext for an SCB."""
        if request.kind is OperationClass.FS_FILTER:
            return int(NtStatus.SUCCESS)
        if request.kind is OperationClass.FAST_IO:
            return int(NtStatus.FLT_DISALLOW_FAST_IO)
        assert request.file is not None
        self.kernel.verifier.report(
            None,
            request.file.owner,
            f"{request.name} of a file object that it has opened itself has reached the file system: who completes a "
            "create with an FsContext of its own completes everything else of it, too",
        )
        return int(NtStatus.SUCCESS if request.major in _AFTER_DISMOUNT else NtStatus.INVALID_PARAMETER)

    @staticmethod
    def _asks_disk(request: Request) -> bool:
        by_volume = request.file is not None and request.file.opened is None
        return by_volume and request.major in _OF_THE_DISK

    def owns(self, file: "FileObject") -> bool:
        """Whether a file object was opened on this mount."""
        return file.view.vpb == self.vpb

    @property
    def needs_verification(self) -> bool:
        """Whether the disk has told that another medium may be in it."""
        return bool(self.volume.disk.view.flags & DeviceFlags.VERIFY_VOLUME)

    @property
    def in_use(self) -> bool:
        """Whether files of this mount are open: the volume cannot be locked or removed in an orderly way."""
        return any(inode.handles for inode in self.files.store.inodes())

    def is_open_elsewhere(self, stream: "Stream", file: "FileObject") -> bool:
        """Whether another file object of this mount has a stream open."""
        others = self.io.files.get(self.volume, ())
        return any(
            other is not file and other.opened is not None and other.opened.stream is stream and self.owns(other)
            for other in others
        )

    def handles_beside(self, stream: "Stream", file: "FileObject") -> int:
        """How many handles of a stream there are that have not the oplock key of a file object."""
        of_key = sum(
            other.opened is not None and other.opened.stream is stream and not other.opened.cleaned_up
            for other in self.io.files.get(self.volume, ())
            if other is not file and key_of(other) == key_of(file)
        )
        return stream.handles - 1 - of_key

    def dismount(self, *, flush: bool) -> Code:
        """The mount ends, whatever is open. What is not written is lost if there is no disk to `flush` it to."""
        for cache in self.caches() if flush else ():
            yield from cache.flush(0, 1 << 62)
        self.dismounted = True
        self.files.forget_opens()
        yield from self.io.file_systems.dismounted(self.volume)

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
        state = self._states.get(stream)
        return state.cache if state is not None else None

    def caches(self) -> list[CacheMap]:
        """Those of all streams."""
        return [state.cache for state in self._states.values() if state.cache is not None]

    def state(self, stream: "Stream") -> StreamState:
        """What the driver keeps for a stream while somebody has it open."""
        state = self._states.get(stream)
        if state is None:
            contexts = self._file_contexts.get(stream.inode)
            if contexts is None:
                contexts = self._file_contexts[stream.inode] = FileContexts(self.kernel)
            contexts.streams.add(stream)
            state = StreamState(self.kernel, self.io, self.files, stream, contexts.address)
            self._states[stream] = state
        return state

    def take_contexts(self, stream: "Stream") -> list[FilterContext]:
        """The last file object of a stream is being closed: what filters have left on it, and on the file with it."""
        found = self.state(stream).take_contexts()
        contexts = self._file_contexts[stream.inode]
        return found + (contexts.take() if contexts.streams == {stream} else [])

    def known_state(self, stream: "Stream") -> StreamState | None:
        """The same, if there is any."""
        return self._states.get(stream)

    def state_of(self, section_pointers: int) -> StreamState | None:
        """The same, of the stream whose SECTION_OBJECT_POINTERS these are."""
        return next((state for state in self._states.values() if state.section_pointers == section_pointers), None)

    def forget(self, stream: "Stream") -> None:
        """The last file object of a stream is closed: what was kept for it goes, and the contexts on it."""
        state = self._states.pop(stream, None)
        contexts = self._file_contexts.get(stream.inode)
        if contexts is not None:
            contexts.streams.discard(stream)
            if not contexts.streams:
                self._file_contexts.pop(stream.inode).free()
        if state is not None and self.dismounted:
            state.free()
        elif state is not None:
            for function in self.io.on_stream_gone:
                function(stream, stream.inode if stream.inode.opens == 0 else None)
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
                self.io.complete_later(request, *answer)

        self.kernel.queue_worker(later())
        return None
