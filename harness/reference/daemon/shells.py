"""Remote shells: their commands, each in a thread, with the streams that clients feed and drain."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

CHUNK = 96 * 1024
"""Bytes of output in one answer: with base64 below the usual MaxEnvelopeSize of 150 KiB."""
CONTROL_C_EXIT = 0xC000013A
MAX_OUTPUT = 64 * 1024 * 1024


class Cancelled(Exception):
    """The client has sent ctrl-c or terminate."""


class Command:
    """One running command. Its thread reads `stdin` and writes `out` and `err`; clients do the opposite."""

    def __init__(self, line: str, shell: "Shell", run: Callable[["Command"], int]) -> None:
        self.id = str(uuid.uuid4()).upper()
        self.line = line
        self.shell = shell
        self.exit_code: int | None = None
        self._run = run
        self._changed = threading.Condition()
        self._input = bytearray()
        self._input_ended = False
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self._cancelled = False
        self._thread = threading.Thread(target=self._main, name=f"command {self.id}", daemon=True)

    def start(self) -> None:
        """Run it."""
        self._thread.start()

    def _main(self) -> None:
        try:
            code = self._run(self)
        except Cancelled:
            code = CONTROL_C_EXIT
        with self._changed:
            self.exit_code = code
            self._changed.notify_all()

    # -- the command's side

    @property
    def cancelled(self) -> bool:
        """Whether the client wants it to end."""
        return self._cancelled

    def out(self, text: str) -> None:
        """Write text to standard output, lines ended as Windows ends them."""
        self.write("stdout", text.replace("\n", "\r\n").encode("utf-8"))

    def err(self, text: str) -> None:
        """Write text to standard error."""
        self.write("stderr", text.replace("\n", "\r\n").encode("utf-8"))

    def write(self, stream: str, data: bytes) -> None:
        """Write bytes; waits while nobody drains 64 MiB."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._output[stream]) < MAX_OUTPUT or self._cancelled)
            if self._cancelled:
                raise Cancelled
            self._output[stream] += data
            self._changed.notify_all()

    def read(self) -> bytes:
        """What has come on standard input, waiting for some; b"" at its end."""
        with self._changed:
            self._changed.wait_for(lambda: self._input or self._input_ended or self._cancelled)
            if self._cancelled:
                raise Cancelled
            data = bytes(self._input)
            self._input.clear()
            return data

    def read_all(self) -> bytes:
        """Standard input to its end."""
        pieces = []
        while data := self.read():
            pieces.append(data)
        return b"".join(pieces)

    # -- the client's side

    def feed(self, data: bytes, *, end: bool) -> None:
        """Put bytes on standard input."""
        with self._changed:
            self._input += data
            self._input_ended = self._input_ended or end
            self._changed.notify_all()

    def cancel(self) -> None:
        """Ask the command to end; output that nobody fetched is dropped."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def drain(self, timeout: float) -> tuple[dict[str, bytes], bool] | None:
        """New output by stream, and whether the command is done and drained; None when time is up."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.exit_code is not None or any(self._output.values()), timeout):
                return None
            taken = {}
            for name, buffer in self._output.items():
                taken[name] = bytes(buffer[:CHUNK])
                del buffer[:CHUNK]
            self._changed.notify_all()
            return taken, self.exit_code is not None and not any(self._output.values())


@dataclass
class Shell:
    """One remote shell."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()).upper())
    directory: str = "C:\\Users\\fltlab"
    environment: dict[str, str] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)

    def close(self) -> None:
        """End every command of it."""
        for command in list(self.commands.values()):
            command.cancel()
