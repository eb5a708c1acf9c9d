"""What comes over WinRM may be damaged in any way: it is an error with a sentence, soon, or no harm at all."""

import base64
import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import FltLabError
from harness.guest.local import LocalGuest
from harness.guest.winrm import WinRmSession
from harness.machine.deadlines import Deadlines
from tests.fuzz.mutate import mutated
from tests.limits import HANG

SHORT = Deadlines(0.2)


class DamagingProxy:
    """Stands between a client and a daemon: the answer with the number `damages` is damaged, and is the last."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.chosen = random.Random(0)
        self.damages = 0
        self._answers = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def begin(self, seed: int) -> None:
        self.chosen = random.Random(seed)
        self.damages, self._answers = self.chosen.randrange(4), 0

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listening.accept()
                threading.Thread(target=self._carry, args=(ours,), daemon=True).start()

    def _carry(self, ours: socket.socket) -> None:
        with (
            contextlib.suppress(OSError, ValueError),
            ours,
            socket.create_connection(("127.0.0.1", self._port)) as theirs,
        ):
            while request := _message(ours):
                theirs.sendall(request)
                answer, number = _message(theirs), self._answers
                self._answers += 1
                if number == self.damages:
                    ours.sendall(mutated(answer, self.chosen))
                    return
                ours.sendall(answer)


def _message(stream: socket.socket) -> bytes:
    """One whole request or answer of HTTP, with its length in a header; nothing at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        more = stream.recv(65536)
        if not more:
            return b""
        body += more
    return head + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGuest]:
    guest = LocalGuest(tmp_path_factory.mktemp("guest") / "guest")
    yield guest
    guest.close()


def test_answers_that_are_damaged_are_errors_of_the_guest(
    guest: LocalGuest, times: Callable[[int], range], tell: dict[str, object]
):
    proxy = DamagingProxy(guest.endpoint.port)
    tried = whole = errors = 0
    sentences: set[str] = set()
    for seed in times(60):
        proxy.begin(seed)
        tried += 1
        endpoint = replace(guest.endpoint, port=proxy.port)
        session = WinRmSession(endpoint, "the guest", SHORT)
        try:
            assert isinstance(session.run("ver", timeout=2.0).exit_code, int)
            whole += 1
        except FltLabError as error:
            sentences.add(type(error).__name__)
            errors += 1 if error.message else 0
        finally:
            session.disconnect()
    proxy.close()

    assert guest.run("ver").ok
    assert 0 < errors == tried - whole
    assert whole  # some damage does no harm: the guest was reached
    assert "ConnectionLost" in sentences
    tell |= {"hostile exchanges (client)": whole + errors, "errors": errors, "kinds": sorted(sentences)}


def _post(path: str, body: bytes, password: str) -> bytes:
    said = base64.b64encode(f"fltlab:{password}".encode()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {said}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/soap+xml;charset=UTF-8\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


CREATE = Path(__file__).with_name("create.xml").read_bytes()


def test_requests_that_are_damaged_leave_the_daemon_as_it_is(
    guest: LocalGuest, times: Callable[[int], range], tell: dict[str, object]
):
    whole = _post("/wsman", CREATE, guest.endpoint.password)
    answered: dict[bytes, int] = {}
    for seed in times(300):
        chosen = random.Random(seed)
        with socket.create_connection(("127.0.0.1", guest.endpoint.port), timeout=HANG) as stream:
            with contextlib.suppress(OSError):
                stream.sendall(mutated(whole, chosen))
                stream.shutdown(socket.SHUT_WR)
            try:
                status = stream.recv(65536)[9:12]
            except ConnectionError:
                status = b"cut"
        answered[status] = answered.get(status, 0) + 1

    assert guest.run("ver").ok
    assert set(answered) <= {b"", b"cut", b"200", b"400", b"401", b"404", b"405", b"411", b"413", b"500", b"501"}
    tell |= {
        "hostile exchanges (server)": sum(answered.values()),
        "answers": {status.decode(): count for status, count in sorted(answered.items())},
    }
