"""Returns to guest code from the hook of a call: what cannot be made there is left to the engine."""

from struct import unpack_from
from typing import Any, cast

from harness.reference.machine.cpu.code import NEXT
from harness.reference.machine.scheduler.crossings import Crossings
from harness.reference.windows.kernel import Kernel

NOTHING_THERE = 0xFFFF_9999_0000_0000


def crossings_of(kernel: Kernel) -> Crossings:
    found: Crossings = kernel.engine._crossings
    found.processor = kernel.processors[0]
    return found


def goes_on_at(kernel: Kernel) -> int:
    return int(unpack_from("<Q", kernel.memory.ram, kernel.engine._traps.page + NEXT)[0])


def test_a_return_to_a_stack_that_is_gone_is_the_engines_to_make_and_to_report():
    kernel = Kernel(seed=1)

    assert not crossings_of(kernel).return_here(cast("Any", None), NOTHING_THERE, 0)
    assert goes_on_at(kernel) == 0


def test_a_return_to_kernel_code_goes_on_as_soon_as_the_hook_is_over():
    kernel = Kernel(seed=1)
    stack = kernel.heap.allocate(64)
    kernel.memory.write_u64(stack, NOTHING_THERE)
    crossings = crossings_of(kernel)

    assert crossings.return_here(cast("Any", None), stack, 7)
    assert goes_on_at(kernel) == crossings.resume
