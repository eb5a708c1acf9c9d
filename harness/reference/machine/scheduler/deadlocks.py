"""Why nothing can run any more: who waits for whom, and threads that wait for each other in a circle."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from harness.reference.machine.scheduler.thread import Thread
from harness.reference.machine.stop import HangKind, HangStop, Waiter

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.machine.scheduler.requests import Wait
    from harness.reference.machine.supervisor import Supervisor


def hang(threads: Iterable[Thread], supervisor: "Supervisor") -> HangStop:
    """No thread can run, and no timer is set."""
    threads = list(threads)
    circle, waiters = find_circle(threads), waiting(threads, supervisor)
    if not circle:
        chain = _waits_in_vain(threads, supervisor)
        driver = chain[0].rpartition("+")[0] if chain else None
        return HangStop(
            HangKind.HANG, "no thread can run, no timer is set, and somebody waits", waiters, driver, chain=chain
        )
    names = " for ".join(thread.describe() for thread in (*circle, circle[0]))
    chain = next((places for thread in circle if (places := supervisor.places_in(thread.execution))), ())
    driver = chain[0].rpartition("+")[0] if chain else None
    return HangStop(HangKind.DEADLOCK, f"threads wait for each other: {names}", waiters, driver, chain=chain)


def _waits_in_vain(threads: Iterable[Thread], supervisor: "Supervisor") -> tuple[str, ...]:
    """The calls of the one driver that waits for what nobody owns: all others wait for it. Nothing if there are two."""
    found = [
        places
        for thread in threads
        if (request := thread.waiting) is not None and not request.idle and owner_of(request) is None
        if (places := supervisor.places_in(thread.execution))
    ]
    drivers = {places[0].rpartition("+")[0] for places in found}
    return found[0] if len(drivers) == 1 else ()


def waiting(threads: Iterable[Thread], supervisor: "Supervisor") -> tuple[Waiter, ...]:
    """Who waits, and for what; worker threads without work left out."""
    found = []
    for thread in threads:
        request = thread.waiting
        if request is None or request.idle:
            continue
        owner, location = owner_of(request), supervisor.location_in(thread.execution)
        whose = owner.describe() if owner else None
        found.append(Waiter(thread.id, thread.name, thread.process.id, request.describe(), whose, location))
    return tuple(found)


def check_spinning(processors: "Iterable[Processor]", supervisor: "Supervisor") -> None:
    """Nobody can run: if a processor spins, nobody will ever release what it spins for."""
    waiters = []
    driver = None
    for processor in processors:
        if processor.spin is None:
            continue
        execution = processor.execution
        location = supervisor.location_in(execution) if execution is not None else None
        driver = driver or (location.split("+")[0] if location else None)
        current: Any = processor.current
        waiters.append(Waiter(current.id, current.name, current.process.id, processor.spin.describe(), None, location))
    if waiters:
        text = "spin locks are waited for that nobody will release"
        raise HangStop(HangKind.DEADLOCK, text, tuple(waiters), driver)


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
