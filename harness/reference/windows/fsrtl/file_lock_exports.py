"""FsRtl's byte-range locks, for file systems that keep a FILE_LOCK in each of their files.

What is in a FILE_LOCK is ours: the locks are kept here, by its address. Requests that wait are completed as soon as
what they wait for is free.
"""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.fsrtl.file_locks import FileLock, Range, Waiter
from harness.reference.windows.io.constants import Minor, StackFlags
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.structures import IoStatusBlock

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


_UNLOCK_ROUTINE, _QUESTIONABLE, _LAST_INFO, _LAST = 0x08, 0x10, 0x20, 0x50
"""Fields of FILE_LOCK: FastIoIsQuestionable tells whether there are locks, LastReturnedLock is an index here."""


def _locks(k: "Kernel", address: int) -> FileLock:
    return k.file_locks.at(address)


def _show(k: "Kernel", address: int) -> None:
    """What FsRtlAreThereCurrentFileLocks, a macro, looks at."""
    locks = _locks(k, address)
    k.memory.write_u8(address + _QUESTIONABLE, bool(locks.held or locks.waiting))


@export(NTOSKRNL, "FsRtlInitializeFileLock", max_irql=Irql.APC)
def fs_rtl_initialize_file_lock(k: "Kernel", address: int, complete: int, unlock: int) -> None:
    """FsRtlInitializeFileLock. The two routines may be NULL."""
    k.memory.write(address, bytes(FileLock.SIZE))
    k.memory.write_u64(address, complete)
    k.memory.write_u64(address + _UNLOCK_ROUTINE, unlock)
    k.file_locks.make(address, complete, unlock)


@export(NTOSKRNL, "FsRtlUninitializeFileLock", max_irql=Irql.APC)
def fs_rtl_uninitialize_file_lock(k: "Kernel", address: int) -> Code:
    """FsRtlUninitializeFileLock: who still waits is told STATUS_RANGE_NOT_LOCKED."""
    locks = k.file_locks.remove(address)
    for waiter in locks.waiting:
        yield from _complete(k, locks, waiter.irp, waiter.context, NtStatus.RANGE_NOT_LOCKED)


def _complete(
    k: "Kernel", locks: FileLock, irp: int, context: int, status: NtStatus, wanted: Range | None = None
) -> Code:
    """Complete an IRP, or have the driver's own routine do it; NTSTATUS."""
    if not locks.complete:
        yield from k.io.complete(irp, status, 0)
        return int(status)
    k.io.irps.set_io_status(irp, int(status), 0)
    return (yield from locks.tell_completed(context, irp, int(status), wanted))


@export(NTOSKRNL, "FsRtlProcessFileLock", max_irql=Irql.APC)
def fs_rtl_process_file_lock(k: "Kernel", address: int, irp: int, context: int) -> Code:
    """FsRtlProcessFileLock: does what an IRP_MJ_LOCK_CONTROL asks, and completes the IRP, now or later."""
    locks, request = _locks(k, address), k.io.irps.request_of(irp)
    file = request.file.address if request.file is not None else 0
    wanted = Range.of(k.memory, request, file)
    if request.minor == Minor.LOCK:
        return (yield from _lock(k, address, irp, request, wanted, context))
    released, status = locks.release_as_asked(request.minor, wanted)
    yield from _unlocked(k, address, released, context)
    return (yield from _complete(k, locks, irp, context, status))


def _lock(k: "Kernel", address: int, irp: int, request: Request, wanted: Range, context: int) -> Code:
    locks, granted = _locks(k, address), None
    if locks.admits(wanted):
        locks.held.append(wanted)
        status, granted = NtStatus.SUCCESS, wanted
    elif request.operation_flags & StackFlags.FAIL_IMMEDIATELY:
        status = NtStatus.LOCK_NOT_GRANTED
    elif request.cancelled:
        status = NtStatus.CANCELLED
    else:
        k.io.irps.mark_pending(irp)
        locks.waiting.append(Waiter(irp, wanted, context))
        _show(k, address)
        request.set_cancel_routine(lambda _: _cancelled(k, locks, irp, context))
        return int(NtStatus.PENDING)
    answer: int = yield from _complete(k, locks, irp, context, status, granted)
    _show(k, address)
    return answer


def _cancelled(k: "Kernel", locks: FileLock, irp: int, context: int) -> Code:
    locks.give_up(irp)
    yield from _complete(k, locks, irp, context, NtStatus.CANCELLED)


