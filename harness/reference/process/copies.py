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
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Work = Callable[[Callable[[bytes], object]], object]
"""What is done in a copy, with a function that has bytes come back."""
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


def in_a_copy(work: Work, seconds: float | None = None) -> Copied:
    """Do some work in a fork of this process; what it writes comes back, also of a fork that did not end by itself.

    The time is the host's; None: as long as it takes. Nothing of what is forked is closed or flushed in the fork, and
    it ends when this process does.
    """
    return in_copies([work], seconds)[0]


def in_copies(works: Sequence[Work], seconds: float | None = None) -> list[Copied]:
    """Do several such works, each in a fork of its own, at the same time."""
    until = None if seconds is None else time.monotonic() + seconds
    forks = [_fork(work) for work in works]
    try:
        drained = _drain([read for _, read in forks], until)
    finally:
        for _, read in forks:
            os.close(read)
    copied = []
    for (child, _), (written, out_of_time) in zip(forks, drained, strict=True):
        if out_of_time:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        copied.append(Copied(written, os.waitstatus_to_exitcode(status), out_of_time))
    return copied


def _fork(work: Work) -> tuple[int, int]:
    """A fork that does some work; its id, and where what it writes can be read."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
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


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)


def _drain(reads: Sequence[int], until: float | None) -> list[tuple[bytes, bool]]:
    """All that comes before the other ends are closed, and of each whether the time was over before that."""
    chunks: dict[int, list[bytes]] = {read: [] for read in reads}
    open_ones = list(reads)
    while open_ones:
        left = None if until is None else max(0.0, until - time.monotonic())
        readable, _, _ = select.select(open_ones, [], [], left)
        if not readable:
            break
        for read in readable:
            chunk = os.read(read, _CHUNK)
            if chunk:
                chunks[read].append(chunk)
            else:
                open_ones.remove(read)
    return [(b"".join(chunks[read]), read in open_ones) for read in reads]
