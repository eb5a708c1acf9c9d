"""Locks that are aware of caches, which are one for all processors here: their memory."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.ntos.ex.driver_pool import free
from harness.reference.windows.ntos.ex.resources import initialize_push_lock

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_RUNDOWN_SIZE, _PUSH_LOCK_SIZE = 0x40, 0x40


def _allocate(k: "Kernel", size: int, tag: str, *, paged: bool) -> int:
    where = k.blame.current()
    return k.pool.allocate(size, tag, paged=paged, owner=where.driver, allocated_by=where.address)


@export(NTOSKRNL, "ExSizeOfRundownProtectionCacheAware")
def ex_size_of_rundown_protection_cache_aware(k: "Kernel") -> int:
    del k
    return _RUNDOWN_SIZE


@export(NTOSKRNL, "ExAllocateCacheAwareRundownProtection", max_irql=Irql.DISPATCH)
def ex_allocate_cache_aware_rundown_protection(k: "Kernel", pool: U32, tag: U32) -> int:
    return _allocate(k, _RUNDOWN_SIZE, tag.to_bytes(4, "little").decode("latin-1"), paged=bool(pool & 1))


@export(NTOSKRNL, "ExFreeCacheAwareRundownProtection", "ExFreeCacheAwarePushLock", max_irql=Irql.DISPATCH)
def ex_free_cache_aware_rundown_protection(k: "Kernel", rundown: int) -> int:
    free(k, rundown, None)
    return 0


@export(NTOSKRNL, "ExAllocateCacheAwarePushLock", max_irql=Irql.APC)
def ex_allocate_cache_aware_push_lock(k: "Kernel") -> int:
    lock = _allocate(k, _PUSH_LOCK_SIZE, "CAPL", paged=False)
    initialize_push_lock(k, lock)
    return lock


@export(NTOSKRNL, "ExDisableResourceBoostLite", max_irql=Irql.DISPATCH)
def ex_disable_resource_boost_lite(k: "Kernel", resource: int) -> int:
    """Nobody is boosted here."""
    k.memory.read(resource, 8)
    return 0
