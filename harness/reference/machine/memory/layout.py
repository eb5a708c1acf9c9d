"""Where things are in the guest's virtual address space.

The places are fixed, so that addresses in a trace or a bug check say at a glance what they belong to, and so that two
runs of one seed agree on them. Whatever guest code touches at every step lies at another place within its MiB: the
emulator's TLB and its cache of jumps know addresses by their low bits.
"""

PAGE_SIZE = 0x1000
PAGE_SHIFT = 12

HIGHEST_USER_ADDRESS = 0x7FFF_FFFE_FFFF
"""MmHighestUserAddress."""
SYSTEM_RANGE_START = 0xFFFF_8000_0000_0000
"""MmSystemRangeStart."""

USER_SHARED_DATA_USER = 0x7FFE_0000
USER_STACKS = 0x0000_0010_0000_0000
USER_HEAP = 0x0000_0200_0000_0000
USER_IMAGES = 0x0000_7FF6_0000_0000
USER_TEBS = 0x0000_00F0_0000_0000

USER_SHARED_DATA = 0xFFFF_F780_0000_0000
KERNEL_STUBS = 0xFFFF_F800_0000_0000
"""Code of our own: entry and return thunks, import stubs."""
KERNEL_STUBS_SIZE = 0x40000
TRAP = KERNEL_STUBS
"""Where every import stub goes on to (cpu/code.py)."""
LEAVE_LEAF = TRAP + 0xA0
"""Where a leaf goes on that is done, but is to leave the processor."""
LEAVES = 0xFFFF_F800_0804_0000
"""Exports written as machine code."""
KERNEL_DATA = 0xFFFF_F800_1004_8000
"""Data exports."""
CALL_PAGE = 0xFFFF_F800_2004_A000
"""The page through which stubs and Python pass registers."""
PROCESSOR_CONTROL = 0xFFFF_F800_3004_C000
"""KPCR of processor 0; the others follow at PROCESSOR_CONTROL_STRIDE."""
PROCESSOR_CONTROL_STRIDE = 0x10000

IMAGES = 0xFFFF_F801_0008_0000
IMAGE_ALIGNMENT = 0x10000

SYSTEM_OBJECTS = 0xFFFF_9A00_0006_0000
"""KTHREADs, EPROCESSes, tokens and other objects of the kernel's own."""
NONPAGED_POOL = 0xFFFF_B000_0000_0000
PAGED_POOL = 0xFFFF_C000_0000_0000
"""Alone in its 512 GiB slot, so that one page-table entry takes it away at raised IRQL."""
KERNEL_STACKS = 0xFFFF_D000_0007_0000
SYSTEM_MAPPINGS = 0xFFFF_E000_0000_0000
"""Second mappings of locked pages (MDLs)."""

KERNEL_STACK_SIZE = 0x6000
"""As on x64 Windows."""


def is_user(address: int) -> bool:
    """Whether an address is in the user half."""
    return address <= HIGHEST_USER_ADDRESS


def page_align(size: int) -> int:
    """`size` rounded up to whole pages."""
    return (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)
