"""A client that gives up on a command: whoever waits on the command's behalf is woken, so that its thread ends with it.

The thread of a command has its cancellation in a context variable, for what waits deep below it.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar


class Cancelled(Exception):
    """The client has sent ctrl-c or terminate, or has deleted the shell."""


class Cancellation:
    """Whether a client has given up, and who is woken when it does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._wake: list[Callable[[], object]] = []

    def ask(self) -> None:
        """Give up: wake everybody that waits, and everybody that is about to."""
        with self._lock:
            self._asked = True
            waiting, self._wake = self._wake, []
        for wake in waiting:
            wake()

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Within this `wake` is called when the client gives up, at once if it has."""
        with self._lock:
            late = self._asked
            if not late:
                self._wake.append(wake)
        if late:
            wake()
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._wake.remove(wake)


CURRENT: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)
"""That of the command whose thread this is."""


def waking(wake: Callable[[], object]) -> contextlib.AbstractContextManager[None]:
    """`Cancellation.waking` of the command whose thread this is; nothing in a thread of none."""
    current = CURRENT.get()
    return current.waking(wake) if current is not None else contextlib.nullcontext()
