"""The QEMU process: started so that it dies with us, watched without polling."""

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import HostError
from harness.host.command import tail
from harness.host.tools import Tool
from harness.machine.deadlines import Deadline
from harness.machine.loop import loop_thread
from harness.machine.watchdog import kill_group, watchdog

LOG = "qemu.log"


class QemuProcess:
    """A running QEMU: its process id, its log, and its end."""

    def __init__(self, command: Sequence[str], log: Path, descriptors: Sequence[int]) -> None:
        self.command = tuple(command)
        self.log = log
        self._ended = threading.Condition()
        self._exit_code: int | None = None
        self._callbacks: list[Callable[[int], None]] = []
        setpriv = str(Tool.SETPRIV.require())
        words = [setpriv, "--pdeathsig", "KILL", "--", *command]
        try:
            self._process = loop_thread().call(lambda: self._start(words, descriptors))
        except OSError as error:
            raise HostError(
                f"QEMU could not be started: {error}", details=(" ".join(words),), hint="fltlab doctor"
            ) from error
        self.pid = self._process.pid

    def _start(self, words: Sequence[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
        """Start QEMU from the loop's thread: the parent-death signal comes when the *thread* that forked ends."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(descriptors),
                start_new_session=True,
                cwd=self.log.parent,
            )
        watchdog().watch(process.pid)
        descriptor = os.pidfd_open(process.pid)
        loop = loop_thread().loop

        def ended() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            code = process.wait()
            watchdog().release(process.pid)
            with self._ended:
                self._exit_code = code
                self._ended.notify_all()
            for callback in self._callbacks:
                callback(code)

        loop.add_reader(descriptor, ended)
        return process

    @property
    def exit_code(self) -> int | None:
        """QEMU's exit code (negative: the signal that killed it), None while it runs."""
        return self._exit_code

    def on_exit(self, callback: Callable[[int], None]) -> None:
        """Have a function called with the exit code, in the event loop's thread."""
        self._callbacks.append(callback)

    def wait(self, deadline: Deadline) -> int:
        """Wait for the process to end and return its exit code; raise DeadlineError if it does not."""
        with self._ended:
            if not self._ended.wait_for(lambda: self._exit_code is not None, deadline.remaining):
                raise deadline.error(f"process {self.pid} runs")
            assert self._exit_code is not None
            return self._exit_code

    def kill(self) -> None:
        """Kill QEMU and what it started, at once."""
        if self._exit_code is None:
            kill_group(self.pid)

    def complaint(self) -> tuple[str, ...]:
        """Return the last lines that QEMU printed."""
        return tail(self.log.read_text(encoding="utf-8", errors="replace")) if self.log.exists() else ()

    def startup_error(self, name: str, why: str) -> HostError:
        """Return the error for a QEMU that ended, or never answered, when it was started."""
        code = "it still runs" if self._exit_code is None else f"it ended with exit code {self._exit_code}"
        printed = self.complaint() or ("it printed nothing",)
        return HostError(
            f"QEMU could not be started for the machine {name}: {code}",
            details=(why, *printed, f"log: {self.log}"),
            hint="fltlab doctor",
        )
