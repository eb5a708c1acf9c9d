"""Whether anything in a guest answers on a forwarded port.

A forwarded port proves nothing: QEMU accepts connections before the guest has a network. And it keeps them: what was
sent to a guest that could not hear it yet is tried again seconds later, doubling. So each try is brief, and new.
"""

import socket

from harness.host.ports import LOOPBACK
from harness.machine.deadlines import Deadline
from harness.machine.machine import Machine

HTTP_REQUEST = b"GET / HTTP/1.0\r\n\r\n"
PATIENCE = 0.3
"""Seconds for one try. A guest under TCG that is busy may take longer: then each next try is given more."""


def wait_for_answer(machine: Machine, guest_port: int, deadline: Deadline, request: bytes = HTTP_REQUEST) -> None:
    """Wait until a guest answers a request with anything at all; raises what ended the machine, if something did."""

    def look() -> tuple[bool | None, str]:
        machine.check()
        patience = PATIENCE * (1 + deadline.elapsed / 10)
        try:
            with socket.create_connection((LOOPBACK, machine.ports[guest_port]), timeout=patience) as connection:
                connection.sendall(request)
                if connection.recv(1):
                    return True, "an answer"
                return None, f"a connection that was closed; {machine.describe()}"
        except OSError as error:
            return None, f"{error}; {machine.describe()}"

    deadline.poll(look)
