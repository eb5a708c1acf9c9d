"""A line at the foot of a terminal that is written anew while all else scrolls above it.

What pytest writes goes through `LiveLine.file`, which takes the line away first and puts it back at the end of a line.
The line itself goes to a copy of the terminal's descriptor, so that it is there also while a test's output is captured.
"""

import os
import threading
from typing import Any, TextIO

CLEAR = "\r\x1b[2K"


class LiveLine:
    """The line, and the file that others write to meanwhile."""

    def __init__(self, terminal: TextIO) -> None:
        """`terminal` is what pytest writes to; it must have a descriptor."""
        self.file: Any = _Above(self, terminal)
        self._descriptor = os.dup(terminal.fileno())
        self._lock = threading.RLock()
        self._shown = ""
        self._at_begin = True
        """Whether the cursor is where the line may stand: others have ended theirs."""

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        try:
            return os.get_terminal_size(self._descriptor).columns or 80
        except OSError:
            return 80

    def show(self, text: str) -> None:
        """Put the line there, cut to the width of the terminal."""
        width = self.width - 1
        text = text if len(text) <= width else text[: width - 1] + "…"
        with self._lock:
            if self._at_begin and text != self._shown:
                self._write(CLEAR + text)
                self._shown = text

    def close(self) -> None:
        """Take the line away for good."""
        with self._lock:
            self._take_away()
            self._at_begin = False

    def write_above(self, inner: TextIO, text: str) -> int:
        """What somebody else writes."""
        with self._lock:
            self._take_away()
            written = inner.write(text)
            inner.flush()
            if text:
                self._at_begin = text.endswith("\n")
            return written

    def _take_away(self) -> None:
        if self._shown:
            self._write(CLEAR)
            self._shown = ""

    def _write(self, text: str) -> None:
        try:
            os.write(self._descriptor, text.encode(errors="replace"))
        except OSError:  # the terminal is gone: there is nobody to tell
            self._at_begin = False


class _Above:
    """A file that makes room for what is written to it."""

    def __init__(self, line: LiveLine, inner: TextIO) -> None:
        self._line = line
        self._inner = inner

    def write(self, text: str) -> int:
        return self._line.write_above(self._inner, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
