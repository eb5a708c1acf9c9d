"""Callback data queues, and cancel routines on pended operations.

A callback data queue is the filter's own list behind the filter's own lock; the filter manager calls insert, remove and
peek with the lock held, and takes cancelled operations out (PEND-CBDQ-01 to -07, OQ-15 to OQ-17).
"""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus, nt_success
from harness.reference.machine.loader.exports import FLTMGR, export
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr.callback_data import CallbackDataQueue
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_DISABLED = 0x8000_0000
"""In Flags of the queue: our own mark that it is disabled."""
_IRQL_SLOT = 0x38
"""ReservePointer of IO_CSQ: where the acquire routine leaves the old IRQL."""


@export(FLTMGR, "FltCbdqInitialize", max_irql=Irql.APC)
def flt_cbdq_initialize(
    k: "Kernel",
    instance: int,
    queue: int,
    insert: int,
    remove: int,
    peek: int,
    acquire: int,
    release: int,
    complete_cancelled: int,
) -> int:
    """FltCbdqInitialize."""
    k.flt.instance_at(instance)
    view = CallbackDataQueue(k.memory, queue)
    view.clear()
    view.instance = instance
    view.insert, view.remove, view.peek = insert, remove, peek
    view.acquire, view.release, view.complete_cancelled = acquire, release, complete_cancelled
    return NtStatus.SUCCESS


@export(FLTMGR, "FltCbdqEnable", max_irql=Irql.DISPATCH)
def flt_cbdq_enable(k: "Kernel", queue: int) -> Code:
    """FltCbdqEnable."""
    yield from _set_disabled(k, queue, disabled=False)


@export(FLTMGR, "FltCbdqDisable", max_irql=Irql.DISPATCH)
def flt_cbdq_disable(k: "Kernel", queue: int) -> Code:
    """FltCbdqDisable."""
    yield from _set_disabled(k, queue, disabled=True)


def _set_disabled(k: "Kernel", queue: int, *, disabled: bool) -> Code:
    view = CallbackDataQueue(k.memory, queue)
    irql = yield from _acquire(k, view)
    view.flags = _DISABLED if disabled else 0
    yield from _release(view, irql)


def _acquire(k: "Kernel", view: CallbackDataQueue) -> Code:
    slot = view.address + _IRQL_SLOT
    yield Call(view.acquire, view.address, slot)
    return k.memory.read_u8(slot)


def _release(view: CallbackDataQueue, irql: int) -> Code:
    yield Call(view.release, view.address, irql)


@export(FLTMGR, "FltCbdqInsertIo", max_irql=Irql.DISPATCH)
def flt_cbdq_insert_io(k: "Kernel", queue: int, data: int, context: int, insert_context: int) -> Code:
    """FltCbdqInsertIo: what the filter's insert routine returned."""
    view = CallbackDataQueue(k.memory, queue)
    operation = k.flt.operation_at(data)
    if not operation.is_irp or operation.cancel_routine:
        k.verifier.report(
            "PEND-CBDQ-07",
            k.blame.current().driver,
            f"{operation.describe()} was inserted into a callback data queue: it is not IRP-based, or has a cancel"
            " routine",
        )
    irql = yield from _acquire(k, view)
    if view.flags & _DISABLED:
        yield from _release(view, irql)
        return int(NtStatus.FLT_CBDQ_DISABLED)
    status = (yield Call(view.insert, queue, data, insert_context)) & 0xFFFF_FFFF
    if not nt_success(status):
        yield from _release(view, irql)
        return status
    operation.queue = queue
    operation.queue_context = context
    if context:
        k.memory.write_u64(context + 8, data)  # IO_CSQ_IRP_CONTEXT.Irp: the link back
    request = operation.request
    request.set_cancel_routine(lambda _: _cancelled(k, operation))
    already_cancelled = request.cancelled
    yield from _release(view, irql)
    if already_cancelled:
        yield from _cancelled(k, operation)
    return status


def _take_out(k: "Kernel", view: CallbackDataQueue, operation: Operation) -> Code:
    """Remove an operation that is in the queue; the lock is held."""
    yield Call(view.remove, view.address, operation.data)
    if operation.queue_context:
        k.memory.write_u64(operation.queue_context + 8, 0)
    operation.queue = operation.queue_context = 0
    operation.request.set_cancel_routine(None)


