"""Callback data that a minifilter makes itself, and I/O by it: FltAllocateCallbackData, FltPerformSynchronousIo."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.fltmgr.callback_data import (
    CALLBACK_DATA,
    CALLBACK_DATA_SIZE,
    PARAMETER_BLOCK,
    PARAMETER_BLOCK_SIZE,
)
from harness.reference.windows.fltmgr.filters import OwnCallbackData
from harness.reference.windows.fltmgr.own_operations import (
    IOPB,
    MADE,
    finished,
    perform,
    request_of,
    require_over,
    require_own,
    require_target,
)
from harness.reference.windows.fltmgr.references import OWN_DATA
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

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
    k.memory.write(data, CALLBACK_DATA.pack(MADE, own.thread, data + IOPB, 0, 0, 0, 0))
    block = PARAMETER_BLOCK.pack(0, 0, 0, 0, 0, own.file_object, own.instance.address, bytes(48))
    k.memory.write(data + IOPB, block)


@export(FLTMGR, "FltReuseCallbackData", max_irql=Irql.APC)
def flt_reuse_callback_data(k: "Kernel", data: int) -> None:
    """FltReuseCallbackData: as it was allocated, for the same instance and file."""
    require_own(k, data)
    require_over(k, data, "FltReuseCallbackData")
    k.flt.own_data[data] = k.flt.own_data[data]._replace(thread=k.current.kthread)
    _clear(k, data)


@export(FLTMGR, "FltFreeCallbackData", max_irql=Irql.DISPATCH)
def flt_free_callback_data(k: "Kernel", data: int) -> None:
    """FltFreeCallbackData."""
    require_own(k, data)
    require_over(k, data, "FltFreeCallbackData")
    del k.flt.own_data[data]
    k.holdings.give_back(OWN_DATA, data)
    k.flt.heap.free(data)


@export(FLTMGR, "FltPerformSynchronousIo", max_irql=Irql.APC)
def flt_perform_synchronous_io(k: "Kernel", data: int) -> Code:
    """FltPerformSynchronousIo: sent below the instance, and waited for; what came of it is in IoStatus."""
    yield from perform(k, data)


@export(FLTMGR, "FltPerformAsynchronousIo", max_irql=Irql.APC)
def flt_perform_asynchronous_io(k: "Kernel", data: int, callback: int, context: int) -> Code:
    """FltPerformAsynchronousIo: `callback` is called when it is over, in an arbitrary thread."""
    require_own(k, data)
    require_target(k, data)
    request = request_of(k, data)
    if request is None:
        return int(NtStatus.INVALID_PARAMETER)
    request.synchronous = False
    request.irp_flags &= ~int(IrpFlags.SYNCHRONOUS_API)

    def over(done: Request) -> None:
        finished(k, data, done)
        k.queue_worker(_call_back(k, callback, data, context))

    request.completions.append(over)
    k.flt.own_operations[data] = request
    yield from k.flt.frames.send_below(k.flt.own_data[data].instance, request)
    return int(NtStatus.PENDING)


def _call_back(k: "Kernel", callback: int, data: int, context: int) -> Code:
    yield from k.kept.call("its completion callback", callback, data, context)