def _grant(k: "Kernel", address: int) -> Code:
    """Give waiters what has become free."""
    locks = _locks(k, address)
    while (waiter := locks.next_to_grant()) is not None:
        k.io.irps.request_of(waiter.irp).set_cancel_routine(None)
        yield from _complete(k, locks, waiter.irp, waiter.context, NtStatus.SUCCESS, waiter.wanted)
    _show(k, address)


def _unlocked(k: "Kernel", address: int, released: list[Range], context: int) -> Code:
    yield from _locks(k, address).tell_unlocked(k, released, context)
    yield from _grant(k, address)


@export(NTOSKRNL, "FsRtlCheckLockForReadAccess", max_irql=Irql.APC)
def fs_rtl_check_lock_for_read_access(k: "Kernel", address: int, irp: int) -> bool:
    """FsRtlCheckLockForReadAccess: whether no lock forbids the read of an IRP."""
    return _check(k, address, irp, write=False)


@export(NTOSKRNL, "FsRtlCheckLockForWriteAccess", max_irql=Irql.APC)
def fs_rtl_check_lock_for_write_access(k: "Kernel", address: int, irp: int) -> bool:
    """FsRtlCheckLockForWriteAccess."""
    return _check(k, address, irp, write=True)


def _check(k: "Kernel", address: int, irp: int, *, write: bool) -> bool:
    request, at = k.io.irps.request_of(irp), k.io.irps.current(irp) + 8
    wanted = Range(
        request.file.address if request.file is not None else 0,
        request.thread.process.eprocess,
        k.memory.read_u32(at + 8),
        k.memory.read_u64(at + 16),
        k.memory.read_u32(at),
    )
    return _locks(k, address).allows(wanted, write=write)


@export(NTOSKRNL, "FsRtlFastCheckLockForRead", max_irql=Irql.APC)
def fs_rtl_fast_check_lock_for_read(
    k: "Kernel", address: int, offset: int, length: int, key: U32, file: int, process: int
) -> bool:
    """FsRtlFastCheckLockForRead: the same for fast I/O; offset and length are LARGE_INTEGERs."""
    wanted = Range(file, process, key, k.memory.read_u64(offset), k.memory.read_u64(length))
    return _locks(k, address).allows(wanted, write=False)


@export(NTOSKRNL, "FsRtlFastCheckLockForWrite", max_irql=Irql.APC)
def fs_rtl_fast_check_lock_for_write(
    k: "Kernel", address: int, offset: int, length: int, key: U32, file: int, process: int
) -> bool:
    """FsRtlFastCheckLockForWrite."""
    wanted = Range(file, process, key, k.memory.read_u64(offset), k.memory.read_u64(length))
    return _locks(k, address).allows(wanted, write=True)


@export(NTOSKRNL, "FsRtlFastUnlockSingle", max_irql=Irql.APC)
def fs_rtl_fast_unlock_single(
    k: "Kernel",
    address: int,
    file: int,
    offset: int,
    length: int,
    process: int,
    key: U32,
    context: int,
    synchronized: bool,
) -> Code:
    """FsRtlFastUnlockSingle."""
    del synchronized
    wanted = Range(file, process, key, k.memory.read_u64(offset), k.memory.read_u64(length))
    released = _locks(k, address).release(wanted)
    yield from _unlocked(k, address, released, context)
    return int(NtStatus.SUCCESS if released else NtStatus.RANGE_NOT_LOCKED)


@export(NTOSKRNL, "FsRtlFastUnlockAll", max_irql=Irql.APC)
def fs_rtl_fast_unlock_all(k: "Kernel", address: int, file: int, process: int, context: int) -> Code:
    """FsRtlFastUnlockAll: at the cleanup of a file object."""
    yield from _unlocked(k, address, _locks(k, address).release_all(file, process), context)
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "FsRtlFastUnlockAllByKey", max_irql=Irql.APC)
def fs_rtl_fast_unlock_all_by_key(k: "Kernel", address: int, file: int, process: int, key: U32, context: int) -> Code:
    """FsRtlFastUnlockAllByKey."""
    yield from _unlocked(k, address, _locks(k, address).release_all(file, process, key), context)
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "FsRtlPrivateLock", max_irql=Irql.APC)
def fs_rtl_private_lock(
    k: "Kernel",
    address: int,
    file: int,
    offset: int,
    length: int,
    process: int,
    key: U32,
    immediately: bool,
    exclusive: bool,
    iosb: int,
    irp: int,
    context: int,
    synchronized: bool,
) -> Code:
    """FsRtlPrivateLock (FsRtlFastLock): FALSE if the range is locked and there is no IRP that could wait for it."""
    del synchronized
    locks = _locks(k, address)
    wanted = Range(file, process, key, k.memory.read_u64(offset), k.memory.read_u64(length), exclusive)
    if irp:
        status = yield from _lock(k, address, irp, k.io.irps.request_of(irp), wanted, context)
    elif locks.admits(wanted):
        locks.held.append(wanted)
        _show(k, address)
        status = int(NtStatus.SUCCESS)
    elif immediately:
        status = int(NtStatus.LOCK_NOT_GRANTED)
    else:
        return False
    block = IoStatusBlock(k.memory, iosb)
    block.status, block.information = status, 0
    return True


