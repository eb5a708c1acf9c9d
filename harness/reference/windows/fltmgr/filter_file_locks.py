"""Byte-range locks that a minifilter keeps for itself: the filter manager's side of FILE_LOCKs."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus, PreopStatus
from harness.reference.machine.loader.exports import FLTMGR, export
from harness.reference.windows.fsrtl.file_locks import FileLock, Range
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
    k.file_locks.make(address)


@export(FLTMGR, "FltInitializeFileLock", max_irql=Irql.APC)
def flt_initialize_file_lock(k: "Kernel", address: int) -> None:
    """FltInitializeFileLock."""
    _initialize(k, address, 0, 0)


@export(FLTMGR, "FltUninitializeFileLock", max_irql=Irql.APC)
def flt_uninitialize_file_lock(k: "Kernel", address: int) -> Code:
    """FltUninitializeFileLock: who still waits is told STATUS_RANGE_NOT_LOCKED."""
    for data, _ in k.file_locks.remove(address).waiting:
        yield from _complete(k, data, NtStatus.RANGE_NOT_LOCKED)


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
    del context
    operation, locks = k.flt.operation_at(data), k.file_locks.at(address)
    request = operation.request
    file = request.file.address if request.file is not None else 0
    wanted = Range.of(k.memory, request, file)
    status = NtStatus.SUCCESS
    if request.minor == Minor.LOCK:
        if not locks.admits(wanted):
            if not request.operation_flags & StackFlags.FAIL_IMMEDIATELY:
                if not operation.is_irp:
                    return int(PreopStatus.DISALLOW_FASTIO)
                locks.waiting.append((data, wanted))
                request.set_cancel_routine(lambda _: _cancelled(k, locks, data))
                operation.waits_for_program = True
                return int(PreopStatus.PENDING)
            status = NtStatus.LOCK_NOT_GRANTED
        else:
            locks.held.append(wanted)
    elif request.minor == Minor.UNLOCK_SINGLE:
        status = NtStatus.SUCCESS if locks.release(wanted) else NtStatus.RANGE_NOT_LOCKED
    elif request.minor == Minor.UNLOCK_ALL:
        locks.release_all(file, wanted.process)
    else:
        locks.release_all(file, wanted.process, wanted.key)
    operation.set_io_status(int(status), 0)
    for waiter in locks.grant():
        yield from _complete(k, waiter, NtStatus.SUCCESS)
    return int(PreopStatus.COMPLETE)


def _complete(k: "Kernel", data: int, status: NtStatus) -> Code:
    """The lock of an operation that waits is decided."""
    operation = k.flt.operations.get(data)
    if operation is not None and operation.visit is not None:
        operation.request.set_cancel_routine(None)
        operation.set_io_status(int(status), 0)
        yield from k.flt.engine.resume(operation, PreopStatus.COMPLETE, 0)


def _cancelled(k: "Kernel", locks: FileLock, data: int) -> Code:
    locks.waiting = [(waiting, wanted) for waiting, wanted in locks.waiting if waiting != data]
    yield from _complete(k, data, NtStatus.CANCELLED)


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
