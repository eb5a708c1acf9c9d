"""A dump, read as far as fltlab can: what the bug check says, and which driver it points at (a guess)."""

import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.guest.dump.bugchecks import Explanation, explain
from harness.guest.dump.errors import DumpError
from harness.guest.dump.layout import DumpHeader, DumpType, read_header
from harness.guest.dump.memory import Memory, PagedMemory, Unreadable, kdmp_memory, pages_of
from harness.guest.dump.messages import read_messages
from harness.guest.dump.modules import Module, Triage, modules_in_memory, read_triage
from harness.guest.dump.symbols import Location, Symbols

STACK_WORDS = 1024
STACK_SHOWN = 24
SYSTEM = frozenset(
    {
        *("ntoskrnl.exe", "ntkrnlmp.exe", "hal.dll", "fltmgr.sys", "verifierext.sys", "verifier.dll", "ksecdd.sys"),
        *("ntfs.sys", "refs.sys", "refsv1.sys", "fastfat.sys", "exfat.sys", "cng.sys", "ci.dll", "tm.sys", "wof.sys"),
        *("volsnap.sys", "volume.sys", "fvevol.sys", "storport.sys", "storahci.sys", "classpnp.sys", "disk.sys"),
    }
)
"""Modules of Windows through which most stacks go: they are where it shows, seldom why."""


@dataclass(frozen=True)
class Crash:
    """What a dump tells. `suspect` is a guess, and `because` says what it rests on."""

    path: Path
    header: DumpHeader
    bugcheck: Explanation
    modules: tuple[Module, ...]
    instruction: Location | None
    stack: tuple[Location, ...]
    suspect: str | None
    because: str | None
    messages: tuple[str, ...]
    notices: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """The whole of it for a person."""
        head = self.header
        when = f", {head.time:%Y-%m-%d %H:%M:%S} UTC" if head.time else ""
        loaded = f"{len(self.modules)} modules"
        return (
            f"bug check 0x{self.bugcheck.code:X} {self.bugcheck.name}",
            *self.bugcheck.lines(),
            *((f"at: {self.instruction}",) if self.instruction else ()),
            f"guess: {self.suspect}, because {self.because}" if self.suspect else "guess: none",
            *(("on the stack (whatever points into a module, so not all are callers):",) if self.stack else ()),
            *(f"  {location}" for location in self.stack),
            f"{head.type_name} dump of Windows build {head.build}, {head.processors} processors, {loaded}{when}",
            *(("the last that was printed with DbgPrint:",) if self.messages else ()),
            *(f"  {line}" for line in self.messages),
            *self.notices,
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "file": str(self.path),
            "type": self.header.type_name,
            "build": self.header.build,
            "processors": self.header.processors,
            "time": self.header.time.isoformat() if self.header.time else None,
            "uptime_seconds": self.header.uptime.total_seconds() if self.header.uptime else None,
            "bugcheck": {
                "code": self.bugcheck.code,
                "name": self.bugcheck.name,
                "says": self.bugcheck.says,
                "parameters": [asdict(parameter) for parameter in self.bugcheck.parameters],
            },
            "instruction": asdict(self.instruction) if self.instruction else None,
            "guess": {"module": self.suspect, "because": self.because} if self.suspect else None,
            "stack": [asdict(location) for location in self.stack],
            "modules": [asdict(module) for module in self.modules],
            "messages": list(self.messages),
            "notices": list(self.notices),
        }


def read_crash(path: Path, symbols: Symbols, under_test: Sequence[str] = ()) -> Crash:
    """Read a dump; DumpError if it is none. `under_test` are names of modules (without .sys) that were under test.

    A dump that is cut short behind its header is read as far as it goes, with a notice.
    """
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) == 0:
                raise DumpError(f"{path.name} is no dump of a Windows kernel: it is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(path, data, symbols, under_test)
    except OSError as error:
        raise DumpError(f"{path} cannot be read", details=(str(error),)) from error


def _read(path: Path, data: mmap.mmap, symbols: Symbols, under_test: Sequence[str]) -> Crash:
    header = read_header(data[:0x2000], path.name)
    bugcheck = explain(header.code, header.parameters)
    memory, modules, notices = _memory(path, header, data)
    address = bugcheck.instruction or header.exception_address or header.instruction
    instruction = symbols.locate(address, modules) if address else None
    stack = tuple(_stack(header, memory, modules, symbols)) if memory is not None else ()
    messages = read_messages(memory, header.debugger_data) if memory is not None else ()
    suspect, because = _guess(bugcheck, instruction, stack, under_test)
    return Crash(path, header, bugcheck, modules, instruction, stack, suspect, because, messages, notices)


def _memory(
    path: Path, header: DumpHeader, data: mmap.mmap
) -> tuple[Memory | None, tuple[Module, ...], tuple[str, ...]]:
    if header.type == DumpType.MINI:
        if len(data) < 0x2080:
            return None, (), (f"cut short: the file has {len(data)} bytes, no list of modules",)
        triage: Triage = read_triage(data[:])
        return triage, triage.modules, _short(triage.size, len(data))
    pages = pages_of(header, data)
    memory = (
        PagedMemory(data, pages, header.directory_table)
        if pages is not None
        else kdmp_memory(path, header.directory_table)
    )
    if memory is None:
        hint = "pip install 'fltlab[debug]' may read more"
        return None, (), (f"the memory in a {header.type_name} dump is not read: no modules, no stack; {hint}",)
    modules = modules_in_memory(memory, header.loaded_modules)
    missing = () if modules else ("the list of loaded modules is not in the dump",)
    return memory, modules, (*(_short(pages.end, len(data)) if pages is not None else ()), *missing)


def _short(wanted: int, there: int) -> tuple[str, ...]:
    if there >= wanted:
        return ()
    return (f"cut short: the file has {there} bytes of {wanted}; what is said above rests on what is there",)


def _stack(header: DumpHeader, memory: Memory, modules: Sequence[Module], symbols: Symbols) -> Iterator[Location]:
    """Everything on the stack that points into a module, each function once, from the top."""
    seen: set[tuple[str | None, str | int | None]] = set()
    for number in range(STACK_WORDS):
        try:
            (value,) = struct.unpack("<Q", memory.read(header.stack + 8 * number, 8))
        except Unreadable:
            return
        if not any(module.contains(value) for module in modules):
            continue
        location = symbols.locate(value, modules)
        key = (location.module, location.function or location.offset)
        if key not in seen:
            seen.add(key)
            yield location
        if len(seen) == STACK_SHOWN:
            return


def _guess(
    bugcheck: Explanation, instruction: Location | None, stack: Sequence[Location], under_test: Sequence[str]
) -> tuple[str | None, str | None]:
    if instruction is not None and instruction.module and not _is_system(instruction.module):
        named = "a parameter names" if bugcheck.instruction else "the exception, or the dump, was at"
        return instruction.module, f"{named} an address in it"
    ours = {name.lower() for name in under_test}
    suspects = [location for location in stack if location.module and not _is_system(location.module)]
    of_test = [item for item in suspects if item.driver or str(item.module).lower().removesuffix(".sys") in ours]
    for location in (of_test or suspects)[:1]:
        return location.module, "it is the first on the stack that is no part of Windows"
    return None, None


def _is_system(module: str) -> bool:
    return module.lower() in SYSTEM
