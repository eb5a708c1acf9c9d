"""The kernel's own trace: what happened, in order, and one hash over all of it (same seed, same hash)."""

import marshal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from harness.reference.machine.probes import Part, Record
from harness.reference.machine.scheduler.timers import Clock

if TYPE_CHECKING:
    from harness.reference.machine.cpu.notes import Notes

_BATCH = 256
_MARSHAL_VERSION = 2
"""The last one that does not depend on which objects are the same."""


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One thing that happened."""

    time: int
    thread: int
    what: str


class Trace:
    """Keeps the last `keep` entries, and a hash of all of them and of all import calls.

    An entry is kept as it came, in parts; it becomes text when somebody reads it.
    """

    def __init__(
        self,
        clock: Clock,
        current: Callable[[], int],
        calls: Callable[[], int],
        notes: "Notes",
        keep: int = 4096,
    ) -> None:
        self._keep = keep
        self._hashed: deque[Record] = deque(maxlen=keep)
        self._unhashed: list[Record] = []
        self._hash = blake2b(digest_size=16)
        self._clock = clock
        self._current = current
        self._calls = calls
        self._notes = notes
        """What guest code has noted comes before what is recorded now."""

    def add(self, parts: tuple[Part, ...]) -> None:
        """Record what happened at the present virtual time, for the current thread."""
        self._notes.record((self._clock.now, self._current(), parts))

    def record(self, records: list[Record]) -> None:
        """Record what happened before now, in this order."""
        unhashed = self._unhashed
        unhashed += records
        while len(unhashed) >= _BATCH:
            batch = unhashed[:_BATCH]
            self._hash.update(marshal.dumps(batch, _MARSHAL_VERSION))
            self._hashed.extend(batch)
            del unhashed[:_BATCH]

    @property
    def entries(self) -> list[TraceEntry]:
        """The last entries, in order."""
        self._notes.take()
        kept = [*self._hashed, *self._unhashed][-self._keep :]
        return [TraceEntry(time, thread, " ".join(map(_text, parts))) for time, thread, parts in kept]

    @property
    def digest(self) -> str:
        """Hash over all entries and import calls so far."""
        self._notes.take()
        final = self._hash.copy()
        final.update(marshal.dumps(self._unhashed, _MARSHAL_VERSION))
        final.update(f"{self._calls()} {self._clock.now}".encode())
        return final.hexdigest()


def _text(part: Part) -> str:
    return part if isinstance(part, str) else f"{part:#x}"
