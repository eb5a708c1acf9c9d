"""Creates: from what is asked to the stream that is opened, made or overwritten.

`find` walks the name and refuses what can be refused before anybody else is asked; `commit` opens. Between the two the
driver breaks oplocks, and finds again if it had to wait.
"""

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs import extended_attributes, security
from harness.reference.windows.fs.changes import Action, Notify
from harness.reference.windows.fs.errors import Reparse, VolumeError
from harness.reference.windows.fs.inode import CLUSTER, SETTABLE, FileAttributes, Inode, Link, Stream
from harness.reference.windows.fs.names import SYSTEM_FILES, Name, parse
from harness.reference.windows.fs.sharing import WRITES, Access, ShareEntry
from harness.reference.windows.fsrtl.expressions import upcase

if TYPE_CHECKING:
    from harness.reference.windows.fs.filesystem import FileSystem

_ADD_FILE, _ADD_SUBDIRECTORY = 0x2, 0x4
_READ_ONLY_RIGHTS = 0x001F_01FF & ~(WRITES | Access.DELETE)


class Disposition(IntEnum):
    """FILE_SUPERSEDE .. FILE_OVERWRITE_IF, the CreateDisposition of NtCreateFile."""

    SUPERSEDE = 0
    OPEN = 1
    CREATE = 2
    OPEN_IF = 3
    OVERWRITE = 4
    OVERWRITE_IF = 5


OVERWRITES = frozenset({Disposition.SUPERSEDE, Disposition.OVERWRITE, Disposition.OVERWRITE_IF})
MAKES = frozenset({Disposition.SUPERSEDE, Disposition.CREATE, Disposition.OPEN_IF, Disposition.OVERWRITE_IF})


class CreateResult(IntEnum):
    """IoStatus.Information of a create."""

    SUPERSEDED = 0
    OPENED = 1
    CREATED = 2
    OVERWRITTEN = 3
    EXISTS = 4
    DOES_NOT_EXIST = 5


class CreateOptions(IntFlag):
    """The CreateOptions that the file system itself obeys."""

    DIRECTORY_FILE = 0x00000001
    NON_DIRECTORY_FILE = 0x00000040
    COMPLETE_IF_OPLOCKED = 0x00000100
    NO_EA_KNOWLEDGE = 0x00000200
    DELETE_ON_CLOSE = 0x00001000
    OPEN_BY_FILE_ID = 0x00002000
    NO_COMPRESSION = 0x00008000
    OPEN_REPARSE_POINT = 0x00200000


@dataclass(eq=False, slots=True)
class OpenFile:
    """One successful create: what a file object means to the file system (its context control block)."""

    stream: Stream
    link: Link | None
    """The name it was opened by; None by id, and for the root."""
    entry: ShareEntry
    access: int
    options: int
    result: CreateResult
    delete_on_close: bool = False
    by_id: bool = False
    cleaned_up: bool = False
    posix_delete: bool = False
    """Its cleanup takes the name away at once."""
    keep_times: set[str] = field(default_factory=set)
    """Times that it has asked to leave alone (-1 in FileBasicInformation)."""
    reported: tuple[int, int] = (0, 0)
    """Size and last write time as those who watch the directory know them."""
    pattern: str | None = None
    """Of its directory queries, once the first was made."""
    last_name: str | None = None
    """The key of the entry that a directory query gave last."""
    dots: int = 0
    ea_index: int = 0

    @property
    def inode(self) -> Inode:
        return self.stream.inode

    @property
    def path(self) -> str:
        r"""`\dir\file`, with `:stream` where one is named."""
        path = self.inode.path(self.link)
        return f"{path}:{self.stream.name}" if self.stream.name else path


@dataclass(frozen=True, slots=True)
class Asked:
    """What a create asks for. Generic rights are mapped; `related` is the open that the name is relative to."""

    name: str
    access: int
    share: int
    disposition: int
    options: int = 0
    attributes: int = 0
    allocation: int = 0
    eas: bytes = b""
    descriptor: bytes = b""
    related: OpenFile | None = None
    case_sensitive: bool = False
    target_directory: bool = False
    subject: security.Subject = security.KERNEL_SUBJECT


