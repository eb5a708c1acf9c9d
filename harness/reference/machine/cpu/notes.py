"""Notes: what guest code of the system's own writes down for the trace while no Python runs.

They lie in the call page (code.py), in order. What Python records meanwhile is kept with its place among them, and all
is told in batches, so that the trace is the same as if everything had been told at once.
"""

from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.code import NOTE, NOTES, NOTES_BEGIN, NOTES_END
from harness.reference.machine.probes import Part, Probes, Record
from harness.reference.machine.scheduler.timers import NANOSECONDS_PER_TICK

if TYPE_CHECKING:
    from mmap import mmap

_U64 = Struct("<Q")
_NEARLY_FULL = (NOTES_BEGIN + NOTES_END) // 2
"""From here on notes are told at the next opportunity."""
ROOM_FOR_NOTES = (NOTES_END - _NEARLY_FULL) // NOTE.size
"""For how many there is room before that."""
_MOST_TOLD = 256
_WHOSE = itemgetter(2)

Meaning = tuple[tuple[Part, ...], Mapping[int, Part]]
"""How somebody's notes read: how each begins, and what each number says."""


class Notes:
    """The notes that have not been told yet, and the records between them."""

    def __init__(self, ram: "mmap", page: int, probes: Probes) -> None:
        self._ram = ram
        self._page = page
        self._next = page + NOTES
        self._probes = probes
        self._between: list[tuple[int, Record | None, int, Meaning | None]] = []
        """After which note, and a record; or whose notes mean what from here on."""
        self._meanings: dict[int, Meaning] = {}
        """By whose note it is."""
        _U64.pack_into(ram, self._next, NOTES_BEGIN)

    def record(self, record: Record) -> None:
        """Record what happened after all that has been noted so far."""
        at: int = _U64.unpack_from(self._ram, self._next)[0]
        between = self._between
        between.append((at, record, 0, None))
        if at > _NEARLY_FULL or len(between) >= _MOST_TOLD:
            self.take()

    def make_room(self) -> None:
        """See to it that there is room for ROOM_FOR_NOTES."""
        if _U64.unpack_from(self._ram, self._next)[0] > _NEARLY_FULL:
            self.take()

    def explain(self, whose: int, meaning: Meaning) -> None:
        """Say what the notes that guest code makes from here on mean."""
        at: int = _U64.unpack_from(self._ram, self._next)[0]
        self._between.append((at, None, whose, meaning))

    def forget(self, whose: int) -> None:
        """There will be no more notes of this one."""
        self.take()
        self._meanings.pop(whose, None)

    def take(self) -> None:
        """Tell what has been noted and recorded."""
        end: int = _U64.unpack_from(self._ram, self._next)[0]
        between, self._between = self._between, []
        if end == NOTES_BEGIN and not between:
            return
        _U64.pack_into(self._ram, self._next, NOTES_BEGIN)
        page, told, meanings = self._page, NOTES_BEGIN, self._meanings
        notes = list(NOTE.iter_unpack(self._ram[page + NOTES_BEGIN : page + end]))
        records: list[Record] = []
        for at, record, owner, meaning in (*between, (end, None, 0, None)):
            if told < at:
                some = notes[(told - NOTES_BEGIN) // NOTE.size : (at - NOTES_BEGIN) // NOTE.size]
                for whose, of_one in groupby(some, _WHOSE):
                    begins, says = meanings[whose]
                    records += [
                        (time // NANOSECONDS_PER_TICK, thread, (*begins, says[what]))
                        for time, thread, _, what in of_one
                    ]
                told = at
            if record is not None:
                records.append(record)
            elif meaning is not None:
                meanings[owner] = meaning
        self._probes.noted(records)
