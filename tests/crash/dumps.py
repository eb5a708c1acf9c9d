"""Synthetic dumps of a 64-bit Windows kernel: full, bitmap and mini, with modules and a stack, made from nothing."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

PAGE = 0x1000
TABLES = 0x10_000
DATA = 0x20_000
KERNEL = 0xFFFF_F800_0000_0000
LIST_HEAD = KERNEL + DATA
STACK = KERNEL + DATA + 0x8000
DEBUGGER_DATA = KERNEL + DATA + 0x7000
PRINT_BUFFER = DEBUGGER_DATA + 0x400
PRINT_SIZE = 0x40
NT = ("ntoskrnl.exe", 0xFFFF_F801_0000_0000, 0x100_0000, 0x1111_1111)
FLTMGR = ("FLTMGR.SYS", 0xFFFF_F802_0000_0000, 0x8_0000, 0x2222_2222)


@dataclass
class SyntheticDump:
    """A dump to be; `modules` are (name, base, size, stamp), `stack` the words from RSP on."""

    code: int = 0xD1
    parameters: Sequence[int] = (0x10, 2, 0, 0)
    modules: Sequence[tuple[str, int, int, int]] = (NT, FLTMGR)
    stack: Sequence[int] = ()
    exception: int = 0
    build: int = 26100
    machine: int = 0x8664
    printed: bytes = b""
    rolled_over: bool = False
    head: dict[int, bytes] = field(default_factory=dict)

    def full(self, path: Path) -> Path:
        """All of the memory as runs: DumpType 1."""
        memory = self._memory()
        runs = _runs_of(sorted(memory))
        header = self._header(1)
        struct.pack_into("<IIQ", header, 0x88, len(runs), 0, len(memory))
        for number, (base, count) in enumerate(runs):
            struct.pack_into("<QQ", header, 0x98 + 16 * number, base, count)
        path.write_bytes(bytes(header) + b"".join(memory[page] for page in sorted(memory)))
        return path

    def bitmap(self, path: Path, kind: int = 6) -> Path:
        """The memory as a bitmap and the pages in it: DumpType 5 or 6."""
        memory = self._memory()
        count = max(memory) + 9
        bits = bytearray((count + 7) // 8)
        for page in memory:
            bits[page // 8] |= 1 << page % 8
        first = -(-(0x2038 + len(bits)) // PAGE) * PAGE
        second = struct.pack("<8s24xQQQ", b"SDMPDUMP", first, len(memory), count) + bytes(bits)
        pages = b"".join(memory[page] for page in sorted(memory))
        path.write_bytes((bytes(self._header(kind)) + second).ljust(first, b"\0") + pages)
        return path

    def mini(self, path: Path, entry_size: int = 0x90) -> Path:
        """A mini dump: DumpType 4, with the stack and the list of drivers."""
        stack = struct.pack(f"<{len(self.stack)}Q", *self.stack)
        stack_at = 0x3000
        list_at = stack_at + (len(stack) + 15) // 16 * 16
        pool_at = list_at + entry_size * len(self.modules)
        entries, pool = b"", b""
        for name, base, size, stamp in self.modules:
            entry = bytearray(entry_size)
            struct.pack_into("<I", entry, 0, pool_at + len(pool))
            struct.pack_into("<Q", entry, 0x38, base)
            struct.pack_into("<I", entry, 0x48, size)
            struct.pack_into("<I", entry, 0x88, stamp)
            entries += bytes(entry)
            text = struct.pack("<I", len(name)) + name.encode("utf-16-le") + b"\0\0"
            pool += text.ljust(-(-len(text) // 8) * 8, b"\0")
        end = pool_at + len(pool)
        triage = bytearray(0x1000)
        fields = [0, end, end - 4, 0x348, 0xF00, 0, 0, 0, 0, 0, stack_at, len(stack), list_at, len(self.modules)]
        struct.pack_into("<18IQ", triage, 0, *fields, pool_at, len(pool), 0, 0, STACK)
        body = (bytes(self._header(4)) + bytes(triage)).ljust(stack_at, b"\0") + stack
        path.write_bytes(body.ljust(list_at, b"\0") + entries + pool)
        return path

    def _header(self, kind: int) -> bytearray:
        header = bytearray(b"PAGE" * 0x800)
        struct.pack_into(
            "<8sIIQQQQIII", header, 0, b"PAGEDU64", 15, self.build, TABLES, 0, LIST_HEAD, 0, self.machine, 4, self.code
        )
        struct.pack_into("<QQQQ", header, 0x40, *self.parameters)
        struct.pack_into("<Q", header, 0x80, DEBUGGER_DATA)
        struct.pack_into("<Q", header, 0x348 + 0x98, STACK)
        struct.pack_into("<Q", header, 0x348 + 0xF8, NT[1] + 0x1234)
        struct.pack_into("<IIQQ", header, 0xF00, 0xC0000005, 0, 0, self.exception)
        struct.pack_into("<I", header, 0xF98, kind)
        struct.pack_into("<Q", header, 0xFA8, 133_000_000_000_000_000)
        struct.pack_into("<Q", header, 0x1030, 90 * 10_000_000)
        for offset, value in self.head.items():
            header[offset : offset + len(value)] = value
        return header

    def _memory(self) -> dict[int, bytes]:
        """Pages: four levels of tables that map KERNEL + x to x for the first 2 MiB, and the data at DATA."""
        tables = {
            TABLES: _entry(KERNEL >> 39 & 0x1FF, TABLES + PAGE),
            TABLES + PAGE: _entry(KERNEL >> 30 & 0x1FF, TABLES + 2 * PAGE),
            TABLES + 2 * PAGE: _entry(0, TABLES + 3 * PAGE),
            TABLES + 3 * PAGE: b"".join(struct.pack("<Q", page * PAGE | 3) for page in range(512)),
        }
        data = bytearray(0xA000)
        addresses = [LIST_HEAD, *(LIST_HEAD + 0x100 + 0x200 * number for number in range(len(self.modules)))]
        for number, address in enumerate(addresses):
            struct.pack_into("<Q", data, address - LIST_HEAD, addresses[(number + 1) % len(addresses)])
        for (name, base, size, stamp), address in zip(self.modules, addresses[1:], strict=True):
            at = address - LIST_HEAD
            text = name.encode("utf-16-le")
            struct.pack_into("<QQI", data, at + 0x30, base, 0, size)
            struct.pack_into("<HHIQ", data, at + 0x58, len(text), len(text), 0, address + 0x100)
            struct.pack_into("<I", data, at + 0x9C, stamp)
            data[at + 0x100 : at + 0x100 + len(text)] = text
        struct.pack_into(f"<{len(self.stack)}Q", data, STACK - LIST_HEAD, *self.stack)
        block = DEBUGGER_DATA - LIST_HEAD
        data[block + 0x10 : block + 0x14] = b"KDBG"
        places = (PRINT_BUFFER, PRINT_BUFFER + PRINT_SIZE, DEBUGGER_DATA + 0x300, DEBUGGER_DATA + 0x308)
        struct.pack_into("<4Q", data, block + 0x1E0, *places)
        struct.pack_into("<QI", data, block + 0x300, PRINT_BUFFER + len(self.printed) % PRINT_SIZE, self.rolled_over)
        for number, byte in enumerate(self.printed):
            data[block + 0x400 + number % PRINT_SIZE] = byte
        pages = {address // PAGE: content for address, content in tables.items()}
        return pages | {(DATA + at) // PAGE: bytes(data[at : at + PAGE]) for at in range(0, len(data), PAGE)}


def _entry(index: int, target: int) -> bytes:
    table = bytearray(PAGE)
    struct.pack_into("<Q", table, 8 * index, target | 3)
    return bytes(table)


def _runs_of(pages: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for page in pages:
        if runs and sum(runs[-1]) == page:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((page, 1))
    return runs