def _cancelled(k: "Kernel", operation: Operation) -> Code:
    """A queued request is cancelled: it leaves the queue, and the filter is told (PEND-CBDQ-03)."""
    if not operation.queue:
        return
    view = CallbackDataQueue(k.memory, operation.queue)
    irql = yield from _acquire(k, view)
    if not operation.queue:
        yield from _release(view, irql)
        return
    held = k.policy["cancel-callback-lock"] == "held"
    yield from _take_out(k, view, operation)
    if not held:
        yield from _release(view, irql)
    yield Call(view.complete_cancelled, view.address, operation.data)
    if held:
        yield from _release(view, irql)
    if operation.finished and operation.final_status != NtStatus.CANCELLED:
        k.probes.happened((f"{operation.describe()} was cancelled and completed with {operation.final_status:#010x}",))


@export(FLTMGR, "FltCbdqRemoveIo", max_irql=Irql.DISPATCH)
def flt_cbdq_remove_io(k: "Kernel", queue: int, context: int) -> Code:
    """FltCbdqRemoveIo: the operation inserted with `context`, or NULL."""
    view = CallbackDataQueue(k.memory, queue)
    irql = yield from _acquire(k, view)
    data = k.memory.read_u64(context + 8)
    operation = k.flt.operations.get(data)
    found = 0
    if operation is not None and operation.queue == queue and operation.queue_context == context:
        yield from _take_out(k, view, operation)
        found = data
    yield from _release(view, irql)
    return found


@export(FLTMGR, "FltCbdqRemoveNextIo", max_irql=Irql.DISPATCH)
def flt_cbdq_remove_next_io(k: "Kernel", queue: int, peek_context: int) -> Code:
    """FltCbdqRemoveNextIo: the next operation that matches and is not cancelled, or NULL."""
    view = CallbackDataQueue(k.memory, queue)
    irql = yield from _acquire(k, view)
    data, found = 0, 0
    while True:
        data = yield Call(view.peek, queue, data, peek_context)
        if not data:
            break
        operation = k.flt.operation_at(data)
        if not operation.request.cancelled:
            yield from _take_out(k, view, operation)
            found = data
            break
    yield from _release(view, irql)
    return found


# -- cancel routines


@export(FLTMGR, "FltSetCancelCompletion", max_irql=Irql.DISPATCH)
def flt_set_cancel_completion(k: "Kernel", data: int, routine: int) -> Code:
    """FltSetCancelCompletion: called without any lock when the request is cancelled (PEND-CAN-01)."""
    operation = k.flt.operation_at(data)
    request = operation.request
    if not operation.is_irp or request.irp_flags & IrpFlags.PAGING_IO or operation.queue:
        k.verifier.report(
            "PEND-CAN-01" if not operation.queue else "PEND-CBDQ-07",
            k.blame.current().driver,
            f"{operation.describe()}: FltSetCancelCompletion is for IRP-based, non-paging operations in no queue",
        )
        return int(NtStatus.INVALID_PARAMETER)
    if request.cancelled:
        return int(NtStatus.CANCELLED)
    operation.cancel_routine = routine
    request.set_cancel_routine(lambda _: _call_cancel_routine(operation))
    yield from ()
    return int(NtStatus.SUCCESS)


def _call_cancel_routine(operation: Operation) -> Code:
    routine, operation.cancel_routine = operation.cancel_routine, 0
    if routine:
        yield Call(routine, operation.data)


@export(FLTMGR, "FltClearCancelCompletion", max_irql=Irql.DISPATCH)
def flt_clear_cancel_completion(k: "Kernel", data: int) -> int:
    """FltClearCancelCompletion: STATUS_CANCELLED when the cancel routine has been or is being called."""
    operation = k.flt.operation_at(data)
    if not operation.cancel_routine:
        return NtStatus.CANCELLED
    operation.cancel_routine = 0
    operation.request.set_cancel_routine(None)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltIsIoCanceled", max_irql=Irql.DISPATCH)
def flt_is_io_canceled(k: "Kernel", data: int) -> bool:
    """FltIsIoCanceled."""
    return k.flt.operation_at(data).request.cancelled


@export(FLTMGR, "FltCancelIo", max_irql=Irql.DISPATCH)
def flt_cancel_io(k: "Kernel", data: int) -> Code:
    """FltCancelIo."""
    return int((yield from k.io.cancel(k.flt.operation_at(data).request)))
