"""Draining: the post-operation callbacks that an instance is owed are made early, when it goes away (OQ-09)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.nt import CallbackDataFlags, NtStatus
from harness.reference.machine.scheduler.requests import Call, Yield
from harness.reference.windows.fltmgr import checks
from harness.reference.windows.fltmgr.operation import Node, Operation
from harness.reference.windows.io.request import Code
from harness.wire.trace import Phase

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.fltmgr.passage import PassageEngine

_DRAINING = 1
"""FLTFL_POST_OPERATION_DRAINING."""


def drain(engine: "PassageEngine", instance: "Instance", operations: Iterable[Operation]) -> Code:
    """Make the owed posts of an instance that goes away early, with a copy of the callback data (OQ-09)."""
    for operation in list(operations):
        for node in [node for node in operation.nodes if node.instance is instance]:
            if node in operation.nodes:
                operation.nodes.remove(node)
                yield from _drain(engine, operation, node)


def _drain(engine: "PassageEngine", operation: Operation, node: Node) -> Code:
    kernel, memory, heap = engine.kernel, engine.kernel.memory, engine.manager.heap
    visit = node.visit
    copy = heap.allocate(0xB0)
    memory.write(copy, memory.read(operation.data, 88))
    memory.write(copy + 0x60, visit.parameters)
    memory.write_u64(copy + 16, copy + 0x60)
    flags = CallbackDataFlags.DRAINING_IO | CallbackDataFlags.POST_OPERATION
    memory.write_u32(copy, (memory.read_u32(copy) | flags) & ~CallbackDataFlags.DIRTY)
    memory.write_u32(copy + 24, NtStatus.FLT_POST_OPERATION_CLEANUP)
    memory.write_u64(copy + 32, 0)
    engine.trace(operation, "drain", visit.instance)
    operation.running += 1
    # The operation may end meanwhile; the file object that the copy points to may not.
    file = operation.request.file.object if operation.request.file is not None else None
    held = file if file is not None and file.references > 0 else None
    if held is not None:
        kernel.objects.reference(held)
    if not kernel.mutant("not-drained"):
        seen = engine.manager.callbacks
        seen.entered(operation, visit, Phase.POST, node.context, _DRAINING)
        answer = yield Call(visit.callbacks.post, copy, visit.related, node.context, _DRAINING)
        seen.returned(operation, visit, Phase.POST, answer & 0xFFFF_FFFF, node.context)
        checks.drain_answer(kernel, operation, visit, answer & 0xFFFF_FFFF)
    if held is not None:
        yield from kernel.objects.release(held)
    operation.running -= 1
    heap.free(copy)
    node.drained = True
    if node.ready is not None:
        kernel.signal(node.ready)
    operation.release()
    yield Yield()
