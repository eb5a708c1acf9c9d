"""Running a program of this machine and saying exactly what went wrong with it."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import HostError, ending

TAIL_LINES = 12


def tail(text: str, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """Return the last `lines` lines of what a program printed, blank lines left out."""
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-lines:]


def run_program(
    arguments: Sequence[str | Path],
    *,
    purpose: str,
    stdin: bytes = b"",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
    hint: str | None = None,
) -> bytes:
    """Run a program to its end and return its standard output.

    `purpose` completes the sentence "could not …". Raises HostError with the command, the exit code and the last
    lines it printed when it cannot be started, fails, or is not done after `timeout` seconds.
    """
    words = [str(argument) for argument in arguments]
    command = f"command: {shlex.join(words)}"
    try:
        done = subprocess.run(
            words, input=stdin, capture_output=True, cwd=cwd, env=environment, timeout=timeout, check=False
        )
    except FileNotFoundError as error:
        raise HostError(f"could not {purpose}: {words[0]} is not installed", details=(command,), hint=hint) from error
    except subprocess.TimeoutExpired as error:
        output = tail((error.stderr or error.stdout or b"").decode(errors="replace"))
        raise HostError(
            f"could not {purpose}: not done after {timeout:g} s", details=(command, *output), hint=hint
        ) from error
    if done.returncode != 0:
        output = tail((done.stderr or done.stdout).decode(errors="replace"))
        raise HostError(
            f"could not {purpose}: {ending(done.returncode)}", details=(command, *output), hint=hint
        ) from None
    return done.stdout
