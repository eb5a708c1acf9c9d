"""The daemon's side of the reference kernel: starts it as a process apart, and speaks JSON lines with it.

Kernels are forked by a nursery (nursery.py), which has loaded everything before. A kernel may hang, be stalled by its
disk, or die: only who waits for an answer notices. One reader thread hands answers to the callers; standard error is
kept for the report of a death.
"""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TypeVar

from harness.reference.guestd.cancellation import Cancelled, waking
from harness.wire import kernel as wire
from harness.wire import kernel_state
from harness.wire.codec import MalformedMessageError

_Result = TypeVar("_Result")

STDERR_LINES = 200
UNKNOWN_CODE = -1
END_SECONDS = 5.0
START_SECONDS = 600.0
"""How long the nursery may take to fork. It may still be loading, in an emulated guest on a busy host; its end is
noticed at once, and who waits has a deadline of its own."""
LINE_LIMIT = 64 << 20
"""Characters of one answer of a kernel at most: whatever else it prints must not fill the daemon's memory."""
ERROR_LIMIT = 4096


class KernelRefused(Exception):
    """A request that the kernel refused with an NTSTATUS; it goes on."""

    def __init__(self, refused: wire.Refused) -> None:
        super().__init__(refused.message or f"NTSTATUS 0x{refused.ntstatus & 0xFFFFFFFF:08x}")
        self.refused = refused


class KernelStopped(Exception):
    """The kernel has stopped: a bug check or a hang, now or before."""

    def __init__(self, state: kernel_state.KernelState) -> None:
        super().__init__(state.message)
        self.state = state


class KernelGone(Exception):
    """The kernel's process is not there any more."""


class KernelBusy(Exception):
    """The kernel did not answer in time; it may still be at work."""


class Nursery:
    """The process that forks kernels; started at once, so that it is warm when the first kernel is wanted."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "harness.reference.process.nursery", str(theirs.fileno())]
        if sys.flags.isolated:
            run = "runpy.run_module('harness.reference.process.nursery', run_name='__main__', alter_sys=True)"
            start = f"import runpy, sys; sys.path[:] = {sys.path!r}; {run}"
            command = [sys.executable, "-I", "-S", "-c", start, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self._asking = threading.Lock()
        self._started: SimpleQueue[int | None] = SimpleQueue()
        self._exits: dict[int, SimpleQueue[int]] = {}
        self._gone = threading.Event()
        self._reader = threading.Thread(target=self._read, name="nursery", daemon=True)
        self._reader.start()

    def fork(self, arguments: Sequence[str], streams: Sequence[int]) -> "Child":
        """Fork a kernel with these standard streams. KernelGone if the nursery is not there any more."""
        with self._asking:
            try:
                message = json.dumps({"arguments": list(arguments)}).encode()
                socket.send_fds(self._control, [message], list(streams))
                child = self._started.get(timeout=START_SECONDS) if self._reader.is_alive() else None
            except (OSError, Empty) as error:
                raise KernelGone(f"the process that starts kernels is gone: {error}") from error
            if child is None:
                raise KernelGone("the process that starts kernels is gone")
            return Child(child, self._exits[child], self._gone)

    def stop(self) -> None:
        """End the process; kernels are not ended by that."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._process.kill()
        self._process.wait()
        self._reader.join(timeout=5)
        self._control.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while message := self._control.recv(4096):
                told = json.loads(message)
                if "started" in told:
                    self._exits[told["started"]] = SimpleQueue()
                    self._started.put(told["started"])
                else:
                    self._exits[told["ended"]].put(told["code"])
        self._gone.set()
        self._started.put(None)


class Child:
    """A forked kernel's process, which is not ours to wait for."""

    def __init__(self, pid: int, exits: "SimpleQueue[int]", orphaned: threading.Event) -> None:
        self.pid = pid
        self._orphaned = orphaned
        self._exits = exits
        self._code: int | None = None

    def wait(self, timeout: float) -> int | None:
        """Its exit code; None if it has not ended in `timeout` seconds."""
        end = time.monotonic() + timeout
        while self._code is None:
            with contextlib.suppress(Empty):
                self._code = self._exits.get_nowait() if timeout <= 0 else self._exits.get(timeout=min(timeout, 0.2))
            if self._code is None and self._orphaned.is_set() and not Path(f"/proc/{self.pid}").exists():
                self._code = UNKNOWN_CODE  # who could have told its exit code died before it
            if time.monotonic() >= end:
                break
        return self._code

    def kill(self) -> None:
        """End it, however it is."""
        if self.wait(0) is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait(END_SECONDS)


