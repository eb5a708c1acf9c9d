"""Events, waits and time, as programs ask for them."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import NTDLL, U8, U32, export
from harness.reference.machine.scheduler.dispatcher import Dispatcher
from harness.reference.machine.scheduler.requests import Wait, Yield
from harness.reference.machine.scheduler.thread import Process
from harness.reference.windows.fltmgr.port_clients import ClientPort
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.request import Code
from harness.reference.windows.io.system_services import event_of_handle, service, set_event
from harness.reference.windows.ntos.ke.dispatcher_objects import (
    NOTIFICATION_EVENT,
    DispatcherHeader,
    GuestEvent,
    initialize_header,
)
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME, PERFORMANCE_FREQUENCY
from harness.reference.windows.ntos.ke.wait_arguments import timeout_at
from harness.reference.windows.ntos.ob.handle_lookup import object_by_handle
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.ntos.structures import OBJ_OPENIF, ObjectAttributes
from harness.reference.windows.user.streams import TYPE as PIPE_TYPE

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_EVENT_SIZE = 0x18
_MAXIMUM_WAIT_OBJECTS = 64


# -- events


@service("CreateEvent")
def create_event(k: "Kernel", mode: int, out: int, access: U32, attributes: int, kind: U32, state: U8) -> int:
    r"""NtCreateEvent; a name is a whole path, such as \BaseNamedObjects\stop."""
    if kind > 1:
        return int(NtStatus.INVALID_PARAMETER)
    name = _event_name(k, attributes)
    known = _named_event(k, name) if name else None
    if known is not None:
        opens = ObjectAttributes(k.memory, attributes).attributes & OBJ_OPENIF
        k.memory.write_u64(out, k.objects.open(known, kernel=mode == 0, access=access) if opens else 0)
        return int(NtStatus.OBJECT_NAME_EXISTS if opens else NtStatus.OBJECT_NAME_COLLISION)
    address = k.heap.allocate(_EVENT_SIZE)
    initialize_header(k.memory, address, NOTIFICATION_EVENT + kind, _EVENT_SIZE, int(bool(state)))
    item = Object(
        "ExEventObjectType",
        GuestEvent(k.memory, address),
        address,
        references=0,
        on_delete=lambda _: k.heap.free(address),
        on_close=(lambda _: _forget_name(k, name)) if name else None,
    )
    if name and not k.namespace.insert(name, item):
        k.heap.free(address)
        return int(NtStatus.OBJECT_PATH_NOT_FOUND)
    k.objects.register(item)
    k.memory.write_u64(out, k.objects.open(item, kernel=mode == 0, access=access))
    return int(NtStatus.SUCCESS)


def _forget_name(k: "Kernel", name: str) -> None:
    k.namespace.remove(name)


@service("OpenEvent")
def open_event(k: "Kernel", mode: int, out: int, access: U32, attributes: int) -> int:
    """NtOpenEvent."""
    known = _named_event(k, _event_name(k, attributes))
    if known is None:
        return int(NtStatus.OBJECT_NAME_NOT_FOUND)
    k.memory.write_u64(out, k.objects.open(known, kernel=mode == 0, access=access))
    return int(NtStatus.SUCCESS)


def _event_name(k: "Kernel", attributes: int) -> str:
    """The name in OBJECT_ATTRIBUTES; "" for none."""
    at = ObjectAttributes(k.memory, attributes).object_name if attributes else 0
    return k.memory.read_unicode_string(at) if at else ""


def _named_event(k: "Kernel", name: str) -> Object | None:
    found = k.namespace.find(name) if name.startswith("\\") else None
    if isinstance(found, Object) and found.type != "ExEventObjectType":
        raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)
    return found if isinstance(found, Object) else None


def _event(k: "Kernel", handle: int) -> GuestEvent:
    event = event_of_handle(k, handle)
    if event is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    return event


@service("SetEvent")
def set_event_service(k: "Kernel", mode: int, handle: int, previous: int) -> int:
    """NtSetEvent."""
    del mode
    event = _event(k, handle)
    before = event.header.signal_state
    set_event(k, event)
    if previous:
        k.memory.write_u32(previous, before)
    return int(NtStatus.SUCCESS)


@service("PulseEvent")
def pulse_event(k: "Kernel", mode: int, handle: int, previous: int) -> int:
    """NtPulseEvent: who waits goes on, and the event is reset."""
    status: int = set_event_service(k, mode, handle, previous)
    _event(k, handle).header.signal_state = 0
    return status


@service("ResetEvent")
def reset_event(k: "Kernel", mode: int, handle: int, previous: int) -> int:
    """NtResetEvent."""
    del mode
    header: DispatcherHeader = _event(k, handle).header
    if previous:
        k.memory.write_u32(previous, header.signal_state)
    header.signal_state = 0
    return int(NtStatus.SUCCESS)


@service("ClearEvent")
def clear_event(k: "Kernel", mode: int, handle: int) -> int:
    """NtClearEvent."""
    del mode
    _event(k, handle).header.signal_state = 0
    return int(NtStatus.SUCCESS)


# -- waits


def _waitable(k: "Kernel", handle: int) -> Dispatcher | None:
    """What a wait for a handle waits for; None for a pipe, which is always signaled."""
    item = object_by_handle(k, handle)
    if item is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    if item.type == PIPE_TYPE:
        return None
    body = item.body
    if isinstance(body, FileObject):
        return body.event
    if isinstance(body, ClientPort):
        return body.signaled
    if isinstance(body, Process) and body in k.programs.running:
        return k.programs.running[body].ended
    if isinstance(body, Dispatcher):
        return body
    raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)


@service("WaitForSingleObject")
def wait_for_single_object(k: "Kernel", mode: int, handle: int, alertable: U8, timeout: int) -> Code:
    """NtWaitForSingleObject."""
    del alertable
    item = _waitable(k, handle)
    if item is None:
        return int(NtStatus.SUCCESS)
    status: int = yield Wait([item], timeout_at(k, timeout), reason=_reason(k), user=mode != 0)
    return status


@service("WaitForMultipleObjects")
def wait_for_multiple_objects(
    k: "Kernel", mode: int, count: U32, handles: int, kind: U32, alertable: U8, timeout: int
) -> Code:
    """NtWaitForMultipleObjects."""
    del alertable
    if not 1 <= count <= _MAXIMUM_WAIT_OBJECTS:
        return int(NtStatus.INVALID_PARAMETER)
    items = [_waitable(k, k.memory.read_u64(handles + 8 * index)) for index in range(count)]
    objects = [item for item in items if item is not None]
    if not objects or (kind == 1 and len(objects) < count):
        return int(NtStatus.SUCCESS)
    status: int = yield Wait(objects, timeout_at(k, timeout), all=kind == 0, reason=_reason(k), user=mode != 0)
    return status


def _reason(k: "Kernel") -> str:
    return f"a wait of {k.current.process.name}"


@service("YieldExecution")
def yield_execution(k: "Kernel", mode: int) -> Code:
    """NtYieldExecution."""
    del k, mode
    yield Yield()
    return int(NtStatus.SUCCESS)


@service("DelayExecution")
def delay_execution(k: "Kernel", mode: int, alertable: U8, interval: int) -> Code:
    """NtDelayExecution; a delay of 0 gives up the processor."""
    del alertable
    ticks = timeout_at(k, interval)
    if ticks == 0:
        yield Yield()
        return int(NtStatus.SUCCESS)
    status: int = yield Wait((), ticks, reason="a delay", user=mode != 0)
    return status


# -- time


@export(NTDLL, "NtQueryPerformanceCounter", "ZwQueryPerformanceCounter")
def nt_query_performance_counter(k: "Kernel", counter: int, frequency: int) -> int:
    """NtQueryPerformanceCounter."""
    k.memory.write_u64(counter, k.now)
    if frequency:
        k.memory.write_u64(frequency, PERFORMANCE_FREQUENCY)
    return int(NtStatus.SUCCESS)


@export(NTDLL, "NtQuerySystemTime", "ZwQuerySystemTime")
def nt_query_system_time(k: "Kernel", time: int) -> int:
    """NtQuerySystemTime."""
    k.memory.write_u64(time, BOOT_TIME + k.now)
    return int(NtStatus.SUCCESS)
