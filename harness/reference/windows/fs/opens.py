"""Creates: from what is asked to the stream that is opened, made or overwritten.

`finding.find` walks the name and refuses what can be refused before anybody else is asked; `commit` opens. Between the
two the driver breaks oplocks, and finds again if it had to wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.nt.words import word
from harness.reference.windows.fs import extended_attributes
from harness.reference.windows.fs.changes import Action, Notify
from harness.reference.windows.fs.inode import CLUSTER, SETTABLE, FileAttributes, Inode, Link, Stream
from harness.reference.windows.fs.sharing import WRITES, Access, Share, ShareEntry
from harness.reference.windows.ntos.se import security
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.filesystem import FileSystem


class Disposition(IntEnum):
    """FILE_SUPERSEDE .. FILE_OVERWRITE_IF, the CreateDisposition of NtCreateFile."""

    SUPERSEDE = 0
    OPEN = 1
    CREATE = 2
    OPEN_IF = 3
    OVERWRITE = 4
    OVERWRITE_IF = 5


OVERWRITES = frozenset({Disposition.SUPERSEDE, Disposition.OVERWRITE, Disposition.OVERWRITE_IF})
ADDED = {
    Disposition.OVERWRITE: Access.WRITE_DATA,
    Disposition.OVERWRITE_IF: Access.WRITE_DATA,
    Disposition.SUPERSEDE: Access.DELETE,
}
"""What a create does besides what it asks for: others must share it, and the file must allow it."""
MAKES = frozenset({Disposition.SUPERSEDE, Disposition.CREATE, Disposition.OPEN_IF, Disposition.OVERWRITE_IF})


class CreateResult(IntEnum):
    """IoStatus.Information of a create."""

    SUPERSEDED = 0
    OPENED = 1
    CREATED = 2
    OVERWRITTEN = 3
    EXISTS = 4
    DOES_NOT_EXIST = 5


@word
class CreateOptions(IntFlag):
    """The CreateOptions that the file system itself obeys."""

    DIRECTORY_FILE = 0x00000001
    NON_DIRECTORY_FILE = 0x00000040
    COMPLETE_IF_OPLOCKED = 0x00000100
    OPEN_REQUIRING_OPLOCK = 0x00010000
    RESERVE_OPFILTER = 0x00100000
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
    manages_volume: bool = True
    """Who opened it had SeManageVolumePrivilege."""

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
    ignores_sharing: bool = False
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


# --- opening ---------------------------------------------------------------------------------------------------------


def conflicts(found: Found, asked: Asked) -> bool:
    """Whether other opens of the stream do not let this one in."""
    if found.stream is None or found.inode is None or asked.ignores_sharing:
        return False
    entry = ShareEntry(found.access | ADDED.get(Disposition(asked.disposition), 0), asked.share)
    if not found.stream.sharing.admits(entry):
        return True
    # Who may delete a file deletes its streams with it.
    deletes = entry.access & Access.DELETE and not found.stream_name
    return bool(deletes) and any(
        other.needs and not other.share & Share.DELETE
        for stream in found.inode.streams.values()
        for other in stream.sharing.entries
    )


def commit(files: "FileSystem", asked: Asked, found: Found) -> OpenFile:
    """Open what was found: make it, overwrite it, or just open it."""
    if conflicts(found, asked):
        raise StatusError(NtStatus.SHARING_VIOLATION)
    if found.stream is not None and not found.stream.directory:
        _check_sections(files, asked, found, found.stream)
    if asked.allocation > 0 and (found.stream is None or asked.disposition in OVERWRITES):
        files.require_room(asked.allocation)
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
    if stream.data is not None:
        stream.data.hold()
    entry = ShareEntry(0 if asked.ignores_sharing else found.access, asked.share)
    stream.sharing.add(entry)
    stream.opens += 1
    if found.link is not None:
        found.link.handles += 1
    opened = OpenFile(stream, found.link, entry, found.access, asked.options, found.result, by_id=found.by_id)
    opened.manages_volume = asked.subject.manages_volume
    opened.delete_on_close = bool(asked.options & CreateOptions.DELETE_ON_CLOSE)
    opened.reported = files.known_facts(stream)
    return opened


def _check_sections(files: "FileSystem", asked: Asked, found: Found, stream: Stream) -> None:
    writes = asked.access & WRITES
    deletes = asked.options & CreateOptions.DELETE_ON_CLOSE
    if (writes or deletes) and not files.sections.flush_image(stream):
        raise StatusError(NtStatus.CANNOT_DELETE if deletes else NtStatus.SHARING_VIOLATION)
    if asked.disposition in OVERWRITES and not files.sections.can_truncate(stream, 0):
        raise StatusError(NtStatus.USER_MAPPED_FILE)


def _eas(asked: Asked) -> Sequence[extended_attributes.Ea]:
    given = extended_attributes.parse(asked.eas) if asked.eas else ()
    return extended_attributes.settable(given, kernel_call=False)


def _make(files: "FileSystem", asked: Asked, found: Found) -> None:
    """A new file, with its named stream if one is asked for."""
    directory = bool(asked.options & CreateOptions.DIRECTORY_FILE)
    eas = _eas(asked)
    given = security.unpack(asked.descriptor) if asked.descriptor else None
    link = files.store.make(found.parent, found.name, is_directory=directory)
    inode = found.inode = link.inode
    found.link = link
    inode.attributes = asked.attributes & int(SETTABLE) | (0 if directory else FileAttributes.ARCHIVE)
    inode.compressed = found.parent.compressed and not asked.options & CreateOptions.NO_COMPRESSION
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
    eas = _eas(asked)
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
