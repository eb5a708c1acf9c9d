"""Locks with owners: executive resources and push locks. Who waits is served in order as soon as the lock allows."""

from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from harness.reference.machine.scheduler.dispatcher import Dispatcher
from harness.reference.machine.scheduler.requests import KernelCode, Wait

if TYPE_CHECKING:
    from collections.abc import Hashable

    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.scheduler import Scheduler
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.ntos.ps.process_table import ProcessTable
    from harness.reference.windows.verifier.blame import Blame
    from harness.reference.windows.verifier.findings import Verifier


RESOURCE = "executive resource"
PUSH_LOCK = "push lock"


RESOURCE_LAYOUT = Struct("<QQ8xhH4x16xQ8xI4xII24x")
"""ERESOURCE: SystemResourcesList, ActiveCount, Flag, OwnerThread, ActiveEntries, and how many wait for shared and for
exclusive access."""
_OWNED_EXCLUSIVE = 0x80
_PUSH_LOCK = Struct("<Q")


@dataclass(frozen=True)
class OwnerPointer:
    """An owner that is no thread: what ExSetResourceOwnerPointer hands a resource to."""

    address: int

    def describe(self) -> str:
        return f"owner pointer {self.address:#x}"


class Acquisition(NamedTuple):
    """One acquisition: its number of all locks', and the call by which it was."""

    number: int
    at: str


@dataclass(eq=False)
class OwnedLock:
    """A lock that has one exclusive owner or several shared ones."""

    address: int
    kind: str
    recursive: bool
    driver: str | None
    exclusive: "Thread | OwnerPointer | None" = None
    depth: int = 0
    shared: "dict[Thread | OwnerPointer, int]" = field(default_factory=dict)
    exclusive_waiters: int = 0
    shared_waiters: int = 0
    taken: "dict[Thread | OwnerPointer, list[Acquisition]]" = field(default_factory=dict)
    """What each owner has acquired and not released."""
    shown: bytes = b""
    """What lies in guest memory, where only the kernel writes."""

    @property
    def free(self) -> bool:
        return self.exclusive is None and not self.shared

    def owned_by(self, thread: "Thread") -> bool:
        return self.exclusive is thread or thread in self.shared

    def owners(self) -> "list[Thread | OwnerPointer]":
        return [self.exclusive] if self.exclusive is not None else list(self.shared)

    def describe(self) -> str:
        owners = ", ".join(owner.describe() for owner in self.owners())
        return f"{self.kind} at {self.address:#x}" + (f", owned by {owners}" if owners else "")


class LockRequest(Dispatcher):
    """A wait for a lock."""

    def __init__(self, lock: OwnedLock, acquisition: Acquisition, *, exclusive: bool, starve: bool = False) -> None:
        self.lock = lock
        self.acquisition = acquisition
        self.exclusive = exclusive
        self.starve = starve
        """A shared request that does not wait behind exclusive waiters."""
        self.taken = False

    @property
    def key(self) -> "Hashable":
        return ("lock", self.lock.address)

    @property
    def owner(self) -> "Thread | None":
        return next((owner for owner in self.lock.owners() if not isinstance(owner, OwnerPointer)), None)

    def signaled(self, thread: "Thread") -> bool:
        lock = self.lock
        if lock.recursive and lock.exclusive is thread:
            return True
        if self.exclusive:
            return lock.free
        if lock.exclusive is not None:
            return False
        return self.starve or not lock.exclusive_waiters or (lock.recursive and thread in lock.shared)

    def acquire(self, thread: "Thread") -> bool:
        lock = self.lock
        self.taken = True
        lock.taken.setdefault(thread, []).append(self.acquisition)
        if self.exclusive or lock.exclusive is thread:
            lock.exclusive = thread
            lock.depth += 1
        else:
            lock.shared[thread] = lock.shared.get(thread, 0) + 1
        return False

    def describe(self) -> str:
        return f"{'exclusive' if self.exclusive else 'shared'} access to the {self.lock.describe()}"


