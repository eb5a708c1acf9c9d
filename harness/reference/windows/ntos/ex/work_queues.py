"""Work items: ExQueueWorkItem, and the I/O manager's own."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.ex.driver_pool import free

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


class WorkQueueItem(Structure):
    """WORK_QUEUE_ITEM."""

    SIZE = 0x20
    flink = Field(0x00)
    routine = Field(0x10)
    parameter = Field(0x18)


class IoWorkItem(Structure):
    """IO_WORKITEM, which is opaque: the layout is ours."""

    SIZE = 0x58
    io_object = Field(0x00)
    queued = Field(0x08)


@export(NTOSKRNL, "ExQueueWorkItem", max_irql=Irql.DISPATCH)
def ex_queue_work_item(k: "Kernel", item: int, queue: U32) -> int:
    view = WorkQueueItem(k.memory, item)
    if view.flink:
        k.bugcheck(BugCheck.WORKER_INVALID, 1, item, message=f"the work item at {item:#x} is queued already")
    view.flink = item
    k.queue_worker(_run_item(k, item), queue=queue)
    return 0


def _run_item(k: "Kernel", item: int) -> KernelCode:
    view = WorkQueueItem(k.memory, item)
    routine, parameter = view.routine, view.parameter
    view.flink = 0
    yield from k.kept.call("its work item", routine, parameter)


@export(NTOSKRNL, "IoAllocateWorkItem", max_irql=Irql.DISPATCH)
def io_allocate_work_item(k: "Kernel", device: int) -> int:
    where = k.blame.current()
    if k.scarcity.strikes(where.driver):
        return 0
    item = k.pool.allocate(IoWorkItem.SIZE, "IoWi", owner=where.driver, allocated_by=where.address)
    IoWorkItem(k.memory, item).io_object = device
    return item


@export(NTOSKRNL, "IoInitializeWorkItem", max_irql=Irql.DISPATCH)
def io_initialize_work_item(k: "Kernel", device: int, item: int) -> int:
    k.memory.write(item, bytes(IoWorkItem.SIZE))
    IoWorkItem(k.memory, item).io_object = device
    return 0


@export(NTOSKRNL, "IoSizeofWorkItem")
def io_sizeof_work_item(k: "Kernel") -> int:
    del k
    return IoWorkItem.SIZE


@export(NTOSKRNL, "IoFreeWorkItem", max_irql=Irql.DISPATCH)
def io_free_work_item(k: "Kernel", item: int) -> int:
    if IoWorkItem(k.memory, item).queued:
        k.bugcheck(BugCheck.WORKER_INVALID, 0, item, message=f"the I/O work item at {item:#x} is freed while queued")
    free(k, item, None)
    return 0


@export(NTOSKRNL, "IoUninitializeWorkItem", max_irql=Irql.DISPATCH)
def io_uninitialize_work_item(k: "Kernel", item: int) -> int:
    if IoWorkItem(k.memory, item).queued:
        k.bugcheck(BugCheck.WORKER_INVALID, 0, item, message=f"the I/O work item at {item:#x} is queued")
    return 0


def _queue(k: "Kernel", item: int, routine: int, queue: int, context: int, *, extended: bool) -> int:
    view = IoWorkItem(k.memory, item)
    if view.queued:
        k.bugcheck(BugCheck.WORKER_INVALID, 1, item, message=f"the I/O work item at {item:#x} is queued already")
    view.queued = 1
    k.queue_worker(_run_io(k, item, routine, context, extended=extended), queue=queue)
    return 0


def _run_io(k: "Kernel", item: int, routine: int, context: int, *, extended: bool) -> KernelCode:
    view = IoWorkItem(k.memory, item)
    view.queued = 0
    arguments = (view.io_object, context, item) if extended else (view.io_object, context)
    yield from k.kept.call("its work item", routine, *arguments)


@export(NTOSKRNL, "IoQueueWorkItem", max_irql=Irql.DISPATCH)
def io_queue_work_item(k: "Kernel", item: int, routine: int, queue: U32, context: int) -> int:
    return _queue(k, item, routine, queue, context, extended=False)


@export(NTOSKRNL, "IoQueueWorkItemEx", "IoTryQueueWorkItem", max_irql=Irql.DISPATCH)
def io_queue_work_item_ex(k: "Kernel", item: int, routine: int, queue: U32, context: int) -> int:
    return _queue(k, item, routine, queue, context, extended=True)
