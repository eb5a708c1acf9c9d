"""Directory change notification: who watches, what is kept between two requests, and what becomes too much.

The first request on a handle says what is watched and how much may be kept for the handle; changes that come while no
request waits are kept, and once they do not fit, the next request ends with STATUS_NOTIFY_ENUM_DIR.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

from harness.nt import NtStatus

_RECORD = Struct("<III")
_RENAMED_OLD_NAME = 4
Complete = Callable[[int, bytes], None]
"""Ends a request with a status and FILE_NOTIFY_INFORMATION records."""


@dataclass(eq=False, slots=True)
class Waiting:
    """A request that waits for a change."""

    length: int
    complete: Complete


@dataclass(eq=False, slots=True)
class Watch:
    """One handle that watches a directory. `owner` is the handle, `directory` what it was opened on."""

    owner: object
    directory: object
    what: int
    tree: bool
    room: int
    waiting: deque[Waiting] = field(default_factory=deque)
    kept: list[bytes] = field(default_factory=list)
    overflowed: bool = False
    later: bool = False
    """The old name of a rename is kept until the new one is there: both are told at once."""
    delete_pending: bool = False


def record(action: int, name: str) -> bytes:
    """FILE_NOTIFY_INFORMATION, the offset of the next one left out."""
    encoded = name.encode("utf-16-le", "surrogatepass")
    return _RECORD.pack(0, action, len(encoded)) + encoded


def join(records: list[bytes]) -> bytes:
    """Records one behind the other, each at a multiple of four."""
    out = bytearray()
    for index, item in enumerate(records):
        last = index == len(records) - 1
        padded = item if last else item + bytes(-len(item) % 4)
        out += (0 if last else len(padded)).to_bytes(4, "little") + padded[4:]
    return bytes(out)


class NotifyList:
    """All watches of a volume."""

    def __init__(self) -> None:
        self.watches: dict[object, Watch] = {}

    def request(
        self, owner: object, directory: object, what: int, *, tree: bool, length: int, complete: Complete
    ) -> Waiting:
        """IRP_MN_NOTIFY_CHANGE_DIRECTORY: the request waits; if something was kept for it, `settle` ends it."""
        watch = self.watches.get(owner)
        if watch is None:
            watch = self.watches[owner] = Watch(owner, directory, what, tree, length)
        waiting = Waiting(length, complete)
        watch.waiting.append(waiting)
        return waiting

    def settle(self, owner: object) -> None:
        """End the first request of a handle if there is something to tell."""
        watch = self.watches.get(owner)
        if watch is None or not watch.waiting:
            return
        if watch.delete_pending:
            watch.waiting.popleft().complete(int(NtStatus.DELETE_PENDING), b"")
        elif (watch.overflowed or watch.kept) and not watch.later:
            self._tell(watch)

    def _tell(self, watch: Watch) -> None:
        waiting = watch.waiting.popleft()
        data = join(watch.kept)
        overflowed = watch.overflowed or len(data) > waiting.length
        watch.kept.clear()
        watch.overflowed = False
        if overflowed:
            waiting.complete(int(NtStatus.NOTIFY_ENUM_DIR), b"")
        else:
            waiting.complete(int(NtStatus.SUCCESS), data)

    def report(self, watch: Watch, action: int, what: int, name: str) -> None:
        """A change that concerns a watch, if it is of a kind that is watched for; `settle` tells of it."""
        watch.later = action == _RENAMED_OLD_NAME and bool(what & watch.what)
        if not what & watch.what or watch.overflowed:
            return
        watch.kept.append(record(action, name))
        if len(join(watch.kept)) > max(watch.room, watch.waiting[0].length if watch.waiting else 0):
            watch.kept.clear()
            watch.overflowed = True

    def cancel(self, owner: object, waiting: Waiting) -> bool:
        """Take a request back; False if it has ended."""
        watch = self.watches.get(owner)
        if watch is None or waiting not in watch.waiting:
            return False
        watch.waiting.remove(waiting)
        return True

    def cleanup(self, owner: object) -> None:
        """The handle is gone."""
        watch = self.watches.pop(owner, None)
        if watch is not None:
            for waiting in watch.waiting:
                waiting.complete(int(NtStatus.NOTIFY_CLEANUP), b"")

    def directory_goes(self, directory: object) -> None:
        """A directory that is watched is marked for deletion."""
        for watch in self.watches.values():
            if watch.directory is directory:
                watch.delete_pending = True
                while watch.waiting:
                    watch.waiting.popleft().complete(int(NtStatus.DELETE_PENDING), b"")
