"""The memory of programs: stacks, environment blocks, and what they allocate.

All processes share one address space here; a range is never given out twice, so that a stale pointer faults.
"""

from typing import TYPE_CHECKING

from harness.reference.machine.memory.layout import PAGE_SIZE, USER_HEAP, USER_STACKS, USER_TEBS, page_align
from harness.reference.machine.memory.structure import Field, Structure

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory

STACK_SIZE = 0x20000
LARGE_STACK_SIZE = 0x40000
"""Of programs that were not written for this guest."""
_GRANULARITY = 0x10000


class Peb(Structure):
    """PEB, and behind it the RTL_USER_PROCESS_PARAMETERS that it points to."""

    SIZE = 0x800
    image_base = Field(0x10)
    process_parameters = Field(0x20)
    PARAMETERS = 0x800
    standard_input = Field(PARAMETERS + 0x20)
    standard_output = Field(PARAMETERS + 0x28)
    standard_error = Field(PARAMETERS + 0x30)
    IMAGE_PATH = PARAMETERS + 0x60
    COMMAND_LINE = PARAMETERS + 0x70
    WINDOW_TITLE = PARAMETERS + 0xB0
    TEXT = PARAMETERS + 0x400


class Teb(Structure):
    """TEB."""

    SIZE = 0x1838
    stack_base = Field(0x08)
    stack_limit = Field(0x10)
    self_pointer = Field(0x30)
    process_id = Field(0x40)
    thread_id = Field(0x48)
    peb = Field(0x60)


class UserSpace:
    """Gives out ranges of the user half."""

    def __init__(self, memory: "Memory") -> None:
        self._memory = memory
        self._next = {"stack": USER_STACKS, "block": USER_TEBS, "heap": USER_HEAP}

    def _place(self, kind: str, size: int) -> int:
        address = self._next[kind]
        self._next[kind] += (size + 2 * _GRANULARITY - 1) // _GRANULARITY * _GRANULARITY
        return address

    def allocate(self, kind: str, size: int) -> "Region":
        """Mapped, zeroed, writable memory, with unmapped memory behind it."""
        size = page_align(size)
        base = self._place(kind, size)
        self._memory.map(base, size, user=True)
        return Region(self._memory, base, size)


class Region:
    """A mapped range of one process."""

    def __init__(self, memory: "Memory", base: int, size: int) -> None:
        self._memory = memory
        self.base = base
        self.size = size

    @property
    def end(self) -> int:
        return self.base + self.size

    def contains(self, address: int, size: int = 1) -> bool:
        """Whether a range lies inside."""
        return self.base <= address and address + size <= self.end

    def free(self) -> None:
        """Unmap it."""
        self._memory.unmap(self.base, self.size)


def make_peb(memory: "Memory", region: Region, path: str, command_line: str, title: str = "") -> Peb:
    """Fill in the environment block of a process. `region` has `peb_size` bytes or more."""
    peb = Peb(memory, region.base)
    peb.process_parameters = region.base + Peb.PARAMETERS
    at = region.base + Peb.TEXT
    for field, text in ((Peb.IMAGE_PATH, path), (Peb.COMMAND_LINE, command_line), (Peb.WINDOW_TITLE, title)):
        data = text.encode("utf-16-le")
        memory.write(at, data)
        memory.write_unicode_string(region.base + field, at, len(data), len(data) + 2)
        at += len(data) + 2
    return peb


def peb_size(path: str, command_line: str) -> int:
    """How much memory `make_peb` needs."""
    return page_align(Peb.TEXT + 2 * (len(path) + len(command_line)) + PAGE_SIZE)
