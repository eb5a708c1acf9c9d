"""Communication ports between filters and user mode: both sides of them."""

from collections import deque
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus, nt_success
from harness.reference.machine.loader.exports import FLTMGR, I32, U32, export
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Call, Wait
from harness.reference.windows.fltmgr.filters import Filter
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_MESSAGE_HEADER = Struct("<I4xQ")
"""FILTER_MESSAGE_HEADER: ReplyLength, MessageId."""
_REPLY_HEADER = Struct("<i4xQ")
"""FILTER_REPLY_HEADER: Status, MessageId."""
_OBJECT_NAME = 0x10
"""ObjectName in OBJECT_ATTRIBUTES."""


@dataclass(eq=False, slots=True)
class Message:
    """A message from a filter, on its way to user mode and back."""

    number: int
    data: bytes
    reply_length: int
    answered: Event
    reply: bytes | None = None
    taken: bool = False


@dataclass(eq=False, slots=True)
class ServerPort:
    """What FltCreateCommunicationPort makes."""

    filter: Filter
    address: int
    name: str
    cookie: int
    connect: int
    disconnect: int
    message: int
    limit: int
    clients: "list[ClientPort]" = field(default_factory=list)


@dataclass(eq=False, slots=True)
class ClientPort:
    """One connection."""

    server: ServerPort
    address: int
    cookie: int = 0
    disconnected: bool = False
    """The user's handle is closed."""
    closed: bool = False
    """The filter has closed its end."""
    messages: deque[Message] = field(default_factory=deque)
    unanswered: dict[int, Message] = field(default_factory=dict)
    arrived: Event = field(default_factory=lambda: Event("a message on a communication port", synchronization=True))
    ended: Event = field(default_factory=lambda: Event("the end of a connection"))


