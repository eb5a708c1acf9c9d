"""FsRtl's byte-range locks, for file systems that keep a FILE_LOCK in each of their files.

What is in a FILE_LOCK is ours: the locks are kept here, by its address. Requests that wait are completed as soon as
what they wait for is free.
"""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.fsrtl.file_locks import FileLock, Range
from harness.reference.windows.io.constants import Minor, StackFlags
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def _locks(k: "Kernel", address: int) -> FileLock:
    return k.file_locks.at(address)


@export(NTOSKRNL, "FsRtlInitializeFileLock", max_irql=Irql.APC)
def fs_rtl_initialize_file_lock(k: "Kernel", address: int, complete: int, unlock: int) -> None:
    """FsRtlInitializeFileLock. The two routines are for redirectors; they may be NULL."""
    k.memory.write(address, bytes(FileLock.SIZE))
    k.memory.write_u64(address, complete)
    k.memory.write_u64(address + 8, unlock)
    k.file_locks.make(address)


@export(NTOSKRNL, "FsRtlUninitializeFileLock", max_irql=Irql.APC)
def fs_rtl_uninitialize_file_lock(k: "Kernel", address: int) -> Code:
    """FsRtlUninitializeFileLock: who still waits is told STATUS_RANGE_NOT_LOCKED."""
    for irp, _ in k.file_locks.remove(address).waiting:
        yield from k.io.complete(irp, NtStatus.RANGE_NOT_LOCKED, 0)


@export(NTOSKRNL, "FsRtlProcessFileLock", max_irql=Irql.APC)
def fs_rtl_process_file_lock(k: "Kernel", address: int, irp: int, context: int) -> Code:
    """FsRtlProcessFileLock: does what an IRP_MJ_LOCK_CONTROL asks, and completes the IRP, now or later."""
    del context
    locks, request = _locks(k, address), k.io.irps.request_of(irp)
    file = request.file.address if request.file is not None else 0
    wanted = Range.of(k.memory, request, file)
    if request.minor == Minor.LOCK:
        return (yield from _lock(k, locks, irp, request, wanted))
    status = int(NtStatus.SUCCESS)
    if request.minor == Minor.UNLOCK_SINGLE:
        status = int(NtStatus.SUCCESS if locks.release(wanted) else NtStatus.RANGE_NOT_LOCKED)
    elif request.minor == Minor.UNLOCK_ALL:
        locks.release_all(file, wanted.process)
    else:
        locks.release_all(file, wanted.process, wanted.key)
    yield from k.io.complete(irp, status, 0)
    yield from _grant(k, locks)
    return status


def _lock(k: "Kernel", locks: FileLock, irp: int, request: Request, wanted: Range) -> Code:
    if locks.admits(wanted):
        locks.held.append(wanted)
        status = NtStatus.SUCCESS
    elif request.operation_flags & StackFlags.FAIL_IMMEDIATELY:
        status = NtStatus.LOCK_NOT_GRANTED
    elif request.cancelled:
        status = NtStatus.CANCELLED
    else:
        k.io.irps.mark_pending(irp)
        locks.waiting.append((irp, wanted))
        request.set_cancel_routine(lambda _: _cancelled(k, locks, irp))
        return int(NtStatus.PENDING)
    yield from k.io.complete(irp, status, 0)
    return int(status)


def _cancelled(k: "Kernel", locks: FileLock, irp: int) -> Code:
    locks.waiting = [(waiting, wanted) for waiting, wanted in locks.waiting if waiting != irp]
    yield from k.io.complete(irp, NtStatus.CANCELLED, 0)


def _grant(k: "Kernel", locks: FileLock) -> Code:
    """Give waiters what has become free."""
    for irp in locks.grant():
        k.io.irps.request_of(irp).set_cancel_routine(None)
        yield from k.io.complete(irp, NtStatus.SUCCESS, 0)


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
    del context, synchronized
    locks = _locks(k, address)
    wanted = Range(file, process, key, k.memory.read_u64(offset), k.memory.read_u64(length))
    released = locks.release(wanted)
    yield from _grant(k, locks)
    return int(NtStatus.SUCCESS if released else NtStatus.RANGE_NOT_LOCKED)


@export(NTOSKRNL, "FsRtlFastUnlockAll", max_irql=Irql.APC)
def fs_rtl_fast_unlock_all(k: "Kernel", address: int, file: int, process: int, context: int) -> Code:
    """FsRtlFastUnlockAll: at the cleanup of a file object."""
    del context
    locks = _locks(k, address)
    locks.release_all(file, process)
    yield from _grant(k, locks)
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "FsRtlFastUnlockAllByKey", max_irql=Irql.APC)
def fs_rtl_fast_unlock_all_by_key(k: "Kernel", address: int, file: int, process: int, key: U32, context: int) -> Code:
    """FsRtlFastUnlockAllByKey."""
    del context
    locks = _locks(k, address)
    locks.release_all(file, process, key)
    yield from _grant(k, locks)
    return int(NtStatus.SUCCESS)


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
