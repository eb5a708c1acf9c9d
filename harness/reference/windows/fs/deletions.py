"""Deletions in all forms: by disposition, with POSIX semantics, on close; of files, names, streams and directories."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs.changes import Action, Notify
from harness.reference.windows.fs.inode import FileAttributes, Link
from harness.reference.windows.fs.opens import OpenFile
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.filesystem import FileSystem


@dataclass(frozen=True, slots=True)
class Disposition:
    """FILE_DISPOSITION_INFORMATION_EX; the simple form is `delete` alone."""

    delete: bool
    posix: bool = False
    on_close: bool = False
    ignore_read_only: bool = False

    @classmethod
    def from_flags(cls, flags: int) -> "Disposition":
        """FILE_DISPOSITION_*; INVALID_PARAMETER for unknown ones."""
        if flags & ~0x1F:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        return cls(bool(flags & 0x01), bool(flags & 0x02), bool(flags & 0x08), bool(flags & 0x10))


def set_disposition(files: "FileSystem", opened: OpenFile, wanted: Disposition) -> None:
    """Mark for deletion at the last cleanup, or take the mark back."""
    if opened.inode.gone:
        raise StatusError(NtStatus.FILE_DELETED)
    if wanted.on_close:
        if not opened.delete_on_close and wanted.delete:
            raise StatusError(NtStatus.NOT_SUPPORTED)
        opened.delete_on_close = wanted.delete
        opened.posix_delete = wanted.delete and wanted.posix
        return
    if wanted.delete:
        check_deletable(files, opened, ignore_read_only=wanted.ignore_read_only)
    _mark(opened, delete=wanted.delete)
    opened.posix_delete = wanted.delete and wanted.posix


def check_deletable(files: "FileSystem", opened: OpenFile, *, ignore_read_only: bool = False) -> None:
    """Raise why the file cannot be deleted."""
    inode, stream = opened.inode, opened.stream
    if inode.root and not stream.name:
        raise StatusError(NtStatus.CANNOT_DELETE)
    if inode.attributes & FileAttributes.READONLY and not ignore_read_only:
        raise StatusError(NtStatus.CANNOT_DELETE)
    if stream.directory:
        if inode.links and not files.store.is_empty(inode):
            raise StatusError(NtStatus.DIRECTORY_NOT_EMPTY)
    elif files.sections.user_references(stream) or not files.sections.flush_image(stream):
        raise StatusError(NtStatus.CANNOT_DELETE)


def _mark(opened: OpenFile, *, delete: bool) -> None:
    if opened.stream.name:
        opened.stream.delete_pending = delete
    elif opened.link is not None and not opened.link.removed:
        opened.link.delete_pending = delete


def cleanup(files: "FileSystem", opened: OpenFile) -> bool:
    """The last handle of an open is gone. Answers whether a file was deleted by it."""
    if opened.cleaned_up:
        return False
    opened.cleaned_up = True
    stream, link = opened.stream, opened.link
    files.report_data_changes(opened)
    stream.sharing.remove(opened.entry)
    if link is not None:
        link.handles -= 1
    if opened.delete_on_close:
        _delete_on_close(files, opened)
    if not stream.handles:
        stream.reserved = 0
    if stream.name:
        if stream.delete_pending and not stream.handles and not stream.deleted:
            files.delete_stream(stream)
        opened.posix_delete = False
    if link is None or not link.delete_pending or link.removed or (link.handles and not opened.posix_delete):
        return False
    return _remove(files, link)


def _delete_on_close(files: "FileSystem", opened: OpenFile) -> None:
    """A file that cannot be deleted any more stays: cleanup cannot fail."""
    inode = opened.inode
    if inode.attributes & FileAttributes.READONLY:
        return
    if opened.stream.directory and inode.links and not files.store.is_empty(inode):
        return
    _mark(opened, delete=True)


def _remove(files: "FileSystem", link: Link) -> bool:
    inode, parent, name = link.inode, link.parent, link.name
    try:
        files.store.unlink(link)
    except StatusError:
        link.delete_pending = False  # a directory that another program has put something into
        return False
    what = Notify.DIR_NAME if inode.directory else Notify.FILE_NAME
    files.tell(parent, name, Action.REMOVED, what)
    return not inode.links
