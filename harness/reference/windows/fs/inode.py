"""What a volume consists of: inodes, their streams, and the names that lead to them.

An inode is a file or directory whatever it is called; a link is one of its names in one directory; a stream is one of
its contents, the unnamed one first. Nothing here is known by a path of the host.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntFlag
from typing import TYPE_CHECKING, Protocol

from harness.nt.words import word
from harness.reference.windows.fs.sharing import ShareAccess
from harness.reference.windows.fsrtl.expressions import upcase

if TYPE_CHECKING:
    from harness.reference.windows.fs.host_storage import HostPlace

CLUSTER = 4096
SPARSE_UNIT = 0x1_0000
"""A sparse file is allocated in pieces of 16 clusters."""
DELETED_DIRECTORY = "\\$Extend\\$Deleted\\"


@word
class FileAttributes(IntFlag):
    """FILE_ATTRIBUTE_*."""

    READONLY = 0x0001
    HIDDEN = 0x0002
    SYSTEM = 0x0004
    DIRECTORY = 0x0010
    ARCHIVE = 0x0020
    NORMAL = 0x0080
    TEMPORARY = 0x0100
    SPARSE_FILE = 0x0200
    REPARSE_POINT = 0x0400
    COMPRESSED = 0x0800
    OFFLINE = 0x1000
    NOT_CONTENT_INDEXED = 0x2000
    NO_SCRUB_DATA = 0x20000


SETTABLE = (
    FileAttributes.READONLY
    | FileAttributes.HIDDEN
    | FileAttributes.SYSTEM
    | FileAttributes.ARCHIVE
    | FileAttributes.TEMPORARY
    | FileAttributes.OFFLINE
    | FileAttributes.NOT_CONTENT_INDEXED
)
"""What a create or FileBasicInformation may set."""


@dataclass(slots=True)
class Times:
    """In 100 ns since 1601."""

    creation: int
    access: int
    write: int
    change: int


class Data(Protocol):
    """Where the bytes of a stream are."""

    def size(self) -> int: ...
    def read(self, offset: int, length: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...
    def resize(self, size: int) -> None: ...
    def extents(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Where, between two offsets, there may be anything but zeros: (begin, end) of each."""
        ...

    def flush(self) -> None: ...
    def hold(self) -> None:
        """Keep the bytes reachable whatever becomes of the name."""

    def release(self) -> None:
        """Nobody has the stream open any more."""


