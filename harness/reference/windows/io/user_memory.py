"""Memory of programs, as I/O touches it: parts of it may be views whose pages are still in a file."""

from typing import Protocol

from harness.reference.windows.io.request import Code


class UserMemory(Protocol):
    """What the memory manager does for the I/O manager and for file systems."""

    def touch(self, address: int, length: int, *, write: bool = False) -> Code:
        """Bring a range in. Raises PageFault for what cannot be."""

    def read(self, address: int, length: int) -> Code:
        """Read memory, bringing pages of views in."""

    def write(self, address: int, data: bytes) -> Code:
        """Write memory, bringing pages of views in."""
