"""Every error fltlab raises on purpose, split by whose fault it is.

    FltLabError
    ├── ConfigurationError   the user's command line, files or drivers are wrong         exit 2
    ├── HostError            this machine lacks something, or QEMU failed                exit 3
    ├── GuestError           a guest, its transport or the reference kernel failed       exit 3
    ├── DriverError          a driver under test brought the guest down                  exit 1
    └── TestError            an assertion of a suite does not hold                       exit 1

A message says what was tried, what came back and what to do next. JUnit's *error* and *failure* follow the
class: `DriverError` and `TestError` are failures, everything else is an error.
"""

import signal
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from harness.text import safe


class ExitCode(IntEnum):
    """What the `fltlab` command returns."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    HOST = 3
    INTERRUPTED = 130


class FltLabError(Exception):
    """An error with a message for the user.

    `message` is one sentence; `details` are further lines (what came back, what is kept); `hint` is what to do next.
    Whatever a guest or a file said in them is safe to print.
    """

    exit_code = ExitCode.HOST
    is_failure = False

    def __init__(self, message: str, *, details: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(safe(message))
        self.message: str = safe(message)
        self.details: tuple[str, ...] = tuple(map(safe, details))
        self.hint: str | None = None if hint is None else safe(hint)

    def __str__(self) -> str:
        lines = [self.message, *(f"  {line}" for line in self.details)]
        if self.hint:
            lines.append(f"  try:  {self.hint}")
        return "\n".join(lines)


class ConfigurationError(FltLabError):
    """The user's command line, files or drivers are wrong."""

    exit_code = ExitCode.USAGE


class HostError(FltLabError):
    """This machine lacks something fltlab needs, or a program on it failed."""

    exit_code = ExitCode.HOST


class GuestError(FltLabError):
    """A guest, the transport to it or the reference kernel itself failed."""

    exit_code = ExitCode.HOST


class DriverError(FltLabError):
    """A driver under test brought the guest down (bugcheck, deadlock or hang), or its kernel reports it.

    `rules` are those of the contract that the kernel says were violated; `findings` its own words for what it found;
    `answer` is the code, in words, of a command about the driver that has failed.
    """

    exit_code = ExitCode.FAILED
    is_failure = True

    def __init__(
        self,
        message: str,
        *,
        details: tuple[str, ...] = (),
        hint: str | None = None,
        rules: tuple[str, ...] = (),
        findings: tuple[Mapping[str, Any], ...] = (),
        answer: str = "",
    ) -> None:
        super().__init__(message, details=details, hint=hint)
        self.rules = rules
        self.findings = findings
        self.answer = answer


class TestError(FltLabError):
    """An assertion of a suite does not hold.

    `about` is what it is about, for whoever shows where that is: an operation of a trace.
    """

    __test__ = False
    exit_code = ExitCode.FAILED
    is_failure = True

    def __init__(
        self, message: str, *, details: tuple[str, ...] = (), hint: str | None = None, about: object = None
    ) -> None:
        super().__init__(message, details=details, hint=hint)
        self.about = about


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing where nothing is near: how a wrong name is answered."""
    from difflib import get_close_matches  # its import would be paid for by every command

    near = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def ending(code: int) -> str:
    """How a program ended, by what `subprocess` gives: its exit code, or the signal that killed it."""
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"killed by {name}" + (", as the kernel does when memory runs out" if name == "SIGKILL" else "")
