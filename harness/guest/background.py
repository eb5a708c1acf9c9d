"""Programs that run in a guest beside what else it is asked to do: a driver's service, a second fltprobe.

Each is a command over a WinRM session of its own that goes on: its output comes as it is printed, ctrl-c asks it to
end, and a signal terminates it. On a reference guest it runs whenever another command has the kernel run.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from harness.errors import GuestError, TestError
from harness.guest.command import CommandResult
from harness.guest.errors import ConnectionLost, Unreachable, WinRmFault
from harness.machine.deadlines import Deadline, Wait
from harness.wire.kernel import STARTED_MARK

if TYPE_CHECKING:
    from harness.guest.guest import Guest


@dataclass(frozen=True)
class ProgramUnderTest:
    r"""What to run, as its author would type it: `C:\fltlab\svc.exe -v`.

    `ready` is a text that it prints when it is ready; without one it is ready when it waits for something (reference
    guests), or at once (Windows). `seconds` is how long that may take, of the guest's time.
    """

    command: str
    stdin: bytes = b""
    ready: str = ""
    seconds: float = 30.0
    service: str = ""
    """The name of the service as which it is started, on a reference guest."""


class BackgroundProgram:
    """A program that was started, to be stopped again: a context."""

    def __init__(self, guest: "Guest", program: ProgramUnderTest) -> None:
        self._guest = guest
        self._program = program
        self._session = guest.another_session()
        self._out = bytearray()
        self._err = bytearray()
        self._exit_code: int | None = None
        line = program.command
        if guest.profile.background is not None:
            ready = f'--ready "{program.ready}" ' if program.ready else ""
            ready += f"--service {program.service} " if program.service else ""
            line = f"{guest.profile.background} {ready}--patience {round(program.seconds * 1000)} {line}"
        self._id = self._session.begin(line, program.stdin, Wait.GUEST_COMMAND)
        self._await_readiness()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def output(self) -> str:
        """What it has printed so far, as far as it has been received."""
        return self._result().output

    @property
    def exit_code(self) -> int | None:
        """Its exit code, if it is known to have ended."""
        return self._exit_code

    @property
    def _process(self) -> int | None:
        """Its process id, where a reference guest has told it."""
        marks = [line for line in bytes(self._err).splitlines() if line.startswith(STARTED_MARK.encode())]
        return int(marks[0].split()[-1]) if marks else None

    def wait(self, timeout: float | Wait = Wait.GUEST_COMMAND) -> CommandResult:
        """Wait for its end; CommandTimeout-like GuestError if it does not come."""
        deadline = Deadline(self._guest.deadlines.of(timeout), f"{self._program.command!r} to end")
        process = self._process
        if self._exit_code is None and process is not None:  # there time passes only while somebody waits
            self._guest.run(f"{self._guest.profile.background} --run-to-end {process}", timeout=timeout)
        while not self._receive(deadline.remaining):
            if deadline.expired:
                raise deadline.error("it still runs")
        self._session.close()
        return self._result()

    def stop(self, timeout: float | Wait = Wait.GUEST_COMMAND) -> CommandResult:
        """Ask it to end, terminate it if it does not, and say what became of it. Whatever is left, it is over."""
        if self._exit_code is None:
            with contextlib.suppress(ConnectionLost, Unreachable, WinRmFault):
                self._session.interrupt(self._id)
                deadline = Deadline(self._guest.deadlines.of(timeout), "a program to end")
                while not self._receive(deadline.remaining):
                    if deadline.expired:
                        self._session.terminate(self._id)
                        break
        self._session.close()
        return self._result()

    def kill(self) -> CommandResult:
        """Terminate it, without a word to it: the death of a service."""
        if self._exit_code is None:
            self._session.terminate(self._id)
        self._session.close()
        return self._result()

    def _await_readiness(self) -> None:
        mark, ready = STARTED_MARK.encode(), self._program.ready
        deadline = Deadline(
            self._guest.deadlines.seconds(Wait.GUEST_COMMAND) + self._program.seconds,
            f"{self._program.command!r} to be ready",
        )
        on_reference = self._guest.profile.background is not None
        while on_reference or ready:
            told = mark in self._err if on_reference else ready in self.output
            if told or self._receive(deadline.remaining) or deadline.expired:
                break
        if self._exit_code:
            self._session.close()
            raise TestError("a program did not start, or ended at once", details=self._result().describe())
        if ready and ready not in self.output:
            result = self.stop()
            raise TestError(
                f"a program did not become ready: it has not printed {ready!r}",
                details=(f"waited {self._program.seconds:g} s of the guest's time", *result.describe()),
            )

    def _receive(self, seconds: float) -> bool:
        """Take what it prints next; whether it has ended."""
        if self._exit_code is None:
            out, err, self._exit_code = self._session.receive(self._id, seconds)
            self._out += out
            self._err += err
        return self._exit_code is not None

    def _result(self) -> CommandResult:
        lines: Iterator[bytes] = (
            line for line in bytes(self._err).splitlines(keepends=True) if not line.startswith(STARTED_MARK.encode())
        )
        code = self._exit_code if self._exit_code is not None else 0
        return CommandResult(self._program.command, code, bytes(self._out), b"".join(lines))


def start(guest: "Guest", program: ProgramUnderTest) -> BackgroundProgram:
    """Start a program in a guest, and wait until it is ready. TestError if it does not become so."""
    if guest.first_cause is not None:
        raise guest.first_cause
    try:
        return BackgroundProgram(guest, program)
    except (ConnectionLost, Unreachable) as error:
        raise GuestError("a program could not be started in the background", details=(error.message,)) from error