# -- the filter's side


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
    if name.lower() in k.flt.ports:
        return NtStatus.OBJECT_NAME_COLLISION
    port = ServerPort(found, k.flt.heap.allocate(0x40), name, cookie, connect, disconnect, message, limit)
    k.flt.ports[name.lower()] = port
    found.ports.append(port)
    k.memory.write_u64(out, port.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltCloseCommunicationPort", max_irql=Irql.PASSIVE)
def flt_close_communication_port(k: "Kernel", address: int) -> None:
    """FltCloseCommunicationPort: no new connections; those that are there stay."""
    for port in list(k.flt.ports.values()):
        if port.address == address:
            del k.flt.ports[port.name.lower()]
            port.filter.ports.remove(port)
            k.flt.heap.free(port.address)
            return
    k.verifier.report(None, k.blame.current().driver, f"closed {address:#x}, which is no communication server port")


@export(FLTMGR, "FltCloseClientPort", max_irql=Irql.PASSIVE)
def flt_close_client_port(k: "Kernel", filter_: int, port_at: int) -> None:
    """FltCloseClientPort: sets the caller's pointer to NULL."""
    k.flt.filter_at(filter_)
    address = k.memory.read_u64(port_at)
    client = k.flt.clients.pop(address, None)
    k.memory.write_u64(port_at, 0)
    if client is None:
        return
    client.closed = True
    if client in client.server.clients:
        client.server.clients.remove(client)
    k.signal(client.ended)
    k.signal(client.arrived)
    k.flt.heap.free(address)


@export(FLTMGR, "FltSendMessage", max_irql=Irql.APC)
def flt_send_message(
    k: "Kernel", filter_: int, port_at: int, buffer: int, length: U32, reply: int, reply_length: int, timeout: int
) -> Code:
    """FltSendMessage: waits for the reply, if one is wanted."""
    k.flt.filter_at(filter_)
    client = k.flt.clients.get(k.memory.read_u64(port_at))
    if client is None or client.disconnected:
        return int(NtStatus.PORT_DISCONNECTED)
    wanted = k.memory.read_u32(reply_length) if reply and reply_length else 0
    ticks = _relative(k, timeout)
    k.flt.next_message += 1
    message = Message(k.flt.next_message, k.memory.read(buffer, length), wanted, Event("a reply from user mode"))
    client.messages.append(message)
    k.signal(client.arrived)
    objects = [message.answered, client.ended]
    status = yield Wait(objects, timeout=ticks, reason="user mode to answer a filter's message")
    if status == NtStatus.TIMEOUT:
        client.unanswered.pop(message.number, None)
        if message in client.messages:
            client.messages.remove(message)
        return int(NtStatus.TIMEOUT)
    if not message.answered.state:
        return int(NtStatus.PORT_DISCONNECTED)
    if message.reply is not None and wanted:
        fits = message.reply[:wanted]
        k.memory.write(reply, fits)
        k.memory.write_u32(reply_length, len(fits))
    return int(NtStatus.SUCCESS)


def _relative(k: "Kernel", timeout: int) -> int | None:
    """A timeout argument in 100 ns from now; None for ever."""
    if not timeout:
        return None
    value = k.memory.read_i64(timeout)
    return -value if value <= 0 else max(0, value - k.now)


# -- the user's side, called by fltlib


def connect(k: "Kernel", name: str, context: int, size: int) -> Code:
    """FilterConnectCommunicationPort; (NTSTATUS, client or None)."""
    server = k.flt.ports.get(name.lower())
    if server is None:
        return int(NtStatus.OBJECT_NAME_NOT_FOUND), None
    if len(server.clients) >= server.limit:
        return int(NtStatus.CONNECTION_COUNT_LIMIT), None
    client = ClientPort(server, k.flt.heap.allocate(0x40))
    server.clients.append(client)
    k.flt.clients[client.address] = client
    cookie_out = k.flt.heap.allocate(8)
    status = (yield Call(server.connect, client.address, server.cookie, context, size, cookie_out)) & 0xFFFF_FFFF
    client.cookie = k.memory.read_u64(cookie_out)
    k.flt.heap.free(cookie_out)
    if not nt_success(status):
        if client in server.clients:
            server.clients.remove(client)
        if k.flt.clients.pop(client.address, None) is not None:
            k.flt.heap.free(client.address)
        return status, None
    return int(NtStatus.SUCCESS), client


def send(k: "Kernel", client: ClientPort, source: int, length: int, target: int, room: int) -> Code:
    """FilterSendMessage; (NTSTATUS, bytes returned). The message callback runs in this thread."""
    if client.closed:
        return int(NtStatus.PORT_DISCONNECTED), 0
    if not client.server.message:
        return int(NtStatus.NOT_SUPPORTED), 0
    returned = k.flt.heap.allocate(8)
    status = yield Call(client.server.message, client.cookie, source, length, target, room, returned)
    count = k.memory.read_u32(returned)
    k.flt.heap.free(returned)
    return status & 0xFFFF_FFFF, count


def get_message(k: "Kernel", client: ClientPort, target: int, room: int) -> Code:
    """FilterGetMessage: waits for one; NTSTATUS."""
    while not client.messages:
        if client.closed:
            return int(NtStatus.PORT_DISCONNECTED)
        yield Wait([client.arrived], reason="a filter's message")
    message = client.messages[0]
    if room < _MESSAGE_HEADER.size + len(message.data):
        return int(NtStatus.BUFFER_TOO_SMALL)
    client.messages.popleft()
    reply = message.reply_length + _REPLY_HEADER.size if message.reply_length else 0
    k.memory.write(target, _MESSAGE_HEADER.pack(reply, message.number) + message.data)
    if message.reply_length:
        client.unanswered[message.number] = message
    else:
        k.signal(message.answered)
    return int(NtStatus.SUCCESS)


def reply_message(k: "Kernel", client: ClientPort, source: int, length: int) -> int:
    """FilterReplyMessage; NTSTATUS."""
    if length < _REPLY_HEADER.size:
        return NtStatus.INVALID_PARAMETER
    _, number = _REPLY_HEADER.unpack(k.memory.read(source, _REPLY_HEADER.size))
    message = client.unanswered.pop(number, None)
    if message is None:
        return NtStatus.FLT_NO_WAITER_FOR_REPLY
    message.reply = k.memory.read(source + _REPLY_HEADER.size, length - _REPLY_HEADER.size)
    k.signal(message.answered)
    return NtStatus.SUCCESS


def disconnect(k: "Kernel", client: ClientPort) -> Code:
    """The user's last handle is closed: the filter is told once."""
    if client.disconnected:
        return
    client.disconnected = True
    k.signal(client.ended)
    if not client.closed and client.server.disconnect:
        yield Call(client.server.disconnect, client.cookie)


def disconnect_all(k: "Kernel", found: Filter) -> Code:
    """Connections that are still open end with the filter, while its callback can still be called."""
    for client in list(k.flt.clients.values()):
        if client.server.filter is found:
            yield from disconnect(k, client)
            client.closed = True
