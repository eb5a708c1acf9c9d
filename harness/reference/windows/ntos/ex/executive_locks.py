"""Fast mutexes, guarded mutexes, executive resources and push locks."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.memory.layout import is_user
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.requests import KernelCode, Wait
from harness.reference.windows.ntos.ex.lock_table import RESOURCE, OwnerPointer
from harness.reference.windows.ntos.ex.resources import (
    acquire_push_lock,
    acquire_resource,
    initialize_push_lock,
    release_push_lock,
    release_resource,
    resource_at,
)
from harness.reference.windows.ntos.ke.dispatcher_objects import GuestObject, initialize_header
from harness.reference.windows.ntos.ke.dispatcher_states import set_event
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.kernel import Kernel

_OWNER_POINTER = 3
"""The low bits by which an owner pointer is told from a thread."""

# -- fast mutexes


class FastMutex(Structure):
    """FAST_MUTEX."""

    SIZE = 0x38
    count = Field(0x00, "i")
    owner = Field(0x08)
    contention = Field(0x10, "I")
    old_irql = Field(0x30, "I")
    EVENT = 0x18


class _FastMutexWait(GuestObject):
    """The event of a fast mutex, with its owner named."""

    def __init__(self, k: "Kernel", mutex: FastMutex) -> None:
        super().__init__(k.memory, mutex.address + FastMutex.EVENT, "fast mutex")
        self._threads = k.processes.threads
        self._mutex = mutex

    @property
    def owner(self) -> "Thread | None":
        return self._threads.get(self._mutex.owner)

    def describe(self) -> str:
        owner = self.owner
        return f"fast mutex at {self._mutex.address:#x}" + (f", owned by {owner.describe()}" if owner else "")


@export(NTOSKRNL, "ExInitializeFastMutex", "KeInitializeGuardedMutex")
def ex_initialize_fast_mutex(k: "Kernel", mutex: int) -> int:
    """Inlined by newer kits, exported for others."""
    k.memory.write(mutex, bytes(FastMutex.SIZE))
    FastMutex(k.memory, mutex).count = 1
    initialize_header(k.memory, mutex + FastMutex.EVENT, 1, 0x18, 0)
    return 0


def _take(k: "Kernel", mutex: FastMutex, *, raise_irql: bool) -> int:
    mutex.count -= 1
    mutex.owner = k.current.kthread
    if raise_irql:
        mutex.old_irql = k.irql
        k.set_irql(Irql.APC)
    return 0


def _acquire_fast_mutex(k: "Kernel", address: int, *, raise_irql: bool) -> int | KernelCode:
    mutex = FastMutex(k.memory, address)
    if mutex.count == 1:
        return _take(k, mutex, raise_irql=raise_irql)
    if mutex.owner == k.current.kthread:
        k.verifier.report(
            None, k.blame.current().driver, f"the fast mutex at {address:#x} is acquired again by its owner"
        )
    return _wait_fast_mutex(k, mutex, raise_irql=raise_irql)


def _wait_fast_mutex(k: "Kernel", mutex: FastMutex, *, raise_irql: bool) -> KernelCode:
    mutex.contention += 1
    while mutex.count != 1:
        yield Wait([_FastMutexWait(k, mutex)], reason="a fast mutex")
    return _take(k, mutex, raise_irql=raise_irql)


def _release_fast_mutex(k: "Kernel", address: int, *, lower_irql: bool) -> int:
    mutex = FastMutex(k.memory, address)
    if mutex.count == 1 or mutex.owner != k.current.kthread:
        k.bugcheck(
            BugCheck.RESOURCE_NOT_OWNED, address, k.current.kthread,
            message=f"the fast mutex at {address:#x} is released by a thread that does not own it",
        )  # fmt: skip
    old = mutex.old_irql
    mutex.owner = 0
    mutex.count = 1
    if k.scheduler.has_waiters(address + FastMutex.EVENT):
        set_event(k, address + FastMutex.EVENT)
    if lower_irql:
        k.lower_irql(old)
    return 0


@export(NTOSKRNL, "ExAcquireFastMutex", max_irql=Irql.APC)
def ex_acquire_fast_mutex(k: "Kernel", mutex: int) -> int | KernelCode:
    return _acquire_fast_mutex(k, mutex, raise_irql=True)


@export(NTOSKRNL, "ExReleaseFastMutex", max_irql=Irql.APC)
def ex_release_fast_mutex(k: "Kernel", mutex: int) -> int:
    return _release_fast_mutex(k, mutex, lower_irql=True)


@export(NTOSKRNL, "ExAcquireFastMutexUnsafe", "KeAcquireGuardedMutexUnsafe", max_irql=Irql.APC)
def ex_acquire_fast_mutex_unsafe(k: "Kernel", mutex: int) -> int | KernelCode:
    return _acquire_fast_mutex(k, mutex, raise_irql=False)


@export(NTOSKRNL, "ExReleaseFastMutexUnsafe", "KeReleaseGuardedMutexUnsafe", max_irql=Irql.APC)
def ex_release_fast_mutex_unsafe(k: "Kernel", mutex: int) -> int:
    return _release_fast_mutex(k, mutex, lower_irql=False)


@export(NTOSKRNL, "ExTryToAcquireFastMutex", max_irql=Irql.APC)
def ex_try_to_acquire_fast_mutex(k: "Kernel", address: int) -> bool:
    mutex = FastMutex(k.memory, address)
    if mutex.count != 1:
        return False
    _take(k, mutex, raise_irql=True)
    return True


@export(NTOSKRNL, "KeAcquireGuardedMutex", max_irql=Irql.APC)
def ke_acquire_guarded_mutex(k: "Kernel", mutex: int) -> int | KernelCode:
    k.apc_counts.enter_guarded_region()
    return _acquire_fast_mutex(k, mutex, raise_irql=False)


@export(NTOSKRNL, "KeTryToAcquireGuardedMutex", max_irql=Irql.APC)
def ke_try_to_acquire_guarded_mutex(k: "Kernel", address: int) -> bool:
    mutex = FastMutex(k.memory, address)
    if mutex.count != 1:
        return False
    k.apc_counts.enter_guarded_region()
    _take(k, mutex, raise_irql=False)
    return True


@export(NTOSKRNL, "ExEnterCriticalRegionAndAcquireFastMutexUnsafe", max_irql=Irql.APC)
def ex_enter_critical_region_and_acquire_fast_mutex_unsafe(k: "Kernel", mutex: int) -> int | KernelCode:
    k.apc_counts.enter_critical_region()
    return _acquire_fast_mutex(k, mutex, raise_irql=False)


@export(NTOSKRNL, "ExReleaseFastMutexUnsafeAndLeaveCriticalRegion", max_irql=Irql.APC)
def ex_release_fast_mutex_unsafe_and_leave_critical_region(k: "Kernel", mutex: int) -> int:
    _release_fast_mutex(k, mutex, lower_irql=False)
    k.apc_counts.leave_critical_region()
    return 0


@export(NTOSKRNL, "KeReleaseGuardedMutex", max_irql=Irql.APC)
def ke_release_guarded_mutex(k: "Kernel", mutex: int) -> int:
    k.apc_counts.leave_guarded_region()
    return _release_fast_mutex(k, mutex, lower_irql=False)


# -- executive resources

_RESOURCE = Kind("executive resource", "ExDeleteResourceLite")


@export(NTOSKRNL, "ExInitializeResourceLite", max_irql=Irql.DISPATCH)
def ex_initialize_resource_lite(k: "Kernel", resource: int) -> int:
    if k.locks.find(resource) is not None:
        k.verifier.report(
            None, k.blame.current().driver, f"the ERESOURCE at {resource:#x} is initialized again without being deleted"
        )
    k.locks.create(resource, RESOURCE, recursive=True)
    k.holdings.take(_RESOURCE, resource)
    return 0


@export(NTOSKRNL, "ExReinitializeResourceLite", max_irql=Irql.DISPATCH)
def ex_reinitialize_resource_lite(k: "Kernel", resource: int) -> int:
    k.locks.delete(resource_at(k, resource))
    k.holdings.give_back(_RESOURCE, resource)
    return ex_initialize_resource_lite(k, resource)


@export(NTOSKRNL, "ExDeleteResourceLite", max_irql=Irql.DISPATCH)
def ex_delete_resource_lite(k: "Kernel", resource: int) -> int:
    lock = resource_at(k, resource)
    if not lock.free:
        k.verifier.report(None, k.blame.current().driver, f"the {lock.describe()} is deleted while it is owned")
    k.locks.delete(lock)
    k.holdings.give_back(_RESOURCE, resource)
    return 0


@export(NTOSKRNL, "ExAcquireResourceExclusiveLite", max_irql=Irql.APC)
def ex_acquire_resource_exclusive_lite(k: "Kernel", resource: int, wait: bool) -> int | KernelCode:
    return acquire_resource(k, resource, exclusive=True, wait=wait)


@export(NTOSKRNL, "ExAcquireResourceSharedLite", "ExAcquireSharedWaitForExclusive", max_irql=Irql.DISPATCH)
def ex_acquire_resource_shared_lite(k: "Kernel", resource: int, wait: bool) -> int | KernelCode:
    return acquire_resource(k, resource, exclusive=False, wait=wait)


@export(NTOSKRNL, "ExAcquireSharedStarveExclusive", max_irql=Irql.DISPATCH)
def ex_acquire_shared_starve_exclusive(k: "Kernel", resource: int, wait: bool) -> int | KernelCode:
    return acquire_resource(k, resource, exclusive=False, wait=wait, starve=True)


@export(NTOSKRNL, "ExEnterCriticalRegionAndAcquireResourceExclusive", max_irql=Irql.APC)
def ex_enter_critical_region_and_acquire_resource_exclusive(k: "Kernel", resource: int) -> int | KernelCode:
    k.apc_counts.enter_critical_region()
    return acquire_resource(k, resource, exclusive=True, wait=True)


@export(NTOSKRNL, "ExEnterCriticalRegionAndAcquireResourceShared", max_irql=Irql.APC)
def ex_enter_critical_region_and_acquire_resource_shared(k: "Kernel", resource: int) -> int | KernelCode:
    k.apc_counts.enter_critical_region()
    return acquire_resource(k, resource, exclusive=False, wait=True)


@export(NTOSKRNL, "ExReleaseResourceAndLeaveCriticalRegion", max_irql=Irql.DISPATCH)
def ex_release_resource_and_leave_critical_region(k: "Kernel", resource: int) -> int:
    release_resource(k, resource, k.current)
    k.apc_counts.leave_critical_region()
    return 0


@export(NTOSKRNL, "ExReleaseResourceLite", "ExReleaseResource", max_irql=Irql.DISPATCH)
def ex_release_resource_lite(k: "Kernel", resource: int) -> int:
    release_resource(k, resource, k.current)
    return 0


@export(NTOSKRNL, "ExReleaseResourceForThreadLite", max_irql=Irql.DISPATCH)
def ex_release_resource_for_thread_lite(k: "Kernel", resource: int, thread: int) -> int:
    owner = OwnerPointer(thread) if thread & _OWNER_POINTER == _OWNER_POINTER else k.processes.threads.get(thread)
    if owner is None:
        k.bugcheck(
            BugCheck.RESOURCE_NOT_OWNED, resource, thread, 0, 3,
            message=f"ExReleaseResourceForThreadLite was given {k.blame.describe_address(thread)}, which is neither a"
            " thread nor an owner pointer (its two lowest bits would be set)",
        )  # fmt: skip
    release_resource(k, resource, owner)
    return 0


@export(NTOSKRNL, "ExSetResourceOwnerPointer", max_irql=Irql.DISPATCH)
def ex_set_resource_owner_pointer(k: "Kernel", resource: int, owner: int) -> None:
    """What the current thread owns of a resource is the pointer's; only ExReleaseResourceForThreadLite releases it."""
    _set_owner(k, resource, owner)


