"""What takes long and is done once: said when it begins, to whoever listens, so that nobody waits without a word."""

import contextlib
from collections.abc import Callable, Iterator

_listeners: list[Callable[[str], None]] = []


def say(text: str) -> None:
    """Tell every listener what begins now."""
    for listener in _listeners:
        listener(text)


@contextlib.contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Have a function told, within this, what begins."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
