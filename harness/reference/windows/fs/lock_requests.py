"""IRP_MJ_LOCK_CONTROL: byte-range locks are taken, waited for and given back."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus, OperationClass
from harness.reference.windows.fs.byte_range_locks import Lock, LockTable
from harness.reference.windows.fsrtl.oplock_keys import key_of
from harness.reference.windows.fsrtl.oplocks import Does
from harness.reference.windows.io.constants import Minor, StackFlags
from harness.reference.windows.io.parameters import LOCK
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver

_BEYOND = 1 << 64
"""Offset and length together reach no further."""


def control(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_LOCK_CONTROL, by IRP or fast I/O."""
    file = request.file
    if file is None or file.opened is None:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if file.opened.stream.directory:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    state = driver.state(file.opened.stream)
    table = state.locks
    length_at, key, offset, _, fail, exclusive = LOCK.unpack_from(request.parameters)
    offset &= (1 << 64) - 1
    length = driver.kernel.memory.read_u64(length_at) if length_at else 0
    if request.minor == Minor.UNLOCK_SINGLE:
        return int(table.unlock(file, key, offset, length)), 0
    if request.minor in (Minor.UNLOCK_ALL, Minor.UNLOCK_ALL_BY_KEY):
        by_key = key if request.minor == Minor.UNLOCK_ALL_BY_KEY else None
        table.unlock_all(file, by_key)
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
