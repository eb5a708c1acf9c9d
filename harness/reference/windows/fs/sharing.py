"""Share access: which opens of one file may exist side by side (IoCheckShareAccess)."""

from dataclasses import dataclass, field
from enum import IntFlag

from harness.nt.words import word


@word
class Access(IntFlag):
    """The bits of a desired access that sharing looks at, plus those the volume checks itself."""

    READ_DATA = 0x00000001
    WRITE_DATA = 0x00000002
    APPEND_DATA = 0x00000004
    READ_EA = 0x00000008
    WRITE_EA = 0x00000010
    EXECUTE = 0x00000020
    READ_ATTRIBUTES = 0x00000080
    WRITE_ATTRIBUTES = 0x00000100
    DELETE = 0x00010000
    SYNCHRONIZE = 0x00100000
    GENERIC_ALL = 0x10000000
    GENERIC_EXECUTE = 0x20000000
    GENERIC_WRITE = 0x40000000
    GENERIC_READ = 0x80000000


@word
class Share(IntFlag):
    """FILE_SHARE_*."""

    READ = 1
    WRITE = 2
    DELETE = 4


READS = Access.READ_DATA | Access.EXECUTE
WRITES = Access.WRITE_DATA | Access.APPEND_DATA


@dataclass(eq=False, slots=True)
class ShareEntry:
    """One open's part in the sharing of a file: what it does and what it lets others do."""

    access: int
    share: int

    @property
    def needs(self) -> Share:
        """What every other open must share for this one to be possible."""
        needed = Share(0)
        if self.access & READS:
            needed |= Share.READ
        if self.access & WRITES:
            needed |= Share.WRITE
        if self.access & Access.DELETE:
            needed |= Share.DELETE
        return needed


@dataclass(slots=True)
class ShareAccess:
    """All opens of one file."""

    entries: list[ShareEntry] = field(default_factory=list)

    def admits(self, entry: ShareEntry) -> bool:
        """Whether `entry` may join: nobody forbids what it does, and it forbids nothing that others do.

        An open for attributes only takes no part in sharing.
        """
        if not entry.needs:
            return True
        return all(
            entry.needs & ~other.share == 0 and other.needs & ~entry.share == 0 for other in self.entries if other.needs
        )

    def add(self, entry: ShareEntry) -> None:
        """Record an open that `admits` allowed."""
        self.entries.append(entry)

    def remove(self, entry: ShareEntry) -> None:
        """Forget an open at its cleanup; unknown entries are ignored, since cleanup may come twice after a cancel."""
        if entry in self.entries:
            self.entries.remove(entry)
