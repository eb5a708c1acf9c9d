"""A mounted volume without its driver: the store with what is done to files on it.

Creates are in opens.py, renames and links in renames.py, deletions in deletions.py. Every refusal is a `StatusError`
with its NTSTATUS; host errors (EIO, ENOSPC, EROFS, ...) become the NTSTATUS a disk driver would have caused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

from harness.nt import NtStatus
from harness.reference.windows.fs import extended_attributes
from harness.reference.windows.fs.changes import Action, Change, NoSections, Notify, Sections
from harness.reference.windows.fs.finding import find
from harness.reference.windows.fs.host_storage import nt_time
from harness.reference.windows.fs.inode import CLUSTER, SETTABLE, SPARSE_UNIT, FileAttributes, Inode, Link, Stream
from harness.reference.windows.fs.kinds import NTFS, Kind
from harness.reference.windows.fs.opens import Asked, OpenFile, commit
from harness.reference.windows.fs.store import Store
from harness.reference.windows.fsrtl.expressions import upcase
from harness.reference.windows.ntos.se import security
from harness.reference.windows.ntos.status_error import StatusError

_KEEP, _RESUME = -1, -2


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the information queries answer: times in NT 100 ns, sizes in bytes."""

    creation_time: int
    last_access_time: int
    last_write_time: int
    change_time: int
    allocation_size: int
    end_of_file: int
    attributes: int
    links: int
    delete_pending: bool
    directory: bool
    index: int
    ea_size: int
    reparse_tag: int


def host_clock() -> int:
    """The host's system time in 100 ns since 1601."""
    return nt_time(time_ns())


