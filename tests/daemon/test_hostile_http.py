"""What a clumsy or hostile client sends as HTTP: it harms neither the daemon nor those that it serves meanwhile."""

import socket
import threading
from collections.abc import Iterator

import pytest

from harness.guest import LocalGuest
from harness.guest.winrm import WinRmSession
from harness.reference.guestd.http import Connection, Request, Response, Server
from tests.limits import HANG

TIMED_OUT, TOO_MANY, BAD_ENVELOPE = 2150858793, 2150859173, 2150858760


@pytest.fixture
def server() -> Iterator[Server]:
    """An HTTP server that echoes, in this process; a path of /break breaks its handler."""

    def handler(request: Request, _connection: Connection) -> Response:
        if request.path == "/break":
            raise RuntimeError("the handler")
        return Response(200, request.body)

    def gate(head: Request, connection: Connection) -> Response | None:
        connection.is_known = connection.is_known or "x-stranger" not in head.headers
        return Response(401, content_type="text/plain") if head.path == "/refused" else None

    with Server("127.0.0.1", 0, gate, handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=HANG)


def to_its_end(connection: socket.socket) -> bytes:
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def post(path: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", *headers, "", ""]).encode() + body


# -- HTTP


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (post("/", "Content-Length: +5", body=b"12345"), b"400"),
        (post("/", "Content-Length: 1_0", body=b"1234567890"), b"400"),
        (post("/", "Content-Length: -1"), b"400"),
        (post("/", "Content-Length: ٣".encode().decode("latin-1"), body=b"123"), b"400"),
        (post("/", "Content-Length: 3", "Content-Length: 4", body=b"1234"), b"400"),
        (post("/", "Content-Length : 3", body=b"123"), b"400"),
        (post("/", "X: one", " folded: two"), b"400"),
        (post("/", "Content-Length: " + "9" * 5000), b"413"),
        (post("/", f"Content-Length: {1024 * 1024 + 1}"), b"413"),
        (b"POST " + b"x" * 70000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"\0\xff\xfe\r\n\r\n", b"400"),
        (b"POST / HTTP/2.0\r\n\r\n", b"400"),
    ],
)  # fmt: skip
def test_a_request_that_could_be_read_in_two_ways_is_refused_and_ends_the_connection(
    server: Server, data: bytes, status: bytes
):
    with connect(server) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert to_its_end(connection).split()[1] == status


