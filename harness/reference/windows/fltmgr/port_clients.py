"""Connections between filters and user mode: what a port keeps, and what fltlib asks of it.

A message waits at its connection until a program asks for one, and a program's question until there is a message:
`ask` is either at once. The filter's side is in port_exports.py.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus, nt_success
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fltmgr.filters import Filter
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.io.completion_ports import Association

_MESSAGE_HEADER = Struct("<I4xQ")
"""FILTER_MESSAGE_HEADER: ReplyLength, MessageId."""
_REPLY_HEADER = Struct("<i4xQ")
"""FILTER_REPLY_HEADER: Status, MessageId."""


@dataclass(eq=False, slots=True)
class Message:
    """A message from a filter, on its way to user mode and back."""

    number: int
    data: bytes
    reply_length: int
    answered: Event
    reply: bytes | None = None
    status: int = 0
    """What the program says that FltSendMessage is to return."""


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
    opened_at: str | None
    """The call that made it."""
    clients: "list[ClientPort]" = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Question:
    """FilterGetMessage that has not been answered: where the message goes, and who is told."""

    thread: "Thread"
    target: int
    room: int
    finish: Callable[[int, int], None]
    """Called once with the NTSTATUS and how many bytes were stored."""
    overlapped: int = 0
    """Address of the OVERLAPPED, by which it may be cancelled."""


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
    questions: deque[Question] = field(default_factory=deque)
    signaled: Event = field(default_factory=lambda: Event("a communication port's handle"))
    """What a wait for the user's handle waits for."""
    ended: Event = field(default_factory=lambda: Event("the end of a connection"))
    association: "Association | None" = None
    """The completion port that the user's handle belongs to."""
    calls: int = 0
    """Callbacks of the filter for it that are under way."""
    returned: Event = field(default_factory=lambda: Event("the callbacks of a connection to return", state=True))

    def cancel_requests(self, thread: "Thread | None", iosb: int) -> int:
        """Cancel questions that wait: those of a thread, or all; of one OVERLAPPED, if it is not 0. How many."""
        found = [
            question
            for question in self.questions
            if thread in (None, question.thread) and iosb in (0, question.overlapped)
        ]
        for question in found:
            self.questions.remove(question)
            question.finish(int(NtStatus.CANCELLED), 0)
        return len(found)


