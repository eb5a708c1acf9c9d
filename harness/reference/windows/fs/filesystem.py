r"""The volume: Windows files kept in a host directory.

Names are case-insensitive and case-preserving, `\` separates, streams and short names do not exist. Sizes and bytes
live in the host's files, so another program sees what a guest wrote; attributes, delete-pending state, share access
and allocation live here, for as long as the volume is mounted. Every refusal is a `VolumeError` with its NTSTATUS;
host errors (EIO, ENOSPC, EROFS, ...) become the NTSTATUS a disk driver would have caused.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from pathlib import Path

from harness.nt import NtStatus
from harness.reference.windows.fs.errors import VolumeError, status_of
from harness.reference.windows.fs.sharing import WRITES, Access, ShareAccess, ShareEntry

EPOCH_DELTA_100NS = 116_444_736_000_000_000
"""1601-01-01 to 1970-01-01 in 100 ns, the distance between NT and Unix time."""

CLUSTER = 4096
FORBIDDEN_IN_NAMES = frozenset('<>:"/|?*') | {chr(code) for code in range(32)}


class Disposition(IntEnum):
    """FILE_SUPERSEDE .. FILE_OVERWRITE_IF, the CreateDisposition of NtCreateFile."""

    SUPERSEDE = 0
    OPEN = 1
    CREATE = 2
    OPEN_IF = 3
    OVERWRITE = 4
    OVERWRITE_IF = 5


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
    DELETE_ON_CLOSE = 0x00001000


class FileAttributes(IntFlag):
    """FILE_ATTRIBUTE_*."""

    READONLY = 0x01
    HIDDEN = 0x02
    SYSTEM = 0x04
    DIRECTORY = 0x10
    ARCHIVE = 0x20
    NORMAL = 0x80


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


@dataclass(eq=False, slots=True)
class Node:
    """One file or directory that is open or remembered: the stream's control block."""

    path: Path
    relative: str
    directory: bool
    attributes: int = int(FileAttributes.ARCHIVE)
    allocation: int = 0
    delete_pending: bool = False
    opens: int = 0
    sharing: ShareAccess = field(default_factory=ShareAccess)


@dataclass(eq=False, slots=True)
class OpenFile:
    """One successful create: a node, what was asked of it, and its part in sharing."""

    node: Node
    entry: ShareEntry
    delete_on_close: bool
    result: CreateResult
    cleaned_up: bool = False


@contextmanager
def _host_errors(missing: NtStatus | None = None) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise VolumeError(missing or status_of(error)) from error
    except OSError as error:
        raise VolumeError(status_of(error)) from error


def _nt_time(nanoseconds: int) -> int:
    return nanoseconds // 100 + EPOCH_DELTA_100NS


