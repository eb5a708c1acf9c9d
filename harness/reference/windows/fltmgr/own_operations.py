"""Operations that a minifilter makes itself, by callback data of its own: what they are, and how they are sent."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import BugCheck, CallbackDataFlags, NtStatus, OperationClass
from harness.reference.windows.fltmgr.callback_data import (
    CALLBACK_DATA_SIZE,
    IO_STATUS,
    PARAMETER_BLOCK,
    PARAMETER_BLOCK_SIZE,
    CallbackData,
)
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

STATUS = 24
"""Offset of IoStatus in FLT_CALLBACK_DATA."""
IOPB = CALLBACK_DATA_SIZE
MADE = int(CallbackDataFlags.IRP_OPERATION | CallbackDataFlags.GENERATED_IO)
_CHANGEABLE = int(CallbackDataFlags.DIRTY | CallbackDataFlags.SYSTEM_BUFFER)


def require_own(k: "Kernel", data: int) -> None:
    """A callback data that was made by FltAllocateCallbackData; a bug check for any other.

    What of it is the filter manager's is as it was; else it is again, as of those that it makes itself (Checks).
    """
    if data not in k.flt.own_data:
        k.flt.operation_at(0 if data in k.flt.operations else data)
    view, thread = CallbackData(k.memory, data), k.flt.own_data[data].thread
    if (view.flags & MADE, view.thread, view.iopb) != (MADE, thread, data + IOPB):
        view.flags, view.thread, view.iopb = view.flags & _CHANGEABLE | MADE, thread, data + IOPB
        text = "changed what of its own callback data (FltAllocateCallbackData) is the filter manager's"
        k.verifier.report("PARM-04", None, text)


def require_over(k: "Kernel", data: int, call: str) -> None:
    """What is freed or used again must not be under way."""
    request = k.flt.own_operations.get(data)
    if request is not None:
        text = f"{call} was called for callback data of its own whose operation is under way: {request.describe()}"
        k.verifier.report(None, k.blame.current().driver, text)


def require_target(k: "Kernel", data: int) -> None:
    """The instance and the file object that an operation of the caller's own is for; a bug check where they are none.

    No file object at all is a status (INVALID_PARAMETER).
    """
    *_, file_object, instance, _ = PARAMETER_BLOCK.unpack(k.memory.read(data + IOPB, PARAMETER_BLOCK_SIZE))
    k.flt.instance_at(instance)
    if file_object and k.io.file_at(file_object) is None:
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION,
            file_object,
            message=f"an operation of its own is for {k.describe_address(file_object)}, which is no file object",
        )


def request_of(k: "Kernel", data: int) -> Request | None:
    """The request that a callback data describes; None where its file object is none."""
    block = PARAMETER_BLOCK.unpack(k.memory.read(data + IOPB, PARAMETER_BLOCK_SIZE))
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


def finished(k: "Kernel", data: int, request: Request) -> None:
    k.flt.own_operations.pop(data, None)
    if data in k.flt.own_data:  # nobody has freed it meanwhile
        k.memory.write(data + STATUS, IO_STATUS.pack(request.status, request.information))


def perform(k: "Kernel", data: int) -> Code:
    """Send an operation below its instance and wait for it; what came of it is in IoStatus."""
    require_own(k, data)
    require_target(k, data)
    request = request_of(k, data)
    if request is None:
        k.memory.write(data + STATUS, IO_STATUS.pack(int(NtStatus.INVALID_PARAMETER), 0))
        return
    k.flt.own_operations[data] = request
    yield from k.io.issue(request, partial(k.flt.frames.send_below, k.flt.own_data[data].instance))
    finished(k, data, request)
