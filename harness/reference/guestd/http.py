"""HTTP/1.1 as WinRM's clients speak it: POST with a length, kept connections, one thread each.

The standard library's http.server costs seconds of imports under TCG; this is the part of it that is needed.
"""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.reference.guestd.complaints import complain
from harness.reference.guestd.workers import workers

HEADER_LIMIT = 64 * 1024
BODY_LIMIT = 1024 * 1024
"""Bytes of one body: twice the largest envelope, so that a client learns by a SOAP fault what is too large."""
STRANGERS_BODY_LIMIT = 16 * 1024
"""The same of who has not proved who they are, and so of who only asks what this is (Identify)."""
PIECE = 64 * 1024
LINGER_SECONDS = 1.0
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Payload Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


class BadRequest(Exception):
    """A request that is answered with `status` and after which the connection ends."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


@dataclass
class Request:
    """One request; header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Response:
    """One response."""

    status: int
    body: bytes = b""
    content_type: str = "application/soap+xml;charset=UTF-8"
    headers: list[tuple[str, str]] = field(default_factory=list)


class Connection:
    """What is remembered of one TCP connection, for authentication that takes several requests."""

    def __init__(self, peer: str = "") -> None:
        self.peer = peer
        self.authentication: object = None
        self.is_known = False
        """Whether who is at its other end has proved who they are."""


Gate = Callable[[Request, Connection], Response | None]
"""Asked of a request before its body is read: None if it may be served, and else what it is answered."""
Handler = Callable[[Request, Connection], Response]


