"""The SSH server of a reference guest: a dropbear for each connection, started when it comes.

Most guests are forks that nobody ever comes to over SSH, and a server that runs would have to be started again in each
of them to take on its keys. So the daemon listens, and hands every connection to a process of its own; a fork's keys
are written down when the first connection comes.
"""

import contextlib
import functools
import socket
import subprocess
import threading
from pathlib import Path

from harness.reference.guestd.workers import workers

PORT = 22
SERVER = "/usr/sbin/dropbear"
HOST_KEY = "ssh_host_key"
AUTHORIZED_KEYS = Path("/root/.ssh/authorized_keys")
MOST_AT_A_TIME = 16


class SshListener:
    """Listens on the guest's port 22; `folder` is where the host's key is."""

    def __init__(self, address: str, folder: Path) -> None:
        self._folder = folder
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
            new_keys.write(self._folder)
            with connection:
                place = connection.fileno()
                server = subprocess.Popen(
                    [SERVER, "-i", "-s", "-r", str(self._folder / HOST_KEY)], stdin=place, stdout=place
                )
            server.wait()


class NewKeys:
    """A fork's keys, until somebody comes who must meet them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: tuple[bytes, bytes] | None = None

    def take(self, host_key: bytes, authorized_key: str) -> None:
        """Take on new keys: the next connection meets them."""
        with self._lock:
            self._keys = host_key, authorized_key.encode() + b"\n"

    def write(self, folder: Path) -> None:
        """Write down keys that have been taken since, where the server reads them."""
        with self._lock:
            if self._keys is not None:
                host_key, authorized = self._keys
                (folder / HOST_KEY).write_bytes(host_key)
                AUTHORIZED_KEYS.write_bytes(authorized)
                self._keys = None


new_keys = NewKeys()
