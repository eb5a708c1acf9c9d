"""What a clumsy or hostile client sends does no harm to the daemon, nor to those that it serves meanwhile."""

import base64
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from requests_ntlm import HttpNtlmAuth

from harness.guest import LocalGuest
from harness.guest.winrm import WinRmSession
from harness.reference.guestd import wsman
from harness.reference.guestd.authentication import Authenticator
from harness.reference.guestd.configuration import Configuration
from harness.reference.guestd.http import Connection, Request, Response, Server
from harness.reference.guestd.shells import MAX_FINISHED, MAX_INPUT, Command, Shell
from harness.reference.guestd.workers import KEPT
from harness.reference.guestd.wsman import Service
from tests.daemon.conftest import CREATE, SHELL, Raw

TIMED_OUT, TOO_MANY, BAD_ENVELOPE = 2150858793, 2150859173, 2150858760
SECONDS = 20


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
    return socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)


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
    server.patience, server.idle = SECONDS, 0.05
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
    idle = [socket.create_connection(address, timeout=SECONDS) for _ in range(40)]
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


def test_who_is_nobody_learns_what_this_is_and_no_more(service: Service):
    head = Request("POST", "/wsman", {"wsmanidentify": "unauthenticated"}, b"")
    connection = Connection()
    assert service.refuse(head, connection) is None
    assert not connection.is_known
    for body in (b"", b"<x/>", b"Command"):
        assert service.handle(Request("POST", "/wsman", head.headers, body), connection).status == 401
    refusal = service.refuse(Request("POST", "/wsman", {}, b""), connection)
    assert refusal is not None
    assert refusal.status == 401


def test_the_thread_of_a_command_ends_with_it_whatever_it_waits_for(daemon: LocalGuest, raw: Raw):
    def threads() -> int:
        return len(list(Path(f"/proc/{daemon.pid}/task").iterdir()))

    assert daemon.run("fltmc filters").ok  # its kernel runs
    kernel = next(
        int(status.parent.name)
        for status in Path("/proc").glob("[0-9]*/cmdline")
        if _is_kernel_of(daemon, int(status.parent.name))
    )
    shell = raw.open_shell()
    os.kill(kernel, signal.SIGSTOP)
    try:
        before = threads()
        commands = [raw.start(shell, "fltmc filters") for _ in range(30)]
        assert threads() >= before + 30 - KEPT
        for command in commands:
            raw.signal(shell, command, "terminate")
        end = time.monotonic() + SECONDS
        while threads() > before + KEPT and time.monotonic() < end:
            time.sleep(0.01)
        assert threads() <= before + KEPT
    finally:
        os.kill(kernel, signal.SIGCONT)
    assert daemon.run("fltmc filters").ok