class MemoryData:
    """The bytes of a named stream: the host's files have no place for them. What was never written takes no room."""

    def __init__(self) -> None:
        self._size = 0
        self._units: dict[int, bytearray] = {}
        """By number, SPARSE_UNIT bytes each; zeros where there is none."""

    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self._size)
        pieces = []
        while offset < end:
            number, within = divmod(offset, SPARSE_UNIT)
            count = min(SPARSE_UNIT - within, end - offset)
            unit = self._units.get(number)
            pieces.append(bytes(unit[within : within + count]) if unit is not None else bytes(count))
            offset += count
        return b"".join(pieces)

    def write(self, offset: int, data: bytes) -> None:
        done = 0
        while done < len(data):
            number, within = divmod(offset + done, SPARSE_UNIT)
            piece = data[done : done + SPARSE_UNIT - within]
            unit = self._units.setdefault(number, bytearray(SPARSE_UNIT))
            unit[within : within + len(piece)] = piece
            done += len(piece)
        self._size = max(self._size, offset + len(data)) if data else self._size

    def resize(self, size: int) -> None:
        number, within = divmod(size, SPARSE_UNIT)
        for cut in [cut for cut in self._units if cut > number or (cut == number and not within)]:
            del self._units[cut]
        if size < self._size and number in self._units:
            self._units[number][within:] = bytes(SPARSE_UNIT - within)
        self._size = size

    def extents(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        for number in sorted(self._units):
            first, last = max(begin, number * SPARSE_UNIT), min(end, (number + 1) * SPARSE_UNIT)
            if first < last:
                yield first, last

    def flush(self) -> None:
        """Memory has nothing to flush."""

    def hold(self) -> None:
        """Memory stays."""

    def release(self) -> None:
        """Memory stays."""


@dataclass(eq=False, slots=True)
class Stream:
    """One $DATA attribute, or the index of a directory."""

    inode: "Inode"
    name: str
    data: Data | None
    """None for a directory's index."""
    sharing: ShareAccess = field(default_factory=ShareAccess)
    opens: int = 0
    """File objects that are not closed."""
    reserved: int = 0
    """What FileAllocationInformation or a create asked for, in bytes."""
    valid: int | None = None
    """ValidDataLength in bytes, where that is less than its size."""
    allocated: set[int] | None = None
    """The allocated pieces of a sparse stream; None for one that is not sparse."""
    delete_pending: bool = False
    deleted: bool = False

    @property
    def directory(self) -> bool:
        return self.data is None

    @property
    def handles(self) -> int:
        """File objects that had no cleanup yet."""
        return len(self.sharing.entries)


@dataclass(eq=False, slots=True)
class Link:
    """A name of an inode in a directory."""

    parent: "Inode"
    name: str
    inode: "Inode"
    delete_pending: bool = False
    removed: bool = False
    handles: int = 0
    """File objects that were opened by it and had no cleanup yet."""


@dataclass(eq=False, slots=True)
class Inode:
    """A file or directory."""

    number: int
    sequence: int
    directory: bool
    times: Times
    place: "HostPlace"
    attributes: int = 0
    """Without DIRECTORY, SPARSE_FILE and REPARSE_POINT, which follow from what it is."""
    links: list[Link] = field(default_factory=list)
    streams: dict[str, Stream] = field(default_factory=dict)
    """By name in upper case."""
    children: dict[str, Link] = field(default_factory=dict)
    """Of a directory: links by name, in upper case unless it tells cases apart."""
    case_sensitive: bool = False
    compressed: bool = False
    """Marked so; its bytes are not."""
    eas: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Extended attributes: name to flags and value."""
    reparse: bytes = b""
    """REPARSE_DATA_BUFFER, if it is a reparse point."""
    object_id: bytes = b""
    """FILE_OBJECTID_BUFFER, if it has one."""
    security: bytes = b""
    """A self-relative security descriptor; empty for what the directory above hands down."""
    root: bool = False
    usn: int = 0

    @property
    def reference(self) -> int:
        """The file id: 48 bits of record number, 16 of sequence number."""
        return self.sequence << 48 | self.number

    @property
    def opens(self) -> int:
        return sum(stream.opens for stream in self.streams.values())

    @property
    def handles(self) -> int:
        return sum(stream.handles for stream in self.streams.values())

    @property
    def gone(self) -> bool:
        """Deleted for good: no name leads to it, and nobody has it open."""
        return not self.links and not self.root and not self.handles

    @property
    def default_stream(self) -> Stream:
        return self.streams[""]

    @property
    def reparse_tag(self) -> int:
        return int.from_bytes(self.reparse[:4], "little")

    @property
    def file_attributes(self) -> int:
        """FileAttributes as queries answer them."""
        attributes = self.attributes
        if self.directory:
            attributes |= FileAttributes.DIRECTORY
        elif self.default_stream.allocated is not None:
            attributes |= FileAttributes.SPARSE_FILE
        if self.compressed:
            attributes |= FileAttributes.COMPRESSED
        if self.reparse:
            attributes |= FileAttributes.REPARSE_POINT
        return int(attributes or FileAttributes.NORMAL)

    @property
    def link_count(self) -> int:
        """Names that stay: one that is marked for deletion counts no more."""
        return sum(1 for link in self.links if not link.delete_pending)

    def key(self, name: str) -> str:
        """What a name in this directory is looked up by."""
        return name if self.case_sensitive else upcase(name)

    def path(self, link: Link | None = None) -> str:
        r"""`\dir\file` by one of its names; under \$Extend\$Deleted if none is left."""
        if self.root:
            return "\\"
        if link is None or link.removed:
            link = self.links[0] if self.links else None
        if link is None:
            return f"{DELETED_DIRECTORY}{self.reference:016X}{self.number:08X}"
        above = link.parent.path()
        return above.rstrip("\\") + "\\" + link.name
