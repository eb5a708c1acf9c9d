"""Byte-range locks that a minifilter keeps for itself: the filter manager's side of FILE_LOCKs."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus, PreopStatus
from harness.reference.machine.loader.exports import FLTMGR, export
from harness.reference.windows.fsrtl.file_locks import FileLock, Range, Waiter
from harness.reference.windows.io.constants import Minor, StackFlags
from harness.reference.windows.io.parameters import Transfer
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.ex.driver_pool import free

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.operation import Operation
    from harness.reference.windows.kernel import Kernel


def _initialize(k: "Kernel", address: int, complete: int, unlock: int) -> None:
    k.memory.write(address, bytes(FileLock.SIZE))
    k.memory.write_u64(address, complete)
    k.memory.write_u64(address + 8, unlock)
    k.file_locks.make(address, complete, unlock)


@export(FLTMGR, "FltInitializeFileLock", max_irql=Irql.APC)
def flt_initialize_file_lock(k: "Kernel", address: int) -> None:
    """FltInitializeFileLock."""
    _initialize(k, address, 0, 0)


@export(FLTMGR, "FltUninitializeFileLock", max_irql=Irql.APC)
def flt_uninitialize_file_lock(k: "Kernel", address: int) -> Code:
    """FltUninitializeFileLock: who still waits is told STATUS_RANGE_NOT_LOCKED."""
    locks = k.file_locks.remove(address)
    for waiter in locks.waiting:
        yield from _decided(k, locks, waiter, NtStatus.RANGE_NOT_LOCKED)


@export(FLTMGR, "FltAllocateFileLock", max_irql=Irql.APC)
def flt_allocate_file_lock(k: "Kernel", complete: int, unlock: int) -> int:
    """FltAllocateFileLock: an initialized FILE_LOCK, which FltFreeFileLock gives back."""
    where = k.blame.current()
    address = k.pool.allocate(FileLock.SIZE, "FLfl", paged=False, owner=where.driver, allocated_by=where.address)
    _initialize(k, address, complete, unlock)
    return address


@export(FLTMGR, "FltFreeFileLock", max_irql=Irql.APC)
def flt_free_file_lock(k: "Kernel", address: int) -> Code:
    """FltFreeFileLock."""
    yield from flt_uninitialize_file_lock(k, address)
    free(k, address, None)


@export(FLTMGR, "FltProcessFileLock", max_irql=Irql.APC)
def flt_process_file_lock(k: "Kernel", address: int, data: int, context: int) -> Code:
    """FltProcessFileLock: COMPLETE with the status in the callback data, or PENDING for a lock that has to wait.

    Fast I/O cannot wait: DISALLOW_FASTIO, and the lock comes again by an IRP.
    """
    operation, locks = k.flt.operation_at(data), k.file_locks.at(address)
    request, granted = operation.request, None
    wanted = Range.of(k.memory, request, request.file.address if request.file is not None else 0)
    if request.minor != Minor.LOCK:
        released, status = locks.release_as_asked(request.minor, wanted)
        yield from locks.tell_unlocked(k, released, context)
        while (waiter := locks.next_to_grant()) is not None:
            yield from _decided(k, locks, waiter, NtStatus.SUCCESS, waiter.wanted)
    elif locks.admits(wanted):
        locks.held.append(wanted)
        status, granted = NtStatus.SUCCESS, wanted
    elif request.operation_flags & StackFlags.FAIL_IMMEDIATELY:
        status = NtStatus.LOCK_NOT_GRANTED
    elif not operation.is_irp:
        return int(PreopStatus.DISALLOW_FASTIO)
    elif request.cancelled:
        status = NtStatus.CANCELLED
    else:
        locks.waiting.append(waiter := Waiter(data, wanted, context))
        request.set_cancel_routine(lambda _: _cancelled(k, locks, waiter))
        operation.waits_for_program = True
        return int(PreopStatus.PENDING)
    yield from _tell(locks, operation, context, status, granted)
    return int(PreopStatus.COMPLETE)


def _tell(
    locks: FileLock, operation: "Operation", context: int, status: NtStatus, granted: Range | None = None
) -> Code:
    """Set the status of an operation, and tell the filter of it; of fast I/O it hears nothing."""
    operation.set_io_status(int(status), 0)
    if not locks.complete or not operation.is_irp:
        return
    answer = yield from locks.tell_completed(context, operation.data, int(status), granted)
    if answer != status:
        operation.set_io_status(answer, 0)


def _decided(k: "Kernel", locks: FileLock, waiter: Waiter, status: NtStatus, granted: Range | None = None) -> Code:
    """The lock of an operation that waits is decided."""
    operation = k.flt.operations.get(waiter.irp)
    if operation is not None and operation.visit is not None:
        operation.request.set_cancel_routine(None)
        yield from _tell(locks, operation, waiter.context, status, granted)
        yield from k.flt.engine.resume(operation, PreopStatus.COMPLETE, 0)


def _cancelled(k: "Kernel", locks: FileLock, waiter: Waiter) -> Code:
    locks.give_up(waiter.irp)
    yield from _decided(k, locks, waiter, NtStatus.CANCELLED)


def _allows(k: "Kernel", address: int, operation: "Operation", *, write: bool) -> bool:
    request = operation.request
    transfer = Transfer.unpack(request.parameters)
    file = request.file.address if request.file is not None else 0
    process = request.thread.process.eprocess
    wanted = Range(file, process, transfer.key, transfer.offset, transfer.length)
    return k.file_locks.at(address).allows(wanted, write=write)


@export(FLTMGR, "FltCheckLockForReadAccess", max_irql=Irql.APC)
def flt_check_lock_for_read_access(k: "Kernel", address: int, data: int) -> bool:
    """FltCheckLockForReadAccess."""
    return _allows(k, address, k.flt.operation_at(data), write=False)


@export(FLTMGR, "FltCheckLockForWriteAccess", max_irql=Irql.APC)
def flt_check_lock_for_write_access(k: "Kernel", address: int, data: int) -> bool:
    """FltCheckLockForWriteAccess."""
    return _allows(k, address, k.flt.operation_at(data), write=True)
