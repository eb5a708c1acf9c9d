"""Streams of drivers: a file system or filter that has file objects of its own, with its own FCBs, and has them cached.

What the cache manager and the memory manager know of such a stream is at its SECTION_OBJECT_POINTERS; what they want
to know else they ask at the top of the file object's stack.
"""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass, nt_success
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.cc.cache_map import CacheMap
from harness.reference.windows.io.constants import FileInformationClass, FileObjectFlags, IrpFlags
from harness.reference.windows.io.parameters import INFORMATION, SET_INFORMATION
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.ke.dispatcher_objects import GuestEvent
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.ntos.executive import Executive

_STANDARD_SIZE, _END_OF_FILE_AT, _DIRECTORY_AT = 24, 8, 21
"""FILE_STANDARD_INFORMATION."""
_CALLBACKS = Struct("<4Q")
"""CACHE_MANAGER_CALLBACKS: AcquireForLazyWrite, ReleaseFromLazyWrite, AcquireForReadAhead, ReleaseFromReadAhead."""
_EVENT = 8
"""Offset of Event in CACHE_UNINITIALIZE_EVENT."""


class DriverCacheMap(CacheMap):
    """The cache map of a driver's stream: its file objects use it until they say otherwise."""

    def __init__(self, kernel: "Executive", io: "IoManager", stream: "DriverStream", file: "FileObject") -> None:
        super().__init__(kernel, io, stream, file)
        self.driver_stream = stream

    def write_behind(self) -> Code:
        """With the locks that the driver's callbacks take; not now if they say so."""
        acquire, release, context = self.driver_stream.lazy_writer
        if acquire and self.is_dirty() and not (yield Call(acquire, context, 1)) & 0xFF:
            self._schedule_lazy_writer()
            return
        dirty = self.is_dirty()
        yield from super().write_behind()
        if acquire and release and dirty:
            yield Call(release, context)

    def uncached_by(self, file: "FileObject") -> bool:
        """CcUninitializeCacheMap; whether nobody uses the cache any more."""
        file.caches = False
        file.view.private_cache_map = 0
        self._users.discard(file)
        if not self._users:
            self.used_less()
        return not self._users

    def _in_use(self) -> bool:
        return bool(self._users) or super()._in_use()

    def _teardown(self) -> Code:
        yield from super()._teardown()
        if self.driver_stream.cache is None:
            self.driver_stream.gone()


class DriverStream:
    """What is cached or mapped of a driver's stream."""

    def __init__(self, kernel: "Executive", io: "IoManager", streams: "DriverStreams", pointers: int) -> None:
        self._kernel = kernel
        self._io = io
        self._streams = streams
        self.pointers = pointers
        self.cache: CacheMap | None = None
        self._size = 0
        self.lazy_writer = (0, 0, 0)
        """AcquireForLazyWrite, ReleaseFromLazyWrite and their context."""
        self._waiting: list[int] = []
        """CACHE_UNINITIALIZE_EVENTs."""

    def size(self) -> int:
        """FileSize, as CcInitializeCacheMap and CcSetFileSizes are told it, and the memory manager when it asks."""
        return self._size

    def set_size(self, size: int) -> None:
        """CcSetFileSizes."""
        shorter, self._size = size < self._size, size
        if self.cache is not None and shorter:
            self.cache.truncate(size)
        elif self.cache is not None:
            self.cache.show_size()

    def set_callbacks(self, callbacks: int, context: int) -> None:
        """What CcInitializeCacheMap is told of the driver's locks."""
        acquire, release, _, _ = _CALLBACKS.unpack(self._kernel.memory.read(callbacks, _CALLBACKS.size))
        self.lazy_writer = (acquire, release, context)

    def show_section(self, field: int, value: int) -> None:
        """Set a field of its SECTION_OBJECT_POINTERS."""
        self._kernel.memory.write_u64(self.pointers + field, value)

    def make_cache(self, file: "FileObject") -> "DriverCacheMap":
        """Its cache map, made where it has none."""
        if self.cache is None:
            self._streams.by_pointers[self.pointers] = self
            self.cache = DriverCacheMap(self._kernel, self._io, self, file)
        assert isinstance(self.cache, DriverCacheMap)
        return self.cache

    # -- what the driver is asked

    def end(self, file: "FileObject") -> Code:
        """FsRtlGetFileSize, from the top of the file's stack."""
        buffer = self._io.heap.allocate(_STANDARD_SIZE)
        packed = INFORMATION.pack(_STANDARD_SIZE, int(FileInformationClass.STANDARD), buffer)
        status: int = yield from self._ask(file, IrpMajor.QUERY_INFORMATION, packed)
        data = self._kernel.memory.read(buffer, _STANDARD_SIZE)
        self._io.heap.free(buffer)
        if not nt_success(status):
            raise StatusError(status)
        if data[_DIRECTORY_AT]:
            raise StatusError(NtStatus.INVALID_FILE_FOR_SECTION)
        size = int.from_bytes(data[_END_OF_FILE_AT : _END_OF_FILE_AT + 8], "little", signed=True)
        if self.cache is None:
            self._size = size
        return size

    def extend(self, file: "FileObject", size: int) -> Code:
        """FsRtlSetFileSize."""
        buffer = self._io.heap.allocate(8)
        self._kernel.memory.write_u64(buffer, size)
        packed = SET_INFORMATION.pack(8, int(FileInformationClass.END_OF_FILE), 0, 0, buffer)
        status: int = yield from self._ask(file, IrpMajor.SET_INFORMATION, packed)
        self._io.heap.free(buffer)
        if not nt_success(status):
            raise StatusError(status)
        if self.cache is None:
            self._size = size

    def _ask(self, file: "FileObject", major: IrpMajor, parameters: bytes) -> Code:
        """The status of a request with a system buffer, waited for."""
        request = Request(
            OperationClass.IRP,
            major,
            file,
            self._kernel.current,
            parameters=parameters,
            irp_flags=int(IrpFlags.SYNCHRONOUS_API | IrpFlags.BUFFERED_IO),
        )
        request.system_buffer = True
        yield from self._io.issue(request)
        return request.status

    # -- the end

    def tell_end(self, event: int) -> None:
        """Signal a CACHE_UNINITIALIZE_EVENT once nothing is cached any more."""
        self._waiting.append(event)

    def gone(self) -> None:
        """Its cache map has been torn down."""
        self._streams.by_pointers.pop(self.pointers, None)
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._streams.signal_end(event)


class DriverStreams:
    """The streams of drivers that are cached or mapped, by their SECTION_OBJECT_POINTERS."""

    def __init__(self, kernel: "Executive", io: "IoManager") -> None:
        self._kernel = kernel
        self._io = io
        self.by_pointers: dict[int, DriverStream] = {}

    def of(self, file: "FileObject") -> DriverStream | None:
        """That of a file object, if a driver has given it SECTION_OBJECT_POINTERS."""
        pointers = file.view.section_object_pointer
        if file.opened is not None or not pointers or file.flags & FileObjectFlags.VOLUME_OPEN:
            return None
        known = self.by_pointers.get(pointers)
        return known if known is not None else DriverStream(self._kernel, self._io, self, pointers)

    def cache_at(self, pointers: int) -> CacheMap | None:
        """The cache of the stream with these SECTION_OBJECT_POINTERS, if it has one."""
        stream = self.by_pointers.get(pointers)
        return stream.cache if stream is not None else None

    def signal_end(self, event: int) -> None:
        """Signal a CACHE_UNINITIALIZE_EVENT."""
        found = GuestEvent(self._kernel.memory, event + _EVENT)
        found.header.signal_state = 1
        self._kernel.signal(found)
