"""The exports for deferred and generic work items."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.kd.debug_output import print_refusal

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(FLTMGR, "FltAllocateDeferredIoWorkItem", max_irql=Irql.DISPATCH)
def flt_allocate_deferred_io_work_item(k: "Kernel") -> int:
    """FltAllocateDeferredIoWorkItem."""
    return k.flt.work_items.allocate(generic=False)


@export(FLTMGR, "FltFreeDeferredIoWorkItem", max_irql=Irql.DISPATCH)
def flt_free_deferred_io_work_item(k: "Kernel", item: int) -> None:
    """FltFreeDeferredIoWorkItem."""
    k.flt.work_items.free(item, generic=False)


@export(FLTMGR, "FltAllocateGenericWorkItem", max_irql=Irql.DISPATCH)
def flt_allocate_generic_work_item(k: "Kernel") -> int:
    """FltAllocateGenericWorkItem."""
    return k.flt.work_items.allocate(generic=True)


@export(FLTMGR, "FltFreeGenericWorkItem", max_irql=Irql.DISPATCH)
def flt_free_generic_work_item(k: "Kernel", item: int) -> None:
    """FltFreeGenericWorkItem."""
    k.flt.work_items.free(item, generic=True)


@export(FLTMGR, "FltQueueDeferredIoWorkItem", max_irql=Irql.DISPATCH)
def flt_queue_deferred_io_work_item(
    k: "Kernel", address: int, data: int, routine: int, queue: U32, context: int
) -> Code:
    """FltQueueDeferredIoWorkItem: refused where it would not be safe (PEND-WI-02 to PEND-WI-04)."""
    item = k.flt.work_items.at(address, generic=False)
    operation = k.flt.operations.get(data)
    if operation is None:
        return NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION  # a draining callback's copy
    visit = operation.holder
    if visit is None:
        return NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION
    refusal = k.flt.safe_completion.refusal_to_post(operation, visit.instance)
    operation.refused_to_post = refusal is not None
    if refusal is not None:
        yield from print_refusal(k, f"FltQueueDeferredIoWorkItem refuses, {refusal.status.name}: {refusal.why}")
        return refusal.status
    k.flt.work_items.queue(item, visit.instance.filter, queue, routine, data, context)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltQueueGenericWorkItem", max_irql=Irql.DISPATCH)
def flt_queue_generic_work_item(
    k: "Kernel", address: int, flt_object: int, routine: int, queue: U32, context: int
) -> int:
    """FltQueueGenericWorkItem: unloading waits for it (PEND-WI-07, UNL-04)."""
    item = k.flt.work_items.at(address, generic=True)
    instance = k.flt.instances.get(flt_object)
    found = instance.filter if instance is not None else k.flt.filter_at(flt_object)
    if found.unloading:
        return NtStatus.FLT_DELETING_OBJECT
    k.flt.work_items.queue(item, found, queue, routine, flt_object, context)
    return NtStatus.SUCCESS
