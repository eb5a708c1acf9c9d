"""What a filter asks of an operation beside its callbacks: the status below it, and waits that its cancel ends."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.fsrtl.cancellable_waits import wait_for
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.io.request import Request
    from harness.reference.windows.kernel import Kernel


@export(FLTMGR, "FltRequestOperationStatusCallback", max_irql=Irql.APC)
def flt_request_operation_status_callback(k: "Kernel", data: int, callback: int, context: int) -> int:
    """FltRequestOperationStatusCallback: in a pre-operation callback of an IRP-based operation."""
    asked = k.flt.operation_at(data).request_status(callback, context)
    return int(NtStatus.SUCCESS if asked else NtStatus.INVALID_PARAMETER)


def _request_of(k: "Kernel", data: int) -> "Request | None":
    return k.flt.operation_at(data).request if data else None


@export(FLTMGR, "FltCancellableWaitForSingleObject", max_irql=Irql.APC)
def flt_cancellable_wait_for_single_object(k: "Kernel", item: int, timeout: int, data: int) -> Code:
    """FltCancellableWaitForSingleObject: CANCELLED if the operation is, THREAD_IS_TERMINATING if the thread ends."""
    return wait_for(k, [item], timeout, request=_request_of(k, data), every=False)


@export(FLTMGR, "FltCancellableWaitForMultipleObjects", max_irql=Irql.APC)
def flt_cancellable_wait_for_multiple_objects(
    k: "Kernel", count: U32, items: int, kind: U32, timeout: int, blocks: int, data: int
) -> Code:
    """FltCancellableWaitForMultipleObjects."""
    del blocks
    objects = [k.memory.read_u64(items + 8 * index) for index in range(count)]
    return wait_for(k, objects, timeout, request=_request_of(k, data), every=kind == 0)
