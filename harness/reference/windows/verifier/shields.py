"""Shields: the kernel's own structures, which drivers read inline and mostly must not write.

Their pages are read-only for guest code; Python writes them as it likes. The first write of guest code opens the page,
and what it has written is judged as soon as Python has the processor again: at its next call of the kernel, or when it
returns. So nobody pays but who writes, and who has written is known by the instruction. What must not have changed is a
finding, and is put back, so that nobody else stumbles over it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.emulator import RIP, RSP
from harness.reference.machine.memory.guarded_heap import EXECUTIVE_OBJECTS, GuardedHeap
from harness.reference.machine.memory.layout import PAGE_SHIFT, is_user
from harness.reference.machine.memory.structure import Field, Structure

if TYPE_CHECKING:
    from harness.reference.machine.cpu.emulator import MachineState
    from harness.reference.machine.cpu.traps import Traps
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.windows.verifier.blame import Blame
    from harness.reference.windows.verifier.findings import Verifier

Accepts = Callable[[bytes, bytes], bytes]
"""From what a structure was, and what guest code has made of it, what it is allowed to be."""


@dataclass(frozen=True, slots=True)
class Shield:
    """A structure on a page of its own. `layout` names its fields."""

    address: int
    size: int
    name: Callable[[], str]
    """`the FILE_OBJECT of V:\\data.bin`."""
    layout: type[Structure] | None = None
    accepts: Accepts | None = None
    """None: guest code never writes it, not even what is there already."""


@dataclass(frozen=True, slots=True)
class _Opened:
    shield: Shield
    before: bytes
    chain: tuple[str, ...]
    """The calls that have led to the write, the write itself first."""


class Shields:
    """The shielded structures of a kernel."""

    def __init__(self, memory: "Memory", blame: "Blame", verifier: "Verifier") -> None:
        self._memory = memory
        self._blame = blame
        self._verifier = verifier
        self._heap = GuardedHeap(memory, EXECUTIVE_OBJECTS)
        self._by_page: dict[int, Shield] = {}
        self._opened: list[_Opened] = []
        self._traps: Traps

    def connect(self, traps: "Traps") -> None:
        """What calls `judge`."""
        self._traps = traps
        traps.judge = self.judge

    def allocate(self, size: int, name: Callable[[int], str], layout: type[Structure] | None = None) -> int:
        """A zeroed structure that guest code must not change at all; `name` says of its address what it is."""
        address = self._heap.allocate(size, shielded=True)
        self.add(Shield(address, size, lambda: name(address), layout))
        return address

    def free(self, address: int) -> None:
        """Give such a structure back."""
        self.remove(address)
        self._heap.free(address)

    def add(self, shield: Shield) -> None:
        """Guard a structure; its page was mapped so that guest code cannot write it."""
        self._by_page[shield.address >> PAGE_SHIFT] = shield

    def remove(self, address: int) -> None:
        """A structure is gone."""
        self._by_page.pop(address >> PAGE_SHIFT, None)

    def at_fault(self, state: "MachineState") -> "KernelCode | None":
        """Code that lets an instruction write, if it is a shielded structure that it faulted at."""
        rip, address = state.general[RIP], state.fault_address
        shield = self._by_page.get(address >> PAGE_SHIFT)
        if shield is None or address == rip or not self._memory.is_mapped(address):
            return None
        if is_user(rip) and is_user(state.general[RSP]):
            return None
        return self._open(shield, self._blame.chain_at(state.general))

    def _open(self, shield: Shield, chain: tuple[str, ...]) -> "KernelCode":
        self._opened.append(_Opened(shield, self._memory.read(shield.address, shield.size), chain))
        self._memory.let_guest_write(shield.address, allowed=True)
        self._traps.written = self._traps.attention = True
        yield from ()

    def judge(self) -> None:
        """Look at what has been written since, and close the pages again."""
        self._traps.written = False
        opened, self._opened = self._opened, []
        for one in opened:
            shield = one.shield
            if not self._memory.is_mapped(shield.address):
                continue
            self._memory.let_guest_write(shield.address, allowed=False)
            after = self._memory.read(shield.address, shield.size)
            allowed = shield.accepts(one.before, after) if shield.accepts is not None else one.before
            if allowed != after or shield.accepts is None:
                self._memory.write(shield.address, allowed)
                what = _changes(shield.layout, allowed, after)
                text = f"wrote {what} of {shield.name()}, which is the system's (put back)"
                self._verifier.report(None, None, text, chain=one.chain)


def _changes(layout: type[Structure] | None, allowed: bytes, after: bytes) -> str:
    """The fields that differ, or where bytes do."""
    if allowed == after:
        return "what it was again over a part"
    differing = [at for at in range(len(after)) if after[at] != allowed[at]]
    fields = {name: field for name, field in vars(layout).items() if isinstance(field, Field)} if layout else {}
    named = [
        "".join(part.capitalize() for part in name.split("_"))
        for name, field in fields.items()
        if after[field.offset : field.offset + field.size] != allowed[field.offset : field.offset + field.size]
    ]
    if named:
        return ", ".join(named[:6]) + (f" and {len(named) - 6} fields more" if len(named) > 6 else "")
    first, last = differing[0], differing[-1]
    return f"offset {first:#x}" if first == last else f"offsets {first:#x} to {last:#x}"
