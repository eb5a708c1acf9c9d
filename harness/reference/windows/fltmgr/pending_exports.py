"""The exports that bring pended operations back, and those for completion work that must wait for a safe IRQL."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql, NtStatus, PostopStatus, PreopStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr import checks
from harness.reference.windows.fltmgr.operation import Operation, Visit, VisitState
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.ke.offsets import KTHREAD

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.kernel import Kernel


@export(FLTMGR, "FltCompletePendedPreOperation", max_irql=Irql.DISPATCH)
def flt_complete_pended_pre_operation(k: "Kernel", data: int, answer: U32, context: int) -> Code:
    """FltCompletePendedPreOperation: the operation goes on in this thread (OQ-06)."""
    operation = k.flt.operations.get(data)
    driver = k.blame.current().driver
    if operation is None or operation.visit is None or operation.visit.resumed:
        k.verifier.report(
            "PRE-PEND-02",
            driver,
            f"FltCompletePendedPreOperation was called for {data:#x}, which is not pended (any more)",
        )
        return
    visit = operation.visit
    if not operation.is_irp:
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION,
            data,
            int(PreopStatus.PENDING),
            message=f"{operation.describe()}: an operation that is not IRP-based was pended",
            rule="PRE-PEND-03",
            driver=visit.instance.filter.name,
        )
    status = checks.resume_status(k, operation, visit, answer, context)
    if k.irql > Irql.APC and status is not PreopStatus.COMPLETE:
        k.verifier.report("IRQL-08", driver, f"{operation.describe()}: resumed with {status.name} at IRQL {k.irql}")
    if status is not PreopStatus.COMPLETE:
        checks.buffer_of_another_process(k, operation, visit)
    yield from k.flt.engine.resume(operation, status, context)


@export(FLTMGR, "FltCompletePendedPostOperation", max_irql=Irql.DISPATCH)
def flt_complete_pended_post_operation(k: "Kernel", data: int) -> Code:
    """FltCompletePendedPostOperation: completion goes on upwards in this thread."""
    operation = k.flt.operations.get(data)
    if operation is None or operation.post is None or operation.post.resumed:
        k.verifier.report(
            "POST-PEND-03",
            k.blame.current().driver,
            f"FltCompletePendedPostOperation was called for {data:#x}, which is not pended in post (any more)",
        )
        return
    yield from k.flt.engine.resume_post(operation)


# -- is it safe to post?


def refusal_to_post(k: "Kernel", operation: Operation, instance: "Instance") -> int:
    """Why an operation may not be posted to a work queue, or 0 (PEND-WI-02 to PEND-WI-04, OQ-18)."""
    if not operation.is_irp or operation.request.irp_flags & IrpFlags.PAGING_IO:
        return int(NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION)
    if k.memory.read_u64(k.current.kthread + KTHREAD.TOP_LEVEL_IRP):
        return int(NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION)
    if not instance.attached:
        return int(NtStatus.FLT_DELETING_OBJECT)
    return 0


def current_visit(operation: Operation) -> Visit | None:
    """The filter that has the operation now."""
    return operation.visit or operation.post


@export(FLTMGR, "FltDoCompletionProcessingWhenSafe", max_irql=Irql.DISPATCH)
def flt_do_completion_processing_when_safe(
    k: "Kernel", data: int, objects: int, context: int, flags: U32, routine: int, answer_out: int
) -> Code:
    """FltDoCompletionProcessingWhenSafe (POST-SAFE-01 to POST-SAFE-04)."""
    operation = k.flt.operations.get(data)
    driver = k.blame.current().driver
    if operation is None or operation.post is None or flags & 1 or not operation.is_irp:
        k.verifier.report(
            "POST-SAFE-04",
            driver,
            "FltDoCompletionProcessingWhenSafe was called outside a postoperation callback of an IRP-based operation,"
            " or when draining",
        )
        k.memory.write_u32(answer_out, int(PostopStatus.FINISHED_PROCESSING))
        return 0
    inline = k.irql < Irql.DISPATCH and not k.mutant("safe-callback-always-posted")
    if inline or k.mutant("safe-callback-at-dispatch"):
        answer = yield Call(routine, data, objects, context, flags)
        k.memory.write_u32(answer_out, answer & 0xFFFF_FFFF)
        return 1
    visit = operation.post
    if refusal_to_post(k, operation, visit.instance):
        k.memory.write_u32(answer_out, int(PostopStatus.FINISHED_PROCESSING))
        return 0
    k.memory.write_u32(answer_out, int(PostopStatus.MORE_PROCESSING_REQUIRED))
    k.queue_worker(_safe_post(k, operation, visit, objects, context, flags, routine))
    return 1


def _safe_post(
    k: "Kernel", operation: Operation, visit: Visit, objects: int, context: int, flags: int, routine: int
) -> Code:
    """The safe callback in a worker; completion resumes by itself unless the callback keeps the operation."""
    k.flt.engine.enter_post()
    answer = yield Call(routine, operation.data, objects, context, flags)
    k.flt.engine.leave_post()
    if answer & 0xFFFF_FFFF == PostopStatus.MORE_PROCESSING_REQUIRED:
        return
    if operation.post is visit and not visit.resumed and visit.state is not VisitState.RETURNED:
        yield from k.flt.engine.resume_post(operation)


@export(FLTMGR, "FltIsOperationSynchronous", max_irql=Irql.DISPATCH)
def flt_is_operation_synchronous(k: "Kernel", data: int) -> bool:
    """FltIsOperationSynchronous (IO-06)."""
    operation = k.flt.operation_at(data)
    request = operation.request
    if not request.is_irp:
        return True
    if request.irp_flags & IrpFlags.PAGING_IO:
        return bool(request.irp_flags & IrpFlags.SYNCHRONOUS_PAGING_IO)
    if request.irp_flags & IrpFlags.SYNCHRONOUS_API:
        return True
    return request.file is not None and request.file.synchronous
