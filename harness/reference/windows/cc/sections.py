"""Sections over files and the views of them that programs map; the fault that brings a view's page in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus, OperationClass
from harness.reference.machine.cpu.exceptions import PageFault
from harness.reference.machine.memory.layout import PAGE_SHIFT, PAGE_SIZE, is_user, page_align
from harness.reference.windows.cc.cache_map import CacheMap
from harness.reference.windows.cc.cached_stream import CachedStream
from harness.reference.windows.io.constants import SyncType
from harness.reference.windows.io.parameters import SECTION
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.mm.image_layout import HEADER_ROOM, ImageLayout, parse_image
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Process
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.ntos.executive import Executive

USER_VIEWS, SYSTEM_VIEWS = 0x0000_0300_0000_0000, 0xFFFF_A800_0000_0000
_OBJECT_SIZE = 0x40
PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY = 0x02, 0x04, 0x08
PAGE_EXECUTE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE = 0x10, 0x20, 0x40
_WRITABLE = PAGE_READWRITE | PAGE_EXECUTE_READWRITE


@dataclass(eq=False, slots=True)
class Section:
    """A section over a file, or over nothing (page file): `cache` is None then."""

    size: int
    protection: int
    cache: CacheMap | None
    pages: dict[int, int] = field(default_factory=dict)
    """The pages of a section without a file."""
    image: ImageLayout | None = None
    """Of an image section (SEC_IMAGE)."""


@dataclass(eq=False, slots=True)
class View:
    """A mapped view."""

    section: Section
    process: "Process"
    base: int
    size: int
    offset: int
    writable: bool
    private: bool = False
    """Its pages are copies of its own: of an image, or copied on write."""
    own: dict[int, int] = field(default_factory=dict)
    """They, by address."""

    def contains(self, address: int) -> bool:
        return self.base <= address < self.base + self.size


# -- making sections


def create_section(
    k: "Executive",
    io: "IoManager",
    stream: CachedStream | None,
    file: "FileObject | None",
    size: int,
    protection: int,
    *,
    image: bool = False,
) -> Code:
    """NtCreateSection over `stream`, which `file` has open; (NTSTATUS, section object or None)."""
    if file is None:
        return int(NtStatus.SUCCESS), _object(k, Section(size, protection, None), lambda: None)
    if stream is None:
        return int(NtStatus.INVALID_FILE_FOR_SECTION), None
    status = yield from _synchronize(k, io, file, protection)
    if status & 0x8000_0000:
        return status, None
    try:
        end = yield from stream.end(file)
        if size > end and protection & _WRITABLE and not image:
            yield from stream.extend(file, size)
            end = size
    finally:
        yield from _release(k, io, file)
    if not end or size > end:
        return int(NtStatus.MAPPED_FILE_SIZE_ZERO if not end else NtStatus.SECTION_TOO_BIG), None
    cache = stream.make_cache(file)
    if image:
        layout = parse_image((yield from cache.read(0, min(end, HEADER_ROOM))))
        cache.image_references += 1
        section = Section(layout.size, protection, cache, image=layout)
        return int(NtStatus.SUCCESS), _object(k, section, lambda: _image_gone(cache))
    cache.hold_section(size or end)
    section = Section(size or end, protection, cache)
    return int(NtStatus.SUCCESS), _object(k, section, lambda: _section_gone(cache))


def _object(k: "Executive", section: Section, gone: Callable[[], None]) -> Object:
    """A section object, which drivers may refer to by its address."""

    def delete(item: Object) -> None:
        k.heap.free(item.address)
        gone()

    address = k.heap.allocate(_OBJECT_SIZE)
    return k.objects.register(Object("MmSectionObjectType", section, address, on_delete=delete))


def prefetch(stream: CachedStream, file: "FileObject", offsets: list[int]) -> Code:
    """MmPrefetchPages: bring pages in, neighbours by one paging read; what is there already stays."""
    cache = stream.make_cache(file)
    pages = sorted({offset >> PAGE_SHIFT for offset in offsets})
    for page in pages:
        count = 1
        while page + count in pages:
            count += 1
        yield from cache.make_resident(page << PAGE_SHIFT, count << PAGE_SHIFT)
    cache.used_less()


def _image_gone(cache: CacheMap) -> None:
    cache.image_references -= 1
    cache.used_less()


def _section_gone(cache: CacheMap) -> None:
    cache.sections -= 1
    cache.used_less()


def _synchronize(k: "Executive", io: "IoManager", file: "FileObject", protection: int) -> Code:
    """FSFilter: acquire for section synchronization. A failure fails the section."""
    request = Request(
        OperationClass.FS_FILTER,
        IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION,
        file,
        k.current,
        parameters=SECTION.pack(int(SyncType.CREATE_SECTION), protection, 0, 0, 0),
    )
    status: int = yield from io.issue(request)
    if status in (NtStatus.FILE_LOCKED_WITH_ONLY_READERS, NtStatus.FILE_LOCKED_WITH_WRITERS):
        return int(NtStatus.SUCCESS)
    return status


def _release(k: "Executive", io: "IoManager", file: "FileObject") -> Code:
    yield from io.issue(
        Request(OperationClass.FS_FILTER, IrpMajor.RELEASE_FOR_SECTION_SYNCHRONIZATION, file, k.current)
    )


# -- views


class Views:
    """All mapped views, and access to memory that may be in one of them."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self._views: list[View] = []
        self._next = USER_VIEWS
        self._next_of_system = SYSTEM_VIEWS

    def map(
        self,
        section: Section,
        process: "Process",
        offset: int,
        size: int,
        *,
        writable: bool,
        private: bool = False,
        system: bool = False,
    ) -> View:
        """Reserve a range for a view; its pages come at the first touch, private ones as copies then.

        `system`: in the system's half of the address space, where every process has it.
        """
        size = page_align(size or section.size - offset)
        room = (size + 0x1_0000 - 1 & ~0xFFFF) + 0x1_0000
        if system:
            base = self._next_of_system
            self._next_of_system += room
        else:
            base = self._next
            self._next += room
        view = View(section, process, base, size, offset, writable, private)
        self._views.append(view)
        if section.image is not None and section.cache is not None:
            section.cache.image_references += 1
        elif section.cache is not None:
            section.cache.views.append(view)
        return view

    def unmap(self, view: View) -> Code:
        """Take a view away; what was written through it is written to the file."""
        memory = self._kernel.memory
        self._views.remove(view)
        for address in range(view.base, view.base + view.size, PAGE_SIZE):
            if memory.is_mapped(address):
                memory.unmap(address, PAGE_SIZE, keep_frames=True)
        for frame in view.own.values():
            memory.tables.free_frame(frame)
        cache = view.section.cache
        if cache is not None and view.section.image is not None:
            _image_gone(cache)
        elif cache is not None:
            if view.writable and not view.private:
                yield from cache.write_mapped()
            cache.views.remove(view)
            cache.used_less()

    def at(self, address: int) -> View | None:
        """The view an address is in."""
        for view in self._views:
            if view.contains(address):
                return view
        return None

    def of_process(self, process: "Process") -> list[View]:
        """The views of a process."""
        return [view for view in self._views if view.process is process]

    def page_in(self, address: int, *, write: bool) -> Code:
        """Resolve a page fault; False if the address is in no view or may not be touched so."""
        view = self.at(address)
        if view is None or (write and not view.writable):
            return False
        memory = self._kernel.memory
        page_address = address & ~(PAGE_SIZE - 1)
        offset = view.offset + page_address - view.base
        frame = yield from self._frame(view, offset)
        if not memory.is_mapped(page_address):
            memory.map(page_address, PAGE_SIZE, writable=view.writable, user=is_user(page_address), frames=[frame])
        return True

    def _frame(self, view: View, offset: int) -> Code:
        cache, page = view.section.cache, offset >> PAGE_SHIFT
        if cache is None:
            pages = view.section.pages
            if page not in pages:
                pages[page] = self._kernel.memory.tables.allocate_frame()
            return pages[page]
        if view.private:
            return (yield from self._own_frame(view, cache, offset))
        yield from cache.make_resident(offset, 1)
        if view.writable:
            cache.watch_mapped(page)
        return cache.pages[page]

    def _own_frame(self, view: View, cache: CacheMap, offset: int) -> Code:
        """A copy for the view alone."""
        image = view.section.image
        parts = image.parts_of_page(offset) if image is not None else [(0, offset, PAGE_SIZE)]
        content = bytearray(PAGE_SIZE)
        for within, place, length in parts:
            content[within : within + length] = yield from cache.read(place, length)
        frame = view.own[offset] = self._kernel.memory.tables.allocate_frame()
        self._kernel.memory.ram[frame : frame + PAGE_SIZE] = content
        return frame

    # -- access to memory that may have to be brought in

    def touch(self, address: int, length: int, *, write: bool = False) -> Code:
        """Bring a range in. Raises PageFault for what cannot be."""
        memory = self._kernel.memory
        at, end = address, address + max(length, 1)
        while at < end:
            if not memory.is_mapped(at, write=write):
                resident = False
                if self._kernel.irql <= Irql.APC:
                    try:
                        resident = yield from self.page_in(at, write=write)
                    except StatusError as error:
                        raise PageFault(at, write=write) from error
                if not resident:
                    raise PageFault(at, write=write)
            at = (at & ~(PAGE_SIZE - 1)) + PAGE_SIZE

    def read(self, address: int, length: int) -> Code:
        """Read memory, bringing pages of views in."""
        memory = self._kernel.memory
        try:
            return memory.read(address, length)
        except PageFault:
            pass
        yield from self.touch(address, length)
        return memory.read(address, length)

    def write(self, address: int, data: bytes) -> Code:
        """Write memory, bringing pages of views in."""
        memory = self._kernel.memory
        try:
            memory.write(address, data)
        except PageFault:
            pass
        else:
            return
        yield from self.touch(address, len(data), write=True)
        memory.write(address, data)
