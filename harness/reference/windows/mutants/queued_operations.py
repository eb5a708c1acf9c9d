"""Mutants of where operations wait: callback data queues and work items."""

from harness.nt import Irql
from harness.reference.windows.fltmgr.callback_data import CallbackDataQueue
from harness.reference.windows.fltmgr.callback_data_queues import CallbackDataQueues
from harness.reference.windows.fltmgr.filters import Filter, Instance
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.fltmgr.safe_completion import Refusal, SafeCompletion
from harness.reference.windows.fltmgr.work_items import WorkItem, WorkItems
from harness.reference.windows.io.request import Code
from harness.reference.windows.mutants import mutant

# -- callback data queues


@mutant("disabled-queue-takes-more")
class DisabledQueueTakesMore(CallbackDataQueues):
    """A callback data queue that is disabled takes what is inserted."""

    def is_disabled(self, view: CallbackDataQueue) -> bool:
        return False


@mutant("queue-lock-not-taken")
class QueueLockNotTaken(CallbackDataQueues):
    """The callbacks of a callback data queue are called without the filter's lock."""

    def acquire(self, view: CallbackDataQueue) -> Code:
        yield from ()
        return int(self.kernel.irql)

    def release(self, view: CallbackDataQueue, irql: int) -> Code:
        yield from ()


@mutant("cancelled-stays-queued")
class CancelledStaysQueued(CallbackDataQueues):
    """An operation that is cancelled stays in its queue until the filter takes it out."""

    def cancelled(self, operation: Operation) -> Code:
        yield from ()


@mutant("removed-twice")
class RemovedTwice(CallbackDataQueues):
    """FltCbdqRemoveIo hands out an operation again that has been taken out already."""

    def take_out(self, view: CallbackDataQueue, operation: Operation) -> Code:
        queue, context = operation.queue, operation.queue_context
        yield from super().take_out(view, operation)
        operation.queue, operation.queue_context = queue, context
        if context:
            self.kernel.memory.write_u64(context + 8, operation.data)


@mutant("handed-out-twice")
class HandedOutTwice(CallbackDataQueues):
    """FltCbdqRemoveNextIo hands out the last operation again when the queue is empty."""

    last = 0

    def remove_next(self, view: CallbackDataQueue, peek_context: int) -> Code:
        self.last = (yield from super().remove_next(view, peek_context)) or self.last
        return self.last


@mutant("insert-status-lost")
class InsertStatusLost(CallbackDataQueues):
    """FltCbdqInsertIo answers STATUS_SUCCESS whatever success the filter's insert routine has returned."""

    def insert(self, view: CallbackDataQueue, operation: Operation, context: int, insert_context: int) -> Code:
        status = yield from super().insert(view, operation, context, insert_context)
        return status if status & 0x8000_0000 else 0


# -- work items


@mutant("work-routine-at-apc")
class WorkRoutineAtApc(WorkItems):
    """Work routines are called at APC_LEVEL."""

    def run(self, item: WorkItem, found: Filter, routine: int, subject: int, context: int) -> Code:
        old_irql = self.kernel.raise_irql(Irql.APC)
        yield from super().run(item, found, routine, subject, context)
        self.kernel.lower_irql(old_irql)


@mutant("never-refused-to-post")
class NeverRefusedToPost(SafeCompletion):
    """Operations are posted to work queues also where that is not safe."""

    def refusal_to_post(self, operation: Operation, instance: Instance) -> Refusal | None:
        return None
