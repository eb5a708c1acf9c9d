"""Virtual unwinding with an image's function table: one call frame back, as RtlVirtualUnwind does.

Epilogues are not decoded: unwinding begins only at faults and at calls, and neither is in an epilogue's pops.
Source: "x64 exception handling" of the compiler's documentation.
"""

from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.emulator import RIP, RSP

if TYPE_CHECKING:
    from harness.reference.machine.loader.images import Image
    from harness.reference.machine.memory.memory import Memory

EHANDLER, UHANDLER, CHAININFO = 1, 2, 4

_PUSH_NONVOL, _ALLOC_LARGE, _ALLOC_SMALL, _SET_FPREG, _SAVE_NONVOL, _SAVE_NONVOL_FAR = range(6)
_EPILOG, _SPARE, _SAVE_XMM, _SAVE_XMM_FAR, _PUSH_MACHFRAME = range(6, 11)
_EXTRA_SLOTS = {_SAVE_NONVOL: 1, _SAVE_NONVOL_FAR: 2, _SAVE_XMM: 1, _SAVE_XMM_FAR: 2, _SPARE: 1}

_FUNCTION = Struct("<III")


@dataclass(slots=True)
class Registers:
    """General registers with rip and eflags, and the vector registers."""

    general: list[int]
    vectors: list[int] = field(default_factory=lambda: [0] * 16)

    def copy(self) -> "Registers":
        return Registers(list(self.general), list(self.vectors))

    @property
    def rip(self) -> int:
        return self.general[RIP]

    @property
    def rsp(self) -> int:
        return self.general[RSP]


@dataclass(frozen=True, slots=True)
class CallFrame:
    """What unwinding found out about the frame it left."""

    image_base: int
    function_entry: int
    """Guest address of the RUNTIME_FUNCTION; 0 for a leaf."""
    establisher: int
    handler_flags: int
    handler: int
    handler_data: int


class Unwinder:
    """Unwinds frames of loaded images."""

    def __init__(self, memory: "Memory") -> None:
        self._memory = memory

    def unwind(self, registers: Registers, image: "Image | None") -> CallFrame:
        """Leave the frame `registers` are in; they become the caller's."""
        entry = image.function_entry_at(registers.rip) if image is not None else None
        if entry is None or image is None:
            frame = CallFrame(image.base if image is not None else 0, 0, registers.rsp, 0, 0, 0)
            self._return(registers)
            return frame
        return self._unwind_function(registers, image, entry)

    def _return(self, registers: Registers) -> None:
        general = registers.general
        general[RIP] = self._memory.read_u64(general[RSP])
        general[RSP] += 8

    def _unwind_function(self, registers: Registers, image: "Image", entry: int) -> CallFrame:
        begin, _, unwind = _FUNCTION.unpack(self._memory.read(entry, _FUNCTION.size))
        offset = registers.rip - image.base - begin
        info = self._info(image, unwind)
        frame_base = registers.rsp
        if info.frame_register and (offset >= info.prolog_size or info.frame_is_set(offset)):
            frame_base = registers.general[info.frame_register] - info.frame_offset
        handler = handler_data = flags = 0
        if info.flags & (EHANDLER | UHANDLER) and offset >= info.prolog_size:
            flags = info.flags & (EHANDLER | UHANDLER)
            handler = image.base + self._memory.read_u32(info.tail)
            handler_data = info.tail + 4
        returned = self._undo(registers, info, frame_base, offset)
        while info.flags & CHAININFO:
            _, _, parent = _FUNCTION.unpack(self._memory.read(info.tail, _FUNCTION.size))
            info = self._info(image, parent)
            returned = self._undo(registers, info, frame_base, None)
        if not returned:
            self._return(registers)
        return CallFrame(image.base, entry, frame_base, flags, handler, handler_data)

    def _info(self, image: "Image", unwind: int) -> "_UnwindInfo":
        if unwind & 1:  # the entry points to another entry, not to unwind information
            _, _, unwind = _FUNCTION.unpack(self._memory.read(image.base + (unwind & ~1), _FUNCTION.size))
        address = image.base + unwind
        version_flags, prolog, count, frame = self._memory.read(address, 4)
        codes = Struct(f"<{2 * count}B").unpack(self._memory.read(address + 4, 2 * count))
        return _UnwindInfo(
            flags=version_flags >> 3,
            prolog_size=prolog,
            frame_register=frame & 15,
            frame_offset=(frame >> 4) * 16,
            codes=codes,
            tail=address + 4 + 2 * (count + (count & 1)),
        )

    def _undo(self, registers: Registers, info: "_UnwindInfo", frame_base: int, offset: int | None) -> bool:
        """Undo the prologue's operations done before `offset` (all if None); True if a machine frame was popped."""
        general, memory = registers.general, self._memory
        returned = False
        for at, operation, detail, extra in info.operations():
            if offset is not None and offset < at:
                continue
            if operation == _PUSH_NONVOL:
                general[detail] = memory.read_u64(general[RSP])
                general[RSP] += 8
            elif operation == _ALLOC_LARGE:
                general[RSP] += extra if detail else extra * 8
            elif operation == _ALLOC_SMALL:
                general[RSP] += detail * 8 + 8
            elif operation == _SET_FPREG:
                general[RSP] = general[info.frame_register] - info.frame_offset
            elif operation in (_SAVE_NONVOL, _SAVE_NONVOL_FAR):
                scale = 8 if operation == _SAVE_NONVOL else 1
                general[detail] = memory.read_u64(frame_base + extra * scale)
            elif operation in (_SAVE_XMM, _SAVE_XMM_FAR):
                scale = 16 if operation == _SAVE_XMM else 1
                registers.vectors[detail] = int.from_bytes(memory.read(frame_base + extra * scale, 16), "little")
            elif operation == _PUSH_MACHFRAME:
                machine = general[RSP] + 8 * detail
                general[RIP] = memory.read_u64(machine)
                general[RSP] = memory.read_u64(machine + 24)
                returned = True
        return returned


@dataclass(frozen=True, slots=True)
class _UnwindInfo:
    """UNWIND_INFO."""

    flags: int
    prolog_size: int
    frame_register: int
    frame_offset: int
    codes: tuple[int, ...]
    tail: int
    """Guest address of what follows the codes: the handler, or the chained entry."""

    def operations(self) -> "list[tuple[int, int, int, int]]":
        """(prologue offset, operation, detail, extra operand) of each unwind code."""
        found = []
        index = 0
        codes = self.codes
        while index < len(codes):
            at, packed = codes[index], codes[index + 1]
            operation, detail = packed & 15, packed >> 4
            slots = (2 if detail else 1) if operation == _ALLOC_LARGE else _EXTRA_SLOTS.get(operation, 0)
            extra = int.from_bytes(bytes(codes[index + 2 : index + 2 + 2 * slots]), "little")
            found.append((at, operation, detail, extra))
            index += 2 + 2 * slots
        return found

    def frame_is_set(self, offset: int) -> bool:
        """Whether the frame register is established at `offset` within the prologue."""
        return any(operation == _SET_FPREG and at <= offset for at, operation, _, _ in self.operations())
