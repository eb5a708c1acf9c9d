"""FltCancelFileOpen and FltReissueSynchronousIo: what a post-operation callback may still do to its operation."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import BugCheck, CallbackDataFlags, IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, export
from harness.reference.windows.fltmgr.callback_data import PARAMETER_BLOCK
from harness.reference.windows.fltmgr.filters import Instance
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.io.constants import FileObjectFlags
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_HANDLE_EXISTS = 0x6A
"""Parameter 1 of bug check 0xF5."""


def _cancel_open(k: "Kernel", instance: Instance, file_object: int) -> Code:
    """Close below the caller what the file system has just opened (POST-FAIL-02)."""
    file = k.io.file_at(file_object)
    driver = instance.filter.name
    if file is None:
        k.verifier.report("POST-FAIL-03", driver, f"FltCancelFileOpen was given {file_object:#x}, no file object")
        return
    if file.flags & FileObjectFlags.HANDLE_CREATED:
        k.bugcheck(
            BugCheck.FLTMGR_FILE_SYSTEM,
            _HANDLE_EXISTS,
            file_object,
            message="FltCancelFileOpen was called for a file object that has a handle",
            rule="POST-FAIL-03",
            driver=driver,
        )
    posting = any(
        operation.post is not None
        and operation.post.instance is instance
        and operation.request.major == IrpMajor.CREATE
        and operation.request.file is file
        for operation in k.flt.operations.values()
    )
    if not posting:
        k.verifier.report(
            "POST-FAIL-03", driver, "FltCancelFileOpen was called outside of a postoperation callback of the create"
        )
        return
    yield from k.flt.operation_services.close_below(instance, file)
    file.add_flags(int(FileObjectFlags.FILE_OPEN_CANCELLED))


@export(FLTMGR, "FltCancelFileOpen", max_irql=Irql.PASSIVE)
def flt_cancel_file_open(k: "Kernel", instance: int, file_object: int) -> Code:
    """FltCancelFileOpen: cleanup below the caller now, close when the file object goes (POST-FAIL-02, OQ-12)."""
    yield from _cancel_open(k, k.flt.instance_at(instance), file_object)


def _check_reissue(k: "Kernel", instance: Instance, operation: Operation) -> None:
    """What is sent again is an IRP of the caller's own that it has synchronized; what it has changed it has marked."""
    visit = operation.holder
    wrong = ""
    if visit is None or visit.instance is not instance or not operation.is_irp:
        wrong = "for what is no IRP-based operation in a callback of its own"
    elif k.irql > Irql.PASSIVE:
        wrong = "without having synchronized it"
    elif operation.read_parameters() != visit.parameters and not operation.view.flags & CallbackDataFlags.DIRTY:
        wrong = "with changed parameters and without FltSetCallbackDataDirty"
    if wrong:
        text = f"{operation.describe()}: FltReissueSynchronousIo was called {wrong}"
        k.verifier.report("IO-05", instance.filter.name, text)


@export(FLTMGR, "FltReissueSynchronousIo", max_irql=Irql.PASSIVE)
def flt_reissue_synchronous_io(k: "Kernel", instance: int, data: int) -> Code:
    """FltReissueSynchronousIo: once more through the filters below the caller (IO-05, OQ-08)."""
    found, operation = k.flt.instance_at(instance), k.flt.operation_at(data)
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
