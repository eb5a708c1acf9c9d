"""A TPM 2.0 for a machine: swtpm beside QEMU. Only where a guest is to have one; it cannot be forked then."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import HostError
from harness.host.command import tail
from harness.host.directories import private_directory
from harness.host.tools import Tool
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.loop import loop_thread
from harness.machine.parts import Launch, properties
from harness.machine.watchdog import kill_group, watchdog

SOCKET = "tpm.sock"
LOG = "tpm.log"
_LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True)
class TpmDevice:
    """The machine's side of the TPM."""

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return the connection to swtpm, and the device."""
        path = str(launch.run_dir / SOCKET)
        yield from ("-chardev", properties("socket", {"id": "tpm-socket", "path": path}))
        yield from ("-tpmdev", "emulator,id=tpm0,chardev=tpm-socket", "-device", "tpm-crb,tpmdev=tpm0")


class Tpm:
    """A running swtpm, as a context around the machine's: it ends with the machine, or with us.

    `state` keeps what the TPM remembers; `run_dir` is the machine's directory.
    """

    def __init__(self, run_dir: Path, state: Path, deadlines: Deadlines | None = None) -> None:
        self._run_dir = run_dir
        self._state = state
        self._deadlines = deadlines or Deadlines()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        socket = private_directory(self._run_dir) / SOCKET
        if len(str(socket)) > _LONGEST_SOCKET_PATH:
            raise HostError(
                f"the path of a socket is too long for Linux: {socket}", hint="set FLTLAB_HOME to a shorter one"
            )
        command = [
            *(str(Tool.SETPRIV.require()), "--pdeathsig", "KILL", "--"),
            *(str(Tool.SWTPM.require()), "socket", "--tpm2", "--terminate"),
            *("--tpmstate", f"dir={private_directory(self._state)},mode=0600"),
            *("--ctrl", f"type=unixio,path={socket},mode=0600"),
        ]
        socket.unlink(missing_ok=True)
        self._process = loop_thread().call(lambda: self._start(command))

        def look() -> tuple[bool | None, str]:
            assert self._process is not None
            if self._process.poll() is not None:
                raise HostError("swtpm ended at once", details=tail((self._run_dir / LOG).read_text(errors="replace")))
            return (True, "") if socket.is_socket() else (None, "no socket yet")

        self._deadlines.begin(Wait.QEMU_START).poll(look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            kill_group(self._process.pid)
            self._process.wait()
            watchdog().release(self._process.pid)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._run_dir / LOG).open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        watchdog().watch(process.pid)
        return process
