"""Spin locks: the lock word is in guest memory; who holds it is kept here, to tell a deadlock from contention."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.machine.scheduler.requests import KernelCode, Spin

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.machine.scheduler.scheduler import Scheduler
    from harness.reference.windows.verifier.blame import Blame, Location
    from harness.reference.windows.verifier.bug_checks import BugChecks


@dataclass(slots=True, eq=False)
class Holder:
    """Who holds a spin lock, and since where. One is made at every acquire; words are made of it when needed."""

    processor: "Processor"
    since: "Location"


class SpinLocks:
    """Acquires and releases."""

    def __init__(self, memory: "Memory", scheduler: "Scheduler", blame: "Blame", bug_checks: "BugChecks") -> None:
        self._memory = memory
        self._scheduler = scheduler
        self._blame = blame
        self._bug_checks = bug_checks
        self._holders: dict[int, Holder] = {}

    def acquire(self, lock: int, answer: int) -> int | KernelCode:
        """Take a lock, or spin for it; `answer` is what the export returns then."""
        if self._memory.read_u64(lock):
            self._check_deadlock(lock)
            return self._spin(lock, answer)
        self._take(lock)
        return answer

    def try_acquire(self, lock: int) -> bool:
        """Take a lock if it is free."""
        if self._memory.read_u64(lock):
            return False
        self._take(lock)
        return True

    def _take(self, lock: int) -> None:
        self._memory.write_u64(lock, 1)
        self._holders[lock] = Holder(self._scheduler.current_processor, self._blame.current())

    def _spin(self, lock: int, answer: int) -> KernelCode:
        memory = self._memory
        while memory.read_u64(lock):
            yield Spin(lambda: not memory.read_u64(lock), lambda: self._describe(lock))
        self._take(lock)
        return answer

    def _check_deadlock(self, lock: int) -> None:
        holder = self._holders.get(lock)
        if holder is not None and holder.processor is self._scheduler.current_processor:
            raise self._bug_checks.stop(
                BugCheck.SPIN_LOCK_ALREADY_OWNED,
                lock,
                message=f"the spin lock at {lock:#x} is acquired on a processor that holds it already"
                f" (since {holder.since.location})",
            )

    def _describe(self, lock: int) -> str:
        holder = self._holders.get(lock)
        held = f", held by processor {holder.processor.number} since {holder.since.location}" if holder else ""
        return f"the spin lock at {lock:#x}{held}"

    def release(self, lock: int) -> None:
        """Release a lock."""
        holder = self._holders.pop(lock, None)
        if holder is None or not self._memory.read_u64(lock):
            raise self._bug_checks.stop(
                BugCheck.SPIN_LOCK_NOT_OWNED, lock, message=f"the spin lock at {lock:#x} is released but was not held"
            )
        self._memory.write_u64(lock, 0)

    def held_on(self, processor: "Processor") -> list[int]:
        """Locks held on a processor."""
        return [lock for lock, holder in self._holders.items() if holder.processor is processor]
