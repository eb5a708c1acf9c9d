"""Sections as the file system sees them: the FSFilter operations it answers itself, and what the store asks."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.io.constants import SyncType
from harness.reference.windows.io.parameters import SECTION
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.fs.inode import Stream

_WRITES = 0x6


def acquire_for_section(driver: "FileSystemDriver", request: Request) -> Code:
    """AcquireForSectionSynchronization: whether the stream has writers decides what a section may take for granted."""
    yield from ()
    file = request.file
    if file is None or file.opened is None:
        return int(NtStatus.SUCCESS), 0
    sync, *_ = SECTION.unpack_from(request.parameters)
    if sync != SyncType.CREATE_SECTION:
        return int(NtStatus.SUCCESS), 0
    stream = file.opened.stream
    writers = any(entry.access & _WRITES for entry in stream.sharing.entries)
    cache = driver.cache_of(stream)
    writers = writers or (cache is not None and any(view.writable for view in cache.views))
    status = NtStatus.FILE_LOCKED_WITH_WRITERS if writers else NtStatus.FILE_LOCKED_WITH_ONLY_READERS
    return int(status), 0


def release(driver: "FileSystemDriver", request: Request) -> Code:
    """The other acquires and releases: the file system's resources are never contended in this model."""
    del driver, request
    yield from ()
    return int(NtStatus.SUCCESS), 0


class StreamSections:
    """What the store asks about sections, from the cache maps of its streams."""

    def __init__(self, driver: "FileSystemDriver") -> None:
        self._driver = driver

    def user_references(self, stream: "Stream") -> int:
        """Data sections and views of programs."""
        cache = self._driver.cache_of(stream)
        return cache.user_references if cache is not None else 0

    def flush_image(self, stream: "Stream") -> bool:
        """MmFlushImageSection: no image section is mapped."""
        cache = self._driver.cache_of(stream)
        return cache is None or not cache.image_references

    def can_truncate(self, stream: "Stream", size: int) -> bool:
        """MmCanFileBeTruncated: no section or view reaches behind the new end."""
        cache = self._driver.cache_of(stream)
        return cache is None or cache.can_truncate(size)

    def truncated(self, stream: "Stream", size: int) -> None:
        """CcSetFileSizes."""
        cache = self._driver.cache_of(stream)
        if cache is not None:
            cache.truncate(size)
        state = self._driver.known_state(stream)
        if state is not None:
            state.show_sizes()
