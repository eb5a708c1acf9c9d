"""NtFsControlFile, NtDeviceIoControlFile, NtCancelIoFile, NtCancelIoFileEx and NtCancelSynchronousIoFile."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.machine.loader.exports import U32, Length
from harness.reference.windows.io.constants import USER_MODE
from harness.reference.windows.io.control_requests import send_control
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.system_services import Caller, ReportArguments, file_of, service
from harness.reference.windows.ntos.ob.handle_lookup import object_by_handle

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.kernel import Kernel


# -- control codes


@service("FsControlFile")
def fs_control_file(
    k: "Kernel",
    mode: int,
    handle: int,
    report: ReportArguments,
    code: U32,
    source: int,
    source_length: Length,
    target: int,
    target_length: Length,
) -> Code:
    """NtFsControlFile."""
    file = file_of(k, handle)
    if _refuses(k, mode, handle, code):
        return int(NtStatus.ACCESS_DENIED)
    caller = Caller.of(k, mode, report)
    control = Control(target_length, source_length, code, source, target, 0)
    return (yield from send_control(caller, file, IrpMajor.FILE_SYSTEM_CONTROL, control))


def _refuses(k: "Kernel", mode: int, handle: int, code: int) -> bool:
    """Whether a program's handle lacks what RequiredAccess of the code asks.

    FILE_READ_ACCESS and FILE_WRITE_ACCESS have the values of FILE_READ_DATA and FILE_WRITE_DATA.
    """
    found = k.objects.lookup(handle)
    return mode == USER_MODE and found is not None and bool(code >> 14 & 3 & ~found.access)


@service("DeviceIoControlFile")
def device_io_control_file(
    k: "Kernel",
    mode: int,
    handle: int,
    report: ReportArguments,
    code: U32,
    source: int,
    source_length: Length,
    target: int,
    target_length: Length,
) -> Code:
    """NtDeviceIoControlFile: fast I/O first."""
    file = file_of(k, handle)
    if _refuses(k, mode, handle, code):
        return int(NtStatus.ACCESS_DENIED)
    caller = Caller.of(k, mode, report)
    control = Control(target_length, source_length, code, source, target, 0)
    fast = Request(
        OperationClass.FAST_IO, IrpMajor.DEVICE_CONTROL, file, k.current, parameters=control.pack(), mode=mode
    )
    yield from k.io.issue(fast)
    if not fast.disallowed:
        caller.report(fast.status, fast.information, file)
        return fast.status
    return (yield from send_control(caller, file, IrpMajor.DEVICE_CONTROL, control))


# -- cancelling


@runtime_checkable
class Cancellable(Protocol):
    """What a handle leads to that is no file object, and keeps requests of its own."""

    def cancel_requests(self, thread: "Thread | None", iosb: int) -> int:
        """Cancel those of a thread, or all; of one status block, if it is not 0. How many there were."""


@service("CancelIoFileEx")
def cancel_io_file_ex(k: "Kernel", mode: int, handle: int, target: int, iosb: int) -> Code:
    """NtCancelIoFileEx: one request, known by its status block, or all of the file object."""
    found = k.objects.lookup(handle)
    if found is not None and isinstance(found.object.body, Cancellable):
        return _cancelled(k, mode, iosb, found.object.body.cancel_requests(None, target))
    file = file_of(k, handle)
    return (yield from _cancel(k, mode, iosb, [r for r in _pending(k, file) if not target or r.iosb == target]))


@service("CancelIoFile")
def cancel_io_file(k: "Kernel", mode: int, handle: int, iosb: int) -> Code:
    """NtCancelIoFile: what the calling thread has issued."""
    found = k.objects.lookup(handle)
    if found is not None and isinstance(found.object.body, Cancellable):
        return _cancelled(k, mode, iosb, found.object.body.cancel_requests(k.current, 0))
    file = file_of(k, handle)
    return (yield from _cancel(k, mode, iosb, [r for r in _pending(k, file) if r.thread is k.current]))


@service("CancelSynchronousIoFile")
def cancel_synchronous_io_file(k: "Kernel", mode: int, handle: int, target: int, iosb: int) -> Code:
    """NtCancelSynchronousIoFile: what a thread has issued and waits for; one request, by its status block, or all."""
    item = object_by_handle(k, handle)
    if item is None:
        return int(NtStatus.INVALID_HANDLE)
    thread = item.body
    waited_for = [request for request in k.io.pending if request.thread is thread and request.synchronous]
    return (yield from _cancel(k, mode, iosb, [r for r in waited_for if not target or r.iosb == target]))


def _pending(k: "Kernel", file: FileObject) -> list[Request]:
    return [request for request in k.io.pending if request.owner is file]


def _cancel(k: "Kernel", mode: int, iosb: int, requests: list[Request]) -> Code:
    for request in requests:
        yield from k.io.cancel(request)
    return _cancelled(k, mode, iosb, len(requests))


def _cancelled(k: "Kernel", mode: int, iosb: int, count: int) -> int:
    status = int(NtStatus.SUCCESS if count else NtStatus.NOT_FOUND)
    Caller(k, mode, None, iosb).report(status, 0)
    return status
