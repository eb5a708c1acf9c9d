"""Work in a copy of the kernel's process: a fork, which shares no memory with it and ends when the work is done."""

import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Copied:
    """What a copy has written, and how it ended."""

    written: bytes
    exit_code: int = 0
    """Its exit code, or the negative number of the signal that ended it."""
    out_of_time: bool = False
    """It was ended, as it did not come to its end in time."""


def in_a_copy(work: Callable[[Callable[[bytes], object]], object], seconds: float) -> Copied:
    """Do some work in a fork of this process; what it writes comes back, also of a fork that did not end by itself.

    The time is the host's. Nothing of what is forked is closed or flushed in the fork.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            with os.fdopen(write, "wb", buffering=0) as pipe:
                work(pipe.write)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    try:
        written, out_of_time = _drain(read, time.monotonic() + seconds)
    finally:
        os.close(read)
    if out_of_time:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return Copied(written, os.waitstatus_to_exitcode(status), out_of_time)


def _drain(read: int, until: float) -> tuple[bytes, bool]:
    """All that comes before the other end is closed, and whether the time was over before that."""
    chunks: list[bytes] = []
    while True:
        readable, _, _ = select.select([read], [], [], max(0.0, until - time.monotonic()))
        if not readable:
            return b"".join(chunks), True
        chunk = os.read(read, _CHUNK)
        if not chunk:
            return b"".join(chunks), False
        chunks.append(chunk)
