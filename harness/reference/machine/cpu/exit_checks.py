"""Unicorn's question after every memory access, whether it is to stop, which nobody asks here.

Behind each load and store of guest code Unicorn has its own call a function that looks for a stop that was asked for
meanwhile: by a hook of memory accesses, of which there are none here. It makes that code half as long again, and under
an emulator, where the code is itself translated, costs more than what the guest does. At the begin of each block it
looks in another way, and that stays: a stop that a hook or another thread asks for waits for that at most.

The calls are made where code is translated, by a function of the library that the library finds by its table of
linkage. In that table stands a function that does nothing, as long as code is not watched instruction by instruction:
there a hook stops the processor within a block. Where the table is not as it is known, all stays as it is.
"""

import ctypes
import platform
import re
from collections.abc import Iterator
from functools import cache
from struct import Struct, pack
from typing import Any

import unicorn.unicorn_py3.unicorn as binding

from harness.reference.machine.cpu import native

_unicorn: Any = binding

_NAME = re.compile(rb"check_exit_request_x86_64\0")
_RET = b"\xc3"

# What of an ELF file is looked at, by the names of the System V ABI.
_DYN = Struct("<2Q")
_SYM_SIZE = _RELA_SIZE = 24
_R_X86_64_JUMP_SLOT = 7
_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_JMPREL, _DT_BIND_NOW = 2, 5, 6, 10, 23, 24
_DT_FLAGS, _DT_FLAGS_1 = 30, 0x6FFF_FFFB
_DF_BIND_NOW, _DF_1_NOW = 8, 1


class ExitChecks:
    """Whether code that is translated from now on looks for a stop after each memory access; for all processors."""

    def __init__(self, slot: int) -> None:
        """`slot` is the place in the table of linkage; 0 if it is not known."""
        self._entry = ctypes.c_uint64.from_address(slot) if slot else None
        self._before = self._entry.value if self._entry is not None else 0
        self._nothing = native.place(_RET) if self._entry is not None else 0
        self._needed = False

    def spare(self) -> None:
        """Leave them out, unless somebody has needed them in this process."""
        if self._entry is not None and not self._needed:
            self._entry.value = self._nothing

    def need(self) -> None:
        """Have them from now on: a hook is to stop the processor in the middle of a block."""
        self._needed = True
        if self._entry is not None:
            self._entry.value = self._before


@cache
def exit_checks() -> ExitChecks:
    """Those of this process."""
    return ExitChecks(_slot() if native.HERE and platform.libc_ver()[0] == "glibc" else 0)


def _slot() -> int:
    """Where the library keeps the address of the function; 0 if that is not found, or may not be written."""
    base, _, dynamic = Struct("<3Q").unpack(ctypes.string_at(_unicorn.uclib._handle, 24))  # noqa: SLF001 - a link_map
    known = dict(_entries(dynamic))
    bound = known.get(_DT_FLAGS, 0) & _DF_BIND_NOW or known.get(_DT_FLAGS_1, 0) & _DF_1_NOW or _DT_BIND_NOW in known
    if bound or not {_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_JMPREL} <= known.keys():
        return 0
    between = known[_DT_STRTAB] - known[_DT_SYMTAB]  # linkers put one behind the other
    symbols = ctypes.string_at(known[_DT_SYMTAB], max(between, 0))
    relocations = ctypes.string_at(known[_DT_JMPREL], known[_DT_PLTRELSZ])
    for name in _NAME.finditer(ctypes.string_at(known[_DT_STRTAB], known[_DT_STRSZ])):
        symbol = _find(symbols, pack("<I", name.start()), _SYM_SIZE, 0)
        if symbol is not None:  # else it is only the end of another name
            found = _find(relocations, pack("<2I", _R_X86_64_JUMP_SLOT, symbol), _RELA_SIZE, 8)
            return int(base + int.from_bytes(relocations[found * _RELA_SIZE :][:8], "little")) if found else 0
    return 0


def _entries(dynamic: int) -> Iterator[tuple[int, int]]:
    """The entries of a dynamic section, up to the empty one at its end."""
    while True:
        tag, value = _DYN.unpack(ctypes.string_at(dynamic, _DYN.size))
        if tag == 0:
            return
        yield tag, value
        dynamic += _DYN.size


def _find(table: bytes, wanted: bytes, size: int, offset: int) -> int | None:
    """The number of the entry of a table that has these bytes at this offset."""
    at = table.find(wanted)
    while at >= 0 and at % size != offset:
        at = table.find(wanted, at + 1)
    return at // size if at >= 0 else None
