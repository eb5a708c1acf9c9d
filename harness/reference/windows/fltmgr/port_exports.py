"""FltCreateCommunicationPort, FltSendMessage and FltCloseXxxPort: the filter's side of communication ports."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, I32, Length, export
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fltmgr.port_clients import Message, ServerPort
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_OBJECT_NAME = 0x10
"""ObjectName in OBJECT_ATTRIBUTES."""


@export(FLTMGR, "FltCreateCommunicationPort", max_irql=Irql.PASSIVE)
def flt_create_communication_port(
    k: "Kernel",
    filter_: int,
    out: int,
    attributes: int,
    cookie: int,
    connect: int,
    disconnect: int,
    message: int,
    limit: I32,
) -> int:
    """FltCreateCommunicationPort."""
    found = k.flt.filter_at(filter_)
    name = k.memory.read_unicode_string(k.memory.read_u64(attributes + _OBJECT_NAME))
    k.memory.write_u64(out, 0)
    if not name.startswith("\\"):
        return NtStatus.OBJECT_PATH_SYNTAX_BAD
    if name.lower() in k.flt.port_clients.servers:
        return NtStatus.OBJECT_NAME_COLLISION
    at = k.blame.current().location
    port = ServerPort(found, k.flt.heap.allocate(0x40), name, cookie, connect, disconnect, message, limit, at)
    k.flt.port_clients.servers[name.lower()] = port
    k.memory.write_u64(out, port.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltCloseCommunicationPort", max_irql=Irql.PASSIVE)
def flt_close_communication_port(k: "Kernel", address: int) -> None:
    """FltCloseCommunicationPort: no new connections; those that are there stay."""
    for port in list(k.flt.port_clients.servers.values()):
        if port.address == address:
            del k.flt.port_clients.servers[port.name.lower()]
            k.flt.heap.free(port.address)
            return
    k.verifier.report(None, k.blame.current().driver, f"closed {address:#x}, which is no communication server port")


@export(FLTMGR, "FltCloseClientPort", max_irql=Irql.PASSIVE)
def flt_close_client_port(k: "Kernel", filter_: int, port_at: int) -> None:
    """FltCloseClientPort: sets the caller's pointer to NULL."""
    k.flt.filter_at(filter_)
    address = k.memory.read_u64(port_at)
    client = k.flt.port_clients.clients.pop(address, None)
    k.memory.write_u64(port_at, 0)
    if client is not None:
        k.flt.port_clients.close(client)
    elif address:
        text = f"FltCloseClientPort: {address:#x} is no client port any more, or never was"
        k.verifier.report(None, k.blame.current().driver, text)


@export(FLTMGR, "FltSendMessage", max_irql=Irql.APC)
def flt_send_message(
    k: "Kernel", filter_: int, port_at: int, buffer: int, length: Length, reply: int, reply_length: int, timeout: int
) -> Code:
    """FltSendMessage: waits for the reply if one is wanted, else until a program has taken the message.

    The end of the connection lets it go, and so does the end of the thread that it is called in.
    """
    k.flt.filter_at(filter_)
    address = k.memory.read_u64(port_at)
    client = k.flt.port_clients.clients.get(address)
    if client is None and address:  # FltCloseClientPort sets the pointer that it is given to NULL: this is a copy
        text = f"sends a message on {address:#x}, which is no client port any more, or never was"
        k.verifier.report(None, k.blame.current().driver, text)
    if client is None or client.disconnected:
        return int(NtStatus.PORT_DISCONNECTED)
    if k.current.terminating:
        return int(NtStatus.THREAD_IS_TERMINATING)
    wanted = k.memory.read_u32(reply_length) if reply and reply_length else 0
    k.require_room(reply, wanted, "FltSendMessage")
    ticks = _relative(k, timeout)
    data = k.memory.read(buffer, length)
    k.handed_on.look(data, "of a message", lambda: "FltSendMessage")
    message = Message(k.flt.port_clients.next_number(), data, wanted, Event("a reply from user mode"))
    k.flt.port_clients.post(client, message)
    objects = [message.answered, client.ended]
    status = yield Wait(objects, timeout=ticks, reason="user mode to answer a filter's message", user=True)
    if not message.answered.state:
        client.unanswered.pop(message.number, None)
        if message in client.messages:
            client.messages.remove(message)
        if status == NtStatus.ALERTED:
            return int(NtStatus.THREAD_IS_TERMINATING)
        return int(NtStatus.TIMEOUT if status == NtStatus.TIMEOUT else NtStatus.PORT_DISCONNECTED)
    if message.reply is not None and wanted:
        k.memory.write(reply, message.reply)
        k.memory.write_u32(reply_length, len(message.reply))
    return message.status


def _relative(k: "Kernel", timeout: int) -> int | None:
    """A timeout argument in 100 ns from now; None for ever."""
    if not timeout:
        return None
    value = k.memory.read_i64(timeout)
    return -value if value <= 0 else max(0, value - k.now)
