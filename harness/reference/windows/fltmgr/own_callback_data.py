"""Callback data that a minifilter makes itself, and I/O by it: FltAllocateCallbackData, FltPerformSynchronousIo."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import BugCheck, CallbackDataFlags, Irql, NtStatus, OperationClass
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.fltmgr.callback_data import (
    CALLBACK_DATA,
    CALLBACK_DATA_SIZE,
    IO_STATUS,
    PARAMETER_BLOCK,
    PARAMETER_BLOCK_SIZE,
    CallbackData,
)
from harness.reference.windows.fltmgr.filters import OwnCallbackData
from harness.reference.windows.fltmgr.references import OWN_DATA
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_STATUS = 24
"""Offset of IoStatus in FLT_CALLBACK_DATA."""
_IOPB = CALLBACK_DATA_SIZE
_MADE = int(CallbackDataFlags.IRP_OPERATION | CallbackDataFlags.GENERATED_IO)
_CHANGEABLE = int(CallbackDataFlags.DIRTY | CallbackDataFlags.SYSTEM_BUFFER)
_SIZE = CALLBACK_DATA_SIZE + PARAMETER_BLOCK_SIZE


@export(FLTMGR, "FltAllocateCallbackData", max_irql=Irql.APC)
def flt_allocate_callback_data(k: "Kernel", instance: int, file_object: int, out: int) -> int:
    """FltAllocateCallbackData: for an operation of the caller's own, IRP-based until it says otherwise."""
    return flt_allocate_callback_data_ex(k, instance, file_object, 0, out)


@export(FLTMGR, "FltAllocateCallbackDataEx", max_irql=Irql.APC)
def flt_allocate_callback_data_ex(k: "Kernel", instance: int, file_object: int, flags: U32, out: int) -> int:
    """FltAllocateCallbackDataEx."""
    del flags
    found = k.flt.instance_at(instance)
    if k.scarcity.strikes(found.filter.name):
        return int(NtStatus.INSUFFICIENT_RESOURCES)
    data = k.flt.heap.allocate(_SIZE)
    k.flt.own_data[data] = OwnCallbackData(found, file_object, k.current.kthread)
    k.holdings.take(OWN_DATA, data)
    _clear(k, data)
    k.memory.write_u64(out, data)
    return int(NtStatus.SUCCESS)


def _clear(k: "Kernel", data: int) -> None:
    own = k.flt.own_data[data]
    k.memory.write(data, CALLBACK_DATA.pack(_MADE, own.thread, data + _IOPB, 0, 0, 0, 0))
    block = PARAMETER_BLOCK.pack(0, 0, 0, 0, 0, own.file_object, own.instance.address, bytes(48))
    k.memory.write(data + _IOPB, block)


def _require_own(k: "Kernel", data: int) -> None:
    """A callback data that was made by FltAllocateCallbackData; a bug check for any other.

    What of it is the filter manager's is as it was; else it is again, as of those that it makes itself (Checks).
    """
    if data not in k.flt.own_data:
        k.flt.operation_at(0 if data in k.flt.operations else data)
    view, thread = CallbackData(k.memory, data), k.flt.own_data[data].thread
    if (view.flags & _MADE, view.thread, view.iopb) != (_MADE, thread, data + _IOPB):
        view.flags, view.thread, view.iopb = view.flags & _CHANGEABLE | _MADE, thread, data + _IOPB
        text = "changed what of its own callback data (FltAllocateCallbackData) is the filter manager's"
        k.verifier.report("PARM-04", None, text)


def _require_target(k: "Kernel", data: int) -> None:
    """The instance and the file object that an operation of the caller's own is for; a bug check where they are none.

    No file object at all is a status (INVALID_PARAMETER).
    """
    *_, file_object, instance, _ = PARAMETER_BLOCK.unpack(k.memory.read(data + _IOPB, PARAMETER_BLOCK_SIZE))
    k.flt.instance_at(instance)
    if file_object and k.io.file_at(file_object) is None:
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION,
            file_object,
            message=f"an operation of its own is for {k.describe_address(file_object)}, which is no file object",
        )


@export(FLTMGR, "FltReuseCallbackData", max_irql=Irql.APC)
def flt_reuse_callback_data(k: "Kernel", data: int) -> None:
    """FltReuseCallbackData: as it was allocated, for the same instance and file."""
    _require_own(k, data)
    k.flt.own_data[data] = k.flt.own_data[data]._replace(thread=k.current.kthread)
    _clear(k, data)


@export(FLTMGR, "FltFreeCallbackData", max_irql=Irql.DISPATCH)
def flt_free_callback_data(k: "Kernel", data: int) -> None:
    """FltFreeCallbackData."""
    _require_own(k, data)
    del k.flt.own_data[data]
    k.holdings.give_back(OWN_DATA, data)
    k.flt.heap.free(data)


def _request(k: "Kernel", data: int) -> Request | None:
    """The request that a callback data describes; None where its file object is none."""
    block = PARAMETER_BLOCK.unpack(k.memory.read(data + _IOPB, PARAMETER_BLOCK_SIZE))
    irp_flags, major, minor, operation_flags, _, file_object, _, parameters = block
    file = k.io.file_at(file_object)
    if file is None:
        return None
    request = Request(
        OperationClass.IRP,
        major,
        file,
        k.current,
        parameters=parameters,
        minor=minor,
        irp_flags=irp_flags | int(IrpFlags.SYNCHRONOUS_API),
        operation_flags=operation_flags,
    )
    request.generated = True
    request.system_buffer = bool(k.memory.read_u32(data) & CallbackDataFlags.SYSTEM_BUFFER)
    return request


def _finished(k: "Kernel", data: int, request: Request) -> None:
    k.flt.own_operations.pop(data, None)
    k.memory.write(data + _STATUS, IO_STATUS.pack(request.status, request.information))


@export(FLTMGR, "FltPerformSynchronousIo", max_irql=Irql.APC)
def flt_perform_synchronous_io(k: "Kernel", data: int) -> Code:
    """FltPerformSynchronousIo: sent below the instance, and waited for; what came of it is in IoStatus."""
    _require_own(k, data)
    _require_target(k, data)
    request = _request(k, data)
    if request is None:
        k.memory.write(data + _STATUS, IO_STATUS.pack(int(NtStatus.INVALID_PARAMETER), 0))
        return None
    k.flt.own_operations[data] = request
    yield from k.io.issue(request, partial(k.flt.frames.send_below, k.flt.own_data[data].instance))
    _finished(k, data, request)
    return None


@export(FLTMGR, "FltPerformAsynchronousIo", max_irql=Irql.APC)
def flt_perform_asynchronous_io(k: "Kernel", data: int, callback: int, context: int) -> Code:
    """FltPerformAsynchronousIo: `callback` is called when it is over, in an arbitrary thread."""
    _require_own(k, data)
    _require_target(k, data)
    request = _request(k, data)
    if request is None:
        return int(NtStatus.INVALID_PARAMETER)
    request.synchronous = False
    request.irp_flags &= ~int(IrpFlags.SYNCHRONOUS_API)

    def over(done: Request) -> None:
        _finished(k, data, done)
        k.queue_worker(_call_back(k, callback, data, context))

    request.completions.append(over)
    k.flt.own_operations[data] = request
    yield from k.flt.frames.send_below(k.flt.own_data[data].instance, request)
    return int(NtStatus.PENDING)


def _call_back(k: "Kernel", callback: int, data: int, context: int) -> Code:
    yield from k.kept.call("its completion callback", callback, data, context)
