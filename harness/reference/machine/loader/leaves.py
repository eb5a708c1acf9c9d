"""Leaves: exports that are machine code of our own, beside the Python functions of the same names.

A *counted* leaf stands for a Python function. Whenever something is not as usual it jumps to that function's stub, so
that a kernel with leaves does what a kernel without them does, bit for bit. The others are plain code, such as memcpy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LeafCode:
    """A block of position-independent code."""

    code: bytes
    entries: Mapping[str, tuple[int, bool]]
    """By name: the offset into `code`, and whether the leaf is counted."""
    routines: Mapping[str, int] = field(default_factory=dict)
    """By name: the offset of code that is no export, but called by the kernel in place of something it could do."""

    def without_counted(self) -> "LeafCode":
        """Only the plain ones: a kernel that does in Python whatever it can."""
        return LeafCode(self.code, {name: entry for name, entry in self.entries.items() if not entry[1]})
