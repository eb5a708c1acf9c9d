"""The cache of one file: its pages in memory, shared by cached reads and writes and by mapped views.

Whatever is not resident is fetched by a paging read, whatever is dirty is written by a paging write, and both go
through the whole stack of minifilters, as the memory manager's and cache manager's requests do.
"""

from collections import Counter
from collections.abc import Iterable
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.machine.memory.layout import PAGE_SHIFT, PAGE_SIZE, page_align
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.parameters import MOD_WRITE, RELEASE, Transfer
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.mm.mdl import make_mdl
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.cc.cached_stream import CachedStream
    from harness.reference.windows.cc.sections import View
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.ntos.executive import Executive

LAZY_WRITE_TICKS = 10_000_000
"""One second between a write to the cache and the lazy writer."""
TEARDOWN_TICKS = 20_000_000
"""Two seconds between the last cleanup and the end of the cache map: then comes the close."""
DATA_SECTION, SHARED_CACHE_MAP = 0x00, 0x08
"""Fields of SECTION_OBJECT_POINTERS."""
_PRIVATE_CACHE_MAP = 0xD0
"""What PrivateCacheMap points to: behind what of the FILE_OBJECT is documented."""
_CLUSTER_PAGES = 16
_SHARED_CACHE_MAP = Struct("<HHIq")
"""NodeTypeCode, NodeByteSize, OpenCount, FileSize."""
_SHARED_CACHE_MAP_SIZE, _CONTROL_AREA_SIZE = 0x200, 0x80
_PAGING = int(IrpFlags.NOCACHE | IrpFlags.PAGING_IO)


