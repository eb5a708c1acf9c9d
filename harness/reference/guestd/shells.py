"""Remote shells: their commands, each in a thread, with the streams that clients feed and drain."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.reference.guestd.cancellation import CURRENT, Cancellation, Cancelled
from harness.reference.guestd.workers import workers

CHUNK = 96 * 1024
"""Bytes of output in one answer: with base64 below the usual MaxEnvelopeSize of 150 KiB."""
GATHERED_SECONDS = 0.1
"""How long output waits for more, or for the end of its command: a batch file prints line by line, and each answer is
a request for both sides, which takes longer than most of its lines."""
CONTROL_C_EXIT = 0xC000013A
MAX_OUTPUT = 64 * 1024 * 1024
MAX_INPUT = 16 * 1024 * 1024
MAX_FINISHED = 100
"""Commands of a shell that have ended and been read to their end, and that nobody has terminated."""


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
        self._cancellation = Cancellation()
        self._nudged = False
        self.forced = False
        """Whether the client has terminated it."""
        self.in_background = False
        """Whether it ends in order when it is told to."""

    def start(self) -> None:
        """Run it."""
        workers.run(self._main)

    def _main(self) -> None:
        token = CURRENT.set(self._cancellation)
        try:
            code = self._run(self)
        except Cancelled:
            code = CONTROL_C_EXIT
        finally:
            CURRENT.reset(token)
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

    def write_last(self, stream: str, data: bytes) -> None:
        """Write bytes although the client wants the command to end: it may still be listening."""
        with self._changed:
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
            self._changed.notify_all()
            return data

    def nudge(self) -> None:
        """Something has happened that the command may want to look at."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def await_nudge(self) -> bool:
        """Wait for the next nudge, or for the client to want the command to end; whether it does."""
        with self._changed:
            self._changed.wait_for(lambda: self._nudged or self._cancelled)
            self._nudged = False
            return self._cancelled

    def read_all(self) -> bytes:
        """Standard input to its end."""
        pieces = []
        while data := self.read():
            pieces.append(data)
        return b"".join(pieces)

    # -- the client's side

    @property
    def finished(self) -> bool:
        """Whether it has ended, and all its output has been taken."""
        return self.exit_code is not None and not any(self._output.values())

    def feed(self, data: bytes, *, end: bool, timeout: float) -> bool:
        """Put bytes on standard input, all of them or, while 16 MiB wait to be read, none: then False."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._input) < MAX_INPUT or self._is_over, timeout):
                return False
            if not self._is_over:  # else nobody will read it
                self._input += data
            self._input_ended = self._input_ended or end
            self._changed.notify_all()
            return True

    @property
    def _is_over(self) -> bool:
        return self._cancelled or self.exit_code is not None

    @property
    def _fills_an_answer(self) -> bool:
        return any(len(buffer) >= CHUNK for buffer in self._output.values())

    def cancel(self, *, forced: bool = False) -> None:
        """Ask the command to end; output that nobody fetched is dropped."""
        with self._changed:
            self._cancelled = True
            self.forced |= forced
            self._changed.notify_all()
        self._cancellation.ask()

    def await_end(self, timeout: float) -> None:
        """Wait until it has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self.exit_code is not None, timeout)

    def drain(self, timeout: float) -> tuple[dict[str, bytes], bool] | None:
        """New output by stream, and whether the command is done and drained; None when time is up."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.exit_code is not None or any(self._output.values()), timeout):
                return None
            self._changed.wait_for(lambda: self._is_over or self._fills_an_answer, GATHERED_SECONDS)
            taken = {}
            for name, buffer in self._output.items():
                taken[name] = bytes(buffer[:CHUNK])
                del buffer[:CHUNK]
            self._changed.notify_all()
            return taken, self.finished


@dataclass
class Shell:
    """One remote shell."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()).upper())
    directory: str = "C:\\Users\\fltlab"
    environment: dict[str, str] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    used: float = field(default_factory=time.monotonic)

    @property
    def at_work(self) -> bool:
        """Whether a command of it runs."""
        return any(command.exit_code is None for command in list(self.commands.values()))

    def add(self, command: Command) -> None:
        """Keep a command until it is terminated, or long done."""
        finished = [known for known in list(self.commands.values()) if known.finished]
        for known in finished[: max(0, len(finished) - MAX_FINISHED)]:
            self.commands.pop(known.id, None)
        self.commands[command.id] = command

    def close(self) -> None:
        """End every command of it."""
        for command in list(self.commands.values()):
            command.cancel()
