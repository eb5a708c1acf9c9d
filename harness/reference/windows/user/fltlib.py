"""fltlib.dll: communication ports, and loading and attaching of minifilters. The answers are HRESULTs."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from harness.nt import NtStatus
from harness.nt.hresult import hresult_of_status
from harness.reference.machine.loader.exports import FLTLIB, U16, U32, export
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fltmgr import attachment, filter_services, ports
from harness.reference.windows.fltmgr.filters import Filter
from harness.reference.windows.fltmgr.ports import ClientPort
from harness.reference.windows.io.io_manager import PORT_TYPE
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.ob.objects import Object

if TYPE_CHECKING:
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel

_S_OK = 0


def filter_call(name: str) -> Callable[[Callable[..., Code]], Callable[..., Code]]:
    """Export a function of fltlib that is written to give an NTSTATUS."""

    def register(function: Callable[..., Code]) -> Callable[..., Code]:
        @wraps(function)
        def call(k: "Kernel", *arguments: int) -> Code:
            status: int = yield from function(k, *arguments)
            return hresult_of_status(status) if status & 0x8000_0000 else _S_OK

        export(FLTLIB, name)(call)
        return function

    return register


# -- ports


@filter_call("FilterConnectCommunicationPort")
def filter_connect(k: "Kernel", name: int, options: U32, context: int, size: U16, security: int, port_out: int) -> Code:
    """FilterConnectCommunicationPort."""
    del options, security
    k.memory.write_u64(port_out, 0)
    status, client = yield from ports.connect(k, k.memory.read_wide(name), context, size)
    if client is None:
        return status

    def closing(_: Object) -> Code:
        yield from ports.disconnect(k, client)

    item = Object(PORT_TYPE, client, references=0, closing=closing)
    k.memory.write_u64(port_out, k.objects.open(item, kernel=False, access=3))
    return int(NtStatus.SUCCESS)


def _client(k: "Kernel", handle: int) -> ClientPort | None:
    found = k.objects.lookup(handle)
    body = found.object.body if found is not None else None
    return body if isinstance(body, ClientPort) else None


@filter_call("FilterSendMessage")
def filter_send_message(
    k: "Kernel", handle: int, source: int, length: U32, target: int, room: U32, returned: int
) -> Code:
    """FilterSendMessage."""
    client = _client(k, handle)
    if client is None:
        return int(NtStatus.INVALID_HANDLE)
    status, count = yield from ports.send(k, client, source, length, target, room)
    k.memory.write_u32(returned, count)
    return status


@filter_call("FilterGetMessage")
def filter_get_message(k: "Kernel", handle: int, target: int, room: U32, overlapped: int) -> Code:
    """FilterGetMessage, without an OVERLAPPED."""
    client = _client(k, handle)
    if client is None:
        return int(NtStatus.INVALID_HANDLE)
    if overlapped:
        return int(NtStatus.NOT_SUPPORTED)
    return (yield from ports.get_message(k, client, target, room))


@filter_call("FilterReplyMessage")
def filter_reply_message(k: "Kernel", handle: int, source: int, length: U32) -> Code:
    """FilterReplyMessage."""
    yield from ()
    client = _client(k, handle)
    return int(NtStatus.INVALID_HANDLE) if client is None else int(ports.reply_message(k, client, source, length))


# -- minifilters


def _in_system_thread(k: "Kernel", code: Code, what: str) -> Code:
    """Drivers are loaded and unloaded in a thread of the System process."""
    thread = k.spawn(code, what)
    yield Wait([thread], reason=f"{what} to end")
    return thread.result


@filter_call("FilterLoad")
def filter_load(k: "Kernel", name: int) -> Code:
    """FilterLoad: a service that is registered."""
    service = k.memory.read_wide(name)
    status, _ = yield from _in_system_thread(k, filter_services.load(k, service), f"load {service}")
    return int(status)


@filter_call("FilterUnload")
def filter_unload(k: "Kernel", name: int) -> Code:
    """FilterUnload."""
    service = k.memory.read_wide(name)
    unloading = filter_services.unload(k, service, mandatory=False)
    return int((yield from _in_system_thread(k, unloading, f"unload {service}")))


def _find(k: "Kernel", name: int, volume_name: int) -> tuple[int, Filter | None, "Volume | None"]:
    found = k.flt.filter_named(k.memory.read_wide(name))
    volume = k.io.volume_named(k.memory.read_wide(volume_name))
    if found is None:
        return int(NtStatus.FLT_FILTER_NOT_FOUND), None, None
    if volume is None:
        return int(NtStatus.FLT_VOLUME_NOT_FOUND), found, None
    return int(NtStatus.SUCCESS), found, volume


def _optional_text(k: "Kernel", address: int) -> str | None:
    return k.memory.read_wide(address) if address else None


def _attach(
    k: "Kernel", name: int, volume_name: int, altitude: str | None, instance: int, length: int, created: int
) -> Code:
    status, found, volume = _find(k, name, volume_name)
    if found is None or volume is None:
        return status
    before = set(found.instances)
    answer: Any = yield from attachment.attach_manually(k, found, volume, _optional_text(k, instance), altitude)
    made = next((item for item in found.instances if item not in before), None)
    if made is not None and created and length >= 2:
        text = made.name.encode("utf-16-le")[: (length & ~1) - 2]
        k.memory.write(created, text + b"\0\0")
    return int(answer)


@filter_call("FilterAttach")
def filter_attach(k: "Kernel", name: int, volume_name: int, instance: int, length: U32, created: int) -> Code:
    """FilterAttach."""
    return (yield from _attach(k, name, volume_name, None, instance, length, created))


@filter_call("FilterAttachAtAltitude")
def filter_attach_at_altitude(
    k: "Kernel", name: int, volume_name: int, altitude: int, instance: int, length: U32, created: int
) -> Code:
    """FilterAttachAtAltitude."""
    return (yield from _attach(k, name, volume_name, k.memory.read_wide(altitude), instance, length, created))


@filter_call("FilterDetach")
def filter_detach(k: "Kernel", name: int, volume_name: int, instance: int) -> Code:
    """FilterDetach."""
    status, found, volume = _find(k, name, volume_name)
    if found is None or volume is None:
        return status
    item = attachment.find_instance(found, volume, _optional_text(k, instance))
    if item is None:
        return int(NtStatus.FLT_INSTANCE_NOT_FOUND)
    return (yield from attachment.detach_manually(k, item))