class PortClients:
    """The ports of a filter manager, and the user's side of all connections."""

    def __init__(self, objects: "FilterObjects") -> None:
        self._heap = objects.heap
        self._k = objects.kernel
        self.servers: dict[str, ServerPort] = {}
        """By lower-case name."""
        self.clients: dict[int, ClientPort] = {}
        self._last_number = 0
        self._k.processes.on_thread_end.append(self._thread_ended)

    def next_number(self) -> int:
        """The number of a new message."""
        self._last_number += 1
        return self._last_number

    def servers_of(self, found: Filter) -> list[ServerPort]:
        """The server ports of a filter that are open."""
        return [port for port in self.servers.values() if port.filter is found]

    def _thread_ended(self, thread: "Thread") -> None:
        """What a thread has asked for is cancelled as it ends."""
        for client in self.clients.values():
            if client.questions:
                client.cancel_requests(thread, 0)

    def connect(self, name: str, context: int, size: int) -> Code:
        """FilterConnectCommunicationPort; (NTSTATUS, client or None)."""
        memory = self._k.memory
        server = self.servers.get(name.lower())
        if server is None:
            return int(NtStatus.OBJECT_NAME_NOT_FOUND), None
        if len(server.clients) >= server.limit:
            return int(NtStatus.CONNECTION_COUNT_LIMIT), None
        client = ClientPort(server, self._heap.allocate(0x40))
        server.clients.append(client)
        self.clients[client.address] = client
        captured = self._heap.allocate(max(size, 1) + 8)
        cookie_out = captured + size + 7 & ~7
        memory.write_u64(cookie_out, 0)
        if size:
            memory.write(captured, memory.read(context, size))
        arguments = (client.address, server.cookie, captured if size else 0, size, cookie_out)
        answer = yield from self._call(client, "its connect callback", server.connect, *arguments)
        status = answer & 0xFFFF_FFFF
        client.cookie = memory.read_u64(cookie_out)
        self._heap.free(captured)
        if not nt_success(status):
            if client in server.clients:
                server.clients.remove(client)
            if self.clients.pop(client.address, None) is not None:
                self._heap.free(client.address)
            return status, None
        return int(NtStatus.SUCCESS), client

    def send(self, client: ClientPort, source: int, length: int, target: int, room: int) -> Code:
        """FilterSendMessage; (NTSTATUS, bytes returned). The message callback runs in this thread."""
        if client.closed:
            return int(NtStatus.PORT_DISCONNECTED), 0
        if not client.server.message:
            return int(NtStatus.NOT_SUPPORTED), 0
        returned = self._heap.allocate(8)
        arguments = (client.cookie, source, length, target, room, returned)
        status = yield from self._call(client, "its message callback", client.server.message, *arguments)
        count = self._k.memory.read_u32(returned)
        self._heap.free(returned)
        if nt_success(status & 0xFFFF_FFFF):
            if count > room:
                text = f"{client.server.name}: its message callback says that it returned {count} bytes, of {room}"
                self._k.verifier.report(None, client.server.filter.name, text)
            answered = min(count, room)
            self._k.handed_on.look_at(target, answered, "of the answer to a message", lambda: client.server.name)
        return status & 0xFFFF_FFFF, count

    def _call(self, client: ClientPort, what: str, routine: int, *arguments: int) -> Code:
        """A callback of the filter for a connection, which its unregistration waits for."""
        client.calls += 1
        client.returned.state = False
        try:
            return (yield from self._k.kept.call(what, routine, *arguments))
        finally:
            client.calls -= 1
            if not client.calls:
                self._k.signal(client.returned)

    def post(self, client: ClientPort, message: Message) -> None:
        """A filter's message: to who has asked for one, or it waits."""
        client.messages.append(message)
        while client.messages and client.questions:
            question = client.questions.popleft()
            question.finish(*self._give(client, question.target, question.room))

    def ask(self, client: ClientPort, question: Question) -> bool:
        """FilterGetMessage: whether there was a message at once; if not, `question` waits for one."""
        if client.messages:
            question.finish(*self._give(client, question.target, question.room))
        else:
            client.questions.append(question)
        return question not in client.questions

    def _give(self, client: ClientPort, target: int, room: int) -> tuple[int, int]:
        """Store the next message; (NTSTATUS, bytes). One that does not fit is left for who comes with more room."""
        message = client.messages[0]
        size = _MESSAGE_HEADER.size + len(message.data)
        if room < size:
            return int(NtStatus.BUFFER_TOO_SMALL), 0
        reply = message.reply_length + _REPLY_HEADER.size if message.reply_length else 0
        try:
            self._k.memory.write(target, _MESSAGE_HEADER.pack(reply, message.number) + message.data)
        except GuestException as fault:
            return fault.status, 0
        client.messages.popleft()
        if message.reply_length:
            client.unanswered[message.number] = message
        else:
            self._k.signal(message.answered)
        return int(NtStatus.SUCCESS), size

    def reply(self, client: ClientPort, source: int, length: int) -> int:
        """FilterReplyMessage; NTSTATUS. More than the filter has room for: it gets what fits, and both are told."""
        if length < _REPLY_HEADER.size:
            return NtStatus.INVALID_PARAMETER
        status, number = _REPLY_HEADER.unpack(self._k.memory.read(source, _REPLY_HEADER.size))
        message = client.unanswered.pop(number, None)
        if message is None:
            return NtStatus.FLT_NO_WAITER_FOR_REPLY
        given = self._k.memory.read(source + _REPLY_HEADER.size, length - _REPLY_HEADER.size)
        message.status, message.reply = status & 0xFFFF_FFFF, given[: message.reply_length]
        fits = len(given) <= message.reply_length
        if not fits:
            message.status = int(NtStatus.BUFFER_OVERFLOW)
        self._k.signal(message.answered)
        return NtStatus.SUCCESS if fits else NtStatus.BUFFER_OVERFLOW

    def close(self, client: ClientPort) -> None:
        """FltCloseClientPort: the filter has done with a connection."""
        client.closed = True
        if client in client.server.clients:
            client.server.clients.remove(client)
        self._k.signal(client.ended)
        while client.questions:
            client.questions.popleft().finish(int(NtStatus.PORT_DISCONNECTED), 0)
        self._heap.free(client.address)

    def disconnect(self, client: ClientPort) -> Code:
        """The user's last handle is closed: who waits is let go, and the filter is told, once."""
        if client.disconnected:
            return
        client.disconnected = True
        client.cancel_requests(None, 0)
        self._k.signal(client.ended)
        if not client.closed and client.server.disconnect:
            yield from self._k.kept.call("its disconnect callback", client.server.disconnect, client.cookie)

    def disconnect_all(self, found: Filter) -> Code:
        """Connections that are still open end with the filter, while its callback can still be called.

        Callbacks that are under way are waited for: afterwards the driver's code is gone (UNL-04).
        """
        for client in list(self.clients.values()):
            if client.server.filter is found:
                yield from self.disconnect(client)
                client.closed = True
                yield Wait([client.returned], reason=f"a callback of {found.name} for its service to return")