@export(NTOSKRNL, "ExSetResourceOwnerPointerEx", max_irql=Irql.DISPATCH)
def ex_set_resource_owner_pointer_ex(k: "Kernel", resource: int, owner: int, flags: U32) -> None:
    """The same; with a flag the current thread is ready to take another."""
    del flags
    _set_owner(k, resource, owner)


def _set_owner(k: "Kernel", resource: int, owner: int) -> None:
    lock = resource_at(k, resource)
    if owner & _OWNER_POINTER != _OWNER_POINTER or is_user(owner):
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, resource, owner,
            message=f"an owner pointer is an address in system space with its two lowest bits set, not {owner:#x}",
        )  # fmt: skip
    if not k.locks.hand_over(lock, k.current, OwnerPointer(owner)):
        k.bugcheck(
            BugCheck.RESOURCE_NOT_OWNED, resource, k.current.kthread, 0, 3,
            message=f"{k.current.describe()} hands the {lock.describe()} to an owner pointer without owning it",
        )  # fmt: skip


@export(NTOSKRNL, "ExConvertExclusiveToSharedLite", max_irql=Irql.DISPATCH)
def ex_convert_exclusive_to_shared_lite(k: "Kernel", resource: int) -> int:
    lock = resource_at(k, resource)
    if lock.exclusive is not k.current:
        k.bugcheck(
            BugCheck.RESOURCE_NOT_OWNED, resource, k.current.kthread,
            message=f"the {lock.describe()} is converted by a thread that does not own it exclusively",
        )  # fmt: skip
    k.locks.downgrade(lock)
    return 0


