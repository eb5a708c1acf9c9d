"""Completion work that must wait for a safe IRQL, and whether an operation may be posted to a worker at all."""

from typing import TYPE_CHECKING, NamedTuple

from harness.nt import Irql, NtStatus, PostopStatus
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr.operation import Operation, Visit, VisitState
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.kd.debug_output import print_refusal
from harness.reference.windows.ntos.ke.offsets import KTHREAD

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.fltmgr.passage import PassageEngine


class Refusal(NamedTuple):
    """Why an operation may not be posted to a work queue."""

    status: NtStatus
    why: str


class SafeCompletion:
    """FltDoCompletionProcessingWhenSafe (POST-SAFE-01 to POST-SAFE-04)."""

    def __init__(self, objects: "FilterObjects", engine: "PassageEngine") -> None:
        self.kernel = objects.kernel
        self._engine = engine

    def process(self, operation: Operation, routine: int, data: int, objects: int, context: int, flags: int) -> Code:
        """Call the safe callback here or in a worker; the post-operation callback's answer, None if it cannot be."""
        if self.is_safe():
            answer: int = yield Call(routine, data, objects, context, flags)
            return answer & 0xFFFF_FFFF
        visit = operation.post
        assert visit is not None
        refusal = self.refusal_to_post(operation, visit.instance)
        if refusal is not None:
            yield from print_refusal(
                self.kernel, f"FltDoCompletionProcessingWhenSafe answers FALSE at DISPATCH_LEVEL: {refusal.why}"
            )
            return None
        self.kernel.queue_worker(self._process_later(operation, visit, routine, objects, context, flags))
        return int(PostopStatus.MORE_PROCESSING_REQUIRED)

    def is_safe(self) -> bool:
        """Whether the safe callback may be called here."""
        return self.kernel.irql < Irql.DISPATCH

    def _process_later(
        self, operation: Operation, visit: Visit, routine: int, objects: int, context: int, flags: int
    ) -> Code:
        """The safe callback in a worker; completion resumes by itself unless the callback keeps the operation."""
        arguments = (operation.data, objects, context, flags)
        answer = yield from self.kernel.kept.call("its safe postoperation callback", routine, *arguments)
        if answer & 0xFFFF_FFFF == PostopStatus.MORE_PROCESSING_REQUIRED:
            return
        if operation.post is visit and not visit.resumed and visit.state is not VisitState.RETURNED:
            yield from self._engine.resume_post(operation)

    def refusal_to_post(self, operation: Operation, instance: "Instance") -> Refusal | None:
        """Why an operation may not be posted to a work queue, if it may not (PEND-WI-02 to PEND-WI-04, OQ-18)."""
        k, unsafe = self.kernel, NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION
        if not operation.is_irp:
            return Refusal(unsafe, "the operation is no IRP")
        if operation.request.irp_flags & IrpFlags.PAGING_IO:
            return Refusal(unsafe, "the operation is paging I/O")
        if k.memory.read_u64(k.current.kthread + KTHREAD.TOP_LEVEL_IRP):
            return Refusal(unsafe, "the thread that runs here is inside a file system (IoGetTopLevelIrp is not NULL)")
        if not instance.attached:
            return Refusal(NtStatus.FLT_DELETING_OBJECT, "the instance is detached")
        return None
