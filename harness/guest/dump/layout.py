r"""The header of a dump of a 64-bit Windows kernel (MEMORY.DMP, Minidump\*.dmp): its layout, and the reader of it.

The first 0x2000 bytes are DUMP_HEADER64, in all kinds of dump. The offsets are those that QEMU writes
(include/qemu/win_dump_defs.h) and that kdmp-parser and Rekall read:

    0x000 "PAGE" "DU64"              0x080 KdDebuggerDataBlock
    0x008 MajorVersion               0x088 physical memory runs: count u32, pages u64 @ 0x090, (base, count) @ 0x098
    0x00C MinorVersion (build)       0x348 CONTEXT of the processor that called KeBugCheckEx
    0x010 DirectoryTableBase         0xF00 EXCEPTION_RECORD64
    0x020 PsLoadedModuleList         0xF98 DumpType
    0x030 MachineImageType           0xFA0 RequiredDumpSpace
    0x034 NumberProcessors           0xFA8 SystemTime (FILETIME)
    0x038 BugCheckCode               0x1030 SystemUpTime (100 ns)
    0x040 BugCheckParameter1..4
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from harness.guest.dump.errors import DumpError

HEADER_SIZE = 0x2000
SIGNATURE = b"PAGEDU64"
AMD64 = 0x8664
UNUSED = b"PAGE"
"""What Windows fills the header with first; a field that still reads so was never written."""

_SIGNATURE_32 = b"PAGEDUMP"
_OTHERS = {
    b"MDMP": ("a dump of a process, not of the kernel", "WinDbg, or the PyPI package minidump, reads it"),
    b"\x7fELF": (
        "an ELF dump, as QEMU's dump-guest-memory writes it for guests without the fwcfg driver",
        "elf2dmp of QEMU makes a dump of Windows from it",
    ),
}
_CONTEXT = 0x348
_CONTEXT_RSP = _CONTEXT + 0x98
_CONTEXT_RIP = _CONTEXT + 0xF8
_EXCEPTION = 0xF00
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


class DumpType(IntEnum):
    """DumpType of the header, by the names of the debugger's documentation."""

    FULL = 1
    KERNEL = 2
    HEADER = 3
    MINI = 4
    BITMAP_FULL = 5
    BITMAP_KERNEL = 6
    AUTOMATIC = 7
    KERNEL_MEMORY = 8
    KERNEL_AND_USER_MEMORY = 9
    COMPLETE_MEMORY = 10


@dataclass(frozen=True)
class Run:
    """A run of physical pages."""

    base_page: int
    page_count: int


@dataclass(frozen=True)
class DumpHeader:
    """What the header of a dump says. `instruction` and `stack` are RIP and RSP where the dump was begun."""

    type: int
    build: int
    code: int
    parameters: tuple[int, int, int, int]
    processors: int
    directory_table: int
    loaded_modules: int
    debugger_data: int
    runs: tuple[Run, ...]
    instruction: int
    stack: int
    exception_code: int
    exception_address: int
    time: datetime | None
    uptime: timedelta | None

    @property
    def type_name(self) -> str:
        """What kind of dump it is, in words."""
        try:
            return DumpType(self.type).name.lower().replace("_", " ")
        except ValueError:
            return f"type {self.type}"


def read_header(data: bytes, name: str) -> DumpHeader:
    """Read the header from the first bytes of a dump; DumpError says what the file is instead."""
    _require_dump(data, name)
    pointers = struct.unpack_from("<QQQQ", data, 0x10)
    machine, processors, code = struct.unpack_from("<III", data, 0x30)
    if machine != AMD64:
        raise DumpError(f"{name} is the dump of another kind of machine (0x{machine:X}): fltlab reads those of x64")
    exception_code, _, _, exception_address = struct.unpack_from("<IIQQ", data, _EXCEPTION)
    return DumpHeader(
        type=_u32(data, 0xF98),
        build=_u32(data, 0x0C),
        code=code,
        parameters=struct.unpack_from("<QQQQ", data, 0x40),
        processors=processors,
        directory_table=pointers[0],
        loaded_modules=pointers[2],
        debugger_data=_written(data, 0x80),
        runs=_runs(data),
        instruction=_written(data, _CONTEXT_RIP),
        stack=_written(data, _CONTEXT_RSP),
        exception_code=0 if data[_EXCEPTION : _EXCEPTION + 4] == UNUSED else exception_code,
        exception_address=0 if data[_EXCEPTION : _EXCEPTION + 4] == UNUSED else exception_address,
        time=_time(_written(data, 0xFA8)),
        uptime=_duration(_written(data, 0x1030)),
    )


def _require_dump(data: bytes, name: str) -> None:
    if data.startswith(SIGNATURE):
        if len(data) < HEADER_SIZE:
            raise DumpError(
                f"{name} is cut short: it has {len(data)} bytes, and the header alone has {HEADER_SIZE}",
                hint="fetch it again; Windows writes it out of the page file at the start after the crash",
            )
        return
    if data.startswith(_SIGNATURE_32):
        raise DumpError(f"{name} is the dump of a 32-bit Windows: fltlab reads those of x64", hint="WinDbg reads it")
    for magic, (what, hint) in _OTHERS.items():
        if data.startswith(magic):
            raise DumpError(f"{name} is {what}", hint=hint)
    begins = data[:8].hex(" ") or "nothing: it is empty"
    raise DumpError(f"{name} is no dump of a Windows kernel", details=(f"it begins with {begins}", "expected PAGEDU64"))


def _runs(data: bytes) -> tuple[Run, ...]:
    if data[0x88:0x8C] == UNUSED:
        return ()
    count = min(_u32(data, 0x88), (_CONTEXT - 0x98) // 16)
    return tuple(Run(*struct.unpack_from("<QQ", data, 0x98 + 16 * number)) for number in range(count))


def _u32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def _written(data: bytes, offset: int) -> int:
    raw = data[offset : offset + 8]
    return 0 if raw == UNUSED * 2 else int.from_bytes(raw, "little")


def _time(ticks: int) -> datetime | None:
    # 2100 is far enough: a value beyond it is no time.
    found = _EPOCH + timedelta(microseconds=ticks // 10) if 0 < ticks < 1 << 60 else None
    return found if found is not None and found.year < 2100 else None


def _duration(ticks: int) -> timedelta | None:
    return timedelta(microseconds=ticks // 10) if 0 < ticks < 1 << 55 else None