class CacheMap:
    """The pages of one file. It references the file object that set it up, whose close waits for it."""

    def __init__(self, kernel: "Executive", io: "IoManager", stream: "CachedStream", file: "FileObject") -> None:
        self._kernel = kernel
        self._io = io
        self._memory = kernel.memory
        self._stream = stream
        self.file = file
        kernel.objects.reference(file.object)
        self._users: set[FileObject] = set()
        """File objects that read and write through it."""
        self.pages: dict[int, int] = {}
        """Resident pages: number to frame."""
        self.dirty: set[int] = set()
        self._mapped_clean: dict[int, bytes] = {}
        """What pages in writable views held when they were last known to be clean."""
        self._loading: dict[int, Event] = {}
        self._written: set[int] = set()
        """Frames that are on their way to the disk."""
        self._locked: Counter[int] = Counter()
        """How often each frame is in an MDL that somebody has from CcMdlRead or CcPrepareMdlWrite."""
        self._orphans: set[int] = set()
        """Those of both kinds whose pages are gone meanwhile: they are freed when the write or the MDL is done."""
        self.views: list[View] = []
        self.sections = 0
        """Data sections of programs and drivers."""
        self.image_references = 0
        """Image sections, and views of them."""
        self._lazy_writer_due = False
        self.extent = 0
        """How far the sections reach that are mapped or open, in bytes."""
        self.shared_map = io.heap.allocate(_SHARED_CACHE_MAP_SIZE)
        """SHARED_CACHE_MAP, as far as drivers look into it: CcGetFileSizePointer."""
        self.control_area = io.heap.allocate(_CONTROL_AREA_SIZE)
        self.show_size()
        stream.show_section(DATA_SECTION, self.control_area)

    # -- who uses it

    def cached_by(self, file: "FileObject") -> None:
        """A file object reads or writes through the cache: its reads and writes may be fast I/O from here on."""
        if file in self._users:
            return
        if not file.caches:
            file.caches = True
            file.view.private_cache_map = file.address + _PRIVATE_CACHE_MAP
        self._users.add(file)
        self._stream.show_section(SHARED_CACHE_MAP, self.shared_map)

    def show_size(self) -> None:
        """Bring FileSize in the SHARED_CACHE_MAP up to date."""
        shown = _SHARED_CACHE_MAP.pack(0x2FF, _SHARED_CACHE_MAP_SIZE, 1, self._stream.size())
        self._memory.write(self.shared_map, shown)

    @property
    def used(self) -> bool:
        """Whether file objects read or write through it."""
        return bool(self._users)

    def used_only_by(self, file: "FileObject") -> bool:
        """Whether no other file object does."""
        return self._users == {file}

    @property
    def size(self) -> int:
        """FileSize."""
        return self._stream.size()

    def is_resident(self, offset: int, length: int) -> bool:
        """Whether nothing of a range has to be fetched."""
        return all(
            page in self.pages for page in range(offset >> PAGE_SHIFT, ((offset + length - 1) >> PAGE_SHIFT) + 1)
        )

    def first_dirty(self) -> int | None:
        """The offset of the first page that is not written yet; None if all are."""
        self.note_mapped_writes()
        return min(self.dirty) << PAGE_SHIFT if self.dirty else None

    def hold_section(self, size: int) -> None:
        """A section is made."""
        if not self.user_references:
            self.extent = 0
        self.extent = max(self.extent, size)
        self.sections += 1

    @property
    def writable_references(self) -> bool:
        """MmDoesFileHaveUserWritableReferences: whether a view can write."""
        return any(view.writable for view in self.views)

    def is_dirty(self) -> int:
        """How many pages are not written yet."""
        self.note_mapped_writes()
        return len(self.dirty)

    @property
    def user_references(self) -> int:
        """Data sections and views: what keeps a file from being deleted or cut."""
        return self.sections + len(self.views)

    def can_truncate(self, size: int) -> bool:
        """MmCanFileBeTruncated: whether no section or view has pages behind `size`."""
        if self.image_references:
            return False
        if not self.user_references:
            return True
        return page_align(size) >= page_align(self.extent)

    # -- cached reads and writes

    def read(self, offset: int, length: int) -> Code:
        """CcCopyRead."""
        frame, within = self.pages.get(offset >> PAGE_SHIFT), offset & (PAGE_SIZE - 1)
        if frame is not None and within + length <= PAGE_SIZE:
            return self._memory.ram[frame + within : frame + within + length]
        yield from self.make_resident(offset, length)
        return self._copy_out(offset, length)

    def _copy_out(self, offset: int, length: int) -> bytes:
        ram, pieces, end = self._memory.ram, [], offset + length
        while offset < end:
            frame = self.pages[offset >> PAGE_SHIFT]
            within = offset & (PAGE_SIZE - 1)
            count = min(PAGE_SIZE - within, end - offset)
            pieces.append(bytes(ram[frame + within : frame + within + count]))
            offset += count
        return b"".join(pieces)

    def write(self, offset: int, data: bytes) -> Code:
        """CcCopyWrite: partly written pages are fetched first."""
        end = offset + len(data)
        for page in {offset >> PAGE_SHIFT, (end - 1) >> PAGE_SHIFT}:
            whole = offset <= page << PAGE_SHIFT and end >= (page + 1) << PAGE_SHIFT
            if not whole:
                yield from self.make_resident(page << PAGE_SHIFT, 1)
        for page in range(offset >> PAGE_SHIFT, (end - 1 >> PAGE_SHIFT) + 1):
            if page not in self.pages:
                self.pages[page] = self._memory.tables.allocate_frame()
        self._copy_in(offset, data)
        self.dirty.update(range(offset >> PAGE_SHIFT, (end - 1 >> PAGE_SHIFT) + 1))
        self._schedule_lazy_writer()

    def _copy_in(self, offset: int, data: bytes) -> None:
        ram, done = self._memory.ram, 0
        while done < len(data):
            at = offset + done
            within = at & (PAGE_SIZE - 1)
            count = min(PAGE_SIZE - within, len(data) - done)
            frame = self.pages.get(at >> PAGE_SHIFT)
            if frame is not None:
                ram[frame + within : frame + within + count] = data[done : done + count]
            done += count

    # -- paging

    def make_resident(self, offset: int, length: int) -> Code:
        """Fetch what is missing of a range, in paging reads of up to 64 KiB."""
        last = (offset + max(length, 1) - 1) >> PAGE_SHIFT
        page = offset >> PAGE_SHIFT
        while page <= last:
            if page in self.pages:
                page += 1
            elif page in self._loading:
                yield Wait([self._loading[page]], reason=f"page {page} of {self.file.name} to be read")
            else:
                count = 1
                while count < _CLUSTER_PAGES and page + count <= last and self._absent(page + count):
                    count += 1
                yield from self._fetch(page, count)
                page += count

    def _absent(self, page: int) -> bool:
        return page not in self.pages and page not in self._loading

    def _fetch(self, first: int, count: int) -> Code:
        memory = self._memory
        loaded = Event(f"paging read of {self.file.name}")
        frames = [memory.tables.allocate_frame() for _ in range(count)]
        for page in range(first, first + count):
            self._loading[page] = loaded
        for frame in frames:
            memory.ram[frame : frame + PAGE_SIZE] = bytes(PAGE_SIZE)
        status = yield from self._transfer(IrpMajor.READ, first << PAGE_SHIFT, frames, synchronous=True)
        for page, frame in zip(range(first, first + count), frames, strict=True):
            del self._loading[page]
            if status & 0x8000_0000 and status != NtStatus.END_OF_FILE:
                memory.tables.free_frame(frame)
            else:
                self.pages[page] = frame
        loaded.state = True
        self._kernel.signal(loaded)
        if status & 0x8000_0000 and status != NtStatus.END_OF_FILE:
            raise StatusError(status)

    def _transfer(self, major: IrpMajor, offset: int, frames: list[int], *, synchronous: bool) -> Code:
        """One paging request at APC_LEVEL, with a buffer that is mapped for its duration; its status."""
        kernel, memory = self._kernel, self._memory
        size = len(frames) * PAGE_SIZE
        buffer = kernel.next_system_mapping  # other files' pages are on their way meanwhile
        kernel.next_system_mapping += size + PAGE_SIZE
        memory.map(buffer, size, frames=frames)
        mdl = make_mdl(kernel, self._io.heap, buffer, size)
        flags = _PAGING | (int(IrpFlags.SYNCHRONOUS_PAGING_IO) if synchronous else 0)
        request = Request(
            OperationClass.IRP,
            major,
            self.file,
            kernel.current,
            parameters=Transfer(size, 0, offset, buffer, mdl).pack(),
            irp_flags=flags,
            synchronous=synchronous,
        )
        status: int = yield from self._io.at_apc_level(self._io.issue(request))
        memory.unmap(buffer, size, keep_frames=True)
        self._io.heap.free(mdl)
        return status

    # -- dirty pages

    def _schedule_lazy_writer(self) -> None:
        if self._lazy_writer_due:
            return
        self._lazy_writer_due = True
        self._kernel.timer(LAZY_WRITE_TICKS, lambda: self._kernel.queue_worker(self._lazy_write()))

    def _lazy_write(self) -> Code:
        self._lazy_writer_due = False
        yield from self.write_behind()

    def write_behind(self) -> Code:
        """What the lazy writer does: all that is dirty is written."""
        yield from self._write_dirty(0, 1 << 62, synchronous=False)

    def note_mapped_writes(self) -> None:
        """Find pages that were written through views: nothing tells us when that happens."""
        for page, clean in self._mapped_clean.items():
            frame = self.pages.get(page)
            if frame is not None and bytes(self._memory.ram[frame : frame + PAGE_SIZE]) != clean:
                self.dirty.add(page)

    def watch_mapped(self, page: int) -> None:
        """The page is about to appear in a writable view."""
        frame = self.pages[page]
        self._mapped_clean.setdefault(page, bytes(self._memory.ram[frame : frame + PAGE_SIZE]))

    def flush(self, offset: int, length: int) -> Code:
        """CcFlushCache: write what is dirty in a range, between the FSFilter operations for it."""
        self.note_mapped_writes()
        first, last = offset >> PAGE_SHIFT, (offset + length - 1) >> PAGE_SHIFT
        if not any(first <= page <= last for page in self.dirty):
            return
        yield from self._fs_filter(IrpMajor.ACQUIRE_FOR_CC_FLUSH)
        yield from self._write_dirty(offset, length, synchronous=True)
        yield from self._fs_filter(IrpMajor.RELEASE_FOR_CC_FLUSH)

    def write_mapped(self) -> Code:
        """The mapped page writer, when a view goes away."""
        self.note_mapped_writes()
        if not self.dirty:
            return
        memory, heap = self._memory, self._io.heap
        ending = heap.allocate(16)
        resource = ending + 8
        memory.write_u64(ending, self._stream.size())
        status = yield from self._fs_filter(IrpMajor.ACQUIRE_FOR_MOD_WRITE, MOD_WRITE.pack(ending, resource))
        if status & 0x8000_0000:  # its locks are not to be had: the lazy writer tries again
            self._schedule_lazy_writer()
        else:
            yield from self._write_dirty(0, 1 << 62, synchronous=False)
            held = memory.read_u64(resource)
            yield from self._fs_filter(IrpMajor.RELEASE_FOR_MOD_WRITE, RELEASE.pack(held))
        heap.free(ending)

    def _fs_filter(self, major: IrpMajor, parameters: bytes = b"") -> Code:
        request = Request(OperationClass.FS_FILTER, major, self.file, self._kernel.current, parameters=parameters)
        yield from self._io.issue(request)
        return request.status

    def _write_dirty(self, offset: int, length: int, *, synchronous: bool) -> Code:
        """Write runs of dirty pages."""
        first, last = offset >> PAGE_SHIFT, (offset + length - 1) >> PAGE_SHIFT
        while pages := sorted(page for page in self.dirty if first <= page <= last and page in self.pages):
            run = [pages.pop(0)]
            while pages and pages[0] == run[-1] + 1 and len(run) < _CLUSTER_PAGES:
                run.append(pages.pop(0))
            first = run[-1] + 1
            self.dirty.difference_update(run)
            frames = [self.pages[page] for page in run]
            for page, frame in zip(run, frames, strict=True):
                if page in self._mapped_clean:
                    self._mapped_clean[page] = bytes(self._memory.ram[frame : frame + PAGE_SIZE])
            self._written.update(frames)
            yield from self._transfer(IrpMajor.WRITE, run[0] << PAGE_SHIFT, frames, synchronous=synchronous)
            self._written.difference_update(frames)
            self._free_orphans(frames)

    def _free_orphans(self, frames: Iterable[int]) -> None:
        for frame in self._orphans.intersection(frames):
            if frame not in self._written and not self._locked[frame]:
                self._orphans.remove(frame)
                self._memory.tables.free_frame(frame)

    # -- its pages in others' hands

    def lock(self, offset: int, length: int) -> Code:
        """The frames of a range, which stay until `unlock`."""
        yield from self.make_resident(offset, length)
        frames = [self.pages[page] for page in range(offset >> PAGE_SHIFT, ((offset + length - 1) >> PAGE_SHIFT) + 1)]
        self._locked.update(frames)
        return frames

    def unlock(self, frames: list[int], *, dirty: bool = False) -> None:
        """Frames of `lock` are given back; `dirty` if they have been written to."""
        self._locked.subtract(frames)
        self._locked = +self._locked
        if dirty:
            self.dirty.update(page for page, frame in self.pages.items() if frame in frames)
            self._schedule_lazy_writer()
        self._free_orphans(frames)

    # -- what happens beside the cache

    def purge(self, offset: int, data: bytes) -> None:
        """A non-cached write has been to the disk: resident pages follow it."""
        self._copy_in(offset, data)
        for page in range(offset >> PAGE_SHIFT, (offset + len(data) - 1 >> PAGE_SHIFT) + 1):
            self.dirty.discard(page)

    def zero(self, begin: int, end: int) -> None:
        """Zeros have been set on the disk: resident pages follow."""
        for page in [page for page in self.pages if begin >> PAGE_SHIFT <= page <= (end - 1) >> PAGE_SHIFT]:
            first, last = max(begin, page << PAGE_SHIFT), min(end, (page + 1) << PAGE_SHIFT)
            self.purge(first, bytes(last - first))

    def truncate(self, size: int) -> None:
        """The end of the file has moved: what is cached behind it is gone, and zeros when the file grows again."""
        first = page_align(size) >> PAGE_SHIFT
        within = size & (PAGE_SIZE - 1)
        frame = self.pages.get(size >> PAGE_SHIFT) if within else None
        if frame is not None:
            self._memory.ram[frame + within : frame + PAGE_SIZE] = bytes(PAGE_SIZE - within)
        for page in [page for page in self.pages if page >= first]:
            self.dirty.discard(page)
            if not self.views:
                self._drop(page)
        self.show_size()

    def _drop(self, page: int) -> None:
        """A page is not resident any more. A write of it that is under way, of the file's old size, goes on."""
        frame = self.pages.pop(page)
        self._mapped_clean.pop(page, None)
        if frame in self._written or self._locked[frame]:
            self._orphans.add(frame)
        else:
            self._memory.tables.free_frame(frame)

    def purge_range(self, offset: int, length: int) -> bool:
        """CcPurgeCacheSection: drop pages, dirty ones too. False, and nothing done, while a view shows the file."""
        if self.user_references or self._loading or self._locked.total():
            return False
        last = (offset + length - 1) >> PAGE_SHIFT
        for page in [page for page in self.pages if offset >> PAGE_SHIFT <= page <= last]:
            self.dirty.discard(page)
            self._drop(page)
        return True

    # -- the end

    def used_less(self) -> None:
        """A handle, view or section is gone; if nobody uses the cache map any more, it goes some time later."""
        self._kernel.timer(TEARDOWN_TICKS, lambda: self._kernel.queue_worker(self._teardown()))

    def close_now(self) -> Code:
        """MmForceSectionClosed: whether the cache map goes, because nobody uses it."""
        yield from self._teardown()
        return self._stream.cache is not self

    def _in_use(self) -> bool:
        if self.sections or self.views or self.image_references or self._loading or self._locked.total():
            return True
        return any(not file.cleaned_up for file in self._users)

    def _teardown(self) -> Code:
        if self._in_use() or self._stream.cache is not self:
            return
        yield from self.write_behind()
        if self._in_use() or self._stream.cache is not self:
            return
        self._stream.cache = None
        self._stream.show_section(DATA_SECTION, 0)
        self._stream.show_section(SHARED_CACHE_MAP, 0)
        self._io.heap.free(self.shared_map)
        self._io.heap.free(self.control_area)
        for frame in self.pages.values():
            self._memory.tables.free_frame(frame)
        self.pages.clear()
        self._kernel.objects.dereference(self.file.object)
