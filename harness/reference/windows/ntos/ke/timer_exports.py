"""Kernel timers and DPCs."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import I32, I64, NTOSKRNL, U8, U32, export
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.processor import QueuedDpc
from harness.reference.machine.scheduler.requests import KernelCode, Wait
from harness.reference.windows.ntos.ke.dispatcher_objects import initialize_header
from harness.reference.windows.ntos.ke.kernel_timers import DPC_OBJECT, KDpc, KTimer

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.windows.kernel import Kernel


# -- DPCs


@export(NTOSKRNL, "KeInitializeDpc", "KeInitializeThreadedDpc")
def ke_initialize_dpc(k: "Kernel", dpc: int, routine: int, context: int) -> int:
    view = KDpc(k.memory, dpc)
    view.clear()
    view.type = DPC_OBJECT
    view.importance = 1
    view.routine = routine
    view.context = context
    return 0


@export(NTOSKRNL, "KeSetTargetProcessorDpc")
def ke_set_target_processor_dpc(k: "Kernel", dpc: int, number: U8) -> int:
    KDpc(k.memory, dpc).number = number + 1
    return 0


@export(NTOSKRNL, "KeSetTargetProcessorDpcEx")
def ke_set_target_processor_dpc_ex(k: "Kernel", dpc: int, processor_number: int) -> int:
    KDpc(k.memory, dpc).number = k.memory.read_u8(processor_number + 2) + 1
    return 0


@export(NTOSKRNL, "KeSetImportanceDpc")
def ke_set_importance_dpc(k: "Kernel", dpc: int, importance: U32) -> int:
    KDpc(k.memory, dpc).importance = importance
    return 0


@export(NTOSKRNL, "KeInsertQueueDpc")
def ke_insert_queue_dpc(k: "Kernel", dpc: int, argument1: int, argument2: int) -> bool:
    return k.timers.insert_dpc(dpc, argument1, argument2)


@export(NTOSKRNL, "KeRemoveQueueDpc")
def ke_remove_queue_dpc(k: "Kernel", dpc: int) -> bool:
    return k.timers.remove_dpc(dpc)


@export(NTOSKRNL, "KeFlushQueuedDpcs", max_irql=Irql.APC)
def ke_flush_queued_dpcs(k: "Kernel") -> KernelCode:
    """Waits until every DPC that is queued now has run, on all processors."""
    return _flush(k, list(k.processors))


def _flush(k: "Kernel", processors: "list[Processor]") -> KernelCode:
    for processor in processors:
        if processor.dpcs or processor.dpc is not None:
            done = Event(f"the DPCs of processor {processor.number}")
            k.scheduler.queue_dpc(QueuedDpc(partial(_signal, k, done)), processor)
            yield Wait([done])
    return 0


def _signal(k: "Kernel", done: Event) -> KernelCode:
    k.signal(done)
    yield from ()


# -- timers


@export(NTOSKRNL, "KeInitializeTimer")
def ke_initialize_timer(k: "Kernel", timer: int) -> int:
    return ke_initialize_timer_ex(k, timer, 0)


@export(NTOSKRNL, "KeInitializeTimerEx")
def ke_initialize_timer_ex(k: "Kernel", timer: int, kind: U32) -> int:
    k.memory.write(timer, bytes(KTimer.SIZE))
    initialize_header(k.memory, timer, 8 + (kind & 1), KTimer.SIZE, 0)
    return 0


@export(NTOSKRNL, "KeSetTimer", max_irql=Irql.DISPATCH)
def ke_set_timer(k: "Kernel", timer: int, due: I64, dpc: int) -> bool:
    return ke_set_timer_ex(k, timer, due, 0, dpc)


@export(NTOSKRNL, "KeSetCoalescableTimer", max_irql=Irql.DISPATCH)
def ke_set_coalescable_timer(k: "Kernel", timer: int, due: I64, period: U32, delay: U32, dpc: int) -> bool:
    del delay
    return ke_set_timer_ex(k, timer, due, period, dpc)


@export(NTOSKRNL, "KeSetTimerEx", max_irql=Irql.DISPATCH)
def ke_set_timer_ex(k: "Kernel", timer: int, due: I64, period: I32, dpc: int) -> bool:
    return k.timers.set(timer, due, period, dpc)


@export(NTOSKRNL, "KeCancelTimer", max_irql=Irql.DISPATCH)
def ke_cancel_timer(k: "Kernel", timer: int) -> bool:
    return k.timers.cancel(timer)
