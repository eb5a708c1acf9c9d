"""The kernel's own trace: what happened, in order, and one hash over all of it (same seed, same hash)."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One thing that happened."""

    time: int
    thread: int
    what: str


class Trace:
    """Keeps the last `keep` entries, and a hash of all of them and of all import calls."""

    def __init__(
        self, now: Callable[[], int], current: Callable[[], int], calls: Callable[[], int], keep: int = 4096
    ) -> None:
        self.entries: deque[TraceEntry] = deque(maxlen=keep)
        self.count = 0
        self._hash = blake2b(digest_size=16)
        self._now = now
        self._current = current
        self._calls = calls

    def add(self, what: str) -> None:
        """Record `what` at the present virtual time, for the current thread."""
        entry = TraceEntry(self._now(), self._current(), what)
        self.entries.append(entry)
        self.count += 1
        self._hash.update(f"{entry.time} {entry.thread} {what}\n".encode())

    @property
    def digest(self) -> str:
        """Hash over all entries and import calls so far."""
        final = self._hash.copy()
        final.update(f"{self._calls()} {self._now()}".encode())
        return final.hexdigest()
