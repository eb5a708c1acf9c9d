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
    """The read end of a pipe that was written full and closed; without data, one that is open and never written to."""

    def __init__(self, data: bytes | None) -> None:
        self._data = data or b""
        self._at = 0
        self._written = Event("something to be typed") if data is None else None

    def read(self, k: "Executive", buffer: int, length: int, iosb: int) -> Code:
        """NtReadFile: PIPE_BROKEN at the end, as every pipe whose writer is gone."""
        piece = self._data[self._at : self._at + length]
        if self._written is not None and length:
            yield Wait([self._written], user=True)
        if not piece and length:
            return (yield from _done(k, iosb, NtStatus.PIPE_BROKEN, 0))
        k.memory.write(buffer, piece)
        self._at += len(piece)
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
