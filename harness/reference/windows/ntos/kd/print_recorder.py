"""What drivers print, kept where none of a stack captures it: a black box that stands alone is read, too."""

from collections import deque
from typing import TYPE_CHECKING

from harness.reference.windows.ntos.kd.debug_output import MAXIMUM_TEXT
from harness.wire.trace import Print

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

LIMIT = 1000
"""How many prints are kept: the last ones."""


class PrintRecorder:
    """Keeps the last prints since `watch`, each with its time and thread."""

    def __init__(self, k: "Executive") -> None:
        self._k = k
        self._kept: deque[Print] = deque(maxlen=LIMIT)
        self._watching = False
        self.lost = 0
        """How many came before those that are kept."""

    def watch(self) -> None:
        """Keep what is printed from now on."""
        self._watching = True

    def add(self, text: str, component: int, level: int) -> None:
        """Somebody prints."""
        if not self._watching:
            return
        k = self._k
        self.lost += len(self._kept) == LIMIT
        self._kept.append(
            Print(
                io=0,
                text=text[:MAXIMUM_TEXT],
                time_stamp=k.clock.nanoseconds,
                performance_count=k.clock.now,
                component=component,
                level=level,
                thread=k.current.id,
                process=k.current.process.id,
                full_length=len(text),
            )
        )

    def recorded(self) -> tuple[Print, ...]:
        """What is kept, in the order in which it was printed."""
        return tuple(self._kept)