@export(NTOSKRNL, "FsRtlAllocateFileLock", max_irql=Irql.APC)
def fs_rtl_allocate_file_lock(k: "Kernel", complete: int, unlock: int) -> int:
    """FsRtlAllocateFileLock: an initialized one from pool."""
    where = k.blame.current()
    address = k.pool.allocate(FileLock.SIZE, "FSfl", owner=where.driver, allocated_by=where.address)
    fs_rtl_initialize_file_lock(k, address, complete, unlock)
    return address


@export(NTOSKRNL, "FsRtlFreeFileLock", max_irql=Irql.APC)
def fs_rtl_free_file_lock(k: "Kernel", address: int) -> Code:
    """FsRtlFreeFileLock."""
    yield from fs_rtl_uninitialize_file_lock(k, address)
    k.pool.free(address)


@export(NTOSKRNL, "FsRtlGetNextFileLock", max_irql=Irql.APC)
def fs_rtl_get_next_file_lock(k: "Kernel", address: int, restart: bool) -> int:
    """FsRtlGetNextFileLock: FILE_LOCK_INFO of one lock after the other, in the FILE_LOCK; NULL behind the last."""
    index = 0 if restart else k.memory.read_u32(address + _LAST)
    held = _locks(k, address).held
    if index >= len(held):
        return 0
    k.memory.write(address + _LAST_INFO, held[index].info())
    k.memory.write_u32(address + _LAST, index + 1)
    return address + _LAST_INFO


@export(NTOSKRNL, "FsRtlAreThereCurrentOrInProgressFileLocks", max_irql=Irql.APC)
def fs_rtl_are_there_current_or_in_progress_file_locks(k: "Kernel", address: int) -> bool:
    """FsRtlAreThereCurrentOrInProgressFileLocks."""
    locks = _locks(k, address)
    return bool(locks.held or locks.waiting)


@export(NTOSKRNL, "FsRtlAreThereWaitingFileLocks", max_irql=Irql.APC)
def fs_rtl_are_there_waiting_file_locks(k: "Kernel", address: int) -> bool:
    """FsRtlAreThereWaitingFileLocks."""
    return bool(_locks(k, address).waiting)


@export(NTOSKRNL, "FsRtlCheckLockForOplockRequest", max_irql=Irql.APC)
def fs_rtl_check_lock_for_oplock_request(k: "Kernel", address: int, size_at: int) -> bool:
    """FsRtlCheckLockForOplockRequest: no lock within the allocation, and none that waits."""
    size, locks = k.memory.read_u64(size_at), _locks(k, address)
    return not size or (not locks.waiting and not any(item.offset < size for item in locks.held))


_NOT_EXPECTED = frozenset({0xC0000005, 0x80000002, 0xC000001D, 0xC00000AA})
"""ACCESS_VIOLATION, DATATYPE_MISALIGNMENT, ILLEGAL_INSTRUCTION, INSTRUCTION_MISALIGNMENT."""


@export(NTOSKRNL, "FsRtlIsNtstatusExpected")
def fs_rtl_is_ntstatus_expected(k: "Kernel", status: U32) -> bool:
    """FsRtlIsNtstatusExpected: whether an exception is one that a file system may go on after."""
    del k
    return status not in _NOT_EXPECTED


@export(NTOSKRNL, "FsRtlNormalizeNtstatus")
def fs_rtl_normalize_ntstatus(k: "Kernel", status: U32, generic: U32) -> int:
    """FsRtlNormalizeNtstatus."""
    del k
    return generic if status in _NOT_EXPECTED else status
