"""A stream as the cache manager knows it, whoever's it is."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from harness.reference.windows.cc.cache_map import CacheMap
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.request import Code


class CachedStream(Protocol):
    """What a file system hands the cache manager of one of its streams, as with CcInitializeCacheMap."""

    cache: "CacheMap | None"
    """Its cache map, from the first that needs one to its teardown."""

    def size(self) -> int:
        """EndOfFile in bytes."""

    def end(self, file: "FileObject") -> "Code":
        """EndOfFile in bytes, as the memory manager asks for it (FsRtlGetFileSize). Raises StatusError."""

    def extend(self, file: "FileObject", size: int) -> "Code":
        """Set EndOfFile, for a section that is longer than the file (FsRtlSetFileSize). Raises StatusError."""

    def make_cache(self, file: "FileObject") -> "CacheMap":
        """Its cache map, made where it has none."""

    def show_section(self, field: int, value: int) -> None:
        """Set a field of its SECTION_OBJECT_POINTERS."""
