"""The daemon's side of the reference kernel: starts it as a process apart, and speaks JSON lines with it.

The kernel may hang, be stalled by its disk, or die: only who waits for an answer notices. One reader thread hands
answers to the callers; standard error is kept for the report of a death.
"""

import itertools
import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

STDERR_LINES = 200


class KernelError(Exception):
    """A request that the kernel answered with a failure; `answer` is its answer."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(str(answer.get("message") or answer))
        self.answer = answer

    @property
    def hresult(self) -> int | None:
        """The HRESULT of a filter-manager call."""
        value = self.answer.get("hresult")
        return int(value) & 0xFFFFFFFF if value is not None else None


class KernelGone(Exception):
    """The kernel's process is not there any more."""


class KernelBusy(Exception):
    """The kernel did not answer in time; it may still be at work."""


class KernelProcess:
    """One reference kernel, from its start to its end."""

    def __init__(self, volume: Path, options: Sequence[str] = ()) -> None:
        command = [sys.executable, "-m", "harness.reference.host", "--volume", str(volume), *options]
        if sys.flags.isolated:
            paths = repr(sys.path)
            run = "runpy.run_module('harness.reference.host', run_name='__main__', alter_sys=True)"
            start = f"import runpy, sys; sys.path[:] = {paths}; {run}"
            command = [sys.executable, "-I", "-S", "-c", start, "--volume", str(volume), *options]
        self.options = tuple(options)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._numbers = itertools.count(1)
        self._waiting: dict[int, SimpleQueue[dict[str, Any] | None]] = {}
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
        return self._process.poll() is None

    def request(self, operation: str, *, timeout: float | None = None, **arguments: Any) -> dict[str, Any]:
        """Ask the kernel and return the result of its answer.

        KernelError: it refused, bug checked or hangs. KernelGone: it died. KernelBusy: no answer in `timeout` seconds.
        """
        answers: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = answers
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps({"id": number, "op": operation, **arguments}) + "\n")
                self._process.stdin.flush()
            except (OSError, ValueError) as error:
                self._waiting.pop(number, None)
                raise KernelGone(self._obituary()) from error
        if not self._readers[0].is_alive():
            answers.put(None)
        try:
            answer = answers.get(timeout=timeout)
        except Empty:
            raise KernelBusy(f"the reference kernel has not answered {operation!r} within {timeout} s") from None
        finally:
            self._waiting.pop(number, None)
        if answer is None:
            raise KernelGone(self._obituary())
        if not answer.get("ok"):
            raise KernelError(answer)
        result = answer.get("result")
        return result if isinstance(result, dict) else {"value": result}

    def stop(self) -> None:
        """End the process, however it is."""
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(timeout=5)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue  # what was still unsent goes with the process

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                answer = json.loads(line)
            except ValueError:
                self._errors.append(f"(on standard output) {line.rstrip()}")
                continue
            waiter = self._waiting.get(answer.get("id"))
            if waiter is not None:
                waiter.put(answer)
        for waiter in list(self._waiting.values()):
            waiter.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line.rstrip())

    def _obituary(self) -> str:
        try:
            code: object = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = "unknown (its pipes are closed, it still runs)"
        self._readers[1].join(timeout=2)
        tail = "\n".join(list(self._errors)[-30:])
        return f"the reference kernel's process ended with exit code {code}\n{tail}".rstrip()
