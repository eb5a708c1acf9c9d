"""Connections that another thread can break, and on which nothing lasts for ever or is of any size.

A request to a guest that has just died need not wait for its answer. Nor does one to a guest that sends a byte a
second, `100 Continue` without end, or an answer that would fill the memory.
"""

import contextlib
import http.client
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

ANSWER_LIMIT = 8 << 20
"""Bytes of one answer at most; Windows is asked for 512,000, of which base64 and headers make less than double."""
_CHUNK = 1 << 16


class UnboundedAnswerError(requests.exceptions.RequestException):
    """An answer was larger than any answer of WinRM, or packed so that it could be."""


@dataclass(eq=False)
class _Alarm:
    """What is to be called at a time, unless it is cancelled before."""

    at: float
    ring: Callable[[], None]
    rang: bool = False


class _Clock:
    """The alarms of all requests, with one thread for them: one for each would cost as much as sending a request."""

    def __init__(self) -> None:
        self._alarms: set[_Alarm] = set()
        self._changed = threading.Condition()
        self._wakes_at = float("inf")
        self._runs = False

    def set(self, seconds: float, ring: Callable[[], None]) -> _Alarm:
        """Have `ring` called in so many seconds, in the clock's thread."""
        alarm = _Alarm(time.monotonic() + seconds, ring)
        with self._changed:
            self._alarms.add(alarm)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="ends of requests", daemon=True).start()
            elif alarm.at < self._wakes_at:
                self._changed.notify()
        return alarm

    def cancel(self, alarm: _Alarm) -> None:
        """Forget an alarm; one that rings now has rung."""
        with self._changed:
            self._alarms.discard(alarm)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for alarm in [alarm for alarm in self._alarms if alarm.at <= now]:
                    self._alarms.discard(alarm)
                    alarm.rang = True
                    alarm.ring()
                self._wakes_at = min((alarm.at for alarm in self._alarms), default=float("inf"))
                self._changed.wait(min(self._wakes_at - now, threading.TIMEOUT_MAX))


_CLOCK = _Clock()


def _begin_anew() -> None:
    """A forked process has no thread but the one that forked it."""
    global _CLOCK  # noqa: PLW0603
    _CLOCK = _Clock()


os.register_at_fork(after_in_child=_begin_anew)


class BreakableAdapter(HTTPAdapter):
    """Connections of one session; `break_all` ends them, and those still to come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._broken = False
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Have every connection come through our hands."""
        super().init_poolmanager(*arguments, **options)
        adapter = self

        class Connection(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                adapter._opened(self.sock)

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        class SecureConnection(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                adapter._opened(self.sock)

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = SecureConnection

        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send a request; the content of its answer is bounded."""
        request.headers["Accept-Encoding"] = "identity"
        response = super().send(request, **options)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise UnboundedAnswerError(f"an answer packed as {response.headers['Content-Encoding'][:40]!r}")
        pieces = response.iter_content

        def bounded(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
            del chunk_size
            taken = 0
            for piece in pieces(_CHUNK, decode_unicode):
                taken += len(piece)
                if taken > ANSWER_LIMIT:
                    raise UnboundedAnswerError(f"an answer of more than {ANSWER_LIMIT} bytes")
                yield piece

        response.iter_content = bounded  # type: ignore[method-assign]
        return response

    @contextlib.contextmanager
    def ending_after(self, seconds: float) -> Iterator[None]:
        """Have what is asked inside end in so many seconds, whatever comes meanwhile: with requests' Timeout."""
        alarm = _CLOCK.set(seconds, self._shut_all_down)
        try:
            yield
        except (requests.exceptions.RequestException, OSError, http.client.HTTPException, ValueError) as error:
            if alarm.rang:
                raise requests.exceptions.ReadTimeout(f"no whole answer in {seconds:.0f} s") from error
            raise
        finally:
            _CLOCK.cancel(alarm)

    def break_all(self) -> None:
        """Shut every connection down: whoever waits for an answer gets an error now. From any thread."""
        self._broken = True
        self._shut_all_down()

    def _shut_all_down(self) -> None:
        with self._lock:
            for open_socket in list(self._sockets):
                _shut_down(open_socket)

    def _opened(self, new_socket: socket.socket) -> None:
        with self._lock:
            self._sockets.add(new_socket)
            if self._broken:
                _shut_down(new_socket)


def _shut_down(open_socket: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended by itself
        open_socket.shutdown(socket.SHUT_RDWR)
