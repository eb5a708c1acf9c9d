"""Kernel timers and DPCs."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.exports import I32, I64, NTOSKRNL, U8, U32, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.processor import QueuedDpc
from harness.reference.machine.scheduler.requests import Call, KernelCode, Wait
from harness.reference.machine.scheduler.timers import Timer
from harness.reference.windows.ntos.ke.dispatcher_objects import DispatcherHeader, initialize_header
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.windows.io.driver_table import Driver
    from harness.reference.windows.kernel import Kernel

_DPC_OBJECT = 0x13
_TICKS_PER_MILLISECOND = 10_000


class KDpc(Structure):
    """KDPC."""

    SIZE = 0x40
    type = Field(0x00, "B")
    importance = Field(0x01, "B")
    number = Field(0x02, "H")
    """0 for the processor that queues it, else 1 + the target's number."""
    routine = Field(0x18)
    context = Field(0x20)
    argument1 = Field(0x28)
    argument2 = Field(0x30)
    queued = Field(0x38)


class KTimer(Structure):
    """KTIMER."""

    SIZE = 0x40
    due_time = Field(0x18)
    dpc = Field(0x30)
    period = Field(0x3C, "I")


@dataclass(frozen=True, slots=True)
class SetTimer:
    """A timer that has been set."""

    timer: Timer
    driver: str | None
    dpc: int


# -- DPCs


@export(NTOSKRNL, "KeInitializeDpc", "KeInitializeThreadedDpc")
def ke_initialize_dpc(k: "Kernel", dpc: int, routine: int, context: int) -> int:
    view = KDpc(k.memory, dpc)
    view.clear()
    view.type = _DPC_OBJECT
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
    return insert_dpc(k, dpc, argument1, argument2)


def insert_dpc(k: "Kernel", dpc: int, argument1: int, argument2: int) -> bool:
    """Queue a KDPC; False if it is queued already."""
    view = KDpc(k.memory, dpc)
    if view.queued:
        return False
    view.argument1 = argument1
    view.argument2 = argument2
    number = view.number
    processor = k.processors[(number - 1) % len(k.processors)] if number else k.processor
    view.queued = processor.control
    k.scheduler.queue_dpc(QueuedDpc(lambda: _run_dpc(k, dpc), dpc), processor, first=view.importance >= 2)
    return True


def _run_dpc(k: "Kernel", dpc: int) -> KernelCode:
    view = KDpc(k.memory, dpc)
    routine, context, argument1, argument2 = view.routine, view.context, view.argument1, view.argument2
    view.queued = 0
    yield Call(routine, dpc, context, argument1, argument2)


@export(NTOSKRNL, "KeRemoveQueueDpc")
def ke_remove_queue_dpc(k: "Kernel", dpc: int) -> bool:
    for processor in k.processors:
        for queued in processor.dpcs:
            if queued.key == dpc:
                processor.dpcs.remove(queued)
                KDpc(k.memory, dpc).queued = 0
                return True
    return False


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
    was_set = cancel_timer(k, timer)
    view = KTimer(k.memory, timer)
    view.dpc = dpc
    view.period = period
    DispatcherHeader(k.memory, timer).signal_state = 0
    after = -due if due < 0 else max(0, due - BOOT_TIME - k.now)
    view.due_time = k.now + after
    host = k.clock.add(after, lambda: _expire(k, timer), period * _TICKS_PER_MILLISECOND)
    k.kernel_timers[timer] = SetTimer(host, k.blame.current().driver, dpc)
    return was_set


def _expire(k: "Kernel", timer: int) -> None:
    """A timer's time has come: signal it and queue its DPC."""
    entry = k.kernel_timers[timer]
    try:
        view = KTimer(k.memory, timer)
        DispatcherHeader(k.memory, timer).signal_state = 1
        if not view.period:
            del k.kernel_timers[timer]
        k.scheduler.signal_key(timer)
        if view.dpc:
            insert_dpc(k, view.dpc, 0, 0)
    except GuestException as problem:
        raise k.bug_checks.stop(
            BugCheck.TIMER_OR_DPC_INVALID, 0, timer,
            message=f"a timer expired whose memory is gone: {k.describe_address(timer)} ({problem})",
            driver=entry.driver,
        ) from None  # fmt: skip


def cancel_timer(k: "Kernel", timer: int) -> bool:
    """Take a timer off; whether it was set."""
    entry = k.kernel_timers.pop(timer, None)
    return entry is not None and entry.timer.cancel()


@export(NTOSKRNL, "KeCancelTimer", max_irql=Irql.DISPATCH)
def ke_cancel_timer(k: "Kernel", timer: int) -> bool:
    return cancel_timer(k, timer)


def report_leaks(k: "Kernel", driver: "Driver") -> None:
    """At unload: timers that are still set and DPCs still queued, whose routines are about to go."""
    for address, entry in k.kernel_timers.items():
        if entry.driver == driver.name:
            k.verifier.report(None, driver.name, f"leak at unload: the timer at {address:#x} is still set")
    for processor in k.processors:
        for queued in processor.dpcs:
            if queued.key and driver.image.base <= KDpc(k.memory, queued.key).routine < driver.image.end:
                k.verifier.report(None, driver.name, f"leak at unload: the DPC at {queued.key:#x} is still queued")
