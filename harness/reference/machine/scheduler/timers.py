"""Virtual time: a clock that moves only when the kernel says so, and the timers on it.

The clock counts nanoseconds, so that every reading of the time stamp counter is greater than the one before.
"""

import heapq
import mmap
from collections.abc import Callable
from itertools import count
from struct import Struct

NANOSECONDS_PER_TICK = 100
"""The unit of timeouts and of QueryPerformanceCounter: 100 ns."""
NEVER = (1 << 63) // NANOSECONDS_PER_TICK
"""What is due later than this, some 290 years after the start, does not come."""
_U64 = Struct("<Q")


class Timer:
    """A function that is called when its time comes."""

    __slots__ = ("due", "function", "period")

    def __init__(self, due: int, function: Callable[[], None], period: int) -> None:
        self.due = due
        self.function: Callable[[], None] | None = function
        self.period = period

    @property
    def active(self) -> bool:
        return self.function is not None

    def cancel(self) -> bool:
        """Take the timer off; False if it has fired already."""
        active = self.function is not None
        self.function = None
        return active


class Clock:
    """Virtual time and its timers. The time itself is 8 bytes of RAM: guest code moves it with every import call."""

    def __init__(self, ram: mmap.mmap, offset: int) -> None:
        self._ram = ram
        self._offset = offset
        self._heap: list[tuple[int, int, Timer]] = []
        self._order = count()

    @property
    def nanoseconds(self) -> int:
        value: int = _U64.unpack_from(self._ram, self._offset)[0]
        return value

    @nanoseconds.setter
    def nanoseconds(self, value: int) -> None:
        _U64.pack_into(self._ram, self._offset, value)

    @property
    def now(self) -> int:
        """In 100 ns."""
        ticks: int = _U64.unpack_from(self._ram, self._offset)[0] // NANOSECONDS_PER_TICK
        return ticks

    def stamp(self) -> int:
        """The time stamp counter: strictly increasing from one reading to the next."""
        value: int = _U64.unpack_from(self._ram, self._offset)[0] + 1
        _U64.pack_into(self._ram, self._offset, value)
        return value

    def add(self, after: int, function: Callable[[], None], period: int = 0) -> Timer:
        """Call `function` in `after` * 100 ns, and every `period` * 100 ns after that."""
        timer = Timer(self.now + max(after, 0), function, period)
        self._push(timer)
        return timer

    def _push(self, timer: Timer) -> None:
        if timer.due <= NEVER:
            heapq.heappush(self._heap, (timer.due, next(self._order), timer))

    def _next(self) -> Timer | None:
        while self._heap and not self._heap[0][2].active:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    @property
    def next_due(self) -> int | None:
        """When the next timer is due, or None."""
        timer = self._next()
        return timer.due if timer is not None else None

    def is_due(self, time: int) -> bool:
        """Whether a timer is due by a time."""
        while self._heap and self._heap[0][0] <= time:
            if self._heap[0][2].active:
                return True
            heapq.heappop(self._heap)
        return False

    def fire(self) -> bool:
        """Call what is due now; whether there was anything."""
        fired = False
        while (timer := self._next()) is not None and timer.due <= self.now:
            heapq.heappop(self._heap)
            function = timer.function
            assert function is not None
            if timer.period:
                timer.due += timer.period
                self._push(timer)
            else:
                timer.function = None
            function()
            fired = True
        return fired

    def advance(self) -> bool:
        """Move to the next timer and call it; False if there is none."""
        due = self.next_due
        if due is None:
            return False
        self.nanoseconds = max(self.nanoseconds, due * NANOSECONDS_PER_TICK)
        return self.fire()
