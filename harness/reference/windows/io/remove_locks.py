"""Remove locks: who still uses a device that is to go."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.requests import KernelCode, Wait
from harness.reference.windows.ntos.ke.dispatcher_objects import NOTIFICATION_EVENT, GuestEvent, initialize_header
from harness.reference.windows.ntos.ke.dispatcher_states import set_event

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


class RemoveLock(Structure):
    """IO_REMOVE_LOCK_COMMON_BLOCK."""

    SIZE = 0x20
    removed = Field(0x00, "B")
    count = Field(0x04, "i")
    EVENT = 0x08


@export(NTOSKRNL, "IoInitializeRemoveLockEx", max_irql=Irql.PASSIVE)
def io_initialize_remove_lock_ex(k: "Kernel", lock: int, tag: U32, minutes: U32, high: U32, size: U32) -> int:
    del tag, minutes, high, size
    view = RemoveLock(k.memory, lock)
    view.removed, view.count = 0, 1
    initialize_header(k.memory, lock + RemoveLock.EVENT, NOTIFICATION_EVENT, 0x18, 0)
    return 0


def _drop(k: "Kernel", view: RemoveLock) -> int:
    view.count -= 1
    if view.count == 0:
        set_event(k, view.address + RemoveLock.EVENT)
    return view.count


@export(NTOSKRNL, "IoAcquireRemoveLockEx", max_irql=Irql.DISPATCH)
def io_acquire_remove_lock_ex(k: "Kernel", lock: int, tag: int, file: int, line: U32, size: U32) -> int:
    """DELETE_PENDING once the device is on its way out."""
    del tag, file, line, size
    view = RemoveLock(k.memory, lock)
    if view.removed:
        return int(NtStatus.DELETE_PENDING)
    view.count += 1
    return 0


@export(NTOSKRNL, "IoReleaseRemoveLockEx", max_irql=Irql.DISPATCH)
def io_release_remove_lock_ex(k: "Kernel", lock: int, tag: int, size: U32) -> int:
    del tag, size
    view = RemoveLock(k.memory, lock)
    if view.count <= 0 or (view.count == 1 and not view.removed):
        k.verifier.report(
            None, k.blame.current().driver, f"the remove lock at {lock:#x} is released more often than acquired"
        )
        return 0
    _drop(k, view)
    return 0


@export(NTOSKRNL, "IoReleaseRemoveLockAndWaitEx", max_irql=Irql.PASSIVE)
def io_release_remove_lock_and_wait_ex(k: "Kernel", lock: int, tag: int, size: U32) -> KernelCode:
    """From now on nobody gets it; back when all have given it back."""
    del tag, size
    view = RemoveLock(k.memory, lock)
    view.removed = 1
    _drop(k, view)
    if _drop(k, view) > 0:
        event = GuestEvent(k.memory, lock + RemoveLock.EVENT, "remove lock")
        yield Wait([event], reason=f"the remove lock at {lock:#x}, {view.count} references left")
