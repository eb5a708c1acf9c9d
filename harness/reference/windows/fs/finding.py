"""Where a create leads: the name is walked, and what can be refused before anybody else is asked is refused."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs.errors import Reparse
from harness.reference.windows.fs.inode import FileAttributes, Inode, Link
from harness.reference.windows.fs.names import SYSTEM_FILES, Name, parse
from harness.reference.windows.fs.opens import (
    ADDED,
    MAKES,
    OVERWRITES,
    Asked,
    CreateOptions,
    CreateResult,
    Disposition,
    Found,
)
from harness.reference.windows.fs.sharing import WRITES, Access
from harness.reference.windows.fsrtl.expressions import upcase
from harness.reference.windows.ntos.se import security
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.filesystem import FileSystem

_ADD_FILE, _ADD_SUBDIRECTORY = 0x2, 0x4
_READ_ONLY_RIGHTS = 0x001F_01FF & ~(WRITES | Access.DELETE)


def find(files: "FileSystem", asked: Asked) -> Found:
    """Walk the name. Raises the refusal, or Reparse."""
    directory, plain = asked.options & CreateOptions.DIRECTORY_FILE, asked.options & CreateOptions.NON_DIRECTORY_FILE
    if asked.options & CreateOptions.OPEN_BY_FILE_ID:
        return _find_by_id(files, asked)
    related = asked.related
    name = parse(asked.name, relative=related is not None)
    if name.trailing_backslash and plain:
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    if name.stream and directory:
        raise StatusError(NtStatus.NOT_A_DIRECTORY)
    start = related.inode if related is not None else files.store.root
    if not name.components:
        return _find_start(files, asked, start, related.link if related else None, name)
    if not start.directory:
        raise StatusError(NtStatus.INVALID_PARAMETER if related else NtStatus.OBJECT_PATH_NOT_FOUND)
    parent = _walk(files, asked, start, name)
    if asked.target_directory:
        return _target_directory(files, asked, parent, name)
    last = name.components[-1]
    link = files.store.lookup(parent, last, case_sensitive=asked.case_sensitive)
    if parent.root and upcase(last) in SYSTEM_FILES:
        raise StatusError(NtStatus.ACCESS_DENIED)
    if link is None:
        return _find_new(files, asked, parent, name)
    _check_reparse(asked, link.inode, name, len(name.components))
    if name.trailing_backslash and not link.inode.directory:
        raise StatusError(NtStatus.OBJECT_NAME_INVALID if not directory else NtStatus.NOT_A_DIRECTORY)
    found = _find_stream(asked, Found(parent, last, link, link.inode, None, "", 0), name)
    return _check_existing(files, asked, found)


def _walk(files: "FileSystem", asked: Asked, start: Inode, name: Name) -> Inode:
    """The directory that the last component is in."""
    at = start
    for position, component in enumerate(name.components[:-1]):
        link = files.store.lookup(at, component, case_sensitive=asked.case_sensitive)
        if link is None:
            raise StatusError(NtStatus.OBJECT_PATH_NOT_FOUND)
        _check_reparse(asked, link.inode, name, position + 1, middle=True)
        if not link.inode.directory:
            raise StatusError(NtStatus.OBJECT_PATH_NOT_FOUND)
        if link.delete_pending:
            raise StatusError(NtStatus.DELETE_PENDING)
        at = link.inode
    if any(link.delete_pending for link in at.links) or (not at.root and not at.links):
        raise StatusError(NtStatus.DELETE_PENDING)
    return at


def _check_reparse(asked: Asked, inode: Inode, name: Name, done: int, *, middle: bool = False) -> None:
    """Stop at a reparse point, unless it is the file itself that is wanted."""
    if not inode.reparse or (not middle and asked.options & CreateOptions.OPEN_REPARSE_POINT):
        return
    if asked.target_directory and not middle:
        return
    rest = "".join("\\" + component for component in name.components[done:])
    if not rest and name.stream:
        rest = f":{name.stream}"
    raise Reparse(inode.reparse_tag, inode.reparse, rest)


def _find_start(files: "FileSystem", asked: Asked, start: Inode, link: Link | None, name: Name) -> Found:
    """The name leads to where it begins: the root, or the file it is relative to."""
    if asked.target_directory:
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    found = _find_stream(asked, Found(files.store.above(start), "", link, start, None, "", 0), name)
    if start.root and found.stream is start.default_stream:
        if asked.options & CreateOptions.NON_DIRECTORY_FILE:
            raise StatusError(NtStatus.FILE_IS_A_DIRECTORY)
        if asked.disposition not in (Disposition.OPEN, Disposition.OPEN_IF):
            raise StatusError(NtStatus.ACCESS_DENIED)
        if asked.options & CreateOptions.DELETE_ON_CLOSE:
            raise StatusError(NtStatus.CANNOT_DELETE)
    return _check_existing(files, asked, found)


def _find_by_id(files: "FileSystem", asked: Asked) -> Found:
    inode = files.store.by_id(asked.name)
    if inode is None or asked.disposition not in (Disposition.OPEN, Disposition.OPEN_IF):
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if asked.options & CreateOptions.DELETE_ON_CLOSE:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if not inode.root and not inode.links:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if inode.reparse and not asked.options & CreateOptions.OPEN_REPARSE_POINT:
        raise Reparse(inode.reparse_tag, inode.reparse, "")
    link = inode.links[0] if inode.links else None
    found = Found(files.store.above(inode), "", link, inode, inode.default_stream, "", 0, by_id=True)
    return _check_existing(files, asked, found)


def _target_directory(files: "FileSystem", asked: Asked, parent: Inode, name: Name) -> Found:
    """SL_OPEN_TARGET_DIRECTORY: the directory is opened, and whether the last component exists is told."""
    last = name.components[-1]
    exists = files.store.lookup(parent, last, case_sensitive=asked.case_sensitive) is not None
    link = parent.links[0] if parent.links else None
    found = Found(files.store.above(parent), "", link, parent, parent.default_stream, "", 0)
    found.access = security.check(files.descriptor(parent), asked.subject, asked.access, files.descriptor_above(parent))
    found.result = CreateResult.EXISTS if exists else CreateResult.DOES_NOT_EXIST
    found.target = last
    return found


def _find_stream(asked: Asked, found: Found, name: Name) -> Found:
    """Settle which stream of an existing file is meant."""
    inode = found.inode
    assert inode is not None
    directory = bool(asked.options & CreateOptions.DIRECTORY_FILE)
    if name.index and not inode.directory:
        raise StatusError(NtStatus.NOT_A_DIRECTORY)
    if name.stream == "" and not name.index and inode.directory:
        raise StatusError(NtStatus.NOT_A_DIRECTORY if directory else NtStatus.FILE_IS_A_DIRECTORY)
    found.stream_name = name.stream or ""
    found.stream = inode.streams.get(upcase(found.stream_name))
    return found


def _find_new(files: "FileSystem", asked: Asked, parent: Inode, name: Name) -> Found:
    """The name is free."""
    directory = bool(asked.options & CreateOptions.DIRECTORY_FILE) or name.index
    if asked.disposition not in MAKES:
        raise StatusError(NtStatus.OBJECT_NAME_NOT_FOUND)
    if name.trailing_backslash and not directory:
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    if directory and asked.attributes & FileAttributes.TEMPORARY:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if asked.attributes & FileAttributes.READONLY and asked.options & CreateOptions.DELETE_ON_CLOSE:
        raise StatusError(NtStatus.CANNOT_DELETE)
    if directory and asked.options & CreateOptions.NON_DIRECTORY_FILE:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    needed = _ADD_SUBDIRECTORY if directory else _ADD_FILE
    security.check(files.descriptor(parent), asked.subject, needed)
    access = asked.access
    if access & security.MAXIMUM_ALLOWED:
        access = access & ~security.MAXIMUM_ALLOWED | security.FILE_ALL_ACCESS
    found = Found(parent, name.components[-1], None, None, None, name.stream or "", access)
    found.result = CreateResult.CREATED
    return found


def _check_existing(files: "FileSystem", asked: Asked, found: Found) -> Found:
    """What can be said of a file that exists, before sharing, oplocks and sections are asked."""
    inode = found.inode
    assert inode is not None
    if found.link is not None and (found.link.delete_pending or found.link.removed):
        raise StatusError(NtStatus.DELETE_PENDING)
    if found.stream is None:
        return _check_new_stream(files, asked, found, inode)
    if found.stream.delete_pending:
        raise StatusError(NtStatus.DELETE_PENDING)
    if asked.disposition == Disposition.CREATE:
        raise StatusError(NtStatus.OBJECT_NAME_COLLISION)
    if found.stream.directory and asked.options & CreateOptions.NON_DIRECTORY_FILE:
        raise StatusError(NtStatus.FILE_IS_A_DIRECTORY)
    if not found.stream.directory and asked.options & CreateOptions.DIRECTORY_FILE:
        raise StatusError(NtStatus.NOT_A_DIRECTORY)
    if found.stream.directory and asked.disposition in OVERWRITES:
        raise StatusError(NtStatus.OBJECT_NAME_COLLISION)
    found.access = _check_access(files, asked, inode, directory=found.stream.directory)
    if asked.disposition in OVERWRITES:
        _check_overwrite(asked, found, inode)
    if asked.options & CreateOptions.DELETE_ON_CLOSE and inode.attributes & FileAttributes.READONLY:
        raise StatusError(NtStatus.CANNOT_DELETE)
    if inode.eas and asked.options & CreateOptions.NO_EA_KNOWLEDGE and files.needs_ea_knowledge(inode):
        raise StatusError(NtStatus.ACCESS_DENIED)
    return found


def _check_new_stream(files: "FileSystem", asked: Asked, found: Found, inode: Inode) -> Found:
    if asked.disposition not in MAKES:
        raise StatusError(NtStatus.OBJECT_NAME_NOT_FOUND)
    if inode.attributes & FileAttributes.READONLY and not inode.directory:
        raise StatusError(NtStatus.ACCESS_DENIED)
    found.access = _check_access(files, asked, inode, directory=False)
    found.result = CreateResult.CREATED
    return found


def _check_access(files: "FileSystem", asked: Asked, inode: Inode, *, directory: bool) -> int:
    read_only = inode.attributes & FileAttributes.READONLY and not directory
    if read_only and asked.access & WRITES:
        raise StatusError(NtStatus.ACCESS_DENIED)
    added = ADDED.get(Disposition(asked.disposition), 0)
    above = files.descriptor_above(inode)
    access = security.check(files.descriptor(inode), asked.subject, asked.access, above)
    if added:
        security.check(files.descriptor(inode), asked.subject, int(added), above)
    if read_only and asked.access & security.MAXIMUM_ALLOWED:
        access &= _READ_ONLY_RIGHTS | asked.access
    return access


def _check_overwrite(asked: Asked, found: Found, inode: Inode) -> None:
    """An overwrite must know that a file is hidden or of the system, and a read-only one is not overwritten."""
    if found.stream_name:
        return
    kept = FileAttributes.HIDDEN | FileAttributes.SYSTEM
    if inode.attributes & kept & ~asked.attributes:
        raise StatusError(NtStatus.ACCESS_DENIED)
    if inode.attributes & FileAttributes.READONLY and asked.disposition != Disposition.SUPERSEDE:
        raise StatusError(NtStatus.ACCESS_DENIED)
