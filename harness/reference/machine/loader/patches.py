"""Instructions that Unicorn gets wrong, found in an image and replaced by an `int` of the same length.

`mov reg, cr8` reads 0 and `mov cr8, reg` is ignored (KeGetCurrentIrql is inlined as the former), `rdrand` and `rdseed`
give host randomness, and a write of CR0, CR3, CR4 or of a model-specific register (`wrmsr`) takes the emulator's own
translation or processor away: it raises here, as under a hypervisor that guards them. The same bytes may be part of a
longer instruction, a jump's distance say: they are confirmed by disassembling the function they lie in, or what lies
between two functions of the table, since leaf functions have no entry there.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.reference.machine.cpu import disassembler

READ_IRQL = 0xB0
WRITE_IRQL = 0xC0
RANDOM = 0xD0
"""Interrupt vectors; the register number is added."""

GENERAL_PROTECTION = 0x0D

_CANDIDATE = re.compile(
    rb"[\x44\x45]\x0f[\x20\x22][\xc0-\xc7]|(?:[\x48\x49\x41]\x0f\xc7|\x0f\xc7)[\xf0-\xff]"
    rb"|[\x40\x41\x48\x49]?\x0f\x22[\xc0-\xc7\xd8-\xe7]|\x0f\x30",
    re.DOTALL,
)
_NOP = 0x90
_WRITE_MSR = b"\x0f\x30"


@dataclass(frozen=True, slots=True)
class Patch:
    """One replacement, by RVA."""

    address: int
    code: bytes


def find_patches(
    image: bytes | bytearray, sections: Sequence[tuple[int, int]], functions: Sequence[tuple[int, int, int]]
) -> Iterator[Patch]:
    """The patches an image needs. `sections` are (begin, end) of executable ranges."""
    for begin, end in sections:
        for match in _CANDIDATE.finditer(image, begin, end):
            address = match.start()
            if _is_instruction(image, address, _code_around(address, (begin, end), functions)):
                yield Patch(address, _replacement(match.group()))


def _replacement(code: bytes) -> bytes:
    if code == _WRITE_MSR or (code[-2] == 0x22 and code[0] not in (0x44, 0x45)):
        return bytes((0xCD, GENERAL_PROTECTION)).ljust(len(code), bytes((_NOP,)))
    register = code[-1] & 7
    if code[0] in (0x41, 0x45, 0x49):
        register |= 8
    vector = RANDOM if b"\x0f\xc7" in code else READ_IRQL if code[2] == 0x20 else WRITE_IRQL
    return bytes((0xCD, vector + register)).ljust(len(code), bytes((_NOP,)))


def _code_around(address: int, section: tuple[int, int], functions: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """The function that an address lies in, or the gap between two."""
    index = bisect_right(functions, (address, 1 << 32, 0)) - 1
    begin, end = section
    if index >= 0:
        first, last, _ = functions[index]
        if address < last:
            return first, last
        begin = max(begin, last)
    if index + 1 < len(functions):
        end = min(end, functions[index + 1][0])
    return begin, end


def _is_instruction(image: bytes | bytearray, address: int, code: tuple[int, int]) -> bool:
    """Whether an instruction begins at `address`, when disassembly begins where `code` does."""
    begin, end = code
    return any(at == address for at, _, _, _ in disassembler.plain().disasm_lite(bytes(image[begin:end]), begin))
