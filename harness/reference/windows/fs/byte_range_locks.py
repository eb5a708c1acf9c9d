"""Byte-range locks."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.nt import NtStatus, OperationClass
from harness.reference.windows.fsrtl.oplock_keys import key_of
from harness.reference.windows.fsrtl.oplocks import Does
from harness.reference.windows.io.constants import Minor, StackFlags
from harness.reference.windows.io.parameters import LOCK
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.refusals import VolumeError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.io.file_object import FileObject

_BEYOND = 1 << 64
"""Offset and length together reach no further."""


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

    locks: list[Lock] = field(default_factory=list)
    waiting: list[tuple[Request, Lock]] = field(default_factory=list)

    def check(self, file: "FileObject | None", offset: int, length: int, key: int, *, write: bool) -> None:
        """Raise FILE_LOCK_CONFLICT if a lock forbids the transfer."""
        for lock in self.locks:
            if (
                lock.overlaps(offset, length)
                and (write or lock.exclusive)
                and not (lock.exclusive and lock.owned_by(file, key))
            ):
                raise VolumeError(NtStatus.FILE_LOCK_CONFLICT)

    def admits(self, wanted: Lock) -> bool:
        return not any(
            lock.overlaps(wanted.offset, wanted.length) and (lock.exclusive or wanted.exclusive) for lock in self.locks
        )

    def unlock(self, driver: "FileSystemDriver", file: "FileObject", key: int, offset: int, length: int) -> NtStatus:
        """Release one range exactly as it was locked."""
        for lock in self.locks:
            if (lock.owned_by(file, key), lock.offset, lock.length) == (True, offset, length):
                self.locks.remove(lock)
                self.grant(driver)
                return NtStatus.SUCCESS
        return NtStatus.RANGE_NOT_LOCKED

    def unlock_all(self, driver: "FileSystemDriver", file: "FileObject", key: int | None = None) -> None:
        """Release everything a file object holds, of one key if one is given."""
        self.locks = [lock for lock in self.locks if lock.file is not file or key not in (None, lock.key)]
        self.grant(driver)

    def grant(self, driver: "FileSystemDriver") -> None:
        """Give waiters what has become free."""
        for request, wanted in list(self.waiting):
            if self.admits(wanted):
                self.waiting.remove((request, wanted))
                self.locks.append(wanted)
                driver.io.complete_later(request, NtStatus.SUCCESS, 0)


def control(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_LOCK_CONTROL, by IRP or fast I/O."""
    file = request.file
    if file is None or file.opened is None:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    if file.opened.stream.directory:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    state = driver.state(file.opened.stream)
    table = state.locks
    length_at, key, offset, _, fail, exclusive = LOCK.unpack_from(request.parameters)
    offset &= (1 << 64) - 1
    length = driver.kernel.memory.read_u64(length_at) if length_at else 0
    if request.minor == Minor.UNLOCK_SINGLE:
        return int(table.unlock(driver, file, key, offset, length)), 0
    if request.minor in (Minor.UNLOCK_ALL, Minor.UNLOCK_ALL_BY_KEY):
        by_key = key if request.minor == Minor.UNLOCK_ALL_BY_KEY else None
        table.unlock_all(driver, file, by_key)
        return int(NtStatus.SUCCESS), 0
    if offset + length > _BEYOND:
        return int(NtStatus.INVALID_LOCK_RANGE), 0
    event = state.oplock.check(Does.WRITE, file, key_of(file))
    if event is not None:
        return (yield from driver.wait(request, event, control))
    if request.kind is OperationClass.IRP:
        fail = request.operation_flags & StackFlags.FAIL_IMMEDIATELY
        exclusive = request.operation_flags & StackFlags.EXCLUSIVE_LOCK
    wanted = Lock(file, request.thread.process.id, key, offset, length, bool(exclusive))
    if table.admits(wanted):
        table.locks.append(wanted)
        return int(NtStatus.SUCCESS), 0
    if request.kind is not OperationClass.IRP and not fail:
        return int(NtStatus.FLT_DISALLOW_FAST_IO), 0  # fast I/O cannot wait: the fast routine answers FALSE
    if fail:
        return int(NtStatus.LOCK_NOT_GRANTED), 0
    if request.cancelled:  # while a filter had it
        return int(NtStatus.CANCELLED), 0
    table.waiting.append((request, wanted))
    request.set_cancel_routine(lambda request: _cancel(driver, table, request))
    yield from ()
    return None


def _cancel(driver: "FileSystemDriver", table: LockTable, request: Request) -> Code:
    table.waiting = [(waiting, lock) for waiting, lock in table.waiting if waiting is not request]
    driver.io.complete_later(request, NtStatus.CANCELLED, 0)
    yield from ()
    return
