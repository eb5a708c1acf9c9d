"""The processor control regions (KPCR) that gs points to in kernel mode."""

from typing import TYPE_CHECKING

from harness.reference.machine.memory.layout import PAGE_SHIFT, PAGE_SIZE, PROCESSOR_CONTROL, PROCESSOR_CONTROL_STRIDE
from harness.reference.machine.scheduler.processor import Processor
from harness.reference.windows.ntos.ke.offsets import KPCR

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.thread import Thread

SYNCH_LEVEL = 12
"""The IRQL at which processors are synchronized, on machines with more than one."""

assert KPCR.SIZE <= PROCESSOR_CONTROL_STRIDE
assert KPCR.IRQL < 1 << PAGE_SHIFT


def make_processor(memory: "Memory", number: int) -> Processor:
    """A logical processor with its control region, which shows its current thread at gs:[188h]."""
    kpcr = PROCESSOR_CONTROL + number * PROCESSOR_CONTROL_STRIDE
    memory.map(kpcr, KPCR.SIZE)
    memory.write_u64(kpcr + KPCR.SELF, kpcr)
    memory.write_u64(kpcr + KPCR.CURRENT_PRCB, kpcr + KPCR.PRCB)
    memory.write_u32(kpcr + KPCR.NUMBER, number)
    (frame,) = memory.frames(kpcr, PAGE_SIZE)

    def show(thread: "Thread") -> None:
        memory.write_u64(kpcr + KPCR.CURRENT_THREAD, thread.kthread)

    return Processor(number, kpcr, memory.ram, frame + KPCR.IRQL, show)