class LockTable:
    """All locks with owners, by guest address."""

    def __init__(
        self,
        memory: "Memory",
        scheduler: "Scheduler",
        processes: "ProcessTable",
        blame: "Blame",
        verifier: "Verifier",
    ) -> None:
        self._memory = memory
        self._scheduler = scheduler
        self._blame = blame
        self._verifier = verifier
        self._locks: dict[int, OwnedLock] = {}
        self.acquisitions = 0
        """How many there have been."""
        processes.on_thread_end.append(self._thread_ended)

    def create(self, address: int, kind: str, *, recursive: bool) -> OwnedLock:
        """A new lock at an address."""
        lock = OwnedLock(address, kind, recursive, self._blame.current().driver)
        self._locks[address] = lock
        self._mirror(lock)
        return lock

    def find(self, address: int) -> OwnedLock | None:
        return self._locks.get(address)

    def is_intact(self, lock: OwnedLock) -> bool:
        """Whether nobody else has written where it lies."""
        return self._memory.read(lock.address, len(lock.shown)) == lock.shown

    def delete(self, lock: OwnedLock) -> None:
        self._locks.pop(lock.address, None)

    def acquire(self, lock: OwnedLock, *, exclusive: bool, wait: bool = True, starve: bool = False) -> int | KernelCode:
        """Take a lock: 1 if taken, 0 if not and `wait` is false; kernel code that waits otherwise."""
        thread = self._scheduler.current_processor.current
        acquisition = self.count_acquisition(self._blame.current().location or "")
        request = LockRequest(lock, acquisition, exclusive=exclusive, starve=starve)
        if request.signaled(thread):
            request.acquire(thread)
            self._mirror(lock)
            return 1
        return self._wait(request) if wait else 0

    def count_acquisition(self, at: str) -> Acquisition:
        """One more, of whatever has an owner."""
        self.acquisitions += 1
        return Acquisition(self.acquisitions, at)

    def _wait(self, request: LockRequest) -> KernelCode:
        lock = request.lock
        if request.exclusive:
            lock.exclusive_waiters += 1
        else:
            lock.shared_waiters += 1
        self._mirror(lock)
        try:
            yield Wait([request], reason="a lock")
        finally:
            if request.exclusive:
                lock.exclusive_waiters -= 1
            else:
                lock.shared_waiters -= 1
            self._mirror(lock)
        return 1

    def release(self, lock: OwnedLock, owner: "Thread | OwnerPointer") -> bool:
        """Release one acquisition of `owner`; False if it holds none."""
        if lock.exclusive == owner:
            lock.depth -= 1
            if lock.depth == 0:
                lock.exclusive = None
        elif owner in lock.shared:
            lock.shared[owner] -= 1
            if lock.shared[owner] == 0:
                del lock.shared[owner]
        else:
            return False
        lock.taken[owner].pop()
        if not lock.taken[owner]:
            del lock.taken[owner]
        self._mirror(lock)
        self._scheduler.signal_key(("lock", lock.address))
        return True

    def hand_over(self, lock: OwnedLock, thread: "Thread", owner: OwnerPointer) -> bool:
        """All that `thread` has acquired is `owner`'s from now on; False if it holds nothing."""
        if lock.exclusive is thread:
            lock.exclusive = owner
        elif thread in lock.shared:
            lock.shared[owner] = lock.shared.get(owner, 0) + lock.shared.pop(thread)
        else:
            return False
        lock.taken.setdefault(owner, []).extend(lock.taken.pop(thread))
        self._mirror(lock)
        return True

    def downgrade(self, lock: OwnedLock) -> None:
        """Make the exclusive owner a shared one."""
        assert lock.exclusive is not None
        lock.shared[lock.exclusive] = lock.depth
        lock.exclusive, lock.depth = None, 0
        self._mirror(lock)
        self._scheduler.signal_key(("lock", lock.address))

    def held_by(self, thread: "Thread") -> list[OwnedLock]:
        """The locks a thread owns."""
        return [lock for lock in self._locks.values() if lock.owned_by(thread)]

    def acquired_since(self, acquisition: int, thread: "Thread") -> list[tuple[OwnedLock, str]]:
        """The locks that a thread has acquired after so many acquisitions and not released, and where it has."""
        last = [(lock, lock.taken[thread][-1]) for lock in self.held_by(thread)]
        return [(lock, taken.at) for lock, taken in last if taken.number > acquisition]

    def inside(self, address: int, size: int) -> list[OwnedLock]:
        """Locks in a range of memory."""
        return [lock for lock in self._locks.values() if address <= lock.address < address + size]

    def made_by(self, driver: str) -> list[OwnedLock]:
        """Locks that a driver initialized."""
        return [lock for lock in self._locks.values() if lock.driver == driver]

    def _thread_ended(self, thread: "Thread") -> None:
        for lock in self.held_by(thread):
            self._verifier.report(
                None, lock.driver, f"{thread.describe()} ended while it owned the {lock.kind} at {lock.address:#x}"
            )

    def _mirror(self, lock: OwnedLock) -> None:
        """Write a lock's state into guest memory, where macros read it."""
        owner = lock.exclusive
        if lock.kind != RESOURCE:
            lock.shown = _PUSH_LOCK.pack(1 if owner is not None else 0x11 if lock.shared else 0)
        else:
            lock.shown = RESOURCE_LAYOUT.pack(
                lock.address,
                lock.address,
                0 if lock.free else 1,
                _OWNED_EXCLUSIVE if owner is not None else 0,
                0 if owner is None else owner.address if isinstance(owner, OwnerPointer) else owner.kthread,
                len(lock.owners()),
                lock.shared_waiters,
                lock.exclusive_waiters,
            )
        self._memory.write(lock.address, lock.shown)
