"""Rundown protection: who has acquired it owes its release, and who waits for the rundown waits for that."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import KernelCode, Wait
from harness.reference.windows.ntos.ex.rundown import PROTECTION, forget

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_MOST = 1024
"""How many acquisitions of one call are booked."""
_RUNDOWN_ACTIVE = 1


@export(
    NTOSKRNL,
    "ExInitializeRundownProtection",
    "ExReInitializeRundownProtection",
    "ExInitializeRundownProtectionCacheAware",
    "ExInitializeRundownProtectionCacheAwareEx",
    "ExReInitializeRundownProtectionCacheAware",
    "ExCleanupRundownProtectionCacheAware",
)
def ex_initialize_rundown_protection(k: "Kernel", rundown: int) -> int:
    k.memory.write_u64(rundown, 0)
    forget(k, rundown)
    return 0


@export(NTOSKRNL, "ExAcquireRundownProtection", "ExAcquireRundownProtectionCacheAware", max_irql=Irql.DISPATCH)
def ex_acquire_rundown_protection(k: "Kernel", rundown: int) -> bool:
    return _rundown_add(k, rundown, 1)


@export(NTOSKRNL, "ExAcquireRundownProtectionEx", "ExAcquireRundownProtectionCacheAwareEx", max_irql=Irql.DISPATCH)
def ex_acquire_rundown_protection_ex(k: "Kernel", rundown: int, count: U32) -> bool:
    return _rundown_add(k, rundown, count)


def _rundown_add(k: "Kernel", rundown: int, count: int) -> bool:
    value = k.memory.read_u64(rundown)
    if value & _RUNDOWN_ACTIVE:
        return False
    k.memory.write_u64(rundown, value + 2 * count)
    for _ in range(min(count, _MOST)):
        k.holdings.take(PROTECTION, rundown)
    return True


@export(NTOSKRNL, "ExReleaseRundownProtection", "ExReleaseRundownProtectionCacheAware", max_irql=Irql.DISPATCH)
def ex_release_rundown_protection(k: "Kernel", rundown: int) -> int:
    return _rundown_release(k, rundown, 1)


@export(NTOSKRNL, "ExReleaseRundownProtectionEx", "ExReleaseRundownProtectionCacheAwareEx", max_irql=Irql.DISPATCH)
def ex_release_rundown_protection_ex(k: "Kernel", rundown: int, count: U32) -> int:
    return _rundown_release(k, rundown, count)


def _rundown_release(k: "Kernel", rundown: int, count: int) -> int:
    value = k.memory.read_u64(rundown)
    if value >> 1 < count:
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, 0, rundown,
            message=f"rundown protection at {rundown:#x} is released more often than acquired",
        )  # fmt: skip
    k.memory.write_u64(rundown, value - 2 * count)
    for _ in range(min(count, _MOST)):
        k.holdings.give_back(PROTECTION, rundown)
    waiter = k.rundown_waiters.get(rundown)
    if waiter is not None and value - 2 * count == _RUNDOWN_ACTIVE:
        k.signal(waiter)
    return 0


@export(NTOSKRNL, "ExWaitForRundownProtectionRelease", "ExWaitForRundownProtectionReleaseCacheAware", max_irql=Irql.APC)
def ex_wait_for_rundown_protection_release(k: "Kernel", rundown: int) -> int | KernelCode:
    value = k.memory.read_u64(rundown) | _RUNDOWN_ACTIVE
    k.memory.write_u64(rundown, value)
    return _wait_for_rundown(k, rundown) if value != _RUNDOWN_ACTIVE else 0


def _wait_for_rundown(k: "Kernel", rundown: int) -> KernelCode:
    count = k.memory.read_u64(rundown) >> 1
    released = k.rundown_waiters[rundown] = Event(f"rundown of {rundown:#x}, {count} references left")
    yield Wait([released], reason="rundown protection")
    del k.rundown_waiters[rundown]
    return 0


@export(NTOSKRNL, "ExRundownCompleted", "ExRundownCompletedCacheAware")
def ex_rundown_completed(k: "Kernel", rundown: int) -> int:
    k.memory.write_u64(rundown, _RUNDOWN_ACTIVE)
    forget(k, rundown)
    return 0
