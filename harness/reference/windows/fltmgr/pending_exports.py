"""The exports that bring pended operations back, and those for completion work that must wait for a safe IRQL."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql, PostopStatus, PreopStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(FLTMGR, "FltCompletePendedPreOperation", max_irql=Irql.DISPATCH)
def flt_complete_pended_pre_operation(k: "Kernel", data: int, answer: U32, context: int) -> Code:
    """FltCompletePendedPreOperation: the operation goes on in this thread (OQ-06)."""
    operation = k.flt.operations.get(data)
    driver = k.blame.current().driver
    if operation is None or operation.visit is None or operation.visit.resumed:
        cancelled = data in k.flt.queues.cancel_routines_called
        why = ": its cancel routine has been called, which FltClearCancelCompletion tells" if cancelled else ""
        k.verifier.report(
            "PEND-CAN-01" if cancelled else "PRE-PEND-02",
            driver,
            f"FltCompletePendedPreOperation was called for {data:#x}, which is not pended (any more){why}",
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
    status = k.flt.checks.resume_status(operation, visit, answer, context)
    if k.irql > Irql.APC and status is not PreopStatus.COMPLETE:
        k.verifier.report("IRQL-08", driver, f"{operation.describe()}: resumed with {status.name} at IRQL {k.irql}")
    if status is PreopStatus.COMPLETE:
        k.flt.checks.filled_in_another_process(operation, visit)
    else:
        k.flt.checks.buffer_of_another_process(operation, visit)
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


# -- completion when it is safe


@export(FLTMGR, "FltDoCompletionProcessingWhenSafe", max_irql=Irql.DISPATCH)
def flt_do_completion_processing_when_safe(
    k: "Kernel", data: int, objects: int, context: int, flags: U32, routine: int, answer_out: int
) -> Code:
    """FltDoCompletionProcessingWhenSafe (POST-SAFE-01 to POST-SAFE-04)."""
    operation = k.flt.operations.get(data)
    if operation is None or operation.post is None or flags & 1 or not operation.is_irp:
        what = f"{operation.describe()}: " if operation is not None else ""
        where = "a postoperation callback of an IRP-based operation"
        text = f"{what}FltDoCompletionProcessingWhenSafe was called outside {where}, or when draining"
        k.verifier.report("POST-SAFE-04", k.blame.current().driver, text)
        k.memory.write_u32(answer_out, int(PostopStatus.FINISHED_PROCESSING))
        return 0
    answer = yield from k.flt.safe_completion.process(operation, routine, data, objects, context, flags)
    k.memory.write_u32(answer_out, int(PostopStatus.FINISHED_PROCESSING) if answer is None else answer)
    return int(answer is not None)


@export(FLTMGR, "FltIsOperationSynchronous", max_irql=Irql.DISPATCH)
def flt_is_operation_synchronous(k: "Kernel", data: int) -> bool:
    """FltIsOperationSynchronous (IO-06)."""
    return k.flt.operation_services.is_synchronous(k.flt.operation_at(data))
