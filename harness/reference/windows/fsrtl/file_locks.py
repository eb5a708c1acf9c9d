"""The locks of one FILE_LOCK: what is held, who waits, what they forbid, and whom it tells."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, Self

from harness.nt import NtStatus, nt_success
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.io.constants import Minor

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.windows.io.request import Code, Request
    from harness.reference.windows.ntos.executive import Executive

_EXCLUSIVE = 0x02
_LOCK_INFO = Struct("<QQB3xIQQQ")
"""FILE_LOCK_INFO."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range of bytes, and who wants or has it. `file` and `process` are guest addresses."""

    file: int
    process: int
    key: int
    offset: int
    length: int
    exclusive: bool = False

    @classmethod
    def of(cls, memory: "Memory", request: "Request", file: int) -> Self:
        """What a lock or unlock request names. LARGE_INTEGER *Length, Key, ByteOffset."""
        at = request.parameters
        pointer = int.from_bytes(at[0:8], "little")
        length = memory.read_u64(pointer) if pointer else 0
        return cls(
            file,
            request.thread.process.eprocess,
            int.from_bytes(at[8:12], "little"),
            int.from_bytes(at[16:24], "little"),
            length,
            bool(request.operation_flags & _EXCLUSIVE),
        )

    def overlaps(self, other: "Range") -> bool:
        """Whether two ranges have a byte in common; one of no bytes lies between two."""
        return self.offset < other.offset + other.length and other.offset < self.offset + self.length

    def info(self) -> bytes:
        """A FILE_LOCK_INFO."""
        end = self.offset + self.length - 1 & (1 << 64) - 1
        return _LOCK_INFO.pack(self.offset, self.length, self.exclusive, self.key, self.file, self.process, end)

    def same_owner(self, other: "Range") -> bool:
        return (self.file, self.process, self.key) == (other.file, other.process, other.key)


@dataclass(frozen=True, slots=True)
class Waiter:
    """A lock that waits: what it is for (an IRP or callback data), and the context that came with it."""

    irp: int
    wanted: Range
    context: int


@dataclass(slots=True)
class FileLock:
    """One FILE_LOCK. `complete` and `unlock` are its driver's routines, or 0; `waiting` is in the order it came."""

    SIZE = 0x60
    complete: int = 0
    unlock: int = 0
    held: list[Range] = field(default_factory=list)
    waiting: list[Waiter] = field(default_factory=list)

    def admits(self, wanted: Range) -> bool:
        """Whether a range can be locked now."""
        return not any(item.overlaps(wanted) and (item.exclusive or wanted.exclusive) for item in self.held)

    def allows(self, wanted: Range, *, write: bool) -> bool:
        """Whether a range may be read or written by this owner."""
        return not any(
            item.overlaps(wanted) and (write or item.exclusive) and not (item.exclusive and item.same_owner(wanted))
            for item in self.held
        )

    def release(self, wanted: Range) -> list[Range]:
        """Unlock one range exactly as it was locked; what was unlocked, nothing if it is not locked."""
        for item in self.held:
            if item.same_owner(wanted) and (item.offset, item.length) == (wanted.offset, wanted.length):
                self.held.remove(item)
                return [item]
        return []

    def release_all(self, file: int, process: int, key: int | None = None) -> list[Range]:
        """Unlock what a file object holds for a process, with one key if one is given; what was unlocked."""
        gone = [item for item in self.held if (item.file, item.process) == (file, process) and key in (None, item.key)]
        self.held = [item for item in self.held if item not in gone]
        return gone

    def release_as_asked(self, minor: int, wanted: Range) -> tuple[list[Range], NtStatus]:
        """What an unlock request asks; what was unlocked, and its status."""
        if minor == Minor.UNLOCK_SINGLE:
            released = self.release(wanted)
            return released, NtStatus.SUCCESS if released else NtStatus.RANGE_NOT_LOCKED
        key = None if minor == Minor.UNLOCK_ALL else wanted.key
        return self.release_all(wanted.file, wanted.process, key), NtStatus.SUCCESS

    def next_to_grant(self) -> Waiter | None:
        """Give the first waiter that need not wait any more what it wants."""
        for waiter in self.waiting:
            if self.admits(waiter.wanted):
                self.waiting.remove(waiter)
                self.held.append(waiter.wanted)
                return waiter
        return None

    def give_up(self, irp: int) -> None:
        """It waits no longer."""
        self.waiting = [waiter for waiter in self.waiting if waiter.irp != irp]

    def tell_unlocked(self, k: "Executive", ranges: Iterable[Range], context: int) -> "Code":
        """Call the UnlockRoutine for each."""
        for item in ranges if self.unlock else ():
            info = k.heap.allocate(_LOCK_INFO.size)
            k.memory.write(info, item.info())
            yield Call(self.unlock, context, info)
            k.heap.free(info)

    def tell_completed(self, context: int, irp: int, status: int, wanted: Range | None = None) -> "Code":
        """Call the CompleteLock routine, which is there; NTSTATUS. If that fails, what was `wanted` is not locked."""
        answer: int = (yield Call(self.complete, context, irp)) & 0xFFFF_FFFF
        if nt_success(answer):
            return status
        if wanted in self.held:
            self.held.remove(wanted)
        return answer


class FileLocks:
    """All FILE_LOCKs, by their guest addresses."""

    def __init__(self) -> None:
        self._known: dict[int, FileLock] = {}

    def make(self, address: int, complete: int = 0, unlock: int = 0) -> None:
        """FsRtlInitializeFileLock."""
        self._known[address] = FileLock(complete, unlock)

    def at(self, address: int) -> FileLock:
        """The FILE_LOCK at an address."""
        return self._known.setdefault(address, FileLock())

    def remove(self, address: int) -> FileLock:
        """FsRtlUninitializeFileLock."""
        return self._known.pop(address, FileLock())
