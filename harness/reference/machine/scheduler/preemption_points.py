"""Where in a driver's code an interruption can make a difference: before calls, returns, and accesses to memory.

The stack is a thread's own, and is left out; so is what is reached through a segment register.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from capstone import CS_AC_WRITE, CS_GRP_CALL, CS_GRP_JUMP, CS_GRP_RET
from capstone.x86_const import X86_INS_LEA, X86_INS_NOP, X86_OP_MEM, X86_REG_INVALID, X86_REG_RIP, X86_REG_RSP

from harness.reference.machine.cpu import disassembler
from harness.reference.machine.loader.images import Image

_REGISTERS = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{number}" for number in range(8, 16)))


@dataclass(frozen=True, slots=True)
class Point:
    """An instruction; `call` if it leaves the function.

    What it touches is at `base` + `index` * `scale` + `displacement` (registers by number).
    """

    address: int
    call: bool
    writes: bool = False
    base: int | None = None
    index: int | None = None
    scale: int = 1
    displacement: int = 0

    def cell(self, general: list[int]) -> int:
        """The 8 bytes that it touches, with these registers; 0 for a call."""
        if self.call:
            return 0
        at = self.displacement
        at += general[self.base] if self.base is not None else 0
        at += general[self.index] * self.scale if self.index is not None else 0
        return at & ((1 << 64) - 8)


def points_of(image: Image, read: Callable[[int, int], bytes]) -> Iterator[Point]:
    """The points of an image; `read` gives bytes at an address."""
    for section in image.sections:
        if not section.executable or section.discardable:
            continue
        begin, end = section.address, section.address + section.size
        cuts = {begin, end}
        for first, last, _ in image.functions:
            cuts |= {at for at in (first, last) if begin <= at < end}
        ordered = sorted(cuts)
        for first, last in itertools.pairwise(ordered):
            for point in _points_in(read(image.base + first, last - first), image.base + first):
                if not _is_constant(image, point):
                    yield point


def _is_constant(image: Image, point: Point) -> bool:
    """Whether it only reads what nobody writes: a table of imports, a constant."""
    if point.call or point.base is not None:
        return False
    section = image.section_at(point.displacement)
    return section is not None and not section.writable


def _points_in(code: bytes, address: int) -> Iterator[Point]:
    for instruction in disassembler.detailed().disasm(code, address):
        leaves = instruction.group(CS_GRP_JUMP) and any(one.type == X86_OP_MEM for one in instruction.operands)
        if leaves or instruction.group(CS_GRP_CALL) or instruction.group(CS_GRP_RET):
            yield Point(instruction.address, call=True)
            continue
        if instruction.id in (X86_INS_LEA, X86_INS_NOP):
            continue
        for operand in instruction.operands:
            if operand.type != X86_OP_MEM or operand.mem.base == X86_REG_RSP:
                continue
            writes, memory = bool(operand.access & CS_AC_WRITE), operand.mem
            if memory.base == X86_REG_RIP:
                at = instruction.address + instruction.size + memory.disp
                yield Point(instruction.address, False, writes, displacement=at)
            else:
                base, index = (_number(instruction.reg_name(one)) for one in (memory.base, memory.index))
                if base is None and memory.base != X86_REG_INVALID:
                    continue  # gs and what else is no general register
                yield Point(instruction.address, False, writes, base, index, memory.scale, memory.disp)
            break


def _number(name: str | None) -> int | None:
    return _REGISTERS.index(name) if name in _REGISTERS else None
