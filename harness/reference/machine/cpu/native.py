"""Machine code of our own that Unicorn calls, where Python would cost more than what is done: on x86-64 hosts.

Whoever has some has the same in Python, for other hosts.
"""

import ctypes
import mmap
import platform

HERE = platform.machine() == "x86_64"
"""Whether this host can run it."""

_kept: list[mmap.mmap] = []


def place(code: bytes) -> int:
    """Put code where it can be run, for as long as this process; its address. It may not depend on where it is."""
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory[: len(code)] = code
    _kept.append(memory)
    return address_of(memory)


def address_of(memory: mmap.mmap) -> int:
    """Where a mapping is in this process."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
