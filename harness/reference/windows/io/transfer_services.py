"""NtReadFile, NtWriteFile, NtFlushBuffersFile, NtLockFile, NtUnlockFile: fast I/O where it may be, else an IRP."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.machine.loader.exports import U8, U32, Length
from harness.reference.windows.io.constants import (
    SECTOR_SIZE,
    USE_FILE_POINTER,
    WRITE_TO_END_OF_FILE,
    FileObjectFlags,
    IrpFlags,
    Minor,
    StackFlags,
)
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.parameters import LOCK, Transfer
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.system_services import (
    Caller,
    ReportArguments,
    file_of,
    lock_file,
    probe,
    send_irp,
    service,
    unlock_file,
)
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_READ_ACCESS, _WRITE_ACCESS = 0x1, 0x6
_FLUSHES = {0: Minor.NORMAL, 1: Minor.FLUSH_DATA_ONLY, 2: Minor.FLUSH_NO_SYNC, 4: Minor.FLUSH_DATA_SYNC_ONLY}
"""By FLUSH_FLAGS_*."""
_APPEND_ONLY = 0x4


@service("ReadFile")
def read_file(
    k: "Kernel",
    mode: int,
    handle: int,
    report: ReportArguments,
    buffer: int,
    length: Length,
    offset_at: int,
    key_at: int,
) -> Code:
    """NtReadFile."""
    stream = k.io.streams.get(handle)
    if stream is not None:
        return (yield from stream.read(k, buffer, length, report.iosb))
    file = file_of(k, handle, _READ_ACCESS)
    caller = Caller.of(k, mode, report)
    return (yield from _transfer(caller, file, IrpMajor.READ, buffer, length, offset_at, key_at))


@service("WriteFile")
def write_file(
    k: "Kernel",
    mode: int,
    handle: int,
    report: ReportArguments,
    buffer: int,
    length: Length,
    offset_at: int,
    key_at: int,
) -> Code:
    """NtWriteFile."""
    stream = k.io.streams.get(handle)
    if stream is not None:
        return (yield from stream.write(k, buffer, length, report.iosb))
    file = file_of(k, handle, _WRITE_ACCESS)
    caller = Caller.of(k, mode, report)
    return (yield from _transfer(caller, file, IrpMajor.WRITE, buffer, length, offset_at, key_at))


def _transfer(
    caller: Caller, file: FileObject, major: IrpMajor, buffer: int, length: int, offset_at: int, key_at: int
) -> Code:
    k = caller.k
    probe(caller.mode, buffer, length)
    key = k.memory.read_u32(key_at) if key_at else 0
    synchronous, non_cached = file.synchronous, file.non_cached
    if synchronous:
        yield from lock_file(k, file)
    try:
        offset = _offset(k, file, major, offset_at, synchronous=synchronous)
        if non_cached and ((offset >= 0 and offset % SECTOR_SIZE) or length % SECTOR_SIZE):
            raise StatusError(NtStatus.INVALID_PARAMETER)
        transfer = Transfer(length, key, offset, buffer, 0)
        if synchronous and file.caches and not non_cached:
            request = Request(
                OperationClass.FAST_IO, major, file, k.current, parameters=transfer.pack(), mode=caller.mode
            )
            yield from k.io.issue(request)
            if not k.io.sends_again(request):
                caller.report(request.status, request.information, file)
                return request.status
        return (yield from _send(caller, file, major, transfer, synchronous=synchronous, non_cached=non_cached))
    finally:
        if synchronous:
            unlock_file(k, file)


def _offset(k: "Kernel", file: FileObject, major: IrpMajor, offset_at: int, *, synchronous: bool) -> int:
    """Where to read or write: given, or the file's own position on a synchronous handle."""
    given = k.memory.read_i64(offset_at) if offset_at else USE_FILE_POINTER
    if major is IrpMajor.WRITE and (given == WRITE_TO_END_OF_FILE or file.access & 0x6 == _APPEND_ONLY):
        return WRITE_TO_END_OF_FILE
    if given == USE_FILE_POINTER:
        if not synchronous:
            raise StatusError(NtStatus.INVALID_PARAMETER)
        return file.position
    if given < 0:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    return given


def _send(
    caller: Caller, file: FileObject, major: IrpMajor, transfer: Transfer, *, synchronous: bool, non_cached: bool
) -> Code:
    """Read or write by an IRP."""
    operation = IrpFlags.READ_OPERATION if major is IrpMajor.READ else IrpFlags.WRITE_OPERATION
    flags = int(operation | IrpFlags.DEFER_IO_COMPLETION)
    if non_cached:
        flags |= IrpFlags.NOCACHE
    request = Request(
        OperationClass.IRP,
        major,
        file,
        caller.k.current,
        parameters=transfer.pack(),
        irp_flags=flags,
        mode=caller.mode,
        synchronous=synchronous,
    )
    return (yield from send_irp(caller, file, request))


