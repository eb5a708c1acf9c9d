"""Kernel timers and DPCs: KTIMERs that are set, and KDPCs in the processors' queues."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.processor import QueuedDpc
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.ke.dispatcher_objects import DispatcherHeader
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.reference.machine.loader.images import Image
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.scheduler import Scheduler
    from harness.reference.machine.scheduler.timers import Clock, Timer
    from harness.reference.windows.verifier.blame import Blame
    from harness.reference.windows.verifier.bug_checks import BugChecks
    from harness.reference.windows.verifier.findings import Verifier

DPC_OBJECT, THREADED_DPC_OBJECT = 0x13, 0x18
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

    timer: "Timer"
    driver: str | None
    dpc: int
    set_at: str | None = None
    """The call that has set it."""


class KernelTimers:
    """The KTIMERs that are set, and what their expiry does."""

    def __init__(
        self,
        memory: "Memory",
        clock: "Clock",
        scheduler: "Scheduler",
        blame: "Blame",
        bug_checks: "BugChecks",
        verifier: "Verifier",
        call: "Callable[..., KernelCode]",
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._scheduler = scheduler
        self._blame = blame
        self._bug_checks = bug_checks
        self._verifier = verifier
        self._call = call
        """KeptStates.call."""
        self._set: dict[int, SetTimer] = {}
        """By address of the KTIMER."""

    def set(self, timer: int, due: int, period: int, dpc: int) -> bool:
        """Set a timer: `due` in 100 ns, negative from now, else since 1601; `period` in ms. Whether it was set."""
        was_set = self.cancel(timer)
        view = KTimer(self._memory, timer)
        view.dpc = dpc
        view.period = period
        DispatcherHeader(self._memory, timer).signal_state = 0
        now = self._clock.now
        after = -due if due < 0 else max(0, due - BOOT_TIME - now)
        view.due_time = now + after
        host = self._clock.add(after, lambda: self._expire(timer), period * _TICKS_PER_MILLISECOND)
        where = self._blame.current()
        self._set[timer] = SetTimer(host, where.driver, dpc, where.location)
        return was_set

    def cancel(self, timer: int) -> bool:
        """Take a timer off; whether it was set."""
        entry = self._set.pop(timer, None)
        return entry is not None and entry.timer.cancel()

    def _expire(self, timer: int) -> None:
        """A timer's time has come: signal it and queue its DPC."""
        entry = self._set[timer]
        try:
            view = KTimer(self._memory, timer)
            DispatcherHeader(self._memory, timer).signal_state = 1
            if not view.period:
                del self._set[timer]
            self._scheduler.signal_key(timer)
            if view.dpc:
                self.insert_dpc(view.dpc, 0, 0, entry.set_at or "")
        except GuestException as problem:
            raise self._bug_checks.stop(
                BugCheck.TIMER_OR_DPC_INVALID, 0, timer,
                message=f"a timer expired whose memory is gone: {self._blame.describe_address(timer)} ({problem})",
                driver=entry.driver,
            ) from None  # fmt: skip

    def insert_dpc(self, dpc: int, argument1: int, argument2: int, behalf: str = "") -> bool:
        """Queue a KDPC; False if it is queued already. `behalf` is the call that is behind it, if not the current."""
        view = KDpc(self._memory, dpc)
        if view.type not in (DPC_OBJECT, THREADED_DPC_OBJECT):
            text = f"the DPC at {dpc:#x} is queued, and is none: its Type is {view.type:#x}"
            raise self._bug_checks.stop(BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, dpc, message=text)
        if view.queued:
            return False
        view.argument1 = argument1
        view.argument2 = argument2
        number = view.number
        scheduler = self._scheduler
        processors = scheduler.processors
        processor = processors[(number - 1) % len(processors)] if number else scheduler.current_processor
        view.queued = processor.control
        behalf = behalf or self._blame.current().location or ""
        queued = QueuedDpc(lambda: self._run_dpc(dpc), dpc, behalf)
        scheduler.queue_dpc(queued, processor, first=view.importance >= 2)
        return True

    def _run_dpc(self, dpc: int) -> KernelCode:
        view = KDpc(self._memory, dpc)
        routine, context, argument1, argument2 = view.routine, view.context, view.argument1, view.argument2
        view.queued = 0
        yield from self._call("its DPC routine", routine, dpc, context, argument1, argument2)

    def remove_dpc(self, dpc: int) -> bool:
        """Take a KDPC out of its queue; whether it was in one."""
        for processor in self._scheduler.processors:
            for queued in processor.dpcs:
                if queued.key == dpc:
                    processor.dpcs.remove(queued)
                    KDpc(self._memory, dpc).queued = 0
                    return True
        return False

    def report_leaks(self, driver: str, image: "Image") -> None:
        """At unload: timers that are still set and DPCs still queued, whose routines are about to go."""
        for address, entry in self._set.items():
            if entry.driver == driver:
                where = f", set at {entry.set_at}" if entry.set_at else ""
                text = f"leak at unload: the timer at {address:#x} is still set{where}"
                self._verifier.report(None, driver, text, chain=(entry.set_at,) if entry.set_at else ())
        for processor in self._scheduler.processors:
            for queued in processor.dpcs:
                if queued.key and image.base <= KDpc(self._memory, queued.key).routine < image.end:
                    by = f", queued at {queued.behalf}" if queued.behalf else ""
                    text = f"leak at unload: the DPC at {queued.key:#x} is still queued{by}"
                    self._verifier.report(None, driver, text, chain=(queued.behalf,) if queued.behalf else None)
