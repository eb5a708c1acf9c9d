"""What the driver keeps for a stream that is open: its header in guest memory, its oplock, its byte-range locks."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.windows.fs.byte_range_locks import LockTable
from harness.reference.windows.fsrtl.oplocks import Oplock

if TYPE_CHECKING:
    from harness.reference.windows.cc.cache_map import CacheMap
    from harness.reference.windows.fs.filesystem import FileSystem
    from harness.reference.windows.fs.inode import Stream
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.ntos.executive import Executive

_HEADER = Struct("<HhBBBBQQqqq")
"""FSRTL_COMMON_FCB_HEADER."""
HEADER_SIZE = 0x80
_FILTER_CONTEXTS = 0x38
_SIZES = Struct("<qqq")
_ALLOCATION_SIZE = 0x18
_DATA_STREAM, _INDEX = 0x0705, 0x0704
_ACQUIRE_MAIN, _ADVANCED_HEADER = 0x01, 0x40
_SUPPORTS_FILTER_CONTEXTS = 0x02
_VERSION = 2 << 4
SECTION_POINTERS_SIZE = 0x18


class StreamState:
    """FsContext of a stream's file objects (FSRTL_ADVANCED_FCB_HEADER), and what hangs on the stream."""

    def __init__(self, kernel: "Executive", io: "IoManager", files: "FileSystem", stream: "Stream") -> None:
        self._kernel = kernel
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
        self.show_sizes()

    def size(self) -> int:
        """EndOfFile in bytes; 0 for a directory."""
        return self._files.size(self.stream)

    def resize(self, size: int) -> None:
        """Set EndOfFile. Raises StatusError."""
        self._files.resize(self.stream, size)

    def show_sizes(self) -> None:
        """Bring AllocationSize, FileSize and ValidDataLength in the header up to date."""
        size = self.size()
        allocation = max(self.stream.reserved, -(-size // 4096) * 4096)
        self._kernel.memory.write(self.address + _ALLOCATION_SIZE, _SIZES.pack(allocation, size, size))

    def show_section(self, field: int, value: int) -> None:
        """Set a field of the stream's SECTION_OBJECT_POINTERS."""
        self._kernel.memory.write_u64(self.section_pointers + field, value)

    def take_contexts(self) -> list[int]:
        """FsRtlTeardownPerStreamContexts: the FSRTL_PER_STREAM_CONTEXTs that filters have left, off their list."""
        memory, head = self._kernel.memory, self.address + _FILTER_CONTEXTS
        found, at = [], memory.read_u64(head)
        while at != head:
            found.append(at)
            at = memory.read_u64(at)
        memory.write_u64(head, head)
        memory.write_u64(head + 8, head)
        return found

    def free(self) -> None:
        """The stream is closed."""
        self._heap.free(self.address)
        self._heap.free(self.section_pointers)
