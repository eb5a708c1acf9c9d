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
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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


def in_copies(works: Sequence[Work], seconds: float | None = None, at_a_time: int | None = None) -> list[Copied]:
    """Do several such works, each in a fork of its own that may take so long: all at the same time, or so many."""
    left = deque(enumerate(works))
    running: list[_Copy] = []
    copied: dict[int, Copied] = {}
    try:
        while left or running:
            while left and len(running) < (at_a_time or len(works)):
                place, work = left.popleft()
                running.append(_Copy(place, *_fork(work), _later(seconds)))
            for one in _hear(running):
                running.remove(one)
                copied[one.place] = one.end()
    finally:
        for one in running:
            os.close(one.read)
    return [copied[place] for place in range(len(works))]


@dataclass
class _Copy:
    """A fork that is at work; `read` is where what it writes can be read, `until` what it may take."""

    place: int
    child: int
    read: int
    until: float | None
    chunks: list[bytes] = field(default_factory=list)
    out_of_time: bool = False

    def end(self) -> Copied:
        """What has become of it: it has closed its end, or must not go on."""
        os.close(self.read)
        if self.out_of_time:
            os.kill(self.child, signal.SIGKILL)
        _, status = os.waitpid(self.child, 0)
        return Copied(b"".join(self.chunks), os.waitstatus_to_exitcode(status), self.out_of_time)


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


def _later(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def _hear(running: Sequence[_Copy]) -> list[_Copy]:
    """Wait until some write something, and take it; those that will write no more, or are out of time."""
    soonest = min((one.until for one in running if one.until is not None), default=None)
    left = None if soonest is None else max(0.0, soonest - time.monotonic())
    readable, _, _ = select.select([one.read for one in running], [], [], left)
    ended = []
    for one in running:
        if one.read in readable:
            chunk = os.read(one.read, _CHUNK)
            one.chunks.append(chunk)
            if not chunk:
                ended.append(one)
        elif one.until is not None and time.monotonic() >= one.until:
            one.out_of_time = True
            ended.append(one)
    return ended