@dataclass(eq=False, slots=True)
class Found:
    """Where a create leads. `link` is None where the name is free, by id and for the root."""

    parent: Inode
    name: str
    link: Link | None
    inode: Inode | None
    stream: Stream | None
    stream_name: str
    access: int
    by_id: bool = False
    result: CreateResult = CreateResult.OPENED
    target: str = ""
    """With SL_OPEN_TARGET_DIRECTORY: the last component."""


def find(files: "FileSystem", asked: Asked) -> Found:
    """Walk the name. Raises the refusal, or Reparse."""
    directory, plain = asked.options & CreateOptions.DIRECTORY_FILE, asked.options & CreateOptions.NON_DIRECTORY_FILE
    if asked.options & CreateOptions.OPEN_BY_FILE_ID:
        return _find_by_id(files, asked)
    related = asked.related
    name = parse(asked.name, relative=related is not None)
    if name.trailing_backslash and plain:
        raise VolumeError(NtStatus.OBJECT_NAME_INVALID)
    if name.stream and directory:
        raise VolumeError(NtStatus.NOT_A_DIRECTORY)
    start = related.inode if related is not None else files.store.root
    if not name.components:
        return _find_start(files, asked, start, related.link if related else None, name)
    if not start.directory:
        raise VolumeError(NtStatus.INVALID_PARAMETER if related else NtStatus.OBJECT_PATH_NOT_FOUND)
    parent = _walk(files, asked, start, name)
    if asked.target_directory:
        return _target_directory(files, asked, parent, name)
    last = name.components[-1]
    link = files.store.lookup(parent, last, case_sensitive=asked.case_sensitive)
    if parent.root and upcase(last) in SYSTEM_FILES:
        raise VolumeError(NtStatus.ACCESS_DENIED)
    if link is None:
        return _find_new(files, asked, parent, name)
    _check_reparse(asked, link.inode, name, len(name.components))
    if name.trailing_backslash and not link.inode.directory:
        raise VolumeError(NtStatus.OBJECT_NAME_INVALID if not directory else NtStatus.NOT_A_DIRECTORY)
    found = _find_stream(asked, Found(parent, last, link, link.inode, None, "", 0), name)
    return _check_existing(files, asked, found)


def _walk(files: "FileSystem", asked: Asked, start: Inode, name: Name) -> Inode:
    """The directory that the last component is in."""
    at = start
    for position, component in enumerate(name.components[:-1]):
        link = files.store.lookup(at, component, case_sensitive=asked.case_sensitive)
        if link is None:
            raise VolumeError(NtStatus.OBJECT_PATH_NOT_FOUND)
        _check_reparse(asked, link.inode, name, position + 1, middle=True)
        if not link.inode.directory:
            raise VolumeError(NtStatus.OBJECT_PATH_NOT_FOUND)
        if link.delete_pending:
            raise VolumeError(NtStatus.DELETE_PENDING)
        at = link.inode
    if any(link.delete_pending for link in at.links) or (not at.root and not at.links):
        raise VolumeError(NtStatus.DELETE_PENDING)
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
        raise VolumeError(NtStatus.OBJECT_NAME_INVALID)
    found = _find_stream(asked, Found(files.store.above(start), "", link, start, None, "", 0), name)
    if start.root and found.stream is start.default_stream:
        if asked.options & CreateOptions.NON_DIRECTORY_FILE:
            raise VolumeError(NtStatus.FILE_IS_A_DIRECTORY)
        if asked.disposition not in (Disposition.OPEN, Disposition.OPEN_IF):
            raise VolumeError(NtStatus.ACCESS_DENIED)
        if asked.options & CreateOptions.DELETE_ON_CLOSE:
            raise VolumeError(NtStatus.CANNOT_DELETE)
    return _check_existing(files, asked, found)


def _find_by_id(files: "FileSystem", asked: Asked) -> Found:
    raw = asked.name.encode("utf-16-le", "surrogatepass")
    if len(raw) in (10, 18) and raw[:2] == b"\\\0":
        raw = raw[2:]
    if len(raw) == 8 or (len(raw) == 16 and not any(raw[8:])):
        inode = files.store.by_reference(int.from_bytes(raw[:8], "little"))
    elif len(raw) == 16:
        inode = files.store.by_object_id(raw)
        if inode is None:
            raise VolumeError(NtStatus.OBJECT_NAME_NOT_FOUND)
    else:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    if inode is None or asked.disposition not in (Disposition.OPEN, Disposition.OPEN_IF):
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    if asked.options & CreateOptions.DELETE_ON_CLOSE:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    if not inode.root and not inode.links:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
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
        raise VolumeError(NtStatus.NOT_A_DIRECTORY)
    if name.stream == "" and not name.index and inode.directory:
        raise VolumeError(NtStatus.NOT_A_DIRECTORY if directory else NtStatus.FILE_IS_A_DIRECTORY)
    found.stream_name = name.stream or ""
    found.stream = inode.streams.get(upcase(found.stream_name))
    return found


