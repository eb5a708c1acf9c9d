"""fltlib.dll: communication ports, and loading and attaching of minifilters. The answers are HRESULTs."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from harness.nt import NtStatus
from harness.nt.hresult import hresult_of_status
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.exports import FLTLIB, U16, U32, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fltmgr.attachment import find_instance
from harness.reference.windows.fltmgr.filters import Filter
from harness.reference.windows.fltmgr.port_clients import ClientPort, Question
from harness.reference.windows.io.io_manager import PORT_TYPE
from harness.reference.windows.io.request import Code
from harness.reference.windows.io.system_services import event_of_handle, set_event
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.user.filter_calls import S_OK, filter_call
from harness.reference.windows.user.system_thread import in_system_thread

if TYPE_CHECKING:
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel

ERROR_IO_PENDING = 0x800703E5
"""HRESULT_FROM_WIN32(ERROR_IO_PENDING)."""


class Overlapped(Structure):
    """OVERLAPPED: an IO_STATUS_BLOCK, an offset, and an event."""

    SIZE = 0x20
    status = Field(0x00)
    information = Field(0x08)
    event = Field(0x18)


# -- ports


@filter_call("FilterConnectCommunicationPort")
def filter_connect(k: "Kernel", name: int, options: U32, context: int, size: U16, security: int, port_out: int) -> Code:
    """FilterConnectCommunicationPort."""
    del options, security
    k.memory.write_u64(port_out, 0)
    clients = k.flt.port_clients
    status, client = yield from clients.connect(k.memory.read_wide(name), context, size)
    if client is None:
        return status
    item = Object(PORT_TYPE, client, references=0, closing=lambda _: clients.disconnect(client))
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
    status, count = yield from k.flt.port_clients.send(client, source, length, target, room)
    k.memory.write_u32(returned, count)
    return status


@export(FLTLIB, "FilterGetMessage")
def filter_get_message(k: "Kernel", handle: int, target: int, room: U32, overlapped: int) -> Code:
    """FilterGetMessage: with an OVERLAPPED it answers ERROR_IO_PENDING, and the message comes when there is one."""
    client = _client(k, handle)
    if client is None:
        return hresult_of_status(NtStatus.INVALID_HANDLE)
    client.signaled.state = False
    if overlapped:
        return _get_overlapped(k, client, Question(k.current, target, room, _nobody, overlapped))
    told: list[int] = []
    over = Event("a filter's message")

    def finish(status: int, _: int) -> None:
        told.append(status)
        k.signal(over)

    if client.closed:
        return hresult_of_status(NtStatus.PORT_DISCONNECTED)
    question = Question(k.current, target, room, finish)
    if not k.flt.port_clients.ask(client, question):
        yield Wait([over], reason="a filter's message", idle=True, user=True)
        if question in client.questions:  # the thread is told to end
            client.questions.remove(question)
            return hresult_of_status(NtStatus.CANCELLED)
    return hresult_of_status(told[0]) if told[0] & 0x8000_0000 else S_OK


def _nobody(status: int, information: int) -> None:
    """Who is told of a question that is still being made."""


def _get_overlapped(k: "Kernel", client: ClientPort, question: Question) -> int:
    view = Overlapped(k.memory, question.overlapped)
    view.status, view.information = int(NtStatus.PENDING), 0
    event = event_of_handle(k, view.event & ~1)
    told_by_event_only = bool(view.event & 1)
    if event is not None:
        event.header.signal_state = 0

    def finish(status: int, information: int) -> None:
        with suppress(GuestException):  # the OVERLAPPED of a thread that has ended may have gone with its stack
            view.status, view.information = status, information
        k.signal(client.signaled)
        if event is not None:
            set_event(k, event)
        if client.association is not None and not told_by_event_only:
            client.association.post(question.overlapped, status, information)

    if client.closed:
        return hresult_of_status(NtStatus.PORT_DISCONNECTED)
    question.finish = finish
    k.flt.port_clients.ask(client, question)
    return ERROR_IO_PENDING  # also where there was a message: every service counts on it


@filter_call("FilterReplyMessage")
def filter_reply_message(k: "Kernel", handle: int, source: int, length: U32) -> Code:
    """FilterReplyMessage."""
    yield from ()
    client = _client(k, handle)
    return int(NtStatus.INVALID_HANDLE) if client is None else int(k.flt.port_clients.reply(client, source, length))


# -- minifilters


@filter_call("FilterLoad")
def filter_load(k: "Kernel", name: int) -> Code:
    """FilterLoad: a service that is registered."""
    service = k.memory.read_wide(name)
    status, _ = yield from in_system_thread(k, k.filter_services.load(service), f"load {service}")
    return int(status)


@filter_call("FilterUnload")
def filter_unload(k: "Kernel", name: int) -> Code:
    """FilterUnload."""
    service = k.memory.read_wide(name)
    unloading = k.filter_services.unload(service, mandatory=False)
    return int((yield from in_system_thread(k, unloading, f"unload {service}")))


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
    answer: Any = yield from k.flt.attachments.attach_manually(found, volume, _optional_text(k, instance), altitude)
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
    item = find_instance(found, volume, _optional_text(k, instance))
    if item is None:
        return int(NtStatus.FLT_INSTANCE_NOT_FOUND)
    return (yield from k.flt.attachments.detach_manually(item))
