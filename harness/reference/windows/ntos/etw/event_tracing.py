"""ETW and WPP: providers register and write, and no session listens, as on a system where nobody traces."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, Length, export
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_GET_ID, _SET_ID, _CREATE_ID, _GET_SET_ID, _CREATE_SET_ID = range(1, 6)
"""EVENT_ACTIVITY_CTRL_*."""
_NO_CONTEXT = 0xC0000008
_PROVIDER = Kind("provider of ETW events", "EtwUnregister")


@export(NTOSKRNL, "EtwRegister", max_irql=Irql.PASSIVE)
def etw_register(k: "Kernel", provider: int, callback: int, context: int, handle_pointer: int) -> int:
    """The enable callback is called when a session enables the provider: never."""
    del callback, context
    k.memory.read(provider, 16)
    handle = k.heap.allocate(0x40)
    k.holdings.take(_PROVIDER, handle)
    k.memory.write_u64(handle_pointer, handle)
    return 0


@export(NTOSKRNL, "EtwRegisterClassicProvider", max_irql=Irql.PASSIVE)
def etw_register_classic_provider(
    k: "Kernel", provider: int, kind: U32, callback: int, context: int, handle_pointer: int
) -> int:
    del kind
    return etw_register(k, provider, callback, context, handle_pointer)


@export(NTOSKRNL, "EtwUnregister", max_irql=Irql.PASSIVE)
def etw_unregister(k: "Kernel", handle: int) -> int:
    if not k.holdings.give_back(_PROVIDER, handle):
        return int(NtStatus.INVALID_HANDLE)
    k.heap.free(handle)
    return 0


@export(NTOSKRNL, "EtwEventEnabled")
def etw_event_enabled(k: "Kernel", handle: int, descriptor: int) -> bool:
    del k, handle, descriptor
    return False


@export(NTOSKRNL, "EtwProviderEnabled")
def etw_provider_enabled(k: "Kernel", handle: int, level: U8, keyword: int) -> bool:
    del k, handle, level, keyword
    return False


@export(NTOSKRNL, "EtwWrite", "EtwWriteEx", "EtwWriteTransfer", "EtwWriteString", "EtwSetInformation")
def etw_write(k: "Kernel", handle: int) -> int:
    """Nobody listens; a handle that is none is told."""
    return 0 if not handle or k.holdings.count(_PROVIDER, handle) else int(NtStatus.INVALID_HANDLE)


@export(NTOSKRNL, "EtwWriteStartScenario", "EtwWriteEndScenario", max_irql=Irql.PASSIVE)
def etw_write_scenario(k: "Kernel", handle: int) -> int:
    return etw_write(k, handle)


@export(NTOSKRNL, "EtwActivityIdControl")
def etw_activity_id_control(k: "Kernel", code: U32, activity: int) -> int:
    """The activity of the current thread: got, set, made, or both."""
    thread = k.current.kthread
    before = k.etw_activities.get(thread, bytes(16))
    if code not in range(_GET_ID, _CREATE_SET_ID + 1):
        return int(NtStatus.INVALID_PARAMETER)
    given = k.memory.read(activity, 16)
    if code in (_SET_ID, _GET_SET_ID):
        k.etw_activities[thread] = given
    if code in (_CREATE_ID, _CREATE_SET_ID):
        made = k.random.randbytes(16)
        if code == _CREATE_SET_ID:
            k.etw_activities[thread] = made
        k.memory.write(activity, before if code == _CREATE_SET_ID else made)
    if code in (_GET_ID, _GET_SET_ID):
        k.memory.write(activity, before)
    return 0


# -- WPP and WMI


@export(NTOSKRNL, "IoWMIRegistrationControl", max_irql=Irql.PASSIVE)
def io_wmi_registration_control(k: "Kernel", device: int, action: U32) -> int:
    """A device that registers is asked for its GUIDs by IRP_MN_REGINFO when somebody wants them: never."""
    k.memory.read(device & ~1, 2)
    return 0 if action & 0xFF in (1, 2, 3, 4, 5) else int(NtStatus.INVALID_PARAMETER)


@export(NTOSKRNL, "IoWMIWriteEvent", max_irql=Irql.DISPATCH)
def io_wmi_write_event(k: "Kernel", event: int) -> int:
    """Refused without a consumer, so that the driver frees the event itself."""
    k.memory.read(event, 8)
    return int(NtStatus.UNSUCCESSFUL)


@export(NTOSKRNL, "WmiQueryTraceInformation", max_irql=Irql.DISPATCH)
def wmi_query_trace_information(k: "Kernel", kind: U32, buffer: int, length: Length, needed: int) -> int:
    """There is no session to ask about."""
    del k, kind, buffer, length, needed
    return int(NtStatus.NOT_FOUND)


@export(NTOSKRNL, "WmiTraceMessage", "WmiTraceMessageVa", "WmiTraceFastEvent")
def wmi_trace_message(k: "Kernel", logger: int) -> int:
    """To a session that is none."""
    del k, logger
    return _NO_CONTEXT


@export(NTOSKRNL, "WmiGetClock")
def wmi_get_clock(k: "Kernel") -> int:
    return k.now
