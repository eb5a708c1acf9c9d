"""Spin locks: the lock word and the list of what a processor holds are in guest memory, for leaves to work on as well.

Who holds a lock, and since where, tells a deadlock from contention.
"""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.machine.scheduler.requests import KernelCode, Spin
from harness.reference.windows.ntos.ke.offsets import KPCR

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.machine.scheduler.scheduler import Scheduler
    from harness.reference.windows.verifier.blame import Blame
    from harness.reference.windows.verifier.bug_checks import BugChecks

_COUNT = Struct("<I")
_HELD = Struct("<QQ")


class SpinLocks:
    """Acquires and releases."""

    def __init__(self, memory: "Memory", scheduler: "Scheduler", blame: "Blame", bug_checks: "BugChecks") -> None:
        self._memory = memory
        self._scheduler = scheduler
        self._blame = blame
        self._bug_checks = bug_checks

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

    def held_on(self, processor: "Processor") -> list[tuple[int, int]]:
        """The locks that a processor holds, oldest first: each with the return address of who took it."""
        count: int = self._memory.unpack(_COUNT, processor.control + KPCR.HELD)[0]
        first = processor.control + KPCR.HELD_LOCKS
        return [self._memory.unpack(_HELD, first + _HELD.size * index) for index in range(count)]

    def _set_held(self, processor: "Processor", held: list[tuple[int, int]]) -> None:
        for index, entry in enumerate(held):
            self._memory.pack(_HELD, processor.control + KPCR.HELD_LOCKS + _HELD.size * index, *entry)
        self._memory.pack(_COUNT, processor.control + KPCR.HELD, len(held))

    def _take(self, lock: int) -> None:
        processor = self._scheduler.current_processor
        held = self.held_on(processor)
        if len(held) == KPCR.HELD_MOST:
            raise OverflowError(f"a processor holds more than {KPCR.HELD_MOST} spin locks")
        self._memory.write_u64(lock, 1)
        self._set_held(processor, [*held, (lock, self._blame.current().returns_to)])

    def _spin(self, lock: int, answer: int) -> KernelCode:
        memory = self._memory
        while memory.read_u64(lock):
            yield Spin(lambda: not memory.read_u64(lock), lambda: self._describe(lock))
        self._take(lock)
        return answer

    def _holder(self, lock: int) -> "tuple[Processor, str] | None":
        """Who holds a lock, and since where."""
        for processor in self._scheduler.processors:
            for held, since in self.held_on(processor):
                if held == lock:
                    return processor, self._blame.describe_call(since)
        return None

    def _check_deadlock(self, lock: int) -> None:
        holder = self._holder(lock)
        if holder is not None and holder[0] is self._scheduler.current_processor:
            raise self._bug_checks.stop(
                BugCheck.SPIN_LOCK_ALREADY_OWNED,
                lock,
                message=f"the spin lock at {lock:#x} is acquired on a processor that holds it already"
                f" (since {holder[1]})",
            )

    def _describe(self, lock: int) -> str:
        holder = self._holder(lock)
        held = f", held by processor {holder[0].number} since {holder[1]}" if holder is not None else ""
        return f"the spin lock at {lock:#x}{held}"

    def release(self, lock: int) -> None:
        """Release a lock, whichever processor has taken it."""
        holder = self._holder(lock)
        if holder is None or not self._memory.read_u64(lock):
            raise self._bug_checks.stop(
                BugCheck.SPIN_LOCK_NOT_OWNED, lock, message=f"the spin lock at {lock:#x} is released but was not held"
            )
        processor = holder[0]
        self._set_held(processor, [entry for entry in self.held_on(processor) if entry[0] != lock])
        self._memory.write_u64(lock, 0)
