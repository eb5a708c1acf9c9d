"""A guest that never comes to an end, or sends what would fill the memory, is an error within a deadline."""

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from harness.errors import GuestError
from harness.guest.endpoint import Endpoint
from harness.guest.winrm import WinRmSession
from harness.machine.deadlines import Deadlines

SHORT = Deadlines(0.2)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml;charset=UTF-8\r\n"
MIB = 1 << 20


def a_byte_at_a_time(stream: socket.socket) -> None:
    for byte in OK * 1000:
        stream.sendall(bytes([byte]))
        time.sleep(0.2)


def continue_for_ever(stream: socket.socket) -> None:
    while True:
        stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.001)


def headers_for_ever(stream: socket.socket) -> None:
    stream.sendall(OK)
    while True:
        stream.sendall(b"X-More: " + b"x" * 100 + b"\r\n")


def three_gigabytes(stream: socket.socket) -> None:
    stream.sendall(OK + f"Content-Length: {3 << 30}\r\n\r\n".encode())
    while True:
        stream.sendall(bytes(MIB))


def a_body_without_end(stream: socket.socket) -> None:
    stream.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        stream.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def a_bomb(stream: socket.socket) -> None:
    body = gzip.compress(bytes(64 * MIB))
    stream.sendall(OK + f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def xml_in_xml(stream: socket.socket) -> None:
    body = b"<a>" * 100_000
    stream.sendall(OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)


def entities(stream: socket.socket) -> None:
    lines = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    body = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "x">{lines}]><a>&e11;</a>'.encode()
    stream.sendall(OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)


@contextlib.contextmanager
def guest_that(does: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that takes a request and then does something; the port."""
    ended = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while not ended.is_set():
                stream, _ = listening.accept()
                with stream, contextlib.suppress(OSError):
                    stream.recv(65536)
                    does(stream)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield int(listening.getsockname()[1])
        ended.set()


@pytest.mark.parametrize(
    "does",
    [
        a_byte_at_a_time,
        continue_for_ever,
        headers_for_ever,
        three_gigabytes,
        a_body_without_end,
        a_bomb,
        xml_in_xml,
        entities,
    ],
    ids=lambda does: does.__name__,
)
def test_a_guest_that_does_not_end_is_an_error(does: Callable[[socket.socket], None]):
    with guest_that(does) as port:
        session = WinRmSession(Endpoint(port, "fltlab", "secret"), "the guest", SHORT)

        with pytest.raises(GuestError) as caught:
            session.run("ver", timeout=2.0)

    assert "the guest" in caught.value.message
    session.disconnect()
