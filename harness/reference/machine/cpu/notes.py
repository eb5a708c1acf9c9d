"""Notes: what guest code of the system's own writes down for the trace while no Python runs.

They lie in the call page (code.py), in order, and are taken before anything else is recorded, so that the trace is the
same as if Python had been told at once.
"""

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.code import NOTE, NOTES, NOTES_BEGIN
from harness.reference.machine.probes import Part, Probes
from harness.reference.machine.scheduler.timers import NANOSECONDS_PER_TICK

if TYPE_CHECKING:
    from mmap import mmap

_U64 = Struct("<Q")
Reader = Callable[[int], tuple[Part, ...]]
"""What a note says, in parts of a line."""


class Notes:
    """The notes that have not been taken yet."""

    def __init__(self, ram: "mmap", page: int, probes: Probes) -> None:
        self._ram = ram
        self._page = page
        self._next = page + NOTES
        self._probes = probes
        self.readers: dict[int, Reader] = {}
        """By whose note it is."""
        _U64.pack_into(ram, self._next, NOTES_BEGIN)

    def take(self) -> None:
        """Tell what has been noted."""
        end: int = _U64.unpack_from(self._ram, self._next)[0]
        if end == NOTES_BEGIN:
            return
        _U64.pack_into(self._ram, self._next, NOTES_BEGIN)
        page, readers = self._page, self.readers
        self._probes.noted(
            [
                (nanoseconds // NANOSECONDS_PER_TICK, thread, readers[whose](what))
                for nanoseconds, thread, whose, what in NOTE.iter_unpack(self._ram[page + NOTES_BEGIN : page + end])
            ]
        )
