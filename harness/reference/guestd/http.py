"""HTTP/1.1 as WinRM's clients speak it: POST with a length, kept connections, one thread each.

The standard library's http.server costs seconds of imports under TCG; this is the part of it that is needed.
"""

import contextlib
import socket
import socketserver
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.reference.guestd.workers import workers

HEADER_LIMIT = 64 * 1024
BODY_LIMIT = 1024 * 1024
"""Bytes of one body: twice the largest envelope, so that a client learns by a SOAP fault what is too large."""
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

    def __init__(self) -> None:
        self.authentication: object = None


Handler = Callable[[Request, Connection], Response]


class _RequestHandler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: "Server"

    def handle(self) -> None:
        connection = Connection()
        self.connection.settimeout(self.server.patience)
        try:
            while True:
                try:
                    request = self._read()
                except BadRequest as bad:
                    self._write(Response(bad.status, content_type="text/plain"), keep=False)
                    self._linger()
                    return
                if request is None:
                    return
                keep = request.headers.get("connection", "").lower() != "close"
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
            traceback.print_exc(file=sys.stderr)
            return None

    def _read(self) -> Request | None:
        line = self.rfile.readline(HEADER_LIMIT)
        if not line:
            return None
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
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(length)
        if len(body) < length:
            return None
        return Request(words[0], words[1], headers, body)

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
    """Listens, and hands every request to `handler`."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    connection_limit = 256
    patience = 60.0
    """Seconds for the next piece of a request to come, or of an answer to be taken."""
    idle = 900.0
    """Seconds for the next request on a connection that has been served."""

    def __init__(self, address: str, port: int, handler: Handler) -> None:
        super().__init__((address, port), _RequestHandler)
        self._handler = handler
        self._open: set[socket.socket] = set()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])

    def answer(self, request: Request, connection: Connection) -> Response:
        """The response to a request."""
        return self._handler(request, connection)

    def process_request(self, request: object, client_address: object) -> None:
        """Count the connection, or refuse it if there are too many."""
        assert isinstance(request, socket.socket)
        if len(self._open) >= self.connection_limit:
            request.settimeout(1)
            with contextlib.suppress(OSError):  # it does not even listen
                request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            super().shutdown_request(request)
            return
        self._open.add(request)
        workers.run(lambda: self.process_request_thread(request, client_address))

    def shutdown_request(self, request: object) -> None:
        """Forget the connection."""
        assert isinstance(request, socket.socket)
        self._open.discard(request)
        super().shutdown_request(request)
