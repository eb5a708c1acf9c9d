"""Timers by handle: NtCreateTimer and its kin. What a timer calls by APC is called by nobody: it is only waited for."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import I32, U8, U32
from harness.reference.windows.io.constants import USER_MODE
from harness.reference.windows.io.system_services import service
from harness.reference.windows.ntos.ke.dispatcher_objects import (
    NOTIFICATION_TIMER,
    DispatcherHeader,
    GuestObject,
    initialize_header,
)
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

TYPE = "Timer"
_SIZE = 0x40


def _timer(k: "Kernel", handle: int) -> Object:
    found = k.objects.lookup(handle)
    if found is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    if found.object.type != TYPE:
        raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)
    return found.object


def _gone(k: "Kernel", item: Object) -> None:
    k.timers.cancel(item.address)
    k.heap.free(item.address)


@service("CreateTimer")
def create_timer(k: "Kernel", mode: int, out: int, access: U32, attributes: int, kind: U32) -> int:
    """NtCreateTimer: NotificationTimer or SynchronizationTimer, without a name."""
    if kind > 1:
        return int(NtStatus.INVALID_PARAMETER)
    view = ObjectAttributes(k.memory, attributes) if attributes else None
    if view is not None and view.object_name:
        return int(NtStatus.NOT_SUPPORTED)
    address = k.heap.allocate(_SIZE)
    initialize_header(k.memory, address, NOTIFICATION_TIMER + kind, _SIZE, 0)
    item = k.objects.register(
        Object(
            TYPE, GuestObject(k.memory, address, "timer"), address, references=0, on_delete=lambda item: _gone(k, item)
        )
    )
    kernel = mode != USER_MODE and view is not None and bool(view.attributes & OBJ_KERNEL_HANDLE)
    k.memory.write_u64(out, k.objects.open(item, kernel=kernel, access=access))
    return 0


@service("SetTimer")
def set_timer(
    k: "Kernel", mode: int, handle: int, due: int, routine: int, context: int, resume: U8, period: I32, previous: int
) -> int:
    """NtSetTimer; a routine, which would be called by APC, is refused."""
    del mode, context, resume
    item = _timer(k, handle)
    if period < 0:
        return int(NtStatus.INVALID_PARAMETER)
    if routine:
        return int(NtStatus.NOT_SUPPORTED)
    if previous:
        k.memory.write_u8(previous, DispatcherHeader(k.memory, item.address).signal_state & 0xFF)
    k.timers.set(item.address, k.memory.read_i64(due), period, 0)
    return 0


@service("CancelTimer")
def cancel_timer(k: "Kernel", mode: int, handle: int, previous: int) -> int:
    """NtCancelTimer."""
    del mode
    item = _timer(k, handle)
    if previous:
        k.memory.write_u8(previous, DispatcherHeader(k.memory, item.address).signal_state & 0xFF)
    k.timers.cancel(item.address)
    return 0
