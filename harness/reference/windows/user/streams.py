"""Standard input and output of a program: pipes whose other end is whoever started it."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.structures import IoStatusBlock

if TYPE_CHECKING:
    from harness.reference.windows.io.user_memory import UserMemory
    from harness.reference.windows.ntos.executive import Executive

TYPE = "NamedPipe"
"""Object type of a standard handle."""


def _done(k: "Executive", iosb: int, status: NtStatus, information: int) -> Code:
    yield from ()
    block = IoStatusBlock(k.memory, iosb)
    block.status, block.information = int(status), information
    return int(status)


class InputPipe:
    """The read end of a pipe: what was written to it, and what still will be as long as it `is_open`."""

    def __init__(self, data: bytes = b"", *, is_open: bool = False) -> None:
        self._data = data
        self._is_open = is_open
        self._changed = Event("something to be typed", synchronization=True)
        self.is_awaited = False
        """Whether the program has read all that was written, and waits for more."""

    def feed(self, k: "Executive", data: bytes, *, last: bool = False) -> None:
        """Write to it; with `last` it is closed behind that."""
        self._data += data
        self._is_open = not last
        self.is_awaited = False
        k.signal(self._changed)

    def read(self, k: "Executive", buffer: int, length: int, iosb: int) -> Code:
        """NtReadFile: waits for something to be written; PIPE_BROKEN at the end, as every pipe whose writer is gone."""
        while length and self._is_open and not self._data:
            self.is_awaited = True
            if (yield Wait([self._changed], user=True)):
                break  # it is to end
        piece, self._data = self._data[:length], self._data[length:]
        if not piece and length:
            return (yield from _done(k, iosb, NtStatus.PIPE_BROKEN, 0))
        k.memory.write(buffer, piece)
        return (yield from _done(k, iosb, NtStatus.SUCCESS, len(piece)))

    def write(self, k: "Executive", buffer: int, length: int, iosb: int) -> Code:
        """NtWriteFile: the handle was opened for reading."""
        del buffer, length
        return (yield from _done(k, iosb, NtStatus.ACCESS_DENIED, 0))


class OutputPipe:
    """The write end of a pipe; `data` is what was written."""

    def __init__(self, views: "UserMemory") -> None:
        self._views = views
        self.data = bytearray()

    def read(self, k: "Executive", buffer: int, length: int, iosb: int) -> Code:
        """NtReadFile: the handle was opened for writing."""
        del buffer, length
        return (yield from _done(k, iosb, NtStatus.ACCESS_DENIED, 0))

    def write(self, k: "Executive", buffer: int, length: int, iosb: int) -> Code:
        """NtWriteFile."""
        self.data += yield from self._views.read(buffer, length)
        return (yield from _done(k, iosb, NtStatus.SUCCESS, length))