class KernelProcess:
    """One reference kernel, from its start to its end."""

    def __init__(self, nursery: Nursery, volume: Path, options: Sequence[str] = ()) -> None:
        self.options = tuple(options)
        ours: list[IO[str]] = []
        theirs: list[int] = []
        for mode in ("w", "r", "r"):
            read, write = os.pipe()
            theirs.append(read if mode == "w" else write)
            ours.append(open(write if mode == "w" else read, mode, encoding="utf-8", errors="replace"))  # noqa: SIM115, PTH123 - kept
        self._stdin, self._stdout, self._stderr = ours
        try:
            self._child = nursery.fork(["--volume", str(volume), *options], theirs)
        except KernelGone:
            for stream in ours:
                stream.close()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, SimpleQueue[wire.Answer | Cancelled | None]] = {}
        self._lock = threading.Lock()
        self._errors: deque[str] = deque(maxlen=STDERR_LINES)
        self._readers = [
            threading.Thread(target=reader, daemon=True) for reader in (self._read_answers, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child.wait(0) is None

    def ask(self, request: wire.Request, result: type[_Result], *, timeout: float | None = None) -> _Result:
        """Ask the kernel; its answer, which is a `result`.

        KernelRefused: it refused. KernelStopped: it bug checked or hangs. KernelGone: it died, or says what is no
        message. KernelBusy: no answer in `timeout` seconds. Cancelled: the client has given up on the command whose
        thread asks; the kernel may be at work on it still.
        """
        answers: SimpleQueue[wire.Answer | Cancelled | None] = SimpleQueue()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = answers
            try:
                self._stdin.write(wire.envelope(number, request))
                self._stdin.flush()
            except (OSError, ValueError) as error:
                self._waiting.pop(number, None)
                raise KernelGone(self._obituary()) from error
        if not self._readers[0].is_alive():
            answers.put(None)
        try:
            with waking(lambda: answers.put(Cancelled())):
                answer = answers.get(timeout=timeout)
        except Empty:
            raise KernelBusy(
                f"the reference kernel has not answered {type(request).__name__} within {timeout} s"
            ) from None
        finally:
            self._waiting.pop(number, None)
        if isinstance(answer, Cancelled):
            raise answer
        if answer is None:
            raise KernelGone(self._obituary())
        if isinstance(answer, wire.Refused):
            raise KernelRefused(answer)
        if isinstance(answer, wire.Stopped):
            raise KernelStopped(answer.state)
        if not isinstance(answer, result):
            raise KernelGone(f"the reference kernel answered {type(request).__name__} with {type(answer).__name__}")
        return answer

    def stop(self) -> None:
        """End the process, however it is."""
        self._child.kill()
        for reader in self._readers:
            reader.join(timeout=5)
        for stream in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):  # what was still unsent goes with the process
                stream.close()

    def _read_answers(self) -> None:
        while line := self._stdout.readline(LINE_LIMIT):
            try:
                number, answer = wire.opened(line)
            except MalformedMessageError as error:
                self._errors.append(f"(on standard output: {error}) {line}"[:ERROR_LIMIT].rstrip())
                continue
            waiter = self._waiting.get(number)
            if waiter is not None:
                waiter.put(answer)
        for waiter in list(self._waiting.values()):
            waiter.put(None)

    def _read_errors(self) -> None:
        while line := self._stderr.readline(ERROR_LIMIT):
            self._errors.append(line.rstrip())

    def _obituary(self) -> str:
        code: object = self._child.wait(END_SECONDS)
        if code is None:
            code = "unknown (its pipes are closed, it still runs)"
        self._readers[1].join(timeout=2)
        tail = "\n".join(list(self._errors)[-30:])
        return f"the reference kernel's process ended with exit code {code}\n{tail}".rstrip()
