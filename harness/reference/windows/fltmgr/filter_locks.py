"""Resources and push locks by way of the filter manager: the executive's, taken in a critical region."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.ntos.ex import resources

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.windows.kernel import Kernel


@export(FLTMGR, "FltAcquireResourceExclusive", max_irql=Irql.APC)
def flt_acquire_resource_exclusive(k: "Kernel", resource: int) -> "int | KernelCode":
    """FltAcquireResourceExclusive."""
    k.apc_counts.enter_critical_region()
    return resources.acquire_resource(k, resource, exclusive=True, wait=True)


@export(FLTMGR, "FltAcquireResourceShared", max_irql=Irql.APC)
def flt_acquire_resource_shared(k: "Kernel", resource: int) -> "int | KernelCode":
    """FltAcquireResourceShared."""
    k.apc_counts.enter_critical_region()
    return resources.acquire_resource(k, resource, exclusive=False, wait=True)


@export(FLTMGR, "FltReleaseResource", max_irql=Irql.APC)
def flt_release_resource(k: "Kernel", resource: int) -> int:
    """FltReleaseResource."""
    resources.release_resource(k, resource, k.current)
    k.apc_counts.leave_critical_region()
    return 0


@export(FLTMGR, "FltInitializePushLock", max_irql=Irql.APC)
def flt_initialize_push_lock(k: "Kernel", lock: int) -> int:
    """FltInitializePushLock."""
    return resources.initialize_push_lock(k, lock)


@export(FLTMGR, "FltDeletePushLock", max_irql=Irql.APC)
def flt_delete_push_lock(k: "Kernel", lock: int) -> int:
    """FltDeletePushLock: there is nothing to free."""
    return resources.initialize_push_lock(k, lock)


@export(FLTMGR, "FltAcquirePushLockExclusive", max_irql=Irql.APC)
def flt_acquire_push_lock_exclusive(k: "Kernel", lock: int) -> "int | KernelCode":
    """FltAcquirePushLockExclusive."""
    k.apc_counts.enter_critical_region()
    return resources.acquire_push_lock(k, lock, exclusive=True)


@export(FLTMGR, "FltAcquirePushLockExclusiveEx", max_irql=Irql.APC)
def flt_acquire_push_lock_exclusive_ex(k: "Kernel", lock: int, flags: U32) -> "int | KernelCode":
    """FltAcquirePushLockExclusiveEx."""
    del flags
    return flt_acquire_push_lock_exclusive(k, lock)


@export(FLTMGR, "FltAcquirePushLockShared", max_irql=Irql.APC)
def flt_acquire_push_lock_shared(k: "Kernel", lock: int) -> "int | KernelCode":
    """FltAcquirePushLockShared."""
    k.apc_counts.enter_critical_region()
    return resources.acquire_push_lock(k, lock, exclusive=False)


@export(FLTMGR, "FltAcquirePushLockSharedEx", max_irql=Irql.APC)
def flt_acquire_push_lock_shared_ex(k: "Kernel", lock: int, flags: U32) -> "int | KernelCode":
    """FltAcquirePushLockSharedEx."""
    del flags
    return flt_acquire_push_lock_shared(k, lock)


@export(FLTMGR, "FltReleasePushLock", max_irql=Irql.APC)
def flt_release_push_lock(k: "Kernel", lock: int) -> int:
    """FltReleasePushLock."""
    resources.release_push_lock(k, lock)
    k.apc_counts.leave_critical_region()
    return 0


@export(FLTMGR, "FltReleasePushLockEx", max_irql=Irql.APC)
def flt_release_push_lock_ex(k: "Kernel", lock: int, flags: U32) -> int:
    """FltReleasePushLockEx."""
    del flags
    return flt_release_push_lock(k, lock)
