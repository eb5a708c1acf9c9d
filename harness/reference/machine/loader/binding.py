"""The export tables of a running kernel: from a module and a name to an address that guest code can call."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any

from harness.reference.machine.cpu.code import enter_thunk, import_stub, leave_leaf, resume_thunk, return_thunk, trap
from harness.reference.machine.loader.export_lists import is_known
from harness.reference.machine.loader.exports import HAL, NTDLL, NTOSKRNL, Export, all_exports, find_export
from harness.reference.machine.loader.leaves import LeafCode
from harness.reference.machine.memory.layout import (
    KERNEL_DATA,
    KERNEL_STUBS,
    KERNEL_STUBS_SIZE,
    LEAVE_LEAF,
    LEAVES,
    PAGE_SIZE,
    TRAP,
    page_align,
)

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory

_STUB_ALIGNMENT = 16
_CF_CHECK = b"\xc3"  # ret
_CF_DISPATCH = b"\xff\xe0"  # jmp rax


@dataclass(frozen=True, slots=True)
class MissingExport:
    """A name that Windows exports and this kernel does not implement; calling it is a bug check of its own kind."""

    module: str
    name: str
    max_irql: int = 15
    simple: bool = False


@dataclass(frozen=True, slots=True)
class GuardThunks:
    """What the pointers of control flow guard are set to."""

    check: int
    dispatch: int


class ExportBinder:
    """Binds names to stubs, and stub indices to exports."""

    def __init__(self, memory: "Memory", leaves: LeafCode) -> None:
        self._memory = memory
        self._leaves = leaves
        memory.map(LEAVES, page_align(len(leaves.code)), writable=False, executable=True)
        memory.patch(LEAVES, leaves.code)
        self._stubs = KERNEL_STUBS
        self._mapped = KERNEL_STUBS
        self._data_next = KERNEL_DATA
        memory.map(KERNEL_DATA, PAGE_SIZE)
        self.table: list[Any] = [None, None]
        """By stub index; 0 is the return thunk, 1 where leaves go on that are done (cpu/code.py)."""
        self._addresses: dict[tuple[str, str], int] = {}
        self._names: dict[int, str] = {}
        first = self._add_code(trap(), "trap")
        left = self._add_code(leave_leaf(), "leave")
        assert (first, left) == (TRAP, LEAVE_LEAF)
        self.enter = tuple(self._add_code(enter_thunk(pageable=can), "enter") for can in (False, True))
        """How guest code is entered that may not, and that may, touch pageable memory; likewise `resume`."""
        self.leave = self._add_code(return_thunk(), "return")
        self.resume = tuple(self._add_code(resume_thunk(pageable=can), "resume") for can in (False, True))
        self.guard_thunks = GuardThunks(self._add_code(_CF_CHECK, "guard check"), self._add_code(_CF_DISPATCH, "guard"))

    def _add_code(self, code: bytes, name: str) -> int:
        address = self._stubs
        self._stubs += (len(code) + _STUB_ALIGNMENT - 1) & ~(_STUB_ALIGNMENT - 1)
        if self._stubs > KERNEL_STUBS + KERNEL_STUBS_SIZE:
            raise MemoryError("the room for import stubs is used up")
        while self._mapped < self._stubs:
            self._memory.map(self._mapped, PAGE_SIZE, writable=False, executable=True)
            self._mapped += PAGE_SIZE
        self._memory.patch(address, code)
        self._names[address] = name
        return address

    def add_routine(self, name: str, function: Callable[..., object], parameters: int) -> int:
        """Give a function of so many words a guest address: it is called by pointer, and found by no name."""
        index = len(self.table)
        self.table.append(
            Export(
                module="",
                name=name,
                function=lambda _, *words: function(*words[:parameters]),
                max_irql=15,
                variadic=False,
                registers=Struct("<4Q"),
                stack=Struct(f"<{parameters - 4}Q") if parameters > 4 else None,
                parameters=max(parameters, 4),
                simple=parameters <= 4,
            )
        )
        return self._add_code(import_stub(index), name)

    def add_data(self, name: str, size: int, *, module: str = NTOSKRNL) -> int:
        """Export a variable of `size` bytes; its address."""
        address = self._data_next
        self._data_next += (size + 15) & ~15
        assert self._data_next <= KERNEL_DATA + PAGE_SIZE
        self._addresses[module, name] = address
        return address

    def resolve(self, module: str, name: str) -> int | None:
        """The address of an export; None if the module exports no such name in any Windows."""
        module = module.lower()
        key = (module, name)
        address = self._addresses.get(key)
        if address is None:
            address = self._make(module, name)
            if address is not None:
                self._addresses[key] = address
        return address

    def address_of(self, module: str, name: str) -> int:
        """The address of an export that is known to exist."""
        address = self.resolve(module, name)
        assert address is not None, name
        return address

    def is_implemented(self, module: str, name: str) -> bool:
        """Whether an export can be called."""
        return (
            (module, name) in self._addresses
            or find_export(module, name) is not None
            or (module == NTOSKRNL and name in self._leaves.entries)
        )

    def implemented(self, module: str) -> Iterator[str]:
        """The names that can be called or read, of a module given in lower case."""
        yield from (export.name for export in all_exports() if export.module == module)
        yield from (name for owner, name in self._addresses if owner == module and self.is_implemented(owner, name))
        yield from (self._leaves.entries if module == NTOSKRNL else ())

    def can_be_called(self, module: str, name: str) -> bool:
        """Whether a driver that imports a name gets an implementation: of hal.dll perhaps that of ntoskrnl.exe."""
        return self.is_implemented(module, name) or self._is_of_ntoskrnl(module, name)

    def _is_of_ntoskrnl(self, module: str, name: str) -> bool:
        # The HAL is part of ntoskrnl.exe since Windows 10 2004; its names are found there.
        return module == HAL and find_export(HAL, name) is None and self.is_implemented(NTOSKRNL, name)

    def _make(self, module: str, name: str) -> int | None:
        if self._is_of_ntoskrnl(module, name):
            return self.resolve(NTOSKRNL, name)
        leaf, counted = self._leaves.entries.get(name, (None, False))
        if leaf is not None and not counted and (module == NTOSKRNL or (module == NTDLL and _for_users(name))):
            return LEAVES + leaf
        export: Export | MissingExport | None = find_export(module, name)
        if export is None:
            if not is_known(module, name):
                return None
            export = MissingExport(module, name)
        index = len(self.table)
        self.table.append(export)
        target = LEAVES + leaf if leaf is not None and isinstance(export, Export) else TRAP
        return self._add_code(import_stub(index, target), name)

    def in_counted_leaf(self, address: int) -> bool:
        """Whether an address is in the code of a leaf that Python implements as well."""
        name = self._leaf_at(address)
        return name is not None and self._leaves.entries.get(name, (0, False))[1]

    def _leaf_at(self, address: int) -> str | None:
        """Which leaf or routine an address is in."""
        offset = address - LEAVES
        if not 0 <= offset < len(self._leaves.code):
            return None
        starts = [(at, name) for name, (at, _) in self._leaves.entries.items()]
        starts += [(at, name) for name, at in self._leaves.routines.items()]
        return max(((at, name) for at, name in starts if at <= offset), default=(0, None))[1]

    def routine(self, name: str) -> int | None:
        """The address of machine code that is no export; None if this kernel does without it."""
        offset = self._leaves.routines.get(name)
        return None if offset is None else LEAVES + offset

    def in_routine(self, address: int) -> bool:
        """Whether an address is in machine code that Python has called and that calls drivers."""
        return self._leaf_at(address) in self._leaves.routines

    def name_at(self, address: int) -> str | None:
        """Which stub or leaf an address is in."""
        leaf = self._leaf_at(address)
        if leaf is not None:
            return leaf
        if not KERNEL_STUBS <= address < self._stubs:
            return None
        for start in range(address & ~(_STUB_ALIGNMENT - 1), KERNEL_STUBS - 1, -_STUB_ALIGNMENT):
            if start in self._names:
                return self._names[start]
        return None

    def bound(self) -> Iterator[Export | MissingExport]:
        """Every export that some image imports (and Python implements or nobody does)."""
        yield from (entry for entry in self.table if entry is not None)


def _for_users(name: str) -> bool:
    """Whether ntdll.dll exports a plain leaf as well."""
    return "mem" in name.lower() or name == "__chkstk"