def _is_kernel_of(daemon: LocalGuest, pid: int) -> bool:
    """Whether a process is the daemon's kernel: a child of its nursery, which is a child of it."""

    def parent(of: int) -> int:
        try:
            return int(Path(f"/proc/{of}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return 0

    return parent(parent(pid)) == daemon.pid


# -- WS-Management


@pytest.mark.parametrize("timeout", ["PT99999999999H", "P1Y", "-PT5S", "soon", "PT0S"])
def test_an_odd_timeout_breaks_nothing(raw: Raw, timeout: str):
    shell = raw.open_shell()
    command = raw.start(shell, "echo here")

    answer = raw.receive(shell, command, timeout=timeout)

    assert answer.status == 200 or answer.fault == TIMED_OUT
    assert "CommandState/Done" in (answer.text if answer.status == 200 else raw.receive(shell, command).text)


@pytest.mark.parametrize(
    "body",
    [
        b"<x>" * 20000,
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b'<!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        b"\xff\xfe\0\0",
        b'<?xml version="1.0" encoding="no-such"?><x/>',
    ],
)
def test_xml_that_means_harm_is_no_envelope(raw: Raw, body: bytes):
    answer = raw.post(body)

    assert answer.fault == BAD_ENVELOPE
    assert "root:" not in answer.text


def test_base64_that_is_none_is_no_envelope(raw: Raw):
    shell = raw.open_shell()
    command = raw.start(shell, r"fltlab-receive C:\waits")
    send = f'<rsp:Send><rsp:Stream Name="stdin" CommandId="{command}">A</rsp:Stream></rsp:Send>'

    assert raw.ask(f"{SHELL}/Send", send, shell=shell).fault == BAD_ENVELOPE
    raw.signal(shell, command, "terminate")


def test_one_shells_command_is_not_anothers(raw: Raw):
    command = raw.start(raw.open_shell(), "echo mine")

    assert raw.receive(raw.open_shell(), command).fault == 2150858844


@pytest.fixture
def service() -> Service:
    """The service in this process; its commands wait for the end of their input."""

    def run(command: Command) -> int:
        return len(command.read_all()) % 256

    return Service(Authenticator(Configuration("password", "boot")), "here", run)


def ask(service: Service, action: str, body: str = "", shell: str = "") -> bytes:
    envelope = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        f' xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:rsp="{SHELL}"><s:Header>'
        f"<a:Action>{action}</a:Action><w:ResourceURI>{SHELL}/cmd</w:ResourceURI>"
        "<w:OperationTimeout>PT0.01S</w:OperationTimeout>"
        f'<w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet>'
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
    basic = base64.b64encode(b"fltlab:password").decode()
    request = Request("POST", "/wsman", {"authorization": f"Basic {basic}"}, envelope.encode())
    connection = Connection()
    assert service.refuse(request, connection) is None
    return service.handle(request, connection).body


def value(answer: bytes, name: str) -> str:
    return answer.decode().partition(f"<rsp:{name}>")[2].partition("<")[0]


def start(service: Service, shell: str) -> str:
    line = "<rsp:CommandLine><rsp:Command>wait</rsp:Command></rsp:CommandLine>"
    return value(ask(service, f"{SHELL}/Command", line, shell), "CommandId")


def test_shells_that_clients_left_behind_make_room_and_those_at_work_do_not(
    service: Service, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wsman, "MAX_SHELLS", 3)
    shells = [value(ask(service, CREATE), "ShellId") for _ in range(3)]
    start(service, shells[0])

    fourth = value(ask(service, CREATE), "ShellId")  # in the place of the second, used longest ago

    assert start(service, fourth)
    assert start(service, shells[2])
    assert b"2150858843" in ask(service, f"{SHELL}/Command", shell=shells[1])
    assert str(TOO_MANY).encode() in ask(service, CREATE)


def test_input_that_nobody_reads_is_not_kept_without_end():
    read = threading.Event()

    def run(command: Command) -> int:
        read.wait(SECONDS)
        return len(command.read_all()) >> 20

    command = Command("slow", Shell(), run)
    command.start()
    assert command.feed(bytes(MAX_INPUT), end=False, timeout=0)
    assert not command.feed(b"more", end=True, timeout=0.01)

    read.set()

    assert command.feed(bytes(1 << 20), end=True, timeout=SECONDS)  # nothing of what was refused has stayed
    assert command.drain(SECONDS) == ({"stdout": b"", "stderr": b""}, True)
    assert command.exit_code == 17


def test_input_for_a_command_that_has_ended_is_dropped():
    command = Command("ends", Shell(), lambda _: 0)
    command.start()
    command.drain(SECONDS)

    for _ in range(3):
        assert command.feed(bytes(MAX_INPUT), end=False, timeout=0)
    assert not command._input


def test_commands_that_nobody_terminated_are_forgotten_when_they_are_many():
    shell = Shell()
    commands = [Command("ends", shell, lambda _: 0) for _ in range(MAX_FINISHED + 50)]
    for command in commands:
        command.start()
        command.drain(SECONDS)
        shell.add(command)

    assert len(shell.commands) <= MAX_FINISHED + 1
    assert commands[-1].id in shell.commands


# -- who comes in


def test_many_ntlm_handshakes_at_a_time_and_those_that_break_off(daemon: LocalGuest):
    end = daemon.endpoint

    def come_in(password: str) -> int:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(end.url, auth=HttpNtlmAuth(end.user, password), timeout=SECONDS)
            return answer.status_code

    def break_off() -> int:
        token = base64.b64encode(b"NTLMSSP\0" + os.urandom(24)).decode()
        with requests.Session() as session:
            session.trust_env = False
            return session.post(end.url, headers={"Authorization": f"Negotiate {token}"}, timeout=SECONDS).status_code

    with ThreadPoolExecutor(6) as pool:
        right = [pool.submit(come_in, end.password) for _ in range(6)]
        wrong = [pool.submit(come_in, "wrong") for _ in range(3)]
        broken = [pool.submit(break_off) for _ in range(3)]

    assert [job.result() for job in right] == [200] * 6
    assert [job.result() for job in wrong + broken] == [401] * 6


@pytest.mark.parametrize(
    "body", [b"", b"--Encrypted Boundary", b"Length=1 application/octet-stream\r\n\1--Encrypted Boundary"]
)
def test_a_sealed_message_that_is_none_is_refused(daemon: LocalGuest, body: bytes):
    end = daemon.endpoint
    kind = {"Content-Type": 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted"'}
    with requests.Session() as session:
        session.trust_env = False
        assert session.post(end.url, auth=HttpNtlmAuth(end.user, end.password), timeout=SECONDS).status_code == 200
        answer = session.post(end.url, data=body, headers=kind, timeout=SECONDS)

    assert answer.status_code == (400 if body else 200)


def test_no_secret_is_left_anywhere_but_in_the_configuration(daemon: LocalGuest, raw: Raw):
    """Whatever was sent to it, by all the tests before too."""
    end = daemon.endpoint
    raw.post(b"garbage")
    raw.ask("nonsense")
    daemon.run(f"echo {'x' * 100}")
    daemon.run("fltlab-guest forked", b"no JSON")
    basic = base64.b64encode(f"{end.user}:{end.password}".encode())
    for path in daemon.folder.rglob("*"):
        if path.is_file() and path.name != "daemon.json":
            content = path.read_bytes()
            assert end.password.encode() not in content, path
            assert basic not in content, path
    for name in ("cmdline", "environ"):
        assert end.password.encode() not in Path(f"/proc/{daemon.pid}/{name}").read_bytes()


# -- what only a machine of its own may do


def test_a_local_guest_does_not_set_the_clock_of_its_host(daemon: LocalGuest):
    told = json.dumps({"time": 86400, "entropy": "", "boot_id": "x", "password": "y"}).encode()

    result = daemon.run("fltlab-guest forked", told)

    assert result.exit_code == 1
    assert "no machine that could be forked" in result.errors
    assert daemon.identity(daemon.boot_id).time > 86400 * 365


@pytest.mark.parametrize(
    "line",
    [
        "type " + "x" * 5000,
        "certutil -hashfile " + "x" * 300 + " SHA256",
        "reg delete HKLM /f",
        "fltmc load ..\\..\\x",
        "sc",
        "call",
        "fltlab-kernel",
        "fltlab-receive",
        "fltlab-send C:\\",
        "type C:\\",
    ],
)
def test_an_odd_command_ends_with_words_and_not_with_a_traceback(daemon: LocalGuest, line: str):
    result = daemon.run(line)

    assert line == "call" or not result.ok
    assert "the guest daemon failed" not in result.errors
    assert daemon.run("ver").ok


@pytest.mark.parametrize("head", [b"-5 x C:\\a\n", b"many x C:\\a\n", b"5\n", b"\xff\xfe\n", b"x" * 10000])
def test_a_stream_of_files_that_is_none_is_refused(daemon: LocalGuest, head: bytes):
    assert daemon.run("fltlab-receive --batch", head).exit_code == 87
