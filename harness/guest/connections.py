"""Connections that another thread can break: a request to a guest that has just died need not wait for its answer."""

import contextlib
import socket
import threading
import weakref
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection


class BreakableAdapter(HTTPAdapter):
    """Plain HTTP connections of one session; `break_all` ends them, and those still to come."""

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

        self.poolmanager.pool_classes_by_scheme = {**self.poolmanager.pool_classes_by_scheme, "http": Pool}

    def break_all(self) -> None:
        """Shut every connection down: whoever waits for an answer gets an error now. From any thread."""
        with self._lock:
            self._broken = True
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
