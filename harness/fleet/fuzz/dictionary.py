"""What a driver compares its input with: the constants of its machine code and the strings of its image."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pefile
from capstone import CS_ARCH_X86, CS_MODE_64, Cs
from capstone.x86_const import X86_OP_IMM, X86_OP_MEM, X86_REG_RIP, X86_REG_RSP

_EXECUTABLE, _DISCARDABLE = 0x2000_0000, 0x0200_0000
_COMPARES = frozenset({"cmp", "sub", "test", "xor", "add", "and", "or", "lea", "movabs", "mov", "imul"})
_ASCII = re.compile(rb"[\x20-\x7e]{4,64}")
_WIDE = re.compile(rb"(?:[\x20-\x7e]\0){3,64}")
# Of Microsoft's types of devices, and of those from 0x8000 on that are anybody's; above are statuses.
_CONTROL_CODES = (range(0x1_0000, 0x100_0000), range(0x8000_2000, 0xC000_0000))
MOST_TEXTS = 200
MOST_LETTERS = 6


@dataclass(frozen=True)
class Dictionary:
    """Numbers and texts in order of their worth: those that something is compared with come first."""

    numbers: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[int, ...]:
        """The numbers that may be control codes: CTL_CODE(type, function, method, access)."""
        return tuple(number for number in self.numbers if any(number in some for some in _CONTROL_CODES))

    @property
    def letters(self) -> str:
        """The characters that it compares with."""
        return "".join(chr(number) for number in self.numbers if 0x20 < number < 0x7F and chr(number) not in '"#=')


def dictionary_of(image: Path) -> Dictionary:
    """The dictionary of an image file."""
    file = pefile.PE(str(image), fast_load=True)
    mapped = file.get_memory_mapped_image()
    texts: dict[str, None] = {}
    file.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_IMPORT"]])
    modules = getattr(file, "DIRECTORY_ENTRY_IMPORT", ())
    imported = {(one.name or b"").decode("ascii", "replace") for module in modules for one in module.imports}
    imported |= {module.dll.decode("ascii", "replace") for module in modules}
    compared: dict[int, None] = {}
    other: dict[int, None] = {}
    base, size = file.OPTIONAL_HEADER.ImageBase, file.OPTIONAL_HEADER.SizeOfImage
    for section in file.sections:
        content = mapped[section.VirtualAddress : section.VirtualAddress + section.Misc_VirtualSize]
        texts |= dict.fromkeys(match.decode("utf-16-le") for match in _WIDE.findall(content))
        if section.Characteristics & _EXECUTABLE and not section.Characteristics & _DISCARDABLE:
            _numbers(content, section.VirtualAddress, compared, other)
        else:
            texts |= dict.fromkeys(match.decode("ascii") for match in _ASCII.findall(content))
    numbers = {**compared, **{number: None for number in other if not base <= number < base + size}}
    numbers_only = Dictionary(tuple(numbers))
    texts = {
        **dict.fromkeys(filter(None, map(_as_text, numbers))),
        **dict.fromkeys(_spelled(numbers_only.letters)),
        **texts,
    }
    own = [text for text in texts if text not in imported and not text.startswith("RSDS")]
    return Dictionary(tuple(numbers), tuple(own)[:MOST_TEXTS])


def _spelled(letters: str) -> Iterator[str]:
    """What is compared letter by letter, as far as the compiler left the letters in their order."""
    for at in range(min(len(letters), MOST_LETTERS)):
        yield from (letters[at : at + length] for length in (3, 2, 4) if at + length <= len(letters))


def _as_text(number: int) -> str | None:
    """The characters that are compared at once, as a number: `lck` by the byte, or two in UTF-16."""
    data = number.to_bytes(4, "little")
    if number > 0xFFFF and data[1] == data[3] == 0:
        data = data[::2]
    text = data.rstrip(b"\0").decode("latin-1")
    return text if len(text) > 1 and text.isascii() and text.isprintable() else None


def _numbers(code: bytes, address: int, compared: dict[int, None], other: dict[int, None]) -> None:
    disassembler = Cs(CS_ARCH_X86, CS_MODE_64)
    disassembler.skipdata = True
    disassembler.detail = True
    for one in disassembler.disasm(code, address):
        if one.id == 0 or one.mnemonic not in _COMPARES:
            continue
        for operand in one.operands:
            if operand.type == X86_OP_IMM and not _is_of_the_stack(one):
                number = operand.imm
            elif (
                one.mnemonic == "lea"
                and operand.type == X86_OP_MEM
                and operand.mem.base not in (X86_REG_RIP, X86_REG_RSP)
            ):
                number = -operand.mem.disp
            else:
                continue
            into = compared if one.mnemonic in ("cmp", "sub", "test", "xor", "lea") else other
            # A chain of comparisons may add what is compared with, negated: `lea eax, [rcx - 222000h]`.
            negated = one.mnemonic == "add" and number < 0
            unsigned = (-number if negated else number) & (1 << 8 * min(operand.size, 4)) - 1
            if 1 < unsigned < 0xFFFF_FF00:
                into[unsigned] = None


def _is_of_the_stack(one: object) -> bool:
    return any(operand.reg == X86_REG_RSP for operand in one.operands if operand.type == 1)  # type: ignore[attr-defined]
