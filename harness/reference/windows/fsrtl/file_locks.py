"""The locks of one FILE_LOCK: what is held, who waits, and what they forbid."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.windows.io.request import Request

_EXCLUSIVE = 0x02


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

    def same_owner(self, other: "Range") -> bool:
        return (self.file, self.process, self.key) == (other.file, other.process, other.key)


@dataclass(slots=True)
class FileLock:
    """One FILE_LOCK. `waiting` has the IRPs that wait, in their order."""

    SIZE = 0x60
    held: list[Range] = field(default_factory=list)
    waiting: list[tuple[int, Range]] = field(default_factory=list)

    def admits(self, wanted: Range) -> bool:
        """Whether a range can be locked now."""
        return not any(item.overlaps(wanted) and (item.exclusive or wanted.exclusive) for item in self.held)

    def allows(self, wanted: Range, *, write: bool) -> bool:
        """Whether a range may be read or written by this owner."""
        return not any(
            item.overlaps(wanted) and (write or item.exclusive) and not (item.exclusive and item.same_owner(wanted))
            for item in self.held
        )

    def release(self, wanted: Range) -> bool:
        """Unlock one range exactly as it was locked; False if it is not."""
        for item in self.held:
            if item.same_owner(wanted) and (item.offset, item.length) == (wanted.offset, wanted.length):
                self.held.remove(item)
                return True
        return False

    def release_all(self, file: int, process: int, key: int | None = None) -> None:
        """Unlock what a file object holds for a process, with one key if one is given."""
        self.held = [
            item for item in self.held if (item.file, item.process) != (file, process) or key not in (None, item.key)
        ]

    def grant(self) -> list[int]:
        """Give waiters what is free now; their IRPs."""
        granted: list[int] = []
        for irp, wanted in list(self.waiting):
            if self.admits(wanted):
                self.waiting.remove((irp, wanted))
                self.held.append(wanted)
                granted.append(irp)
        return granted


class FileLocks:
    """All FILE_LOCKs, by their guest addresses."""

    def __init__(self) -> None:
        self._known: dict[int, FileLock] = {}

    def make(self, address: int) -> None:
        """FsRtlInitializeFileLock."""
        self._known[address] = FileLock()

    def at(self, address: int) -> FileLock:
        """The FILE_LOCK at an address."""
        return self._known.setdefault(address, FileLock())

    def remove(self, address: int) -> FileLock:
        """FsRtlUninitializeFileLock."""
        return self._known.pop(address, FileLock())