@export(NTOSKRNL, "ExIsResourceAcquiredExclusiveLite", max_irql=Irql.DISPATCH)
def ex_is_resource_acquired_exclusive_lite(k: "Kernel", resource: int) -> bool:
    return resource_at(k, resource).exclusive is k.current


@export(NTOSKRNL, "ExIsResourceAcquiredSharedLite", max_irql=Irql.DISPATCH)
def ex_is_resource_acquired_shared_lite(k: "Kernel", resource: int) -> int:
    lock = resource_at(k, resource)
    return lock.depth if lock.exclusive is k.current else lock.shared.get(k.current, 0)


@export(NTOSKRNL, "ExGetExclusiveWaiterCount", max_irql=Irql.DISPATCH)
def ex_get_exclusive_waiter_count(k: "Kernel", resource: int) -> int:
    return resource_at(k, resource).exclusive_waiters


@export(NTOSKRNL, "ExGetSharedWaiterCount", max_irql=Irql.DISPATCH)
def ex_get_shared_waiter_count(k: "Kernel", resource: int) -> int:
    return resource_at(k, resource).shared_waiters


# -- push locks


@export(NTOSKRNL, "ExInitializePushLock")
def ex_initialize_push_lock(k: "Kernel", lock: int) -> int:
    return initialize_push_lock(k, lock)


