"""What a clumsy or hostile client sends does no harm to the daemon, nor to those that it serves meanwhile."""

import base64
import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from requests_ntlm import HttpNtlmAuth

from harness.guest import LocalGuest
from harness.reference.guestd import wsman
from harness.reference.guestd.authentication import Authenticator
from harness.reference.guestd.configuration import Configuration
from harness.reference.guestd.http import Connection, Request
from harness.reference.guestd.shells import MAX_FINISHED, MAX_INPUT, Command, Shell
from harness.reference.guestd.workers import KEPT
from harness.reference.guestd.wsman import Service
from tests.daemon.conftest import CREATE, SHELL, Raw
from tests.limits import HANG, until
from tests.processes import children, stop

TIMED_OUT, TOO_MANY, BAD_ENVELOPE = 2150858793, 2150859173, 2150858760


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
    (nursery,) = children(daemon.pid)
    (kernel,) = children(nursery)
    shell = raw.open_shell()
    stop(kernel)
    try:
        # Threads of connections that others have left may end meanwhile: many more commands than there are of those.
        before = threads()
        commands = [raw.start(shell, "fltmc filters") for _ in range(before + 30)]
        assert threads() >= 30
        for command in commands:
            raw.signal(shell, command, "terminate")
        until(lambda: threads() <= before + KEPT, "the threads of the commands to end")
    finally:
        os.kill(kernel, signal.SIGCONT)
    assert daemon.run("fltmc filters").ok


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
        read.wait(HANG)
        return len(command.read_all()) >> 20

    command = Command("slow", Shell(), run)
    command.start()
    assert command.feed(bytes(MAX_INPUT), end=False, timeout=0)
    assert not command.feed(b"more", end=True, timeout=0.01)

    read.set()

    assert command.feed(bytes(1 << 20), end=True, timeout=HANG)  # nothing of what was refused has stayed
    assert command.drain(HANG) == ({"stdout": b"", "stderr": b""}, True)
    assert command.exit_code == 17


def test_input_for_a_command_that_has_ended_is_dropped():
    command = Command("ends", Shell(), lambda _: 0)
    command.start()
    command.drain(HANG)

    for _ in range(3):
        assert command.feed(bytes(MAX_INPUT), end=False, timeout=0)
    assert not command._input


def test_commands_that_nobody_terminated_are_forgotten_when_they_are_many():
    shell = Shell()
    commands = [Command("ends", shell, lambda _: 0) for _ in range(MAX_FINISHED + 50)]
    for command in commands:
        command.start()
        command.drain(HANG)
        shell.add(command)

    assert len(shell.commands) <= MAX_FINISHED + 1
    assert commands[-1].id in shell.commands


# -- who comes in


def test_many_ntlm_handshakes_at_a_time_and_those_that_break_off(daemon: LocalGuest):
    end = daemon.endpoint

    def come_in(password: str) -> int:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(end.url, auth=HttpNtlmAuth(end.user, password), timeout=HANG)
            return answer.status_code

    def break_off() -> int:
        token = base64.b64encode(b"NTLMSSP\0" + os.urandom(24)).decode()
        with requests.Session() as session:
            session.trust_env = False
            return session.post(end.url, headers={"Authorization": f"Negotiate {token}"}, timeout=HANG).status_code

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
        assert session.post(end.url, auth=HttpNtlmAuth(end.user, end.password), timeout=HANG).status_code == 200
        answer = session.post(end.url, data=body, headers=kind, timeout=HANG)

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