class FileSystem:
    """A volume over a directory of the host. `now` is the system time; `watch` is told of every change.

    What its `kind` of file system cannot do is refused by the driver (limits.py).
    """

    def __init__(self, root: Path, now: Callable[[], int] = host_clock, kind: Kind = NTFS) -> None:
        self.kind = kind
        self.store = Store(root, now)
        self.sections: Sections = NoSections()
        self.watch: Callable[[Change], None] = lambda change: None

    # --- create, close -------------------------------------------------------------------------------------------

    def create(self, asked: Asked) -> OpenFile:
        """A whole create, where no oplock is to be asked."""
        return commit(self, asked, find(self, asked))

    def close(self, opened: OpenFile) -> None:
        """The last reference to an open is gone."""
        stream = opened.stream
        stream.opens -= 1
        if stream.opens == 0 and stream.data is not None:
            stream.data.release()
        if stream.inode.opens == 0:
            self.store.forget(stream.inode)

    def forget_opens(self) -> None:
        """The volume is dismounted: nobody has anything open as the next mount sees it, and no deletion is pending."""
        for inode in self.store.inodes():
            for stream in inode.streams.values():
                stream.sharing.entries.clear()
                stream.opens = stream.reserved = 0
                stream.delete_pending = False
                if stream.data is not None:
                    stream.data.release()
            for link in inode.links:
                link.handles, link.delete_pending = 0, False
            self.store.forget(inode)

    # --- security ------------------------------------------------------------------------------------------------

    def descriptor_data(self, inode: Inode) -> bytes:
        """The security descriptor of an inode; what the host brought has what it inherits."""
        if not inode.security:
            if inode.root or not inode.links:
                inode.security = security.ROOT_DESCRIPTOR
            else:
                above = self.descriptor(inode.links[0].parent)
                subject = security.ADMINISTRATOR_SUBJECT
                inode.security = security.inherited(above, subject, directory=inode.directory).pack()
        return inode.security

    def descriptor(self, inode: Inode) -> security.Descriptor:
        """The same, to be read."""
        return security.unpack(self.descriptor_data(inode))

    def descriptor_above(self, inode: Inode) -> security.Descriptor | None:
        """That of the directory an inode is in."""
        return self.descriptor(inode.links[0].parent) if inode.links else None

    @staticmethod
    def needs_ea_knowledge(inode: Inode) -> bool:
        """Whether a file has an extended attribute that must be understood."""
        return any(flags & extended_attributes.NEED_EA for flags, _ in inode.eas.values())

    # --- who watches ---------------------------------------------------------------------------------------------

    def changed(self, inode: Inode, action: Action, what: int, *, link: Link | None = None, stream: str = "") -> None:
        """Tell of a change to a file, by one of its names."""
        if link is None:
            link = inode.links[0] if inode.links else None
        if link is None:
            return
        name = link.name
        if stream:
            name, what = f"{name}:{stream}", _stream_change(what)
            if action == Action.MODIFIED:
                action = Action.MODIFIED_STREAM
        self.tell(link.parent, name, action, what)

    def tell(self, directory: Inode, name: str, action: Action, what: int) -> None:
        """Tell of a change to a name."""
        self.watch(Change(directory, name, action, what))

    def known_facts(self, stream: Stream) -> tuple[int, int]:
        """Size and last write time: what directory entries tell."""
        return self.size(stream), stream.inode.times.write

    def report_data_changes(self, opened: OpenFile) -> None:
        """What writes have changed gets into the directory: at a flush, at a set size, at cleanup."""
        if opened.stream.directory:
            return
        known = self.known_facts(opened.stream)
        (size, written), opened.reported = opened.reported, known
        what = (Notify.SIZE if known[0] != size else 0) | (Notify.LAST_WRITE if known[1] != written else 0)
        if what:
            self.changed(opened.inode, Action.MODIFIED, what, link=opened.link, stream=opened.stream.name)

    # --- data ----------------------------------------------------------------------------------------------------

    def size(self, stream: Stream) -> int:
        """EndOfFile in bytes; 0 for a directory."""
        return stream.data.size() if stream.data is not None else 0

    def valid_data_length(self, stream: Stream) -> int:
        """How far the stream has been written; zeros are behind it."""
        return self.size(stream) if stream.valid is None else stream.valid

    def valid_up_to(self, stream: Stream, end: int) -> bool:
        """Data has been written up to `end`, or is said to be there; whether that moves ValidDataLength."""
        if stream.valid is None or end <= stream.valid:
            return False
        stream.valid = end if end < self.size(stream) else None
        return True

    def set_valid_data_length(self, stream: Stream, size: int) -> None:
        """FileValidDataLengthInformation: it only grows, up to the end of the file, and not of what has holes."""
        if stream.data is None or stream.allocated is not None or stream.inode.compressed:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        if not self.valid_data_length(stream) <= size <= self.size(stream):
            raise StatusError(NtStatus.INVALID_PARAMETER)
        if not self.sections.can_truncate(stream, size):
            raise StatusError(NtStatus.USER_MAPPED_FILE)
        self.valid_up_to(stream, size)

    def read(self, stream: Stream, offset: int, length: int) -> bytes:
        """Bytes from `offset`, fewer at the end of the file; END_OF_FILE when nothing is left."""
        if stream.data is None:
            raise StatusError(NtStatus.INVALID_DEVICE_REQUEST)
        data = stream.data.read(offset, length)
        if not data and length:
            raise StatusError(NtStatus.END_OF_FILE)
        return data

    def write(self, stream: Stream, offset: int, data: bytes, *, paging: bool = False) -> int:
        """Write all of `data`, extending the file, and answer its length. Paging writes never extend a file."""
        if stream.data is None:
            raise StatusError(NtStatus.INVALID_DEVICE_REQUEST)
        length = len(data)
        if paging:
            data = data[: max(0, self.size(stream) - offset)]
            extended_attributes.data_changed(stream.inode)
        if stream.allocated is None and offset + len(data) > self.size(stream):
            self.require_room(offset + len(data), self.allocation(stream))
        elif offset + len(data) > self.kind.largest:
            raise StatusError(NtStatus.DISK_FULL)
        stream.data.write(offset, data)
        self.valid_up_to(stream, offset + len(data))
        if stream.allocated is not None and data:
            first, last = offset // SPARSE_UNIT, (offset + len(data) - 1) // SPARSE_UNIT
            stream.allocated.update(range(first, last + 1))
        return length

    def written(self, opened: OpenFile) -> None:
        """A program has written: the file's times and archive attribute follow."""
        extended_attributes.data_changed(opened.inode)
        times, now = opened.inode.times, self.store.now()
        if "write" not in opened.keep_times:
            times.write = now
        if "change" not in opened.keep_times:
            times.change = now
        if not opened.stream.name:
            opened.inode.attributes |= FileAttributes.ARCHIVE

    def resize(self, stream: Stream, size: int) -> None:
        """Set the end of the file. What is cut off is zeros when the file grows again."""
        if stream.data is None:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        if size < 0:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        if stream.allocated is None and size > stream.data.size():
            self.require_room(size, self.allocation(stream))
        elif size > self.kind.largest:
            raise StatusError(NtStatus.DISK_FULL)
        if size < stream.data.size() and not self.sections.can_truncate(stream, size):
            raise StatusError(NtStatus.USER_MAPPED_FILE)
        valid = self.valid_data_length(stream)
        stream.data.resize(size)
        stream.valid = valid if valid < size else None
        if stream.allocated is not None:
            stream.allocated = {unit for unit in stream.allocated if unit * SPARSE_UNIT < size}
        self.sections.truncated(stream, size)

    def set_end_of_file(self, opened: OpenFile, size: int) -> None:
        """FileEndOfFileInformation."""
        before = self.size(opened.stream)
        self.resize(opened.stream, size)
        opened.stream.reserved = (
            min(opened.stream.reserved, _clusters(size)) if size < before else (opened.stream.reserved)
        )
        self.written(opened)
        self.report_data_changes(opened)

    def set_allocation(self, opened: OpenFile, size: int) -> None:
        """FileAllocationInformation: room reserved; below the end of the file it cuts the file."""
        stream = opened.stream
        if stream.data is None or size < 0:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        if size < self.size(stream):
            self.resize(stream, size)
            self.written(opened)
        else:
            self.require_room(size, self.allocation(stream))
        stream.reserved = _clusters(size)
        self.report_data_changes(opened)

    def require_room(self, size: int, held: int = 0) -> None:
        """Refuse what neither the kind of file system nor the disk has room for, beyond what is `held` already."""
        if size > self.kind.largest or size - held > self.store.space()[1]:
            raise StatusError(NtStatus.DISK_FULL)

    def set_zero(self, stream: Stream, begin: int, end: int) -> None:
        """FSCTL_SET_ZERO_DATA, of what lies before the end of the file."""
        if stream.data is None:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        end = min(end, self.size(stream))
        step = 1 << 20
        for first, last in stream.data.extents(begin, end):
            for at in range(first, last, step):
                stream.data.write(at, bytes(min(step, last - at)))
        if stream.allocated is not None:
            size = self.size(stream)
            last = end // SPARSE_UNIT if end < size else -(-end // SPARSE_UNIT)
            stream.allocated.difference_update(range(-(-begin // SPARSE_UNIT), last))

    def allocated_ranges(self, stream: Stream, offset: int, length: int) -> list[tuple[int, int]]:
        """FSCTL_QUERY_ALLOCATED_RANGES: (offset, length) of what is allocated within a range."""
        end = min(offset + length, self.size(stream))
        if stream.allocated is None:
            return [(offset, end - offset)] if end > offset else []
        found: list[tuple[int, int]] = []
        for unit in sorted(stream.allocated):
            first, last = max(unit * SPARSE_UNIT, offset), min((unit + 1) * SPARSE_UNIT, end)
            if first >= last:
                continue
            if found and sum(found[-1]) == first:
                found[-1] = (found[-1][0], last - found[-1][0])
            else:
                found.append((first, last - first))
        return found

    def set_sparse(self, stream: Stream, *, sparse: bool) -> None:
        """FSCTL_SET_SPARSE."""
        if stream.data is None:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        if sparse and stream.allocated is None:
            stream.allocated = set(range(-(-self.size(stream) // SPARSE_UNIT)))
        elif not sparse:
            stream.allocated = None

    def flush(self, stream: Stream) -> None:
        """What was written is on the disk afterwards."""
        if stream.data is not None:
            stream.data.flush()

    def delete_stream(self, stream: Stream) -> None:
        """Take a named stream away."""
        inode = stream.inode
        stream.deleted = True
        if inode.streams.get(upcase(stream.name)) is stream:
            del inode.streams[upcase(stream.name)]
        inode.times.change = self.store.now()
        self.changed(inode, Action.REMOVED_STREAM, Notify.STREAM_NAME, stream=stream.name)

    # --- information ---------------------------------------------------------------------------------------------

    def facts(self, opened: OpenFile) -> FileFacts:
        """Everything the query-information classes answer. FILE_DELETED once the file is gone for good."""
        if opened.inode.gone or opened.stream.deleted:
            raise StatusError(NtStatus.FILE_DELETED)
        return self.facts_of(opened.stream, opened.link)

    def facts_of(self, stream: Stream, link: Link | None) -> FileFacts:
        """The same, of a stream by one of the file's names."""
        inode = stream.inode
        if inode.links or inode.root:
            elsewhere = inode.place.changed_elsewhere()
            if elsewhere is not None:
                inode.times.write = inode.times.change = nt_time(elsewhere)
        pending = stream.delete_pending if stream.name else link is not None and (link.delete_pending or link.removed)
        times = inode.times
        return FileFacts(
            creation_time=times.creation,
            last_access_time=times.access,
            last_write_time=times.write,
            change_time=0 if self.kind.plain else times.change,
            allocation_size=self.allocation(stream),
            end_of_file=self.size(stream),
            attributes=inode.file_attributes,
            links=1 if inode.root else inode.link_count,
            delete_pending=pending,
            directory=stream.directory,
            index=inode.reference,
            ea_size=extended_attributes.size(inode),
            reparse_tag=inode.reparse_tag,
        )

    def allocation(self, stream: Stream) -> int:
        """AllocationSize in bytes."""
        if stream.directory:
            return 0
        if stream.allocated is not None:
            return min(len(stream.allocated) * SPARSE_UNIT, _clusters(self.size(stream)))
        return max(stream.reserved, _clusters(self.size(stream)))

    def set_basic(self, opened: OpenFile, times: tuple[int, int, int, int], attributes: int) -> None:
        """FileBasicInformation: creation, access, write and change time, and attributes; 0 leaves a value alone.

        -1 leaves a time alone whatever else this open does, -2 takes that back.
        """
        inode = opened.inode
        if any(time < _RESUME for time in times):
            raise StatusError(NtStatus.INVALID_PARAMETER)
        if attributes & FileAttributes.DIRECTORY and not inode.directory:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        if attributes & FileAttributes.TEMPORARY and inode.directory:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        what = 0
        if attributes:
            before, inode.attributes = inode.attributes, attributes & int(SETTABLE)
            what |= Notify.ATTRIBUTES if before != inode.attributes else 0
        inode.times.change = self.store.now()
        bits = (Notify.CREATION, Notify.LAST_ACCESS, Notify.LAST_WRITE, 0)
        for name, time, bit in zip(("creation", "access", "write", "change"), times, bits, strict=True):
            if time == _KEEP:
                opened.keep_times.add(name)
            elif time == _RESUME:
                opened.keep_times.discard(name)
            elif time:
                setattr(inode.times, name, time)
                opened.keep_times.add(name)
                what |= bit
        if times[1] > 0 or times[2] > 0:
            inode.place.set_times(inode.times.access, inode.times.write)
        opened.reported = self.known_facts(opened.stream)
        if what:
            self.changed(inode, Action.MODIFIED, what, link=opened.link)

    def set_eas(self, opened: OpenFile, data: bytes, *, kernel_call: bool = False) -> None:
        """IRP_MJ_SET_EA."""
        eas = extended_attributes.settable(extended_attributes.parse(data), kernel_call=kernel_call)
        if not eas:
            return
        extended_attributes.apply(opened.inode, eas)
        opened.inode.times.change = self.store.now()
        self.changed(opened.inode, Action.MODIFIED, Notify.EA, link=opened.link)

    def set_security(self, opened: OpenFile, what: int, data: bytes) -> None:
        """IRP_MJ_SET_SECURITY."""
        opened.inode.security = security.replaced(self.descriptor_data(opened.inode), what, data)
        opened.inode.times.change = self.store.now()
        self.changed(opened.inode, Action.MODIFIED, Notify.SECURITY, link=opened.link)


def _clusters(size: int) -> int:
    return -(-size // CLUSTER) * CLUSTER


def _stream_change(what: int) -> int:
    """What a change of a file's data is called where it is one of a named stream."""
    changed = what & Notify.STREAM_NAME
    changed |= Notify.STREAM_SIZE if what & Notify.SIZE else 0
    return changed | (Notify.STREAM_WRITE if what & Notify.LAST_WRITE else 0)
