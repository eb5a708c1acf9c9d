"""The modules that were loaded: from the kernel's own list in the dump's memory, or from the list of a mini dump.

In memory they are KLDR_DATA_TABLE_ENTRY, linked from PsLoadedModuleList: link @ 0x00, DllBase @ 0x30, SizeOfImage
@ 0x40, BaseDllName (UNICODE_STRING) @ 0x58, CheckSum @ 0x78, TimeDateStamp @ 0x9C.

A mini dump has TRIAGE_DUMP64 at 0x2000 (ntiodump.h): SizeOfDump @ 0x04, CallStackOffset @ 0x28, SizeOfCallStack @ 0x2C,
DriverListOffset @ 0x30, DriverCount @ 0x34, StringPoolOffset @ 0x38, TopOfStack @ 0x48; every offset is one of the
file. An entry of its driver list is the offset of the name (a count of characters u32, UTF-16), then an
LDR_DATA_TABLE_ENTRY64 @ 0x08, which has the TimeDateStamp @ 0x80. The entries' size differs between releases (0x90,
0x98, 0xA8), so it is taken from where the string pool begins.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from harness.guest.dump.layout import HEADER_SIZE
from harness.guest.dump.memory import Memory, Unreadable

MOST_MODULES = 2048
_ENTRY = 0xA0
_ENTRY_SIZES = (0x90, 0x98, 0xA0, 0xA8, 0xB0)
_LONGEST_NAME = 512
_KERNEL_SPACE = 0xFFFF_8000_0000_0000


@dataclass(frozen=True)
class Module:
    """A loaded image; `stamp` and `size` are TimeDateStamp and SizeOfImage, which tell the build."""

    name: str
    base: int
    size: int
    stamp: int

    def contains(self, address: int) -> bool:
        """Whether an address lies in the image."""
        return self.base <= address < self.base + self.size


@dataclass(frozen=True)
class Triage:
    """What a mini dump has of the memory: the stack of the thread that crashed."""

    size: int
    stack_top: int
    stack: bytes
    modules: tuple[Module, ...]

    def read(self, address: int, size: int) -> bytes:
        """The bytes of the stack; Unreadable elsewhere."""
        begin = address - self.stack_top
        if begin < 0 or begin + size > len(self.stack):
            raise Unreadable(f"the dump does not have 0x{address:X}")
        return self.stack[begin : begin + size]


def modules_in_memory(memory: Memory, head: int) -> tuple[Module, ...]:
    """Follow PsLoadedModuleList; what cannot be read ends the list, it does not make it wrong."""
    found: list[Module] = []
    try:
        entry = _u64(memory.read(head, 8))
        while entry != head and len(found) < MOST_MODULES:
            raw = memory.read(entry, _ENTRY)
            found.append(Module(_name(memory, raw), _u64(raw, 0x30), _u32(raw, 0x40), _u32(raw, 0x9C)))
            entry = _u64(raw)
    except Unreadable:
        return tuple(found)
    return tuple(found)


def read_triage(data: bytes) -> Triage:
    """Read what a mini dump has; a list that makes no sense is left out."""
    fields = struct.unpack_from("<18IQ", data, HEADER_SIZE)
    size, stack_offset, stack_size = fields[1], fields[10], fields[11]
    list_offset, count, pool = fields[12], fields[13], fields[14]
    modules: tuple[Module, ...] = ()
    if 0 < count <= MOST_MODULES and list_offset < pool <= len(data):
        entry_size = next((size for size in _ENTRY_SIZES if _fits(pool - list_offset, count, size)), 0)
        if entry_size:
            modules = tuple(_triage_modules(data, list_offset, count, entry_size))
    return Triage(size, fields[18], data[stack_offset : stack_offset + stack_size], modules)


def _fits(room: int, count: int, size: int) -> bool:
    return 0 <= room - count * size < 16


def _triage_modules(data: bytes, begin: int, count: int, entry_size: int) -> Iterator[Module]:
    for number in range(count):
        raw = data[begin + number * entry_size : begin + (number + 1) * entry_size]
        name_at, base = _u32(raw), _u64(raw, 0x38)
        length = _u32(data, name_at)
        if base >= _KERNEL_SPACE and 0 < length <= _LONGEST_NAME:
            name = data[name_at + 4 : name_at + 4 + 2 * length].decode("utf-16-le", "replace")
            yield Module(name.rstrip("\0"), base, _u32(raw, 0x48), _u32(raw, 0x88))


def _name(memory: Memory, entry: bytes) -> str:
    length, buffer = struct.unpack_from("<H", entry, 0x58)[0], _u64(entry, 0x60)
    if not 0 < length <= 2 * _LONGEST_NAME:
        return "?"
    try:
        return memory.read(buffer, length).decode("utf-16-le", "replace")
    except Unreadable:
        return "?"


def _u32(data: bytes, offset: int = 0) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def _u64(data: bytes, offset: int = 0) -> int:
    return int.from_bytes(data[offset : offset + 8], "little")