class FileSystem:
    """A mounted volume over `root`, which must exist and stays the only place that is touched."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve(strict=True)
        self._nodes: dict[str, Node] = {}

    # --- names -------------------------------------------------------------------------------------------------

    def components(self, name: str) -> list[str]:
        r"""Split `\dir\file`, refusing what Windows refuses: empty, dotted and wild names."""
        parts = [part for part in name.replace("/", "\\").split("\\") if part]
        for part in parts:
            if part in (".", "..") or FORBIDDEN_IN_NAMES & set(part) or part != part.rstrip(". "):
                raise VolumeError(NtStatus.OBJECT_NAME_INVALID)
        return parts

    def resolve(self, name: str) -> tuple[Path, bool]:
        """The host path for a volume name, and whether it exists; never a path outside the root.

        A missing directory on the way is OBJECT_PATH_NOT_FOUND; only the last component may be missing.
        """
        path, parts = self.root, self.components(name)
        for position, part in enumerate(parts):
            found = self._child(path, part)
            if found is None:
                if position < len(parts) - 1:
                    raise VolumeError(NtStatus.OBJECT_PATH_NOT_FOUND)
                return path / part, False
            if position < len(parts) - 1 and not found.is_dir():
                raise VolumeError(NtStatus.OBJECT_PATH_NOT_FOUND)
            path = found
        return path, True

    def _child(self, directory: Path, name: str) -> Path | None:
        exact = directory / name
        with _host_errors(NtStatus.OBJECT_PATH_NOT_FOUND):
            if exact.is_symlink():
                raise VolumeError(NtStatus.OBJECT_NAME_INVALID)
            if exact.exists():
                return exact
            folded = name.casefold()
            for entry in os.scandir(directory):
                if entry.name.casefold() == folded and not entry.is_symlink():
                    return Path(entry.path)
        return None

    def node(self, name: str) -> Node:
        """The node of an existing file; OBJECT_NAME_NOT_FOUND otherwise."""
        path, exists = self.resolve(name)
        if not exists:
            raise VolumeError(NtStatus.OBJECT_NAME_NOT_FOUND)
        return self._node_at(path)

    def _node_at(self, path: Path) -> Node:
        key = str(path).casefold()
        node = self._nodes.get(key)
        if node is None:
            directory = path.is_dir()
            attributes = FileAttributes.DIRECTORY if directory else FileAttributes.ARCHIVE
            relative = "\\" + str(path.relative_to(self.root)).replace("/", "\\") if path != self.root else "\\"
            node = self._nodes[key] = Node(path, relative, directory, int(attributes))
        return node

    # --- create, cleanup, close ----------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        access: int,
        share: int,
        disposition: int,
        options: int,
        attributes: int = 0,
        allocation: int = 0,
    ) -> OpenFile:
        """IRP_MJ_CREATE: open or make a file as `disposition` says. Generic rights must be mapped already."""
        path, exists = self.resolve(name)
        if exists:
            node, result = self._open_existing(path, access, share, disposition, options)
        else:
            node, result = self._make(path, disposition, options, attributes)
        node.allocation = max(node.allocation, allocation)
        entry = ShareEntry(access, share)
        node.sharing.add(entry)
        node.opens += 1
        return OpenFile(node, entry, bool(options & CreateOptions.DELETE_ON_CLOSE), result)

    def _open_existing(
        self, path: Path, access: int, share: int, disposition: int, options: int
    ) -> tuple[Node, CreateResult]:
        node = self._node_at(path)
        if disposition == Disposition.CREATE:
            raise VolumeError(NtStatus.OBJECT_NAME_COLLISION)
        if node.delete_pending:
            raise VolumeError(NtStatus.DELETE_PENDING)
        if node.directory and options & CreateOptions.NON_DIRECTORY_FILE:
            raise VolumeError(NtStatus.FILE_IS_A_DIRECTORY)
        if not node.directory and options & CreateOptions.DIRECTORY_FILE:
            raise VolumeError(NtStatus.NOT_A_DIRECTORY)
        if node.attributes & FileAttributes.READONLY:
            if access & WRITES:
                raise VolumeError(NtStatus.ACCESS_DENIED)
            if options & CreateOptions.DELETE_ON_CLOSE:
                raise VolumeError(NtStatus.CANNOT_DELETE)
        if not node.sharing.admits(ShareEntry(access, share)):
            raise VolumeError(NtStatus.SHARING_VIOLATION)
        if disposition in (Disposition.OPEN, Disposition.OPEN_IF):
            return node, CreateResult.OPENED
        if node.directory:
            raise VolumeError(NtStatus.OBJECT_NAME_COLLISION)
        with _host_errors():
            os.truncate(node.path, 0)
        return node, CreateResult.SUPERSEDED if disposition == Disposition.SUPERSEDE else CreateResult.OVERWRITTEN

    def _make(self, path: Path, disposition: int, options: int, attributes: int) -> tuple[Node, CreateResult]:
        if disposition in (Disposition.OPEN, Disposition.OVERWRITE):
            raise VolumeError(NtStatus.OBJECT_NAME_NOT_FOUND)
        directory = bool(options & CreateOptions.DIRECTORY_FILE)
        with _host_errors(NtStatus.OBJECT_PATH_NOT_FOUND):
            if directory:
                path.mkdir()
            else:
                path.touch(exist_ok=False)
        node = self._node_at(path)
        keep = attributes & (FileAttributes.READONLY | FileAttributes.HIDDEN | FileAttributes.SYSTEM)
        node.attributes = keep | (FileAttributes.DIRECTORY if directory else FileAttributes.ARCHIVE)
        return node, CreateResult.CREATED

    def cleanup(self, opened: OpenFile) -> bool:
        """IRP_MJ_CLEANUP: the last handle is gone. Answers whether the file was deleted by it."""
        if opened.cleaned_up:
            return False
        opened.cleaned_up = True
        node = opened.node
        node.sharing.remove(opened.entry)
        if opened.delete_on_close:
            self._check_deletable(node)
            node.delete_pending = True
        if not node.delete_pending or node.sharing.entries:
            return False
        with _host_errors():
            if node.directory:
                node.path.rmdir()
            else:
                node.path.unlink()
        self._nodes.pop(str(node.path).casefold(), None)
        return True

    def close(self, opened: OpenFile) -> None:
        """IRP_MJ_CLOSE: the last reference is gone."""
        if not opened.cleaned_up:
            self.cleanup(opened)
        opened.node.opens -= 1

    # --- data ----------------------------------------------------------------------------------------------------

    def read(self, node: Node, offset: int, length: int) -> bytes:
        """Bytes from `offset`, fewer at the end of the file; END_OF_FILE when nothing is left."""
        self._check_is_file(node)
        with _host_errors(NtStatus.FILE_DELETED), node.path.open("rb", buffering=0) as file:
            data = os.pread(file.fileno(), length, offset)
        if not data and length:
            raise VolumeError(NtStatus.END_OF_FILE)
        return data

    def write(self, node: Node, offset: int, data: bytes, *, paging: bool = False) -> int:
        """Write all of `data`, extending the file, and answer its length. Paging writes never extend a file."""
        self._check_is_file(node)
        if paging:
            data = data[: max(0, self.size(node) - offset)]
        with _host_errors(NtStatus.FILE_DELETED), node.path.open("r+b", buffering=0) as file:
            written = 0
            while written < len(data):
                written += os.pwrite(file.fileno(), data[written:], offset + written)
        return len(data)

    def flush(self, node: Node) -> None:
        """IRP_MJ_FLUSH_BUFFERS: what was written is on the disk afterwards."""
        with _host_errors(NtStatus.FILE_DELETED):
            descriptor = os.open(node.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def size(self, node: Node) -> int:
        """EndOfFile in bytes; 0 for a directory."""
        if node.directory:
            return 0
        with _host_errors(NtStatus.FILE_DELETED):
            return node.path.stat().st_size

    # --- information -----------------------------------------------------------------------------------------------

    def facts(self, node: Node) -> FileFacts:
        """Everything the query-information classes answer."""
        with _host_errors(NtStatus.FILE_DELETED):
            stat = node.path.stat()
        size = 0 if node.directory else stat.st_size
        allocation = max(node.allocation, -(-size // CLUSTER) * CLUSTER) if not node.directory else 0
        return FileFacts(
            creation_time=_nt_time(min(stat.st_ctime_ns, stat.st_mtime_ns)),
            last_access_time=_nt_time(stat.st_atime_ns),
            last_write_time=_nt_time(stat.st_mtime_ns),
            change_time=_nt_time(stat.st_ctime_ns),
            allocation_size=allocation,
            end_of_file=size,
            attributes=node.attributes or int(FileAttributes.NORMAL),
            links=0 if node.delete_pending else 1,
            delete_pending=node.delete_pending,
            directory=node.directory,
            index=stat.st_ino,
        )

    def set_end_of_file(self, node: Node, size: int) -> None:
        """FileEndOfFileInformation."""
        self._check_is_file(node)
        with _host_errors(NtStatus.FILE_DELETED):
            os.truncate(node.path, size)

    def set_allocation(self, node: Node, size: int) -> None:
        """FileAllocationInformation: room reserved; below the end of the file it cuts the file."""
        self._check_is_file(node)
        node.allocation = -(-size // CLUSTER) * CLUSTER
        if size < self.size(node):
            self.set_end_of_file(node, size)

    def set_basic(self, node: Node, attributes: int, last_access_time: int, last_write_time: int) -> None:
        """FileBasicInformation: zero leaves a value alone, as documented."""
        if attributes:
            kind = FileAttributes.DIRECTORY if node.directory else 0
            node.attributes = (attributes & ~(FileAttributes.DIRECTORY | FileAttributes.NORMAL)) | kind
        if last_access_time > 0 or last_write_time > 0:
            with _host_errors(NtStatus.FILE_DELETED):
                stat = node.path.stat()
                accessed = (last_access_time - EPOCH_DELTA_100NS) * 100 if last_access_time > 0 else stat.st_atime_ns
                written = (last_write_time - EPOCH_DELTA_100NS) * 100 if last_write_time > 0 else stat.st_mtime_ns
                os.utime(node.path, ns=(accessed, written))

    def set_disposition(self, node: Node, delete: bool) -> None:
        """FileDispositionInformation: mark for deletion at the last cleanup, or take the mark back."""
        if delete:
            self._check_deletable(node)
        node.delete_pending = delete

    def rename(self, node: Node, name: str, replace: bool) -> Node | None:
        """FileRenameInformation within this volume. Answers the file that was replaced: it has no handles any more."""
        target, exists = self.resolve(name)
        replaced = None
        if exists and target != node.path and str(target).casefold() != str(node.path).casefold():
            other = self._node_at(target)
            if not replace:
                raise VolumeError(NtStatus.OBJECT_NAME_COLLISION)
            if other.directory or other.sharing.entries:
                raise VolumeError(NtStatus.ACCESS_DENIED)
            replaced = other
        del self._nodes[str(node.path).casefold()]
        with _host_errors(NtStatus.OBJECT_PATH_NOT_FOUND):
            node.path.replace(target)
        node.path = target
        node.relative = "\\" + str(target.relative_to(self.root)).replace("/", "\\")
        self._nodes[str(target).casefold()] = node
        return replaced

    def listing(self, node: Node) -> list[tuple[str, Node]]:
        """Names and nodes of a directory, `.` and `..` first (not in the root), sorted as NTFS sorts."""
        if not node.directory:
            raise VolumeError(NtStatus.INVALID_PARAMETER)
        with _host_errors(NtStatus.FILE_DELETED):
            names = sorted((e.name for e in os.scandir(node.path) if not e.is_symlink()), key=str.upper)
        dots = [] if node.path == self.root else [(".", node), ("..", self._node_at(node.path.parent))]
        return dots + [(name, self._node_at(node.path / name)) for name in names]

    def space(self) -> tuple[int, int]:
        """Total and free bytes of the volume."""
        with _host_errors():
            stat = os.statvfs(self.root)
        return stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize

    # --- checks ----------------------------------------------------------------------------------------------------

    def _check_is_file(self, node: Node) -> None:
        if node.directory:
            raise VolumeError(NtStatus.INVALID_DEVICE_REQUEST)

    def _check_deletable(self, node: Node) -> None:
        if node.attributes & FileAttributes.READONLY:
            raise VolumeError(NtStatus.CANNOT_DELETE)
        if node.directory:
            with _host_errors(NtStatus.FILE_DELETED):
                if any(os.scandir(node.path)):
                    raise VolumeError(NtStatus.DIRECTORY_NOT_EMPTY)


__all__ = [
    "Access",
    "CreateOptions",
    "CreateResult",
    "Disposition",
    "FileAttributes",
    "FileFacts",
    "FileSystem",
    "Node",
    "OpenFile",
]
