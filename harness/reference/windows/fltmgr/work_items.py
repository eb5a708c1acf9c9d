"""Work items: deferred ones for an operation, generic ones for a filter or an instance."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr.filters import Filter, Instance
from harness.reference.windows.fltmgr.pending_exports import current_visit, refusal_to_post
from harness.reference.windows.fltmgr.references import DEFERRED_ITEM, GENERIC_ITEM
from harness.reference.windows.io.request import Code
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@dataclass(eq=False, slots=True)
class WorkItem:
    """A work item; `address` is what the filter points to."""

    address: int
    generic: bool
    owner: Filter | None
    queued: bool = False


def _kind(*, generic: bool) -> Kind:
    return GENERIC_ITEM if generic else DEFERRED_ITEM


def _allocate(k: "Kernel", *, generic: bool) -> int:
    driver = k.blame.current().driver
    owner = k.flt.filter_named(driver) if driver is not None else None
    item = WorkItem(k.flt.heap.allocate(0x58), generic, owner)
    k.flt.work_items[item.address] = item
    k.holdings.take(_kind(generic=generic), item.address)
    return item.address


def _item_at(k: "Kernel", address: int, *, generic: bool) -> WorkItem:
    item = k.flt.work_items.get(address)
    if item is None or item.generic is not generic:
        k.bugcheck(
            BugCheck.FLTMGR_FILE_SYSTEM,
            0,
            address,
            message=f"{address:#x} was used as a {'generic' if generic else 'deferred'} work item, which it is not",
        )
    return item


def _free(k: "Kernel", address: int, *, generic: bool) -> None:
    item = _item_at(k, address, generic=generic)
    if item.queued:
        k.bugcheck(BugCheck.FLTMGR_FILE_SYSTEM, 0, address, message="a work item was freed while it was queued")
    del k.flt.work_items[address]
    k.flt.heap.free(address)
    k.holdings.give_back(_kind(generic=generic), address)


@export(FLTMGR, "FltAllocateDeferredIoWorkItem", max_irql=Irql.DISPATCH)
def flt_allocate_deferred_io_work_item(k: "Kernel") -> int:
    """FltAllocateDeferredIoWorkItem."""
    return _allocate(k, generic=False)


@export(FLTMGR, "FltFreeDeferredIoWorkItem", max_irql=Irql.DISPATCH)
def flt_free_deferred_io_work_item(k: "Kernel", item: int) -> None:
    """FltFreeDeferredIoWorkItem."""
    _free(k, item, generic=False)


@export(FLTMGR, "FltAllocateGenericWorkItem", max_irql=Irql.DISPATCH)
def flt_allocate_generic_work_item(k: "Kernel") -> int:
    """FltAllocateGenericWorkItem."""
    return _allocate(k, generic=True)


@export(FLTMGR, "FltFreeGenericWorkItem", max_irql=Irql.DISPATCH)
def flt_free_generic_work_item(k: "Kernel", item: int) -> None:
    """FltFreeGenericWorkItem."""
    _free(k, item, generic=True)


@export(FLTMGR, "FltQueueDeferredIoWorkItem", max_irql=Irql.DISPATCH)
def flt_queue_deferred_io_work_item(
    k: "Kernel", address: int, data: int, routine: int, queue: U32, context: int
) -> int:
    """FltQueueDeferredIoWorkItem: refused where it would not be safe (PEND-WI-02 to PEND-WI-04)."""
    item = _item_at(k, address, generic=False)
    operation = k.flt.operations.get(data)
    if operation is None:
        return NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION  # a draining callback's copy
    visit = current_visit(operation)
    if visit is None:
        return NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION
    refusal = refusal_to_post(k, operation, visit.instance)
    if refusal:
        return refusal
    item.queued = True
    found = visit.instance.filter
    found.work.enter()  # the routine still runs when it has resumed the operation, which is all that holds the instance
    k.queue_worker(_run_counted(k, found, item, routine, data, context), queue=queue)
    return NtStatus.SUCCESS


def _run(k: "Kernel", item: WorkItem, routine: int, middle: int, context: int) -> Code:
    item.queued = False
    yield Call(routine, item.address, middle, context)


@export(FLTMGR, "FltQueueGenericWorkItem", max_irql=Irql.DISPATCH)
def flt_queue_generic_work_item(
    k: "Kernel", address: int, flt_object: int, routine: int, queue: U32, context: int
) -> int:
    """FltQueueGenericWorkItem: unloading waits for it (PEND-WI-07, UNL-04)."""
    item = _item_at(k, address, generic=True)
    instance: Instance | None = k.flt.instances.get(flt_object)
    found = instance.filter if instance is not None else k.flt.filter_at(flt_object)
    if found.unloading:
        return NtStatus.FLT_DELETING_OBJECT
    item.queued = True
    found.work.enter()
    k.queue_worker(_run_counted(k, found, item, routine, flt_object, context), queue=queue)
    return NtStatus.SUCCESS


def _run_counted(k: "Kernel", found: Filter, item: WorkItem, routine: int, middle: int, context: int) -> Code:
    yield from _run(k, item, routine, middle, context)
    found.work.count -= 1
    if found.work.count == 0:
        k.signal(found.work.idle)