def test_a_client_that_asks_before_it_sends_a_body_is_told_to_go_on(server: Server):
    with connect(server) as connection:
        connection.sendall(post("/", "Content-Length: 4", "Expect: 100-continue", "Connection: close"))
        assert connection.recv(25, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert to_its_end(connection).endswith(b"\r\n\r\nbody")


def test_requests_that_are_sent_at_once_are_answered_in_turn(server: Server):
    with connect(server) as connection:
        connection.sendall(b"".join(post("/", "Content-Length: 1", body=b"%d" % number) for number in range(5)))
        connection.shutdown(socket.SHUT_WR)
        bodies = [part[:1] for part in to_its_end(connection).split(b"\r\n\r\n")[1:]]
    assert bodies == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("data", [b"", b"POST", post("/")[:-2], post("/", "Content-Length: 9", body=b"half")])
def test_a_client_that_stops_in_the_middle_is_not_waited_for_for_ever(server: Server, data: bytes):
    server.patience = 0.05
    with connect(server) as connection:
        connection.sendall(data)
        assert to_its_end(connection) == b""


def test_a_connection_that_has_been_served_may_rest_for_longer(server: Server):
    server.patience, server.idle = HANG, 0.05
    with connect(server) as connection:
        connection.sendall(post("/", "Content-Length: 1", body=b"x"))
        assert to_its_end(connection).endswith(b"x")  # and then the end of its rest


def test_too_many_connections_are_refused_and_those_that_are_there_are_served(server: Server):
    server.connection_limit = 2
    with connect(server) as first, connect(server) as second:
        for connection in (first, second):
            connection.sendall(post("/", "Content-Length: 1", body=b"x"))
            assert b"200 OK" in connection.recv(4096)
        with connect(server) as third:
            assert to_its_end(third).startswith(b"HTTP/1.1 503")
        first.sendall(post("/", "Connection: close"))
        assert b"200 OK" in to_its_end(first)


def test_a_handler_that_breaks_answers_and_the_next_request_is_served(
    server: Server, capfd: pytest.CaptureFixture[str]
):
    with connect(server) as connection:
        connection.sendall(post("/break"))
        assert to_its_end(connection).startswith(b"HTTP/1.1 500")
    with connect(server) as connection:
        connection.sendall(post("/", "Connection: close"))
        assert b"200 OK" in to_its_end(connection)
    assert "RuntimeError: the handler" in capfd.readouterr().err


def test_clients_that_hang_keep_nobody_from_the_daemon(daemon: LocalGuest):
    address = (daemon.endpoint.host, daemon.endpoint.port)
    idle = [socket.create_connection(address, timeout=HANG) for _ in range(40)]
    try:
        for connection in idle[::2]:
            connection.sendall(b"POST /wsman HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf")
        with WinRmSession(daemon.endpoint, "another") as session:
            assert session.run("echo served").output == "served\n"
    finally:
        for connection in idle:
            connection.close()


def test_slow_strangers_lose_their_connections_to_who_comes_after_them(server: Server):
    server.strangers_limit = 3
    slow = [connect(server) for _ in range(10)]
    try:
        for connection in slow:
            connection.sendall(b"POST / HTTP/1.1\r\nX-Stranger: yes\r\nX: a byte now and then")
        with connect(server) as known:
            known.sendall(post("/", "Content-Length: 1", body=b"x"))
            assert b"200 OK" in known.recv(4096)
            later = [connect(server) for _ in range(5)]
            assert all(to_its_end(connection) == b"" for connection in slow[:8])
            known.sendall(post("/", "Connection: close"))  # who is known keeps theirs
            assert b"200 OK" in to_its_end(known)
            for connection in later:
                connection.close()
    finally:
        for connection in slow:
            connection.close()


def test_strangers_make_room_also_where_all_connections_are_taken(server: Server):
    server.connection_limit = 2
    with connect(server) as known, connect(server) as stranger:
        known.sendall(post("/", "Content-Length: 1", body=b"x"))
        assert b"200 OK" in known.recv(4096)
        with connect(server) as third:
            third.sendall(post("/", "Connection: close"))
            assert b"200 OK" in to_its_end(third)
        assert to_its_end(stranger) == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (post("/", "X-Stranger: 1", "Content-Length: 16385", "Expect: 100-continue"), b"413"),
        (
            post("/refused", "X-Stranger: 1", "Content-Length: 1000000", "Connection: close", body=bytes(1000000)),
            b"401",
        ),
        (post("/refused", "X-Stranger: 1", "Content-Length: 1048577"), b"413"),
        (post("/", "X-Stranger: 1", "Content-Length: 9", "Connection: close", body=b"who's that"[:9]), b"200"),
    ],
)
def test_of_a_stranger_no_large_body_is_kept(
    server: Server, data: bytes, status: bytes, monkeypatch: pytest.MonkeyPatch
):
    kept: list[int] = []
    answer = Server.answer
    monkeypatch.setattr(
        Server, "answer", lambda self, request, c: kept.append(len(request.body)) or answer(self, request, c)
    )
    with connect(server) as connection:
        connection.sendall(data)
        assert to_its_end(connection).split()[1] == status
    assert kept == ([9] if status == b"200" else [])


def test_a_gate_that_breaks_lets_nobody_in(capfd: pytest.CaptureFixture[str]):
    def gate(_head: Request, _connection: Connection) -> Response | None:
        raise RuntimeError("the gate")

    def handler(_request: Request, _connection: Connection) -> Response:
        return Response(200)

    with Server("127.0.0.1", 0, gate, handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for _ in range(20):
            with connect(server) as connection:
                connection.sendall(post("/"))
                assert to_its_end(connection).startswith(b"HTTP/1.1 500")
        server.shutdown()
        thread.join()
    told = capfd.readouterr().err
    assert (told.count("Traceback"), told.count("the same for the")) == (1, 4)
