"""IRQL and spin locks."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import HAL, NTOSKRNL, U8, export
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.ke.offsets import KLOCK_QUEUE_HANDLE
from harness.reference.windows.ntos.ke.processor_control import SYNCH_LEVEL

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "KfRaiseIrql", "KeRaiseIrql")
def kf_raise_irql(k: "Kernel", irql: U8) -> int:
    return k.raise_irql(irql)


@export(NTOSKRNL, "KeRaiseIrqlToDpcLevel")
@export(HAL, "KeRaiseIrqlToDpcLevel")
def ke_raise_irql_to_dpc_level(k: "Kernel") -> int:
    return k.raise_irql(Irql.DISPATCH)


@export(NTOSKRNL, "KeRaiseIrqlToSynchLevel")
def ke_raise_irql_to_synch_level(k: "Kernel") -> int:
    return k.raise_irql(SYNCH_LEVEL)


@export(NTOSKRNL, "KeLowerIrql", "KfLowerIrql")
def ke_lower_irql(k: "Kernel", irql: U8) -> int:
    k.lower_irql(irql)
    return 0


@export(NTOSKRNL, "KeInitializeSpinLock")
def ke_initialize_spin_lock(k: "Kernel", lock: int) -> int:
    k.memory.write_u64(lock, 0)
    return 0


@export(NTOSKRNL, "KeAcquireSpinLockRaiseToDpc", "KfAcquireSpinLock", "KeAcquireSpinLockForDpc", max_irql=Irql.DISPATCH)
def ke_acquire_spin_lock_raise_to_dpc(k: "Kernel", lock: int) -> int | KernelCode:
    old = k.irql
    k.set_irql(Irql.DISPATCH)
    return k.spin_locks.acquire(lock, old)


@export(NTOSKRNL, "KeAcquireSpinLockAtDpcLevel", "KefAcquireSpinLockAtDpcLevel")
def ke_acquire_spin_lock_at_dpc_level(k: "Kernel", lock: int) -> int | KernelCode:
    if k.irql < Irql.DISPATCH:
        k.bugcheck(
            BugCheck.IRQL_NOT_GREATER_OR_EQUAL, lock, k.irql,
            message=f"KeAcquireSpinLockAtDpcLevel was called at IRQL {k.irql}",
        )  # fmt: skip
    return k.spin_locks.acquire(lock, 0)


@export(NTOSKRNL, "KeTryToAcquireSpinLockAtDpcLevel")
def ke_try_to_acquire_spin_lock_at_dpc_level(k: "Kernel", lock: int) -> bool:
    return k.spin_locks.try_acquire(lock)


@export(NTOSKRNL, "KeReleaseSpinLock", "KfReleaseSpinLock", "KeReleaseSpinLockForDpc")
def ke_release_spin_lock(k: "Kernel", lock: int, old: U8) -> int:
    k.spin_locks.release(lock)
    k.lower_irql(old)
    return 0


@export(NTOSKRNL, "KeReleaseSpinLockFromDpcLevel", "KefReleaseSpinLockFromDpcLevel")
def ke_release_spin_lock_from_dpc_level(k: "Kernel", lock: int) -> int:
    k.spin_locks.release(lock)
    return 0


@export(
    NTOSKRNL,
    "KeAcquireInStackQueuedSpinLock",
    "KeAcquireInStackQueuedSpinLockForDpc",
    max_irql=Irql.DISPATCH,
)
@export(HAL, "KeAcquireInStackQueuedSpinLock", max_irql=Irql.DISPATCH)
def ke_acquire_in_stack_queued_spin_lock(k: "Kernel", lock: int, handle: int) -> int | KernelCode:
    k.memory.write_u64(handle + KLOCK_QUEUE_HANDLE.LOCK, lock)
    k.memory.write_u8(handle + KLOCK_QUEUE_HANDLE.OLD_IRQL, k.irql)
    k.set_irql(Irql.DISPATCH)
    return k.spin_locks.acquire(lock, 0)


@export(NTOSKRNL, "KeAcquireInStackQueuedSpinLockAtDpcLevel")
def ke_acquire_in_stack_queued_spin_lock_at_dpc_level(k: "Kernel", lock: int, handle: int) -> int | KernelCode:
    k.memory.write_u64(handle + KLOCK_QUEUE_HANDLE.LOCK, lock)
    k.memory.write_u8(handle + KLOCK_QUEUE_HANDLE.OLD_IRQL, k.irql)
    return k.spin_locks.acquire(lock, 0)


@export(NTOSKRNL, "KeReleaseInStackQueuedSpinLock", "KeReleaseInStackQueuedSpinLockForDpc")
@export(HAL, "KeReleaseInStackQueuedSpinLock")
def ke_release_in_stack_queued_spin_lock(k: "Kernel", handle: int) -> int:
    k.spin_locks.release(k.memory.read_u64(handle + KLOCK_QUEUE_HANDLE.LOCK))
    k.lower_irql(k.memory.read_u8(handle + KLOCK_QUEUE_HANDLE.OLD_IRQL))
    return 0


@export(NTOSKRNL, "KeReleaseInStackQueuedSpinLockFromDpcLevel")
def ke_release_in_stack_queued_spin_lock_from_dpc_level(k: "Kernel", handle: int) -> int:
    k.spin_locks.release(k.memory.read_u64(handle + KLOCK_QUEUE_HANDLE.LOCK))
    return 0


@export(NTOSKRNL, "KeTestSpinLock")
def ke_test_spin_lock(k: "Kernel", lock: int) -> bool:
    """KeTestSpinLock: whether nobody holds it."""
    return k.memory.read_u64(lock) == 0
