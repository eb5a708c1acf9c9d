"""FltReissueSynchronousIo: an operation that comes once more."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import CallbackDataFlags, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, export
from harness.reference.windows.fltmgr.callback_data import PARAMETER_BLOCK
from harness.reference.windows.fltmgr.filters import Instance
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.fltmgr.own_operations import perform
from harness.reference.windows.io.constants import FileObjectFlags
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def _check_reissue(k: "Kernel", instance: Instance, operation: Operation) -> None:
    """What is sent again is an IRP in the caller's post that it has synchronized; what it has changed it has marked."""
    visit = operation.post
    wrong = ""
    if visit is None and operation.visit is not None:
        wrong = "before its postoperation callback"
    elif visit is None or visit.instance is not instance or not operation.is_irp:
        wrong = "for what is no IRP-based operation in a callback of its own"
    elif not visit.kept_thread:
        wrong = "without having synchronized it"
    elif operation.read_parameters() != visit.parameters and not operation.view.flags & CallbackDataFlags.DIRTY:
        wrong = "with changed parameters and without FltSetCallbackDataDirty"
    if wrong:
        text = f"{operation.describe()}: FltReissueSynchronousIo was called {wrong}"
        k.verifier.report("IO-05", instance.filter.name, text)


@export(FLTMGR, "FltReissueSynchronousIo", max_irql=Irql.APC)
def flt_reissue_synchronous_io(k: "Kernel", instance: int, data: int) -> Code:
    """FltReissueSynchronousIo: once more through the filters below the caller (IO-05, OQ-08).

    What the caller has made itself and performed before it may send again anywhere.
    """
    found = k.flt.instance_at(instance)
    if data in k.flt.own_data:
        yield from perform(k, data)
        return
    operation = k.flt.operation_at(data)
    original = operation.request
    file = original.file
    _check_reissue(k, found, operation)
    if file is not None and file.flags & FileObjectFlags.FILE_OPEN_CANCELLED:
        operation.set_io_status(int(NtStatus.CANCELLED), 0)
        return
    # As the callback data says now: what the filter has changed since the operation came counts (reissued from post).
    irp_flags, major, minor, flags, _, target, _, parameters = PARAMETER_BLOCK.unpack(operation.read_parameters())
    request = Request(
        original.kind,
        major,
        k.io.file_at(target) if target else None,
        original.thread,
        parameters=parameters,
        minor=minor,
        irp_flags=irp_flags,
        operation_flags=flags,
        mode=original.mode,
    )
    request.system_buffer = original.system_buffer
    request.reissued = True
    yield from k.io.issue(request, partial(k.flt.frames.send_below, found))
    operation.set_io_status(request.status, request.information)
