"""Callback data queues: the filter's own list behind the filter's own lock.

The filter manager calls insert, remove and peek with the lock held, and takes cancelled operations out (PEND-CBDQ-01 to
-07, OQ-15 to OQ-17).
"""

from collections import deque
from typing import TYPE_CHECKING

from harness.nt import NtStatus, nt_success
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr.callback_data import CallbackDataQueue
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects

_DISABLED = 0x8000_0000
"""In Flags of the queue: our own mark that it is disabled."""
_IRQL_SLOT = 0x38
"""ReservePointer of IO_CSQ: where the acquire routine leaves the old IRQL."""


_REMEMBERED = 64


class CallbackDataQueues:
    """What is done with the queues of all filters; each queue is guest memory, by its address."""

    def __init__(self, objects: "FilterObjects") -> None:
        self.objects = objects
        self.kernel = objects.kernel
        self.cancel_routines_called: deque[int] = deque(maxlen=_REMEMBERED)
        """The callback data that were cancelled last and whose cancel routine was called."""

    def queue_at(self, address: int) -> CallbackDataQueue:
        return CallbackDataQueue(self.kernel.memory, address)

    # -- the filter's lock

    def acquire(self, view: CallbackDataQueue) -> Code:
        """Have the filter take its lock; the IRQL before."""
        slot = view.address + _IRQL_SLOT
        yield Call(view.acquire, view.address, slot)
        return self.kernel.memory.read_u8(slot)

    def release(self, view: CallbackDataQueue, irql: int) -> Code:
        """Have the filter release its lock."""
        yield Call(view.release, view.address, irql)

    # -- in and out

    def set_disabled(self, address: int, *, disabled: bool) -> Code:
        """FltCbdqDisable, FltCbdqEnable: what is queued stays (PEND-CBDQ-01)."""
        view = self.queue_at(address)
        irql = yield from self.acquire(view)
        view.flags = _DISABLED if disabled else 0
        yield from self.release(view, irql)

    def is_disabled(self, view: CallbackDataQueue) -> bool:
        return bool(view.flags & _DISABLED)

    def insert(self, view: CallbackDataQueue, operation: Operation, context: int, insert_context: int) -> Code:
        """Queue an operation; what the filter's insert routine returned (PEND-CBDQ-06)."""
        irql = yield from self.acquire(view)
        if self.is_disabled(view):
            yield from self.release(view, irql)
            return int(NtStatus.FLT_CBDQ_DISABLED)
        status = (yield Call(view.insert, view.address, operation.data, insert_context)) & 0xFFFF_FFFF
        if not nt_success(status):
            yield from self.release(view, irql)
            return status
        operation.queue = view.address
        operation.queue_context = context
        if context:
            self.kernel.memory.write_u64(context + 8, operation.data)  # IO_CSQ_IRP_CONTEXT.Irp: the link back
        request = operation.request
        request.set_cancel_routine(lambda _: self.cancelled(operation))
        already_cancelled = request.cancelled
        yield from self.release(view, irql)
        if already_cancelled:
            yield from self.cancelled(operation)
        return status

    def take_out(self, view: CallbackDataQueue, operation: Operation) -> Code:
        """Remove an operation that is in the queue; the lock is held."""
        yield Call(view.remove, view.address, operation.data)
        if operation.queue_context:
            self.kernel.memory.write_u64(operation.queue_context + 8, 0)
        operation.queue = operation.queue_context = 0
        operation.request.set_cancel_routine(None)

    def cancelled(self, operation: Operation) -> Code:
        """A queued request is cancelled: it leaves the queue, and the filter is told (PEND-CBDQ-03)."""
        if not operation.queue:
            return
        kernel, view = self.kernel, self.queue_at(operation.queue)
        irql = yield from self.acquire(view)
        if not operation.queue:
            yield from self.release(view, irql)
            return
        held = kernel.policy["cancel-callback-lock"] == "held"
        yield from self.take_out(view, operation)
        if not held:
            yield from self.release(view, irql)
        yield Call(view.complete_cancelled, view.address, operation.data)
        if held:
            yield from self.release(view, irql)
        if operation.finished and operation.final_status != NtStatus.CANCELLED:
            text = f"{operation.describe()} was cancelled and completed with {operation.final_status:#010x}"
            kernel.probes.happened((text,))

    def remove(self, view: CallbackDataQueue, context: int) -> Code:
        """The operation that was inserted with a context, or 0 if it is gone (PEND-CBDQ-05)."""
        irql = yield from self.acquire(view)
        data = self.kernel.memory.read_u64(context + 8)
        operation = self.objects.operations.get(data)
        found = 0
        if operation is not None and operation.queue == view.address and operation.queue_context == context:
            yield from self.take_out(view, operation)
            found = data
        yield from self.release(view, irql)
        return found

    def remove_next(self, view: CallbackDataQueue, peek_context: int) -> Code:
        """The next operation that matches and is not cancelled, or 0 (PEND-CBDQ-04)."""
        irql = yield from self.acquire(view)
        data, found = 0, 0
        while True:
            data = yield Call(view.peek, view.address, data, peek_context)
            if not data:
                break
            operation = self.objects.operation_at(data)
            if not operation.request.cancelled:
                yield from self.take_out(view, operation)
                found = data
                break
        yield from self.release(view, irql)
        return found
