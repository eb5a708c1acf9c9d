"""What is wrong with a request is said as Windows says it: by the code of the WSManFault."""

import socket

import pytest

from harness.guest import LocalGuest
from tests.daemon.conftest import CREATE, SHELL, Raw
from tests.limits import HANG

TIMED_OUT, SHELL_NOT_FOUND, BAD_SELECTOR, COMMAND_NOT_FOUND = 2150858793, 2150858843, 2150858769, 2150858844
TOO_LARGE, NOT_SUPPORTED, BAD_ENVELOPE, BAD_RESOURCE = 2150858817, 2150858775, 2150858760, 2150858752
NOBODY = "11111111-1111-1111-1111-111111111111"


def test_a_receive_without_news_times_out_and_the_command_goes_on(raw: Raw):
    shell = raw.open_shell()
    command = raw.start(shell, r"fltlab-receive C:\waits")

    answer = raw.receive(shell, command, timeout="PT0.1S")

    assert (answer.status, answer.fault, answer.subcode) == (500, TIMED_OUT, "w:TimedOut")
    send = f'<rsp:Send><rsp:Stream Name="stdin" CommandId="{command}" End="true"/></rsp:Send>'
    assert raw.ask(f"{SHELL}/Send", send, shell=shell).status == 200
    assert "CommandState/Done" in raw.receive(shell, command).text


@pytest.mark.parametrize("action", ["Command", "Send", "Receive", "Signal"])
def test_an_unknown_shell_is_named(raw: Raw, action: str):
    answer = raw.ask(f"{SHELL}/{action}", shell=NOBODY)

    assert (answer.fault, answer.subcode) == (SHELL_NOT_FOUND, "w:InvalidSelectors")
    assert NOBODY in answer.text


def test_a_deleted_shell_is_gone_with_its_commands(raw: Raw):
    shell = raw.open_shell()
    command = raw.start(shell, r"fltlab-receive C:\never")

    assert raw.ask("http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete", shell=shell).status == 200

    assert raw.receive(shell, command).fault == SHELL_NOT_FOUND


def test_a_bad_selector_is_refused(raw: Raw):
    answer = raw.ask(f"{SHELL}/Command", selectors={"Shellid2": "x"})

    assert (answer.fault, answer.subcode) == (BAD_SELECTOR, "w:InvalidSelectors")


def test_an_unknown_command_is_named(raw: Raw):
    assert raw.receive(raw.open_shell(), NOBODY).fault == COMMAND_NOT_FOUND


def test_an_oversized_envelope_is_refused(raw: Raw):
    answer = raw.post(b"<x>" + b" " * (513 * 1024))

    assert (answer.fault, answer.subcode) == (TOO_LARGE, "w:EncodingLimit")


@pytest.mark.parametrize(
    "body", [b"this is no XML", b"<x/>", b"<s:Envelope", b'<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>']
)
def test_what_is_no_envelope_is_refused(raw: Raw, body: bytes):
    assert raw.post(body).fault == BAD_ENVELOPE


def test_an_unknown_action_or_resource_is_refused(raw: Raw):
    assert raw.ask("http://schemas.example.com/Dance").fault == NOT_SUPPORTED
    assert raw.ask(CREATE, resource="http://schemas.example.com/nothing").fault == BAD_RESOURCE


def test_terminate_ends_a_command_that_waits(raw: Raw):
    shell = raw.open_shell()
    command = raw.start(shell, r"fltlab-receive C:\waits")

    assert raw.signal(shell, command, "terminate").status == 200
    assert raw.receive(shell, command).fault == COMMAND_NOT_FOUND


def test_control_c_ends_a_command_with_its_exit_code(raw: Raw):
    shell = raw.open_shell()
    command = raw.start(shell, r"fltlab-receive C:\waits")

    raw.signal(shell, command, "ctrl_c")

    assert str(0xC000013A) in raw.receive(shell, command).text


# -- below SOAP


def spoken(guest: LocalGuest, data: bytes) -> bytes:
    """What the daemon answers to bytes on a connection of their own."""
    with socket.create_connection((guest.endpoint.host, guest.endpoint.port), timeout=HANG) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"what?\r\n\r\n", b"400"),
        (b"POST /wsman HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST /wsman HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"400"),
        (b"POST /wsman HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST /wsman HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"501"),
        (b"GET /wsman HTTP/1.1\r\n\r\n", b"405"),
        (b"POST /elsewhere HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /wsman HTTP/1.1\r\n\r\n", b"401"),
        (b"POST /wsman HTTP/1.1\r\nAuthorization: Basic !!!\r\n\r\n", b"401"),
        (b"POST /wsman HTTP/1.1\r\nX: " + b"x" * 70000 + b"\r\n\r\n", b"400"),
    ],
)
def test_bad_http_is_answered_and_does_no_harm(daemon: LocalGuest, data: bytes, status: bytes):
    assert spoken(daemon, data).split()[1] == status
    assert daemon.run("ver").ok


def test_a_request_that_breaks_off_is_forgotten(daemon: LocalGuest):
    assert spoken(daemon, b"POST /wsman HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf") == b""
    assert daemon.run("ver").ok
