"""What the driver keeps for a stream that is open: its header in guest memory, its oplock, its byte-range locks."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.windows.cc.cache_map import CacheMap
from harness.reference.windows.fs.byte_range_locks import LockTable
from harness.reference.windows.fsrtl.filter_contexts import FilterContext, listed, remove, take_file_contexts
from harness.reference.windows.fsrtl.oplocks import Oplock
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.fs.filesystem import FileSystem
    from harness.reference.windows.fs.inode import Stream
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.ntos.executive import Executive

_HEADER = Struct("<HhBBBBQQqqq")
"""FSRTL_COMMON_FCB_HEADER."""
HEADER_SIZE = 0x80
_FILTER_CONTEXTS, _FILE_CONTEXT_SUPPORT = 0x38, 0x50
_SIZES = Struct("<qqq")
_ALLOCATION_SIZE = 0x18
_DATA_STREAM, _INDEX = 0x0705, 0x0704
_ACQUIRE_MAIN, _ADVANCED_HEADER = 0x01, 0x40
_SUPPORTS_FILTER_CONTEXTS = 0x02
_VERSION = 2 << 4
SECTION_POINTERS_SIZE = 0x18


class FileContexts:
    """Where the contexts on a file are, whichever of its streams are open: what FileContextSupportPointer leads to."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self.streams: set[Stream] = set()
        """Those of the file's that are open."""
        self.address = kernel.heap.allocate(8)

    def take(self) -> list[FilterContext]:
        """FsRtlTeardownPerFileContexts: what filters have left, off its list."""
        return take_file_contexts(self._kernel.memory, self._kernel.heap, self.address)

    def free(self) -> None:
        """No stream of the file is open."""
        self._kernel.heap.free(self.address)


class StreamState:
    """FsContext of a stream's file objects (FSRTL_ADVANCED_FCB_HEADER), and what hangs on the stream."""

    def __init__(
        self, kernel: "Executive", io: "IoManager", files: "FileSystem", stream: "Stream", file_contexts: int
    ) -> None:
        """`file_contexts` is where the contexts of all of the file are kept: PerFileContextPointer."""
        self._kernel = kernel
        self._io = io
        self._heap = heap = io.heap
        self._files = files
        self.stream = stream
        self.oplock = Oplock(kernel.signal)
        self.locks = LockTable(io.complete_later)
        self.cache: CacheMap | None = None
        """Its pages in memory, if it has any."""
        self.address = heap.allocate(HEADER_SIZE)
        self.section_pointers = heap.allocate(SECTION_POINTERS_SIZE)
        memory = kernel.memory
        kind = _INDEX if stream.directory else _DATA_STREAM
        memory.write(
            self.address,
            _HEADER.pack(kind, HEADER_SIZE, _ADVANCED_HEADER, 0, _SUPPORTS_FILTER_CONTEXTS, _VERSION, 0, 0, 0, 0, 0),
        )
        contexts = self.address + _FILTER_CONTEXTS
        memory.write_u64(contexts, contexts)
        memory.write_u64(contexts + 8, contexts)
        memory.write_u64(self.address + _FILE_CONTEXT_SUPPORT, file_contexts)
        self.show_sizes()

    def size(self) -> int:
        """EndOfFile in bytes; 0 for a directory."""
        return self._files.size(self.stream)

    def end(self, file: "FileObject") -> Code:
        """EndOfFile in bytes, for a section."""
        del file
        yield from ()
        return self.size()

    def extend(self, file: "FileObject", size: int) -> Code:
        """Set EndOfFile, for a section. Raises StatusError."""
        del file
        yield from ()
        self._files.resize(self.stream, size)

    def make_cache(self, file: "FileObject") -> CacheMap:
        """CcInitializeCacheMap."""
        if self.cache is None:
            self.cache = CacheMap(self._kernel, self._io, self, file)
        return self.cache

    def show_sizes(self) -> None:
        """Bring AllocationSize, FileSize and ValidDataLength in the header up to date."""
        size = self.size()
        allocation = max(self.stream.reserved, -(-size // 4096) * 4096)
        self._kernel.memory.write(
            self.address + _ALLOCATION_SIZE, _SIZES.pack(allocation, size, self._files.valid_data_length(self.stream))
        )

    def show_section(self, field: int, value: int) -> None:
        """Set a field of the stream's SECTION_OBJECT_POINTERS."""
        self._kernel.memory.write_u64(self.section_pointers + field, value)

    def take_contexts(self) -> list[FilterContext]:
        """FsRtlTeardownPerStreamContexts: what filters have left on the stream, off its list."""
        found = listed(self._kernel.memory, self.address + _FILTER_CONTEXTS)
        for context in found:
            remove(context)
        return found

    def free(self) -> None:
        """The stream is closed."""
        self._heap.free(self.address)
        self._heap.free(self.section_pointers)
