"""Byte-range locks of a file, and who waits for one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.request import Request


@dataclass(frozen=True, slots=True)
class Lock:
    """A range that is locked."""

    file: "FileObject"
    process: int
    key: int
    offset: int
    length: int
    exclusive: bool

    def overlaps(self, offset: int, length: int) -> bool:
        """Whether a range is touched; one of no bytes lies between two bytes and is touched by what spans them."""
        return offset < self.offset + self.length and self.offset < offset + length

    def owned_by(self, file: "FileObject | None", key: int) -> bool:
        return self.file is file and self.key == key


@dataclass(slots=True)
class LockTable:
    """The locks of one file, and who waits for one."""

    complete: "Callable[[Request, int, int], None]"
    """Completes a request that has waited, with its status and Information."""
    locks: list[Lock] = field(default_factory=list)
    waiting: list[tuple["Request", Lock]] = field(default_factory=list)

    def check(self, file: "FileObject | None", offset: int, length: int, key: int, *, write: bool) -> None:
        """Raise FILE_LOCK_CONFLICT if a lock forbids the transfer."""
        for lock in self.locks:
            if (
                lock.overlaps(offset, length)
                and (write or lock.exclusive)
                and not (lock.exclusive and lock.owned_by(file, key))
            ):
                raise StatusError(NtStatus.FILE_LOCK_CONFLICT)

    def admits(self, wanted: Lock) -> bool:
        return not any(
            lock.overlaps(wanted.offset, wanted.length) and (lock.exclusive or wanted.exclusive) for lock in self.locks
        )

    def unlock(self, file: "FileObject", key: int, offset: int, length: int) -> NtStatus:
        """Release one range exactly as it was locked."""
        for lock in self.locks:
            if (lock.owned_by(file, key), lock.offset, lock.length) == (True, offset, length):
                self.locks.remove(lock)
                self.grant()
                return NtStatus.SUCCESS
        return NtStatus.RANGE_NOT_LOCKED

    def unlock_all(self, file: "FileObject", key: int | None = None) -> None:
        """Release everything a file object holds, of one key if one is given."""
        self.locks = [lock for lock in self.locks if lock.file is not file or key not in (None, lock.key)]
        self.grant()

    def grant(self) -> None:
        """Give waiters what has become free."""
        for request, wanted in list(self.waiting):
            if self.admits(wanted):
                self.waiting.remove((request, wanted))
                self.locks.append(wanted)
                self.complete(request, NtStatus.SUCCESS, 0)
