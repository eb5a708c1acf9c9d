"""The SSH server of a reference guest: a dropbear for each connection, started when it comes.

Most guests are forks that nobody ever comes to over SSH, and a server that runs would have to be started again in each
of them to take on its keys. So the daemon listens, and hands every connection to a process of its own.
"""

import contextlib
import functools
import socket
import subprocess
import threading
from pathlib import Path

from harness.reference.daemon.workers import workers

PORT = 22
SERVER = "/usr/sbin/dropbear"
HOST_KEY = "ssh_host_key"
AUTHORIZED_KEYS = Path("/root/.ssh/authorized_keys")
MOST_AT_A_TIME = 16


class SshListener:
    """Listens on the guest's port 22; `keys` is the directory with the host's key."""

    def __init__(self, address: str, keys: Path) -> None:
        self._keys = keys
        self._places = threading.Semaphore(MOST_AT_A_TIME)
        self._socket = socket.create_server((address, PORT))
        threading.Thread(target=self._listen, name="ssh", daemon=True).start()

    def _listen(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                if self._places.acquire(blocking=False):
                    workers.run(functools.partial(self._serve, connection.dup()))

    def _serve(self, connection: socket.socket) -> None:
        """Run a server for one connection, to its end."""
        with contextlib.ExitStack() as at_the_end:
            at_the_end.callback(self._places.release)
            with connection:
                place = connection.fileno()
                server = subprocess.Popen(
                    [SERVER, "-i", "-s", "-r", str(self._keys / HOST_KEY)], stdin=place, stdout=place
                )
            server.wait()


def take_keys(folder: Path, host_key: bytes, authorized_key: str) -> None:
    """Give the SSH server a fork's keys: the next connection meets them."""
    (folder / HOST_KEY).write_bytes(host_key)
    AUTHORIZED_KEYS.write_text(authorized_key + "\n", encoding="ascii")
