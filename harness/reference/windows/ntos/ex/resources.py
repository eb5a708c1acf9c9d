"""Executive resources and push locks, as drivers and the filter manager take them."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.ex.lock_table import PUSH_LOCK, RESOURCE, OwnedLock, OwnerPointer

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.ntos.executive import Executive


def resource_at(k: "Executive", address: int) -> OwnedLock:
    """The resource at an address; a bug check if none was initialized there."""
    k.memory.read(address, 1)
    lock = k.locks.find(address)
    if lock is None or lock.kind != RESOURCE:
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, 0xD2, address,
            message=f"{k.describe_address(address)} is no initialized ERESOURCE",
        )  # fmt: skip
    _require_intact(k, lock)
    return lock


def _require_intact(k: "Executive", lock: OwnedLock) -> None:
    """A bug check of a lock that somebody has written over: on Windows its waiters would be lost, or its lists."""
    if not k.locks.is_intact(lock):
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, 0xD2, lock.address,
            message=f"the {lock.describe()} has been written over",
        )  # fmt: skip


def acquire_resource(
    k: "Executive", resource: int, *, exclusive: bool, wait: bool, starve: bool = False
) -> int | KernelCode:
    """Acquire an ERESOURCE: 1, 0 if `wait` is false, or kernel code that waits.

    Reports APCs that are not disabled, except in a system thread, which nobody suspends while it has the lock: "Unless
    the caller is running in a system thread…" (wdm/nf-wdm-exreleaseresourceforthreadlite.md).
    """
    lock = resource_at(k, resource)
    if not k.current.system and not k.apc_counts.disabled and k.irql == Irql.PASSIVE:
        k.verifier.report(
            None,
            k.blame.current().driver,
            f"the ERESOURCE at {resource:#x} is acquired without normal kernel APCs disabled (KeEnterCriticalRegion)",
        )
    return k.locks.acquire(lock, exclusive=exclusive, wait=wait, starve=starve)


def release_resource(k: "Executive", resource: int, owner: "Thread | OwnerPointer") -> None:
    """Release an ERESOURCE; a bug check if that is not its owner."""
    lock = resource_at(k, resource)
    if not k.locks.release(lock, owner):
        address = owner.address if isinstance(owner, OwnerPointer) else owner.kthread
        k.bugcheck(
            BugCheck.RESOURCE_NOT_OWNED, resource, address, 0, 3,
            message=f"{owner.describe()} releases the {lock.describe()} without owning it",
        )  # fmt: skip


def push_lock_at(k: "Executive", address: int) -> OwnedLock:
    """The push lock at an address: any zeroed pointer is one."""
    value = k.memory.read_u64(address)
    lock = k.locks.find(address)
    if lock is not None:
        _require_intact(k, lock)
        return lock
    if value:
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, 0xD2, address,
            message=f"{k.describe_address(address)} is no initialized push lock: it holds {k.describe_address(value)}",
        )  # fmt: skip
    return k.locks.create(address, PUSH_LOCK, recursive=False)


def initialize_push_lock(k: "Executive", address: int) -> int:
    """A push lock that nobody holds; 0."""
    known = k.locks.find(address)
    if known is not None:
        k.locks.delete(known)
    k.memory.write_u64(address, 0)
    return 0


def acquire_push_lock(k: "Executive", address: int, *, exclusive: bool) -> int | KernelCode:
    """Acquire a push lock. Acquiring one that the thread holds is reported, and then hangs as it does on Windows."""
    lock = push_lock_at(k, address)
    if lock.owned_by(k.current) and (exclusive or lock.exclusive is k.current):
        k.verifier.report(
            None, k.blame.current().driver, f"the push lock at {address:#x} is acquired again by its owner"
        )
    return k.locks.acquire(lock, exclusive=exclusive)


def release_push_lock(k: "Executive", address: int) -> int:
    """Release a push lock; a bug check if the thread does not hold it."""
    lock = push_lock_at(k, address)
    if not k.locks.release(lock, k.current):
        k.bugcheck(
            BugCheck.RESOURCE_NOT_OWNED, address, k.current.kthread,
            message=f"{k.current.describe()} releases the {lock.describe()} without owning it",
        )  # fmt: skip
    if lock.free and not k.scheduler.has_waiters(("lock", address)):
        k.locks.delete(lock)
    return 0