def _find_new(files: "FileSystem", asked: Asked, parent: Inode, name: Name) -> Found:
    """The name is free."""
    directory = bool(asked.options & CreateOptions.DIRECTORY_FILE) or name.index
    if asked.disposition not in MAKES:
        raise VolumeError(NtStatus.OBJECT_NAME_NOT_FOUND)
    if name.trailing_backslash and not directory:
        raise VolumeError(NtStatus.OBJECT_NAME_INVALID)
    if directory and asked.attributes & FileAttributes.TEMPORARY:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    if asked.attributes & FileAttributes.READONLY and asked.options & CreateOptions.DELETE_ON_CLOSE:
        raise VolumeError(NtStatus.CANNOT_DELETE)
    if directory and asked.options & CreateOptions.NON_DIRECTORY_FILE:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
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
        raise VolumeError(NtStatus.DELETE_PENDING)
    if found.stream is None:
        return _check_new_stream(files, asked, found, inode)
    if found.stream.delete_pending:
        raise VolumeError(NtStatus.DELETE_PENDING)
    if asked.disposition == Disposition.CREATE:
        raise VolumeError(NtStatus.OBJECT_NAME_COLLISION)
    if found.stream.directory and asked.options & CreateOptions.NON_DIRECTORY_FILE:
        raise VolumeError(NtStatus.FILE_IS_A_DIRECTORY)
    if not found.stream.directory and asked.options & CreateOptions.DIRECTORY_FILE:
        raise VolumeError(NtStatus.NOT_A_DIRECTORY)
    if found.stream.directory and asked.disposition in OVERWRITES:
        raise VolumeError(NtStatus.OBJECT_NAME_COLLISION)
    found.access = _check_access(files, asked, inode, directory=found.stream.directory)
    if asked.disposition in OVERWRITES:
        _check_overwrite(asked, found, inode)
    if asked.options & CreateOptions.DELETE_ON_CLOSE and inode.attributes & FileAttributes.READONLY:
        raise VolumeError(NtStatus.CANNOT_DELETE)
    if inode.eas and asked.options & CreateOptions.NO_EA_KNOWLEDGE and files.needs_ea_knowledge(inode):
        raise VolumeError(NtStatus.ACCESS_DENIED)
    return found


def _check_new_stream(files: "FileSystem", asked: Asked, found: Found, inode: Inode) -> Found:
    if asked.disposition not in MAKES:
        raise VolumeError(NtStatus.OBJECT_NAME_NOT_FOUND)
    if inode.attributes & FileAttributes.READONLY and not inode.directory:
        raise VolumeError(NtStatus.ACCESS_DENIED)
    found.access = _check_access(files, asked, inode, directory=False)
    found.result = CreateResult.CREATED
    return found


def _check_access(files: "FileSystem", asked: Asked, inode: Inode, *, directory: bool) -> int:
    read_only = inode.attributes & FileAttributes.READONLY and not directory
    if read_only and asked.access & WRITES:
        raise VolumeError(NtStatus.ACCESS_DENIED)
    added = {
        Disposition.OVERWRITE: Access.WRITE_DATA,
        Disposition.OVERWRITE_IF: Access.WRITE_DATA,
        Disposition.SUPERSEDE: Access.DELETE,
    }.get(Disposition(asked.disposition), Access(0))
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
        raise VolumeError(NtStatus.ACCESS_DENIED)
    if inode.attributes & FileAttributes.READONLY and asked.disposition != Disposition.SUPERSEDE:
        raise VolumeError(NtStatus.ACCESS_DENIED)


# --- opening ---------------------------------------------------------------------------------------------------------


def conflicts(found: Found, asked: Asked) -> bool:
    """Whether other opens of the stream do not let this one in."""
    if found.stream is None:
        return False
    return not found.stream.sharing.admits(ShareEntry(found.access, asked.share))


