"""`reference-local`: the guest daemon as a process of this machine, for quick loops and the harness's own tests.

It dies with us: its standard input is a pipe that only we hold, and the watchdog ends its process group when we are
gone. All its files are in one folder; its credentials are random, in a file that only we can read.
"""

import contextlib
import json
import os
import secrets
import select
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness.errors import FltLabError, GuestError
from harness.guest.endpoint import Authentication, Endpoint
from harness.guest.guest import Guest
from harness.guest.kernel import KernelOptions
from harness.guest.profiles import REFERENCE_LOCAL
from harness.host.command import tail
from harness.host.directories import private_directory, write_private
from harness.host.memory import limit_memory
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.watchdog import kill_group, watchdog

if TYPE_CHECKING:
    from harness.machine.machine import Machine

USER = "fltlab"
MEMORY_MIB = 6144
"""What the daemon, and each kernel that it starts, may have of addresses."""
LINE_LIMIT = 4096


class DaemonProcess:
    """The daemon's process: started by `start`, ended by `end`, whatever happens in between."""

    def __init__(self, folder: Path, configuration: Path) -> None:
        self.log = folder / "daemon.log"
        root = Path(harness.__file__).parents[1]
        with self.log.open("ab") as log:
            # A group of its own: the kernel is in it too, and goes with it.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.reference.guestd", "--config", str(configuration), "--end-with-stdin"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(root)},
                start_new_session=True,
            )
        limit_memory(self._process.pid, MEMORY_MIB)
        watchdog().watch(self._process.pid)
        self._first_cause: FltLabError | None = None

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def wait_until_ready(self) -> int:
        """Wait for the daemon to say on which port it answers."""
        assert self._process.stdout is not None
        deadline = Deadlines().begin(Wait.DAEMON_START)
        line = b""
        while not line.endswith(b"\n") and len(line) < LINE_LIMIT:
            readable, _, _ = select.select([self._process.stdout], [], [], deadline.remaining)
            if not readable:
                raise deadline.error(self.describe())
            more = os.read(self._process.stdout.fileno(), LINE_LIMIT)
            if not more:
                break
            line += more
        try:
            return int(json.loads(line)["port"])
        except (ValueError, KeyError, TypeError) as error:
            self._ended(deadline.remaining)
            raise GuestError(
                "the guest daemon could not be started",
                details=(self.describe(), *self._printed()),
                hint=f"its log: {self.log}",
            ) from error

    def check(self) -> None:
        """Raise the same GuestError every time if the daemon has ended."""
        if self._first_cause is None and self._process.poll() is not None:
            self._first_cause = GuestError(
                "the guest daemon has ended",
                details=(self.describe(), *self._printed()),
                hint=f"its log: {self.log}",
            )
        if self._first_cause is not None:
            raise self._first_cause

    def describe(self) -> str:
        """Whether it runs, or how it ended."""
        code = self._process.poll()
        return f"daemon process {self.pid} runs" if code is None else f"daemon process ended with exit code {code}"

    def savers(self) -> Mapping[str, Callable[[Path], object]]:
        """Its log."""
        return {self.log.name: lambda path: path.write_bytes(self.log.read_bytes())}

    def qemu(self) -> "Machine":
        """There is none: GuestError."""
        raise GuestError("this guest is no machine of QEMU: it is a local process", hint="--guest reference")

    def end(self) -> None:
        """End it: it gets a moment to do so in order, then it and all its children are killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.returncode is None:
            self._ended(Wait.DAEMON_END.seconds)
        kill_group(self.pid)
        self._process.wait()
        watchdog().release(self.pid)
        self._process.stdout.close()

    def _ended(self, seconds: float) -> None:
        """Wait until it has ended, or the time is over; it is not reaped, so that its group keeps its name."""
        descriptor = os.pidfd_open(self.pid)
        try:
            select.select([descriptor], [], [], seconds)
        finally:
            os.close(descriptor)

    def _printed(self) -> Sequence[str]:
        return tail(self.log.read_text(encoding="utf-8", errors="replace"))


class LocalGuest(Guest):
    """A reference guest that is a process of this machine. `folder` gets `system` (C:), `volume` (V:) and its log."""

    def __init__(
        self,
        folder: Path,
        name: str = "reference-local",
        kernel: KernelOptions | None = None,
        authentication: Authentication = Authentication.BASIC,
    ) -> None:
        self.folder = private_directory(folder)
        self.boot_id = str(uuid.uuid4())
        self.system = private_directory(folder / "system")
        self.volume = private_directory(folder / "volume")
        self._folder_of_volumes = folder
        password = secrets.token_urlsafe(24)
        configuration = {
            "version": 1,
            "address": "127.0.0.1",
            "port": 0,
            "user": USER,
            "password": password,
            "boot_id": self.boot_id,
            "hostname": name,
            "system": str(self.system),
            "volume": str(self.volume),
            "kernel": (kernel or KernelOptions()).words(),
        }
        file = folder / "daemon.json"
        file.unlink(missing_ok=True)
        self._daemon = DaemonProcess(self.folder, write_private(file, json.dumps(configuration).encode()))
        try:
            port = self._daemon.wait_until_ready()
        except BaseException:
            self._daemon.end()
            raise
        endpoint = Endpoint(port=port, user=USER, password=password, authentication=authentication)
        super().__init__(name, REFERENCE_LOCAL, endpoint, self._daemon)

    @property
    def pid(self) -> int:
        """The daemon's process."""
        return self._daemon.pid

    @property
    def data_volumes(self) -> list[Path]:
        """The directories behind V: and the further data volumes."""
        return [self.volume, *sorted(self._folder_of_volumes.glob("volume-*"))]

    def close(self) -> None:
        """Close the session and end the process."""
        super().close()
        self._daemon.end()
