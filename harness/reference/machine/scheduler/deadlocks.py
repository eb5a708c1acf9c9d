"""Threads that wait for each other in a circle: each for a lock that the next one owns."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.reference.machine.scheduler.thread import Thread

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.requests import Wait


def owner_of(request: "Wait") -> Thread | None:
    """Who owns what is waited for, where it has an owner."""
    for item in request.objects:
        owner = getattr(item, "owner", None)
        if isinstance(owner, Thread):
            return owner
    return None


def find_circle(threads: Iterable[Thread]) -> list[Thread]:
    """The threads of a circle, in the order in which they wait for each other; empty if there is none."""
    for first in threads:
        path: list[Thread] = []
        thread: Thread | None = first
        while thread is not None and thread not in path:
            path.append(thread)
            thread = _blocked_by(thread)
        if thread is not None:
            return path[path.index(thread) :]
    return []


def _blocked_by(thread: Thread) -> Thread | None:
    """The thread without which this one cannot go on; None if another object may end its wait, or it does not wait."""
    request = thread.waiting
    if request is None or not (request.all or len(request.objects) == 1):
        return None
    return owner_of(request)
