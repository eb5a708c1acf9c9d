"""Ports that stay the test's own: one that was free a moment ago may be another process's by now."""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def port_without_a_listener() -> Iterator[int]:
    """A port of the loopback interface that nobody listens on, and that nobody else is given meanwhile.

    A server that sets SO_REUSEADDR may still listen there: only listeners exclude each other.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
