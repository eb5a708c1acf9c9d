"""Whether guests can be reached: ports of the loopback interface."""

import socket

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a TCP port of the loopback interface can be bound right now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def loopback_works() -> bool:
    """Whether a listener on the loopback interface can be reached from this process."""
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(2)
        try:
            with socket.create_connection(server.getsockname(), timeout=2), server.accept()[0]:
                return True
        except OSError:
            return False
