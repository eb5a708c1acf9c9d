"""Renames and hard links in all forms."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs.changes import Action, Notify
from harness.reference.windows.fs.inode import FileAttributes, Inode, Link
from harness.reference.windows.fs.names import check_component, parse_new_stream
from harness.reference.windows.fs.opens import OpenFile
from harness.reference.windows.fs.sharing import Share
from harness.reference.windows.fsrtl.expressions import upcase
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.filesystem import FileSystem


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rename or link leads: a name in a directory, and what may be replaced there."""

    directory: Inode
    name: str
    replace: bool = False
    posix: bool = False
    ignore_read_only: bool = False

    @classmethod
    def from_flags(cls, directory: Inode, name: str, flags: int) -> "Target":
        """FILE_RENAME_* and FILE_LINK_*."""
        return cls(directory, name, bool(flags & 0x01), bool(flags & 0x02), bool(flags & 0x40))


def rename(files: "FileSystem", opened: OpenFile, target: Target) -> list[Inode]:
    """FileRenameInformation within this volume. Answers the files whose names were replaced."""
    link, inode = opened.link, opened.inode
    if link is None or inode.root:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if link.removed or link.delete_pending:
        raise StatusError(NtStatus.ACCESS_DENIED)
    _check_target(target)
    if inode.directory:
        _check_directory(files, inode, target.directory)
    existing = files.store.lookup(target.directory, target.name)
    replaced = []
    if existing is not None and existing is not link:
        replaced = _replace(files, existing, inode, target)
    source, old_name = link.parent, link.name
    what = Notify.DIR_NAME if inode.directory else Notify.FILE_NAME
    files.store.move(link, target.directory, target.name)
    same = source is target.directory
    files.tell(source, old_name, Action.RENAMED_OLD_NAME if same else Action.REMOVED, what)
    files.tell(target.directory, target.name, Action.RENAMED_NEW_NAME if same else Action.ADDED, what)
    inode.attributes |= 0 if inode.directory else FileAttributes.ARCHIVE
    return replaced


def make_link(files: "FileSystem", opened: OpenFile, target: Target) -> list[Inode]:
    """FileLinkInformation. Answers the files whose names were replaced."""
    inode = opened.inode
    if inode.directory:
        raise StatusError(NtStatus.FILE_IS_A_DIRECTORY)
    if opened.link is None or not inode.links or opened.link.delete_pending:
        raise StatusError(NtStatus.ACCESS_DENIED)
    _check_target(target)
    existing = files.store.lookup(target.directory, target.name)
    replaced = []
    if existing is not None:
        if existing.inode is inode and target.replace:
            return []
        replaced = _replace(files, existing, inode, target)
    files.store.add_link(inode, target.directory, target.name)
    files.tell(target.directory, target.name, Action.ADDED, Notify.FILE_NAME)
    return replaced


def rename_stream(files: "FileSystem", opened: OpenFile, text: str, *, replace: bool) -> None:
    """A rename to `:name`: the stream gets another name."""
    stream, inode = opened.stream, opened.inode
    name = parse_new_stream(text)
    if not stream.name or not name or stream.deleted:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    existing = inode.streams.get(upcase(name))
    if existing is not None and existing is not stream:
        if not replace:
            raise StatusError(NtStatus.OBJECT_NAME_COLLISION)
        if existing.opens or files.size(existing):
            raise StatusError(NtStatus.ACCESS_DENIED)
        files.delete_stream(existing)
    files.changed(inode, Action.REMOVED_STREAM, Notify.STREAM_NAME, stream=stream.name)
    del inode.streams[upcase(stream.name)]
    stream.name = name
    inode.streams[upcase(name)] = stream
    files.changed(inode, Action.ADDED_STREAM, Notify.STREAM_NAME, stream=name)


def _check_target(target: Target) -> None:
    check_component(target.name)
    if not target.directory.directory:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if any(link.delete_pending for link in target.directory.links):
        raise StatusError(NtStatus.DELETE_PENDING)


def _check_directory(files: "FileSystem", inode: Inode, directory: Inode) -> None:
    """A directory is not moved below itself, nor while something below it is open."""
    if is_below(directory, inode):
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if has_open_below(files, inode):
        raise StatusError(NtStatus.ACCESS_DENIED)


def is_below(inode: Inode, directory: Inode) -> bool:
    """Whether a directory is another one, or lies below it."""
    at = inode
    while True:
        if at is directory:
            return True
        if not at.links:
            return False
        at = at.links[0].parent


def has_open_below(files: "FileSystem", directory: Inode) -> bool:
    """Whether somebody has a handle to something below a directory."""
    return any(
        link.handles and is_below(link.parent, directory)
        for inode in files.store.inodes()
        if inode.handles
        for link in inode.links
    )


def _replace(files: "FileSystem", existing: Link, source: Inode, target: Target) -> list[Inode]:
    """Take the name away from what has it."""
    other = existing.inode
    if not target.replace:
        raise StatusError(NtStatus.OBJECT_NAME_COLLISION)
    if other is not source:
        _check_replaceable(files, existing, source, target)
    parent, name = existing.parent, existing.name
    files.store.unlink(existing)
    files.tell(parent, name, Action.REMOVED, Notify.DIR_NAME if other.directory else Notify.FILE_NAME)
    return [other] if other is not source and not other.links else []


def _check_replaceable(files: "FileSystem", existing: Link, source: Inode, target: Target) -> None:
    other = existing.inode
    if existing.delete_pending:
        raise StatusError(NtStatus.DELETE_PENDING)
    if other.directory and not (target.posix and source.directory and files.store.is_empty(other)):
        raise StatusError(NtStatus.ACCESS_DENIED)
    if other.attributes & FileAttributes.READONLY and not target.ignore_read_only:
        raise StatusError(NtStatus.ACCESS_DENIED)
    if other.handles:
        if not target.posix:
            raise StatusError(NtStatus.ACCESS_DENIED)
        entries = [entry for stream in other.streams.values() for entry in stream.sharing.entries if entry.needs]
        if any(not entry.share & Share.DELETE for entry in entries):
            raise StatusError(NtStatus.SHARING_VIOLATION)
    stream = other.default_stream
    if not other.directory and (files.sections.user_references(stream) or not files.sections.flush_image(stream)):
        raise StatusError(NtStatus.ACCESS_DENIED)