@export(
    NTOSKRNL,
    "ExAcquirePushLockExclusiveEx",
    "ExfAcquirePushLockExclusive",
    "ExAcquireCacheAwarePushLockExclusive",
    max_irql=Irql.APC,
)
def ex_acquire_push_lock_exclusive_ex(k: "Kernel", lock: int, flags: U32) -> int | KernelCode:
    del flags
    return acquire_push_lock(k, lock, exclusive=True)


@export(NTOSKRNL, "ExAcquirePushLockSharedEx", "ExfAcquirePushLockShared", max_irql=Irql.APC)
def ex_acquire_push_lock_shared_ex(k: "Kernel", lock: int, flags: U32) -> int | KernelCode:
    del flags
    return acquire_push_lock(k, lock, exclusive=False)


@export(
    NTOSKRNL,
    "ExReleasePushLockExclusiveEx",
    "ExReleasePushLockSharedEx",
    "ExReleasePushLockEx",
    "ExfReleasePushLock",
    "ExfReleasePushLockExclusive",
    "ExfReleasePushLockShared",
    "ExReleaseCacheAwarePushLockExclusive",
    max_irql=Irql.APC,
)
def ex_release_push_lock_ex(k: "Kernel", lock: int, flags: U32) -> int:
    del flags
    return release_push_lock(k, lock)
