"""The store of a volume: which inodes there are and which names lead to them, held against the host's directory.

Identity is the inode, never a path: an inode whose last name is gone keeps its streams for as long as somebody has it
open, and a file that is made under the same name is another inode. File ids are given in the order in which files are
met, so that runs repeat. What the host cannot hold (ids, attributes, streams, security, ...) is kept here for as long
as the volume is mounted.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from harness.nt import NtStatus
from harness.reference.windows.fs.host_storage import (
    HostData,
    HostId,
    HostPlace,
    Medium,
    host_errors,
    host_id,
    is_ours,
    nt_time,
)
from harness.reference.windows.fs.inode import FileAttributes, Inode, Link, MemoryData, Stream, Times
from harness.reference.windows.fsrtl.expressions import upcase
from harness.reference.windows.ntos.status_error import StatusError

ROOT_NUMBER, ROOT_SEQUENCE = 5, 5
_FIRST_NUMBER = 0x26
"""The first record that NTFS gives to a user's file."""
MOST_LINKS = 1024


class Store:
    """Inodes and names over `root`, which must exist and stays the only place of the host that is touched.

    `now` answers the system time in 100 ns since 1601.
    """

    def __init__(self, root: Path, now: Callable[[], int]) -> None:
        self.host_root = root.resolve(strict=True)
        self.now = now
        self.medium = Medium()
        self._numbers: dict[int, Inode] = {}
        self._hosts: dict[HostId, Inode] = {}
        self._sequences: dict[int, int] = {}
        self._free: list[int] = []
        self._next = _FIRST_NUMBER
        self.root = self._make_inode(self.host_root.lstat(), lambda _: self.host_root, number=ROOT_NUMBER)
        self.root.root = True
        self.root.attributes = int(FileAttributes.HIDDEN | FileAttributes.SYSTEM)

    def lie_in(self, root: Path) -> None:
        """Go on over another directory, which has what the one before had: both were empty, say."""
        self.host_root = root.resolve(strict=True)

    # --- inodes ------------------------------------------------------------------------------------------------

    def _make_inode(self, status: os.stat_result, path: Callable[[Inode], Path], *, number: int | None = None) -> Inode:
        directory = not is_regular(status)
        times = Times(
            nt_time(min(status.st_ctime_ns, status.st_mtime_ns)),
            nt_time(status.st_atime_ns),
            nt_time(status.st_mtime_ns),
            nt_time(status.st_ctime_ns),
        )
        if number is None:
            number = self._free.pop() if self._free else self._next
            self._next = max(self._next, number + 1)
            sequence = self._sequences[number] = self._sequences.get(number, 0) + 1
        else:
            sequence = ROOT_SEQUENCE
        place = HostPlace(host_id(status), lambda: path(inode), status.st_mtime_ns)
        inode = Inode(number, sequence, directory, times, place)
        if not directory:
            inode.attributes = int(FileAttributes.ARCHIVE)
        inode.streams[""] = Stream(inode, "", None if directory else HostData(place, self.medium))
        self._numbers[number] = inode
        self._hosts[place.identity] = inode
        return inode

    def by_reference(self, reference: int) -> Inode | None:
        """The inode of a file id, if it is the one that the id was given to."""
        inode = self._numbers.get(reference & 0xFFFF_FFFF_FFFF)
        sequence = reference >> 48
        return inode if inode is not None and sequence in (0, inode.sequence) else None

    def by_object_id(self, object_id: bytes) -> Inode | None:
        """The inode with an object id."""
        return next((item for item in self._numbers.values() if object_id and item.object_id[:16] == object_id), None)

    def by_id(self, name: str) -> Inode | None:
        """The inode that a create by id (FILE_OPEN_BY_FILE_ID) names: a file id, or an object id that there must be."""
        raw = name.encode("utf-16-le", "surrogatepass")
        if len(raw) in (10, 18) and raw[:2] == b"\\\0":
            raw = raw[2:]
        if len(raw) == 8 or (len(raw) == 16 and not any(raw[8:])):
            return self.by_reference(int.from_bytes(raw[:8], "little"))
        if len(raw) != 16:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        inode = self.by_object_id(raw)
        if inode is None:
            raise StatusError(NtStatus.OBJECT_NAME_NOT_FOUND)
        return inode

    def inodes(self) -> list[Inode]:
        """All that have been met, by record number."""
        return [self._numbers[number] for number in sorted(self._numbers)]

    def forget(self, inode: Inode) -> None:
        """Nobody has the inode open: its descriptor goes, and the inode too if no name is left."""
        inode.place.release()
        if inode.links or inode.root:
            return
        if self._numbers.get(inode.number) is inode:
            del self._numbers[inode.number]
            self._free.append(inode.number)
        if self._hosts.get(inode.place.identity) is inode:
            del self._hosts[inode.place.identity]

    # --- the host's paths ----------------------------------------------------------------------------------------

    def _path_of(self, inode: Inode) -> Path:
        if inode.root:
            return self.host_root
        if not inode.links:
            raise StatusError(NtStatus.FILE_DELETED)
        return self.host_path(inode.links[0])

    def host_path(self, link: Link) -> Path:
        """The host's path of a name."""
        return self._path_of(link.parent) / link.name

    # --- names ---------------------------------------------------------------------------------------------------

    def lookup(self, directory: Inode, name: str, *, case_sensitive: bool = False) -> Link | None:
        """The link of a name in a directory, as the host has it now."""
        above = self._path_of(directory)
        known = directory.children.get(directory.key(name))
        if known is not None and (known.name == name or not (case_sensitive or directory.case_sensitive)):
            if self._still(known, above):
                return known
            self._drop(known)
        with host_errors(NtStatus.OBJECT_PATH_NOT_FOUND):
            try:
                status: os.stat_result | None = (above / name).lstat()
            except (FileNotFoundError, NotADirectoryError):
                status = None
            if status is not None:
                return self._adopt(directory, name, status)
            if case_sensitive or directory.case_sensitive:
                return None
            key = upcase(name)
            with os.scandir(above) as entries:
                for entry in entries:
                    if upcase(entry.name) == key:
                        found = self._adopt(directory, entry.name, entry.stat(follow_symlinks=False))
                        if found is not None:
                            return found
        return None

    def _still(self, link: Link, above: Path) -> bool:
        """Whether a name that is known leads to the same file on the host."""
        try:
            status = (above / link.name).lstat()
        except OSError:
            return False
        return host_id(status) == link.inode.place.identity

    def _adopt(self, directory: Inode, name: str, status: os.stat_result) -> Link | None:
        """The link of what the host has under a name; None for what a volume does not show."""
        if not is_ours(status):
            return None
        known = directory.children.get(directory.key(name))
        if known is not None:
            if known.name == name and known.inode.place.identity == host_id(status):
                return known
            self._drop(known)
        inode = self._hosts.get(host_id(status))
        if inode is None or inode.root:
            return self._attach(directory, name, self._make_inode(status, self._path_of))
        stale = [link for link in inode.links if not self._leads_to_it(link)]
        gone = len(stale) == len(inode.links)
        another = inode.directory is is_regular(status) or (gone and not inode.place.was_left_so(status))
        if another:  # the host has used its number again
            inode = self._make_inode(status, self._path_of)
        link = self._attach(directory, name, inode)
        for old in stale:  # moved, or removed, by another program
            self._drop(old)
        return link

    def _leads_to_it(self, link: Link) -> bool:
        """Whether a name that is known has still its file on the host; a directory has one name only."""
        try:
            return not link.inode.directory and self._still(link, self._path_of(link.parent))
        except StatusError:
            return False

    def _attach(self, directory: Inode, name: str, inode: Inode) -> Link:
        link = Link(directory, name, inode)
        inode.links.append(link)
        directory.children[directory.key(name)] = link
        return link

    def _drop(self, link: Link) -> None:
        """A name is no more."""
        if link.removed:
            return
        link.removed = True
        link.inode.links.remove(link)
        key = link.parent.key(link.name)
        if link.parent.children.get(key) is link:
            del link.parent.children[key]
        if not link.inode.links:
            if self._hosts.get(link.inode.place.identity) is link.inode:
                del self._hosts[link.inode.place.identity]
            if not link.inode.opens:
                self.forget(link.inode)

    def listing(self, directory: Inode) -> list[Link]:
        """All names of a directory, sorted as NTFS sorts them."""
        with host_errors(NtStatus.FILE_DELETED), os.scandir(self._path_of(directory)) as entries:
            present = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
        for link in [link for link in directory.children.values() if link.name not in present]:
            self._drop(link)
        found = [self._adopt(directory, name, status) for name, status in sorted(present.items())]
        links = {link: None for link in found if link is not None and not link.removed}
        return sorted(links, key=lambda link: (upcase(link.name), link.name))

    def is_empty(self, directory: Inode) -> bool:
        """Whether nothing, not even something that is hidden here, is in a directory."""
        with host_errors(NtStatus.FILE_DELETED), os.scandir(self._path_of(directory)) as entries:
            return not any(entries)

    def above(self, inode: Inode) -> Inode:
        """The directory of a directory."""
        return inode if inode.root or not inode.links else inode.links[0].parent

    # --- changes -------------------------------------------------------------------------------------------------

    def make(self, directory: Inode, name: str, *, is_directory: bool) -> Link:
        """A new file or directory. OBJECT_NAME_COLLISION if the host has something of that name."""
        path = self._path_of(directory) / name
        with host_errors(NtStatus.OBJECT_PATH_NOT_FOUND):
            if is_directory:
                path.mkdir()
            else:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o666))
            status = path.lstat()
        stale = self._hosts.pop(host_id(status), None)  # of a file that another program has removed meanwhile
        if stale is not None:
            for link in list(stale.links):
                self._drop(link)
        inode = self._make_inode(status, self._path_of)
        now = self.now()
        inode.times = Times(now, now, now, now)
        self.touch_directory(directory)
        return self._attach(directory, name, inode)

    def touch_directory(self, directory: Inode) -> None:
        """Something in a directory has changed."""
        directory.times.write = directory.times.change = self.now()
        directory.place.touched()

    def make_stream(self, inode: Inode, name: str) -> Stream:
        """A new named stream, empty."""
        stream = inode.streams[upcase(name)] = Stream(inode, name, MemoryData())
        return stream

    def unlink(self, link: Link) -> None:
        """Take a name away, on the host too; who has the inode open keeps it."""
        inode = link.inode
        path = self.host_path(link)
        if inode.opens and inode.default_stream.data is not None:
            inode.default_stream.data.hold()
        with host_errors(NtStatus.FILE_DELETED):
            if inode.directory:
                path.rmdir()
            else:
                path.unlink()
        self.touch_directory(link.parent)
        inode.times.change = self.now()
        self._drop(link)

    def add_link(self, inode: Inode, directory: Inode, name: str) -> Link:
        """Another name for a file."""
        if len(inode.links) >= MOST_LINKS:
            raise StatusError(NtStatus.TOO_MANY_LINKS)
        with host_errors(NtStatus.OBJECT_PATH_NOT_FOUND):
            os.link(self._path_of(inode), self._path_of(directory) / name, follow_symlinks=False)
        self.touch_directory(directory)
        inode.times.change = self.now()
        return self._attach(directory, name, inode)

    def move(self, link: Link, directory: Inode, name: str) -> None:
        """Give a link another name or directory; what had the name must be gone."""
        source, target = self.host_path(link), self._path_of(directory) / name
        with host_errors(NtStatus.OBJECT_PATH_NOT_FOUND):
            source.rename(target)
        old = link.parent
        del old.children[old.key(link.name)]
        self.touch_directory(old)
        link.parent, link.name = directory, name
        directory.children[directory.key(name)] = link
        self.touch_directory(directory)
        link.inode.times.change = self.now()

    def space(self) -> tuple[int, int]:
        """Total and free bytes of the volume."""
        with host_errors():
            status = os.statvfs(self.host_root)
        return status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize

    def set_case_sensitive(self, directory: Inode, *, sensitive: bool) -> None:
        """FileCaseSensitiveInformation: names that differ only in case stand side by side."""
        links = self.listing(directory)
        if not sensitive and len({upcase(link.name) for link in links}) < len(links):
            raise StatusError(NtStatus.CASE_DIFFERING_NAMES_IN_DIR)
        directory.case_sensitive = sensitive
        directory.children = {directory.key(link.name): link for link in links}

    def close(self) -> None:
        """Let go all descriptors."""
        for inode in self._numbers.values():
            with suppress(OSError):
                inode.place.release()


def is_regular(status: os.stat_result) -> bool:
    """Whether the host has a regular file there."""
    return status.st_mode & 0o170000 == 0o100000