@service("FlushBuffersFile")
def flush_buffers_file(k: "Kernel", mode: int, handle: int, iosb: int) -> Code:
    """NtFlushBuffersFile."""
    stream = k.io.streams.get(handle)
    if stream is not None:
        return int(NtStatus.SUCCESS)
    return (yield from _flush(k, mode, file_of(k, handle, _WRITE_ACCESS), Minor.NORMAL, iosb))


@service("FlushBuffersFileEx")
def flush_buffers_file_ex(
    k: "Kernel", mode: int, handle: int, flags: U32, parameters: int, parameters_size: U32, iosb: int
) -> Code:
    """NtFlushBuffersFileEx: its flags are minor functions of the flush, which volumes know only without any."""
    minor = _FLUSHES.get(flags)
    if minor is None or parameters or parameters_size:
        return int(NtStatus.INVALID_PARAMETER)
    if handle in k.io.streams:
        return int(NtStatus.SUCCESS)
    file = file_of(k, handle, _WRITE_ACCESS)
    if flags and file.flags & FileObjectFlags.VOLUME_OPEN:
        return int(NtStatus.INVALID_PARAMETER)
    return (yield from _flush(k, mode, file, minor, iosb))


def _flush(k: "Kernel", mode: int, file: FileObject, minor: Minor, iosb: int) -> Code:
    request = Request(
        OperationClass.IRP,
        IrpMajor.FLUSH_BUFFERS,
        file,
        k.current,
        minor=minor,
        irp_flags=int(IrpFlags.SYNCHRONOUS_API),
        mode=mode,
    )
    if file.synchronous:
        yield from lock_file(k, file)
    try:
        return (yield from send_irp(Caller(k, mode, None, iosb), file, request))
    finally:
        if file.synchronous:
            unlock_file(k, file)


@service("LockFile")
def lock_file_service(
    k: "Kernel",
    mode: int,
    handle: int,
    report: ReportArguments,
    offset_at: int,
    length_at: int,
    key: U32,
    fail_immediately: U8,
    exclusive: U8,
) -> Code:
    """NtLockFile."""
    file = file_of(k, handle, _READ_ACCESS | _WRITE_ACCESS)
    caller = Caller.of(k, mode, report)
    offset, length = k.memory.read_i64(offset_at), k.memory.read_i64(length_at)
    flags = (StackFlags.FAIL_IMMEDIATELY if fail_immediately else 0) | (StackFlags.EXCLUSIVE_LOCK if exclusive else 0)
    scratch = k.io.heap.allocate(8)
    k.memory.write_u64(scratch, length)
    packed = LOCK.pack(scratch, key, offset, k.current.process.eprocess, int(fail_immediately), int(exclusive))
    request = Request(
        OperationClass.FAST_IO,
        IrpMajor.LOCK_CONTROL,
        file,
        k.current,
        minor=Minor.LOCK,
        parameters=packed,
        operation_flags=int(flags),
        mode=mode,
    )
    yield from k.io.issue(request)
    if not request.disallowed:
        k.io.heap.free(scratch)
        caller.report(request.status, request.information)
        return request.status
    request = Request(
        OperationClass.IRP,
        IrpMajor.LOCK_CONTROL,
        file,
        k.current,
        minor=Minor.LOCK,
        parameters=packed,
        operation_flags=int(flags),
        mode=mode,
        synchronous=file.synchronous,
    )
    request.completions.append(lambda _: k.io.heap.free(scratch))
    return (yield from send_irp(caller, file, request))


@service("UnlockFile")
def unlock_file_service(
    k: "Kernel", mode: int, handle: int, iosb: int, offset_at: int, length_at: int, key: U32
) -> Code:
    """NtUnlockFile."""
    file = file_of(k, handle, _READ_ACCESS | _WRITE_ACCESS)
    offset, length = k.memory.read_i64(offset_at), k.memory.read_i64(length_at)
    scratch = k.io.heap.allocate(8)
    k.memory.write_u64(scratch, length)
    packed = LOCK.pack(scratch, key, offset, k.current.process.eprocess, 0, 0)
    status, information = int(NtStatus.FLT_DISALLOW_FAST_IO), 0
    for kind in (OperationClass.FAST_IO, OperationClass.IRP):
        request = Request(
            kind,
            IrpMajor.LOCK_CONTROL,
            file,
            k.current,
            minor=Minor.UNLOCK_SINGLE,
            parameters=packed,
            irp_flags=int(IrpFlags.SYNCHRONOUS_API) if kind is OperationClass.IRP else 0,
            mode=mode,
        )
        yield from k.io.issue(request)
        status, information = request.status, request.information
        if not request.disallowed:
            break
    k.io.heap.free(scratch)
    Caller(k, mode, None, iosb).report(status, information)
    return status
