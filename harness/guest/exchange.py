"""The last requests over WinRM: what was asked, when, for how long, and what came of it."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

KEPT = 40


@dataclass(frozen=True)
class Exchange:
    """One request. No password is in it: that travels in the HTTP header."""

    at: str
    purpose: str
    seconds: float
    outcome: str


class Exchanges:
    """The last exchanges of one session, oldest first."""

    def __init__(self) -> None:
        self._kept: deque[Exchange] = deque(maxlen=KEPT)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(tuple(self._kept))

    @contextlib.contextmanager
    def noting(self, purpose: str) -> Iterator[None]:
        """Note what happens inside as one exchange."""
        at, begin, outcome = datetime.now(UTC), time.monotonic(), "answered"
        try:
            yield
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
            raise
        finally:
            seconds = round(time.monotonic() - begin, 4)
            self._kept.append(Exchange(at.isoformat(timespec="milliseconds"), purpose, seconds, outcome))
