"""What the store tells the file system driver: changes for who watches directories, and questions about sections."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Protocol

from harness.nt.words import word

if TYPE_CHECKING:
    from harness.reference.windows.fs.inode import Inode, Stream


class Action(IntEnum):
    """FILE_ACTION_*."""

    ADDED = 1
    REMOVED = 2
    MODIFIED = 3
    RENAMED_OLD_NAME = 4
    RENAMED_NEW_NAME = 5
    ADDED_STREAM = 6
    REMOVED_STREAM = 7
    MODIFIED_STREAM = 8


@word
class Notify(IntFlag):
    """FILE_NOTIFY_CHANGE_*."""

    FILE_NAME = 0x001
    DIR_NAME = 0x002
    ATTRIBUTES = 0x004
    SIZE = 0x008
    LAST_WRITE = 0x010
    LAST_ACCESS = 0x020
    CREATION = 0x040
    EA = 0x080
    SECURITY = 0x100
    STREAM_NAME = 0x200
    STREAM_SIZE = 0x400
    STREAM_WRITE = 0x800


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to `name` in `directory`."""

    directory: "Inode"
    name: str
    action: Action
    what: int


class Sections(Protocol):
    """What the memory manager and the cache manager know about a stream."""

    def user_references(self, stream: "Stream") -> int:
        """Data sections and views of programs."""

    def flush_image(self, stream: "Stream") -> bool:
        """MmFlushImageSection: whether no image section stands in the way of a write or a delete."""

    def can_truncate(self, stream: "Stream", size: int) -> bool:
        """MmCanFileBeTruncated."""

    def truncated(self, stream: "Stream", size: int) -> None:
        """The stream is `size` bytes long now: CcSetFileSizes, and what is cached behind it is gone."""


class NoSections:
    """A store for itself: nobody maps anything."""

    def user_references(self, stream: "Stream") -> int:
        del stream
        return 0

    def flush_image(self, stream: "Stream") -> bool:
        del stream
        return True

    def can_truncate(self, stream: "Stream", size: int) -> bool:
        del stream, size
        return True

    def truncated(self, stream: "Stream", size: int) -> None:
        """Nothing is cached."""