class _RequestHandler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: "Server"

    def handle(self) -> None:
        connection = self.server.connection_of(self.connection)
        self.connection.settimeout(self.server.patience)
        try:
            while True:
                try:
                    request, response = self._read(connection)
                except BadRequest as bad:
                    self._write(Response(bad.status, content_type="text/plain"), keep=False)
                    self._linger()
                    return
                if request is None:
                    return
                keep = request.headers.get("connection", "").lower() != "close"
                if response is None:
                    response = self._answer(request, connection)
                keep = keep and response is not None
                self._write(response or Response(500, content_type="text/plain"), keep=keep)
                if not keep:
                    return
                self.connection.settimeout(self.server.idle)
        except OSError:
            return  # the client is gone; what it asked for goes on in its shell

    def _linger(self) -> None:
        """Take what still comes, for a moment: a connection closed with that unread takes its answer along."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(LINGER_SECONDS)
        end = time.monotonic() + LINGER_SECONDS
        while self.connection.recv(HEADER_LIMIT) and time.monotonic() < end:
            continue

    def _answer(self, request: Request, connection: Connection) -> Response | None:
        """The response; None if the service has failed. Its traceback is for the console: no values are in it."""
        try:
            return self.server.answer(request, connection)
        except Exception:  # noqa: BLE001 - one request must not take the connection's thread with it unanswered
            complain()
            return None

    def _refusal(self, head: Request, connection: Connection) -> Response | None:
        try:
            return self.server.refusal(head, connection)
        except Exception:  # noqa: BLE001 - whoever breaks the gate does not come in by that
            complain()
            raise BadRequest(500) from None

    def _read(self, connection: Connection) -> tuple[Request | None, Response | None]:
        """The next request, and the answer to one that may not come in; no request where the client has gone."""
        line = self.rfile.readline(HEADER_LIMIT)
        if not line:
            return None, None
        self.connection.settimeout(self.server.patience)
        words = line.decode("latin-1").split()
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BadRequest(400)
        headers = self._read_headers()
        if "transfer-encoding" in headers:
            raise BadRequest(501)
        digits = headers.get("content-length", "0")
        if not (digits.isascii() and digits.isdecimal()):
            raise BadRequest(400)
        if len(digits) > len(str(BODY_LIMIT)) or int(digits) > BODY_LIMIT:
            raise BadRequest(413)
        length = int(digits)
        head = Request(words[0], words[1], headers, b"")
        refusal = self._refusal(head, connection)
        if refusal is None and length > STRANGERS_BODY_LIMIT and not connection.is_known:
            raise BadRequest(413)
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if refusal is not None:
            return (head if self._skip(length) else None), refusal
        body = self.rfile.read(length)
        if len(body) < length:
            return None, None
        return Request(words[0], words[1], headers, body), None

    def _skip(self, length: int) -> bool:
        """Take a body from who may not come in, and keep none of it; whether it came whole."""
        while length > 0:
            piece = self.rfile.read(min(length, PIECE))
            if not piece:
                return False
            length -= len(piece)
        return True

    def _read_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        size = 0
        while True:
            line = self.rfile.readline(HEADER_LIMIT)
            size += len(line)
            if size > HEADER_LIMIT or not line.endswith(b"\n"):
                raise BadRequest(400)
            text = line.decode("latin-1").strip()
            if not text:
                return headers
            name, colon, value = line.decode("latin-1").partition(":")
            key = name.lower()
            # A folded line, a blank before the colon, two lengths: whoever stands between might read them otherwise.
            if not colon or not key or key != key.strip() or (key == "content-length" and key in headers):
                raise BadRequest(400)
            headers[key] = value.strip()

    def _write(self, response: Response, *, keep: bool) -> None:
        lines = [
            f"HTTP/1.1 {response.status} {REASONS[response.status]}",
            "Server: Microsoft-HTTPAPI/2.0",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(response.body)}",
            *(f"{name}: {value}" for name, value in response.headers),
            *(() if keep else ("Connection: close",)),
        ]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + response.body)


class Server(socketserver.ThreadingTCPServer):
    """Listens, asks `gate` of every request whether it may be served, and hands it to `handler` if so.

    Whoever has not proved who they are holds few connections, and loses the oldest of them to the next that comes:
    however slowly somebody talks, others get in.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    connection_limit = 256
    strangers_limit = 32
    """Connections from one address of who has not proved who they are."""
    patience = 60.0
    """Seconds for the next piece of a request to come, or of an answer to be taken."""
    idle = 900.0
    """Seconds for the next request on a connection that has been served."""

    def __init__(self, address: str, port: int, gate: Gate, handler: Handler) -> None:
        super().__init__((address, port), _RequestHandler)
        self._gate = gate
        self._handler = handler
        self._counting = threading.Lock()
        self._open: dict[socket.socket, Connection] = {}
        """In the order in which they came."""

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])

    def connection_of(self, request: socket.socket) -> Connection:
        """What is known of an open connection; of one that was turned away just now, nothing."""
        with self._counting:
            return self._open.get(request) or Connection()

    def refusal(self, head: Request, connection: Connection) -> Response | None:
        """The answer to a request that may not be served, of which only the head has been read."""
        return self._gate(head, connection)

    def answer(self, request: Request, connection: Connection) -> Response:
        """The response to a request."""
        return self._handler(request, connection)

    def process_request(self, request: object, client_address: object) -> None:
        """Count the connection; turn another away for it, or refuse it where there are too many."""
        assert isinstance(request, socket.socket)
        assert isinstance(client_address, tuple)
        if not self._has_room(str(client_address[0])):
            request.settimeout(1)
            with contextlib.suppress(OSError):  # it does not even listen
                request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            super().shutdown_request(request)
            return
        with self._counting:
            self._open[request] = Connection(str(client_address[0]))
        workers.run(lambda: self.process_request_thread(request, client_address))

    def _has_room(self, peer: str) -> bool:
        """Whether one more connection from there may come, now that a stranger's has gone where there are too many."""
        with self._counting:
            strangers = [(request, known.peer) for request, known in self._open.items() if not known.is_known]
            of_peer = [request for request, address in strangers if address == peer]
            if len(of_peer) >= self.strangers_limit:
                leaves = of_peer[0]
            elif len(self._open) < self.connection_limit:
                return True
            elif strangers:
                leaves = strangers[0][0]
            else:
                return False
            del self._open[leaves]
        with contextlib.suppress(OSError):  # it has gone by itself
            leaves.shutdown(socket.SHUT_RDWR)  # its thread notices, and closes it
        return True

    def shutdown_request(self, request: object) -> None:
        """Forget the connection."""
        assert isinstance(request, socket.socket)
        with self._counting:
            self._open.pop(request, None)
        super().shutdown_request(request)
