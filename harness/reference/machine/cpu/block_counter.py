"""Which code of an image has run, how often, and which way its jumps went: counted by the processor, block by block.

A basic block is told to a *hook* when it begins. On x86-64 hosts the hook is machine code of our own, so that a block
costs some nanoseconds; elsewhere it is Python, which does the same. The counters are shared with forks of this process:
what a fork runs counts as well. Edges are not: they are asked for by who ran the code.
"""

import ctypes
import mmap
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from struct import Struct
from typing import Any

from harness.reference.machine.cpu import native

EDGES = 1 << 14
"""How many counters, of a byte each, all pairs of blocks share that follow each other."""
BLOCK_HOOK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
"""What Unicorn calls: itself, the block's address and size, and what it was told to hand on."""

_NATIVE = bytes.fromhex(
    "4889f0"  # mov rax, rsi            the block's address
    "482b01"  # sub rax, [rcx]          in the image
    "4c8b4108"  # mov r8, [rcx+8]
    "41ff0480"  # inc dword [r8+rax*4]  from here on it ran once more,
    "4189d1"  # mov r9d, edx
    "4901c1"  # add r9, rax
    "43ff0c88"  # dec dword [r8+r9*4]   up to its end
    "4c8b5120"  # mov r10, [rcx+20h]    where the block before it ended
    "4c894920"  # mov [rcx+20h], r9
    "31d2"  # xor edx, edx
    "4c39d0"  # cmp rax, r10
    "0f95c2"  # setne dl                whether this is another place
    "4e8d1452"  # lea r10, [rdx+r10*2]
    "4c8b5910"  # mov r11, [rcx+10h]
    "43ff0493"  # inc dword [r11+r10*4]
    "4c8b5918"  # mov r11, [rcx+18h]
    "4c8b4928"  # mov r9, [rcx+28h]
    "4931c1"  # xor r9, rax
    "4181e1ff3f0000"  # and r9d, EDGES-1
    "43fe040b"  # inc byte [r11+r9]
    "48d1e8"  # shr rax, 1
    "48894128"  # mov [rcx+28h], rax
    "c3"  # ret
)
_STATE = Struct("<6Q")
"""Begin of the image; where the counters of addresses, of ends and of edges are; the end of the block before; its
address in the image, halved."""
_I32 = Struct("<i")
_U32_PAIR = Struct("<2I")
_SET = re.compile(rb"[^\0]")


@dataclass(frozen=True)
class Executed:
    """What has run of an image; offsets are from its begin.

    `spans` are (begin, end, times) of code that ran equally often, in order. `ends` are (end of a block, how often the
    code right behind it came next, how often other code did): where the block ends in a conditional jump, how often it
    was not taken, and taken.
    """

    spans: tuple[tuple[int, int, int], ...]
    ends: tuple[tuple[int, int, int], ...]


class BlockCounter:
    """Counts the blocks of one range of addresses."""

    def __init__(self, begin: int, size: int, edges: mmap.mmap) -> None:
        self.begin = begin
        self.size = size
        self._starts = mmap.mmap(-1, 4 * (size + 1))
        self._ends = mmap.mmap(-1, 8 * (size + 1))
        self._edges = edges
        self._state = _private(_STATE.size)
        self._places = [native.address_of(one) for one in (self._state, self._starts, self._ends, self._edges)]
        _STATE.pack_into(self._state, 0, begin, *self._places[1:], size, 0)

    def hook(self, *, machine_code: bool = native.HERE) -> tuple[Any, int]:
        """The function that is to be called for each block, and what is to be handed to it."""
        if machine_code:
            return BLOCK_HOOK(_native_hook()), self._places[0]
        return BLOCK_HOOK(self._count), 0

    def _count(self, _engine: int, address: int, size: int, _data: int) -> None:
        """The same as the machine code above."""
        *places, before, halved = _STATE.unpack_from(self._state)
        at = address - self.begin
        _add(self._starts, 4 * at, 1)
        _add(self._starts, 4 * (at + size), -1)
        _add(self._ends, 4 * (2 * before + (at != before)), 1)
        edge = (halved ^ at) % EDGES
        self._edges[edge] = (self._edges[edge] + 1) & 0xFF
        _STATE.pack_into(self._state, 0, *places, at + size, at >> 1)

    def take(self) -> Executed:
        """What has run since this was asked last."""
        executed = Executed(tuple(self._spans()), tuple(self._ways()))
        for counters in (self._starts, self._ends):
            counters[:] = bytes(len(counters))
        return executed

    def begin_anew(self) -> None:
        """The next block follows none."""
        *places, _, _ = _STATE.unpack_from(self._state)
        _STATE.pack_into(self._state, 0, *places, self.size, 0)

    def _spans(self) -> Iterator[tuple[int, int, int]]:
        times = begin = 0
        for at in _words(self._starts, 4):
            if times:
                yield begin, at, times
            begin = at
            times += _I32.unpack_from(self._starts, 4 * at)[0]

    def _ways(self) -> Iterator[tuple[int, int, int]]:
        for end in _words(self._ends, 8):
            if end < self.size:
                yield end, *_U32_PAIR.unpack_from(self._ends, 8 * end)


class ImageCounters:
    """The counters of all images of a kernel, and the edges that they share."""

    def __init__(self, count: Callable[[int, int, Any, int], None]) -> None:
        """`count` has a hook called, with its data, for the blocks of a range: begin, end, hook, data."""
        self._count = count
        self.edges = _private(EDGES)
        self._of: dict[str, list[BlockCounter]] = {}

    def watch(self, name: str, begin: int, size: int) -> None:
        """Count the blocks of an image that has just been loaded."""
        counter = BlockCounter(begin, size, self.edges)
        self._of.setdefault(name, []).append(counter)
        self._count(begin, begin + size, *counter.hook())

    def forget_edges(self) -> None:
        """Count edges from 0 again; none leads from what has run until now."""
        self.edges[:] = bytes(EDGES)
        for counters in self._of.values():
            for counter in counters:
                counter.begin_anew()

    def take(self) -> dict[str, list[Executed]]:
        """By name what has run of each image since this was asked last; more than one if it was loaded again."""
        return {name: [counter.take() for counter in counters] for name, counters in self._of.items()}


def _private(size: int) -> mmap.mmap:
    """Memory that a fork of this process has a copy of."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _words(counters: mmap.mmap, size: int) -> Iterator[int]:
    """The places of the counters that are not 0, each `size` bytes long."""
    last = -1
    for match in _SET.finditer(counters):
        at = match.start() // size
        if at != last:
            yield at
        last = at


def _add(counters: mmap.mmap, at: int, what: int) -> None:
    _I32.pack_into(counters, at, (_I32.unpack_from(counters, at)[0] + what + (1 << 31)) % (1 << 32) - (1 << 31))


@cache
def _native_hook() -> int:
    """The address of the machine code."""
    return native.place(_NATIVE)
