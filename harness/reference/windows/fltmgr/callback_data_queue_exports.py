"""The exports for callback data queues, and for cancel routines on pended operations."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, export
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


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
    view = k.flt.queues.queue_at(queue)
    view.clear()
    view.instance = instance
    view.insert, view.remove, view.peek = insert, remove, peek
    view.acquire, view.release, view.complete_cancelled = acquire, release, complete_cancelled
    return NtStatus.SUCCESS


@export(FLTMGR, "FltCbdqEnable", max_irql=Irql.DISPATCH)
def flt_cbdq_enable(k: "Kernel", queue: int) -> Code:
    """FltCbdqEnable."""
    yield from k.flt.queues.set_disabled(queue, disabled=False)


@export(FLTMGR, "FltCbdqDisable", max_irql=Irql.DISPATCH)
def flt_cbdq_disable(k: "Kernel", queue: int) -> Code:
    """FltCbdqDisable."""
    yield from k.flt.queues.set_disabled(queue, disabled=True)


@export(FLTMGR, "FltCbdqInsertIo", max_irql=Irql.DISPATCH)
def flt_cbdq_insert_io(k: "Kernel", queue: int, data: int, context: int, insert_context: int) -> Code:
    """FltCbdqInsertIo: what the filter's insert routine returned."""
    view = k.flt.queues.queue_at(queue)
    operation = k.flt.operation_at(data)
    if not operation.is_irp or operation.cancel_routine:
        k.verifier.report(
            "PEND-CBDQ-07",
            k.blame.current().driver,
            f"{operation.describe()} was inserted into a callback data queue: it is not IRP-based, or has a cancel"
            " routine",
        )
    status: int = yield from k.flt.queues.insert(view, operation, context, insert_context)
    return status


@export(FLTMGR, "FltCbdqRemoveIo", max_irql=Irql.DISPATCH)
def flt_cbdq_remove_io(k: "Kernel", queue: int, context: int) -> Code:
    """FltCbdqRemoveIo: the operation inserted with `context`, or NULL."""
    found: int = yield from k.flt.queues.remove(k.flt.queues.queue_at(queue), context)
    return found


@export(FLTMGR, "FltCbdqRemoveNextIo", max_irql=Irql.DISPATCH)
def flt_cbdq_remove_next_io(k: "Kernel", queue: int, peek_context: int) -> Code:
    """FltCbdqRemoveNextIo: the next operation that matches and is not cancelled, or NULL."""
    found: int = yield from k.flt.queues.remove_next(k.flt.queues.queue_at(queue), peek_context)
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
    request.set_cancel_routine(lambda _: _call_cancel_routine(k, operation))
    yield from ()
    return int(NtStatus.SUCCESS)


def _call_cancel_routine(k: "Kernel", operation: Operation) -> Code:
    routine, operation.cancel_routine = operation.cancel_routine, 0
    if routine:
        k.flt.queues.cancel_routines_called.append(operation.data)
        yield from k.kept.call("its cancel routine", routine, operation.data)


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
    """FltCancelIo: TRUE where a cancel routine was called; an operation of a filter's own has to be under way."""
    if data in k.flt.own_data:
        request = k.flt.own_operations.get(data)
        return 0 if request is None else int((yield from k.io.cancel(request)))
    return int((yield from k.io.cancel(k.flt.operation_at(data).request)))
