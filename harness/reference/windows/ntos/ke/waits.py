"""Waiting: KeWaitForSingleObject, KeWaitForMultipleObjects, KeDelayExecutionThread."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.machine.scheduler.requests import Delay, KernelCode, Wait
from harness.reference.windows.ntos.ke.wait_arguments import dispatcher_at, timeout_at

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_THREAD_WAIT_OBJECTS, _MAXIMUM_WAIT_OBJECTS = 3, 64


def _check_irql(k: "Kernel", timeout: int | None, function: str) -> None:
    highest = Irql.DISPATCH if timeout == 0 else Irql.APC
    if k.irql > highest:
        k.verifier.report(None, k.blame.current().driver, f"{function} was called at IRQL {k.irql}")
        k.bugcheck(
            BugCheck.IRQL_NOT_LESS_OR_EQUAL, 0, k.irql,
            message=f"{function} was called at IRQL {k.irql}; with a timeout of "
            f"{'0' if timeout == 0 else 'more than 0'} the highest is {int(highest)}",
        )  # fmt: skip


def wait_now(k: "Kernel", request: Wait) -> int | KernelCode:
    """Wait; without giving up the processor if the wait is satisfied at once."""
    status = k.scheduler.begin_wait_now(k.current, request)
    return status if status is not None else _wait(request)


def _wait(request: Wait) -> KernelCode:
    return (yield request)


@export(NTOSKRNL, "KeWaitForSingleObject", "KeWaitForMutexObject")
def ke_wait_for_single_object(
    k: "Kernel", item: int, reason: U32, mode: U8, alertable: bool, timeout_pointer: int
) -> int | KernelCode:
    del reason, mode, alertable
    timeout = timeout_at(k, timeout_pointer)
    _check_irql(k, timeout, "KeWaitForSingleObject")
    return wait_now(k, Wait((dispatcher_at(k, item),), timeout))


@export(NTOSKRNL, "KeWaitForMultipleObjects")
def ke_wait_for_multiple_objects(
    k: "Kernel",
    count: U32,
    items: int,
    wait_type: U32,
    reason: U32,
    mode: U8,
    alertable: bool,
    timeout_pointer: int,
    wait_blocks: int,
) -> int | KernelCode:
    del reason, mode, alertable
    timeout = timeout_at(k, timeout_pointer)
    _check_irql(k, timeout, "KeWaitForMultipleObjects")
    if count > (_MAXIMUM_WAIT_OBJECTS if wait_blocks else _THREAD_WAIT_OBJECTS):
        k.bugcheck(BugCheck.MAXIMUM_WAIT_OBJECTS_EXCEEDED, message=f"a wait for {count} objects without wait blocks")
    objects = tuple(dispatcher_at(k, k.memory.read_u64(items + 8 * index)) for index in range(count))
    return wait_now(k, Wait(objects, timeout, all=wait_type == 0))


@export(NTOSKRNL, "KeDelayExecutionThread", max_irql=Irql.APC)
def ke_delay_execution_thread(k: "Kernel", mode: U8, alertable: bool, interval: int) -> KernelCode:
    del mode, alertable
    return _delay(timeout_at(k, interval) or 0)


def _delay(ticks: int) -> KernelCode:
    yield Delay(ticks)
    return 0
