"""Going back: a kernel's process forks, and the fork goes on; when that is to be undone it ends, and another is forked.

So a kernel with a whole stack loaded is at the same point again within milliseconds, whatever has become of it since:
also after a bug check, and as often as anybody wants. A fork shares no memory with the process that keeps the point,
and speaks on its pipes in its place. Files of the host are not gone back in; who empties volumes does that.
"""

import ctypes
import gc
import os
import signal
from typing import NoReturn

_REWOUND = 88
"""The exit code of a fork that has said on its pipe what comes next."""
_PR_SET_PDEATHSIG = 1
_CHUNK = 1 << 16


class Checkpoint:
    """The points that this process can go back to: at most one, kept by the process that it was forked from."""

    def __init__(self) -> None:
        self._pipe: int | None = None
        """Of a fork: where it says what comes after it."""

    @property
    def held(self) -> bool:
        """Whether there is a point to go back to."""
        return self._pipe is not None

    def hold(self) -> bytes | None:
        """Keep this point. Returns in a fork: with None at first, and with what `rewind` was given each later time.

        It returns in the keeping process itself, with what was given, once `rewind` has let the point go.
        """
        gc.freeze()  # a collection in a fork would copy every page that has objects
        said: bytes | None = None
        while True:
            read, write = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(read)
                _die_with_parent()
                self._pipe = write
                return said
            os.close(write)
            said = _drain(read)
            _, status = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(status)
            if code != _REWOUND:
                os._exit(code if code >= 0 else 128 - code)  # it died: so does the kernel
            if said[:1] == b"-":
                return said[1:]
            said = said[1:]

    def rewind(self, said: bytes, *, keep: bool) -> NoReturn:
        """End this fork. The point is gone back to, and `hold` returns `said`; without `keep` that is the last time."""
        assert self._pipe is not None
        with os.fdopen(self._pipe, "wb") as pipe:
            pipe.write((b"+" if keep else b"-") + said)
        os._exit(_REWOUND)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)


def _drain(read: int) -> bytes:
    chunks = []
    while chunk := os.read(read, _CHUNK):
        chunks.append(chunk)
    os.close(read)
    return b"".join(chunks)
