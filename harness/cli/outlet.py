"""Standard output that may be closed at its other end, as by `fltlab run | head`.

What a command does is not decided by whether somebody reads on: it goes on, and its exit code says what came of it.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast


class Outlet:
    """A text stream that drops what nobody reads any more; in all else it is the stream that it stands for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except BrokenPipeError:
            # What is still in buffers, here and in those that write to the descriptor, goes nowhere from now on.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def outlive_readers() -> None:
    """Have this process go on when nobody reads its standard output or error any more."""
    sys.stdout = cast("TextIO", Outlet(sys.stdout))
    sys.stderr = cast("TextIO", Outlet(sys.stderr))
