"""Memory for the kernel's own objects (threads, processes, tokens), and kernel stacks."""

from harness.reference.machine.memory.layout import (
    KERNEL_STACK_SIZE,
    KERNEL_STACKS,
    PAGE_SIZE,
    SYSTEM_OBJECTS,
    page_align,
)
from harness.reference.machine.memory.memory import Memory

_ALIGNMENT = 64
_SLAB = 0x10000
_STACK_STRIDE = 0x10000


class SystemHeap:
    """Objects that drivers only point to. Not guarded; zeroed."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._next = self._end = SYSTEM_OBJECTS
        self._free: dict[int, list[int]] = {}
        self._sizes: dict[int, int] = {}

    def allocate(self, size: int) -> int:
        """A zeroed object; its guest address."""
        size = (max(size, 1) + _ALIGNMENT - 1) & ~(_ALIGNMENT - 1)
        free = self._free.get(size)
        if free:
            address = free.pop()
            self._memory.write(address, bytes(size))
        else:
            if self._next + size > self._end:
                room = max(_SLAB, page_align(size))
                self._memory.map(self._end, room)
                self._end += room
            address = self._next
            self._next += size
        self._sizes[address] = size
        return address

    def free(self, address: int) -> None:
        """Give an object back."""
        self._free.setdefault(self._sizes.pop(address), []).append(address)


class KernelStacks:
    """Kernel stacks between guard pages."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._next = KERNEL_STACKS
        self._free: list[int] = []

    def allocate(self) -> tuple[int, int]:
        """A stack; its lowest address and the one past its highest."""
        if self._free:
            base = self._free.pop()
        else:
            base = self._next + PAGE_SIZE
            self._next += _STACK_STRIDE
            self._memory.map(base, KERNEL_STACK_SIZE)
        return base, base + KERNEL_STACK_SIZE

    def free(self, base: int) -> None:
        """Give a stack back."""
        self._free.append(base)

    @staticmethod
    def is_stack(address: int) -> bool:
        """Whether an address is where kernel stacks are, or in a guard region between two."""
        return KERNEL_STACKS <= address < KERNEL_STACKS + (1 << 39)

    @staticmethod
    def is_guard(address: int) -> bool:
        """Whether an address is in the guard region below a kernel stack."""
        offset = (address - KERNEL_STACKS) % _STACK_STRIDE
        return KernelStacks.is_stack(address) and (offset < PAGE_SIZE or offset >= PAGE_SIZE + KERNEL_STACK_SIZE)
