"""Work in a copy of the kernel's process: a fork, which shares no memory with it and ends when the work is done.

So what a kernel with a whole stack loaded comes to can be tried from one point, within milliseconds and as often as
anybody wants: the process that forks is still at that point afterwards, whatever became of the copy, also a bug check.
Files of the host are not gone back in; who empties volumes does that.
"""

import ctypes
import gc
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

_CHUNK = 1 << 16
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Copied:
    """What a copy has written, and how it ended."""

    written: bytes
    exit_code: int = 0
    """Its exit code, or the negative number of the signal that ended it."""
    out_of_time: bool = False
    """It was ended, as it did not come to its end in time."""


def in_a_copy(work: Callable[[Callable[[bytes], object]], object], seconds: float | None = None) -> Copied:
    """Do some work in a fork of this process; what it writes comes back, also of a fork that did not end by itself.

    The time is the host's; None: as long as it takes. Nothing of what is forked is closed or flushed in the fork, and
    it ends when this process does.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            _die_with_parent()
            gc.freeze()  # a collection would copy every page that has objects
            with os.fdopen(write, "wb", buffering=0) as pipe:
                work(pipe.write)
            code = 0
        except Exception:  # noqa: BLE001 (nobody above is to go on in the fork)
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    try:
        written, out_of_time = _drain(read, None if seconds is None else time.monotonic() + seconds)
    finally:
        os.close(read)
    if out_of_time:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return Copied(written, os.waitstatus_to_exitcode(status), out_of_time)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)


def _drain(read: int, until: float | None) -> tuple[bytes, bool]:
    """All that comes before the other end is closed, and whether the time was over before that."""
    chunks: list[bytes] = []
    while True:
        left = None if until is None else max(0.0, until - time.monotonic())
        readable, _, _ = select.select([read], [], [], left)
        if not readable:
            return b"".join(chunks), True
        chunk = os.read(read, _CHUNK)
        if not chunk:
            return b"".join(chunks), False
        chunks.append(chunk)