def commit(files: "FileSystem", asked: Asked, found: Found) -> OpenFile:
    """Open what was found: make it, overwrite it, or just open it."""
    if conflicts(found, asked):
        raise VolumeError(NtStatus.SHARING_VIOLATION)
    if found.stream is not None and not found.stream.directory:
        _check_sections(files, asked, found, found.stream)
    if found.inode is None:
        _make(files, asked, found)
    elif found.stream is None:
        found.stream = files.store.make_stream(found.inode, found.stream_name)
        files.changed(found.inode, Action.ADDED_STREAM, Notify.STREAM_NAME, stream=found.stream_name)
    elif asked.disposition in OVERWRITES:
        _overwrite(files, asked, found, found.stream)
    stream = found.stream
    assert stream is not None
    if asked.allocation > 0 and not stream.directory and found.result is not CreateResult.OPENED:
        stream.reserved = -(-asked.allocation // CLUSTER) * CLUSTER
    entry = ShareEntry(found.access, asked.share)
    stream.sharing.add(entry)
    stream.opens += 1
    if found.link is not None:
        found.link.handles += 1
    opened = OpenFile(stream, found.link, entry, found.access, asked.options, found.result, by_id=found.by_id)
    opened.delete_on_close = bool(asked.options & CreateOptions.DELETE_ON_CLOSE)
    opened.reported = files.known_facts(stream)
    return opened


def _check_sections(files: "FileSystem", asked: Asked, found: Found, stream: Stream) -> None:
    writes = found.access & WRITES & ~asked.access == 0 and found.access & WRITES
    deletes = asked.options & CreateOptions.DELETE_ON_CLOSE
    if (writes or deletes) and not files.sections.flush_image(stream):
        raise VolumeError(NtStatus.CANNOT_DELETE if deletes else NtStatus.SHARING_VIOLATION)
    if asked.disposition in OVERWRITES and not files.sections.can_truncate(stream, 0):
        raise VolumeError(NtStatus.USER_MAPPED_FILE)


def _make(files: "FileSystem", asked: Asked, found: Found) -> None:
    """A new file, with its named stream if one is asked for."""
    directory = bool(asked.options & CreateOptions.DIRECTORY_FILE)
    eas = extended_attributes.parse(asked.eas) if asked.eas else ()
    given = security.unpack(asked.descriptor) if asked.descriptor else None
    link = files.store.make(found.parent, found.name, is_directory=directory)
    inode = found.inode = link.inode
    found.link = link
    inode.attributes = asked.attributes & int(SETTABLE) | (0 if directory else FileAttributes.ARCHIVE)
    if directory:
        inode.case_sensitive = found.parent.case_sensitive
    above = security.unpack(files.descriptor_data(found.parent))
    if given is not None:
        inode.security = security.assign(above, given, asked.subject, directory=directory).pack()
    else:
        inode.security = security.inherited(above, asked.subject, directory=directory).pack()
    extended_attributes.apply(inode, eas)
    found.stream = inode.default_stream
    if found.stream_name:
        found.stream = files.store.make_stream(inode, found.stream_name)
    files.changed(inode, Action.ADDED, Notify.DIR_NAME if directory else Notify.FILE_NAME, link=link)
    if found.stream_name:
        files.changed(inode, Action.ADDED_STREAM, Notify.STREAM_NAME, link=link, stream=found.stream_name)


def _overwrite(files: "FileSystem", asked: Asked, found: Found, stream: Stream) -> None:
    inode = found.inode
    assert inode is not None
    supersede = asked.disposition == Disposition.SUPERSEDE
    eas = extended_attributes.parse(asked.eas) if asked.eas else ()
    files.resize(stream, 0)
    stream.reserved = 0
    if not stream.name:
        new = asked.attributes & int(SETTABLE) | FileAttributes.ARCHIVE
        inode.attributes = new if supersede else inode.attributes | new
        inode.eas.clear()
        extended_attributes.apply(inode, eas)
        for other in [other for other in inode.streams.values() if other.name]:
            files.delete_stream(other)
        stream.allocated = None
    now = files.store.now()
    inode.times.write = inode.times.change = now
    if supersede:
        inode.times.creation = now
    found.result = CreateResult.SUPERSEDED if supersede else CreateResult.OVERWRITTEN
    files.changed(
        inode, Action.MODIFIED, Notify.ATTRIBUTES | Notify.SIZE | Notify.LAST_WRITE, link=found.link, stream=stream.name
    )
