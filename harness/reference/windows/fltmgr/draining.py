"""Draining: the post-operation callbacks that an instance is owed are made early, when it goes away (OQ-09)."""

from typing import TYPE_CHECKING

from harness.nt import CallbackDataFlags, NtStatus
from harness.reference.machine.scheduler.requests import Yield
from harness.reference.windows.fltmgr.callback_data import CALLBACK_DATA, PARAMETER_BLOCK_SIZE
from harness.reference.windows.io.request import Code
from harness.wire.trace import Phase

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.checks import Checks
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.fltmgr.operation import Node, Operation
    from harness.reference.windows.fltmgr.passage import PassageEngine

_IOPB = 0x60
_SIZE = _IOPB + PARAMETER_BLOCK_SIZE
_IO_STATUS, _IO_STATUS_SIZE = 24, 16
_DRAINING = 1
"""FLTFL_POST_OPERATION_DRAINING."""


class Draining:
    """Makes the post-operation callbacks of instances that go away, each with a copy of the callback data."""

    def __init__(self, objects: "FilterObjects", engine: "PassageEngine", checks: "Checks") -> None:
        self.objects = objects
        self._engine = engine
        self._checks = checks

    def drain(self, instance: "Instance") -> Code:
        """Make every post-operation callback that an instance is owed.

        An operation whose buffer the filter has swapped is cancelled, and the instance is busy until it comes back.
        """
        for operation in self.objects.in_flight(instance):
            for node in [node for node in operation.nodes if node.instance is instance]:
                if not self.can_be_drained(node):
                    yield from self._cancel(operation, node)
                elif node in operation.nodes:
                    operation.nodes.remove(node)
                    yield from self._drain(operation, node)

    def can_be_drained(self, node: "Node") -> bool:
        """Whether the callback may be made early: not while the file system works with the filter's own buffer."""
        return not node.visit.swapped

    def _cancel(self, operation: "Operation", node: "Node") -> Code:
        """Cancel an operation, and have the instance wait for the callback (DRAIN-04)."""
        if node.awaited:
            return
        node.awaited = True
        node.instance.busy.enter()  # until the callback has returned
        yield from self.objects.io.cancel(operation.request)

    def _drain(self, operation: "Operation", node: "Node") -> Code:
        kernel, memory, heap = self.objects.kernel, self.objects.kernel.memory, self.objects.heap
        copy = heap.allocate(_SIZE)
        memory.write(copy, memory.read(operation.data, CALLBACK_DATA.size))
        memory.write(copy + _IOPB, node.visit.parameters)
        memory.write_u64(copy + 16, copy + _IOPB)
        flags = CallbackDataFlags.DRAINING_IO | CallbackDataFlags.POST_OPERATION
        memory.write_u32(copy, (memory.read_u32(copy) | flags) & ~CallbackDataFlags.DIRTY)
        memory.write_u32(copy + 24, NtStatus.FLT_POST_OPERATION_CLEANUP)
        memory.write_u64(copy + 32, 0)
        self._engine.trace(operation, "drain", node.instance)
        operation.running += 1
        # The operation may end meanwhile; the file object that the copy points to may not.
        file = operation.request.file.object if operation.request.file is not None else None
        held = file if file is not None and file.references > 0 else None
        if held is not None:
            kernel.objects.reference(held)
        self.objects.drained[copy] = operation
        yield from self.call_post(operation, node, copy)
        del self.objects.drained[copy]
        if held is not None:
            yield from kernel.objects.release(held)
        operation.running -= 1
        heap.free(copy)
        node.drained = True
        if node.ready is not None:
            kernel.signal(node.ready)
        operation.release()
        yield Yield()

    def call_post(self, operation: "Operation", node: "Node", data: int) -> Code:
        """The callback itself, which may only clean up."""
        visit = node.visit
        seen = self.objects.callbacks
        seen.entered(operation, visit, Phase.POST, node.context, _DRAINING)
        arguments = (data, visit.related, node.context, _DRAINING)
        kernel = self.objects.kernel
        shown = self._shown(data)
        answer = yield from kernel.kept.call("its postoperation callback", visit.callbacks.post, *arguments)
        changed = self._shown(data) != shown
        seen.returned(operation, visit, Phase.POST, answer & 0xFFFF_FFFF, node.context)
        self._checks.drain_answer(operation, visit, answer & 0xFFFF_FFFF, changed)

    def _shown(self, data: int) -> bytes:
        """IoStatus and the parameters of a copy."""
        memory = self.objects.kernel.memory
        return memory.read(data + _IO_STATUS, _IO_STATUS_SIZE) + memory.read(data + _IOPB, PARAMETER_BLOCK_SIZE)
