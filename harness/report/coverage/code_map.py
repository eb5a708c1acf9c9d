"""Which lines of source the machine code of an image comes from: each instruction, by the image's PDB."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pefile
from capstone import CS_ARCH_X86, CS_MODE_64, Cs

from harness.attempt import attempt
from harness.errors import HostError
from harness.guest.dump.symbols import SECONDS, SYMBOLIZERS, Frame, frames_of
from harness.host.tools import find_first

_EXECUTABLE = 0x2000_0000
_GOES_ELSEWHERE = frozenset({"ret", "int3", "int", "hlt", "ud2", "call", "syscall", "iretq", "jmp"})


@dataclass(frozen=True)
class Instruction:
    """One instruction; offsets are from the image's begin, frames as `frames_at` gives them."""

    offset: int
    end: int
    frames: tuple[Frame, ...]
    is_branch: bool
    """A conditional jump."""
    falls_through: bool
    """What comes behind it runs as often, whatever it does."""


class CodeMap:
    """The instructions of an image that come from lines of source, by address."""

    def __init__(self, image: Path) -> None:
        self.image = image

    @cached_property
    def instructions(self) -> list[Instruction]:
        """All of them; none where no PDB says where they come from. HostError without an llvm-symbolizer."""
        code = list(_disassembled(self.image))
        frames = _frames(self.image, [offset for offset, _, _ in code])
        return [
            Instruction(offset, offset + size, found, *_kind(mnemonic))
            for (offset, size, mnemonic), found in zip(code, frames, strict=True)
            if any(frame.line for frame in found)
        ]


def _kind(mnemonic: str) -> tuple[bool, bool]:
    is_branch = mnemonic.startswith(("j", "loop")) and mnemonic != "jmp"
    return is_branch, not is_branch and mnemonic.rsplit(maxsplit=1)[-1] not in _GOES_ELSEWHERE


def _disassembled(image: Path) -> list[tuple[int, int, str]]:
    """Offset, size and mnemonic of everything in executable sections."""
    file = pefile.PE(str(image), fast_load=True)
    mapped = file.get_memory_mapped_image()
    disassembler = Cs(CS_ARCH_X86, CS_MODE_64)
    disassembler.skipdata = True
    found: list[tuple[int, int, str]] = []
    for section in file.sections:
        if section.Characteristics & _EXECUTABLE:
            begin, size = section.VirtualAddress, section.Misc_VirtualSize
            code = disassembler.disasm_lite(mapped[begin : begin + size], begin)
            found += [(offset, length, mnemonic) for offset, length, mnemonic, _ in code]
    return found


def _frames(image: Path, offsets: list[int]) -> list[tuple[Frame, ...]]:
    """For each offset the functions that it is in, outermost first."""
    program = find_first(SYMBOLIZERS)
    if program is None:
        raise HostError("coverage needs llvm-symbolizer, which is not here", hint="apt install llvm-19")
    command = [str(program), f"--obj={image}", "--relative-address", "--output-style=JSON"]
    asked = "".join(f"0x{offset:x}\n" for offset in offsets)
    done = attempt(command, input=asked, timeout=SECONDS)
    answers = done.stdout.splitlines()
    if len(answers) != len(offsets):
        raise HostError(
            f"{program.name} does not say where the code of {image.name} comes from", details=(done.stderr,)
        )
    return [tuple(frames_of(json.loads(line))) for line in answers]
