"""The chain of calls: the places in images that lie on a stack, by the images' own unwind tables.

A place is the call, not where it returns to; where code has jumped astray, a return address on the stack is a place.
Where the stack says nothing any more it is where the driver's code was entered, which the kernel itself knows.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.emulator import RIP, RSP
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.cpu.seh.dispatch import FaultFrame
from harness.reference.machine.cpu.seh.unwind import Registers, Unwinder
from harness.reference.machine.memory.layout import is_user
from harness.reference.machine.scheduler.thread import ResumeAt

if TYPE_CHECKING:
    from harness.reference.machine.cpu.emulator import Emulator
    from harness.reference.machine.loader.binding import ExportBinder
    from harness.reference.machine.loader.images import Image, ImageTable
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.requests import Call
    from harness.reference.machine.scheduler.thread import Execution, Frame

LONGEST = 32
_ASTRAY = 64
"""How many words of a stack are searched for a return address where there is no other way on."""
_LONGEST_CALL = 8
_REX_B = 0x41
"""The prefix of a call by r8 to r15."""


def call_before(code: bytes, end: int) -> int:
    """How long the call is that ends at `code[end]`; 0 if none does."""
    if end >= 6 and code[end - 6] == 0xFF and code[end - 5] == 0x15:  # call [rip + displacement]
        return 6
    if end >= 5 and code[end - 5] == 0xE8:  # call displacement
        return 5
    for length in (4, 3, 2, 7, 6, 8):  # of `41 ff d2` all is one call
        at = end - length
        if at < 0:
            continue
        prefixed = code[at] == _REX_B
        opcode = at + prefixed
        if opcode + 1 < end and code[opcode] == 0xFF and code[opcode + 1] & 0x38 == 0x10:
            length_here = prefixed + _indirect(code, opcode + 1)
            if length_here == length:
                return length
    return 0


def _indirect(code: bytes, at: int) -> int:
    """The length of FF /2 without prefixes: opcode, ModRM, SIB and displacement."""
    mode, register = code[at] >> 6, code[at] & 7
    if mode == 3:
        return 2
    displacement = (0, 1, 4)[mode]
    if mode == 0 and register == 5:
        displacement = 4
    sib = register == 4
    if sib and mode == 0 and at + 1 < len(code) and code[at + 1] & 7 == 5:
        displacement = 4
    return 2 + sib + displacement


class CallChains:
    """Finds the places on stacks."""

    def __init__(self, memory: "Memory", images: "ImageTable", exports: "ExportBinder", emulator: "Emulator") -> None:
        self._memory = memory
        self._images = images
        self._exports = exports
        self._emulator = emulator
        self._unwinder = Unwinder(memory)
        self.registers_of: Callable[[Execution], list[int]] = lambda _: [0] * 18
        """The general registers of an execution whose guest code is in a call, as far as a callee keeps them."""
        self.routines: dict[int, Callable[[Call], int]] = {}
        """Of machine code that calls drivers, by its address: what it has called last."""

    def entrance(self, frame: "Frame") -> tuple["Image", int] | None:
        """Where the code began that a frame has called and that has not returned; None if it is no image's."""
        return self._began(frame.call)

    def left(self, frame: "Frame") -> tuple["Image", int] | None:
        """The same of the code that has returned to a frame last."""
        return self._began(frame.returned)

    def _began(self, call: "Call | None") -> tuple["Image", int] | None:
        if call is None:
            return None
        called = self.routines.get(call.function)
        address = called(call) if called is not None else call.function
        image = self._images.once_at(address)
        return (image, address) if image is not None else None

    def call_site(self, image: "Image", returns_to: int) -> int:
        """The address of the call that returns to an address; that itself if no call is before it."""
        known = image.call_sites.get(returns_to)
        if known is None:
            known = image.call_sites[returns_to] = returns_to - self._length_of_call(returns_to)
        return known

    def _length_of_call(self, returns_to: int) -> int:
        try:
            code = self._memory.read(returns_to - _LONGEST_CALL, _LONGEST_CALL)
        except GuestException:
            return 0
        return call_before(code, _LONGEST_CALL)

    def of(self, execution: "Execution", stack_pointer: int = 0) -> list[tuple["Image", int]]:
        """The places that an execution has come by, innermost first; `stack_pointer` is rsp where an export began."""
        frames = len(execution.frames)
        general = list(self.registers_of(execution))
        if isinstance(execution.continuation, ResumeAt):
            general[RIP] = execution.continuation.address
            return self.at_fault(execution, general)
        if not stack_pointer:
            stack_pointer = getattr(execution.continuation, "stack_pointer", 0)
        if not stack_pointer:
            while frames and not execution.frames[frames - 1].stack_pointer:
                frames -= 1
            if not frames:
                return []
            frames -= 1
            fault = execution.frames[frames].fault
            if isinstance(fault, FaultFrame):
                return list(self._walk(execution, frames, fault.registers.copy(), called=False))
            stack_pointer = execution.frames[frames].stack_pointer
        elif frames and execution.frames[-1].stack_pointer == stack_pointer:
            frames -= 1
        try:
            general[RIP], general[RSP] = self._memory.read_u64(stack_pointer), stack_pointer + 8
        except GuestException:
            general[RIP] = self._exports.leave
        return list(self._walk(execution, frames, Registers(general), called=True))

    def at_fault(self, execution: "Execution", general: list[int]) -> list[tuple["Image", int]]:
        """The places that lie on the stack of an execution whose guest code has stopped with these registers."""
        return list(self._walk(execution, len(execution.frames), Registers(list(general)), called=False))

    def where_it_runs(self, execution: "Execution") -> list[tuple["Image", int]]:
        """The same of guest code that was stopped as it ran."""
        return self.at_fault(execution, self._emulator.state().general)

    def _walk(
        self, execution: "Execution", frames: int, registers: Registers, *, called: bool
    ) -> Iterator[tuple["Image", int]]:
        """From frame to frame; `called`: rip is where a call returns to."""
        general, found = registers.general, False
        for _ in range(LONGEST):
            while general[RIP] == self._exports.leave or self._exports.in_routine(general[RIP]):
                frames -= 1
                entrance = self.entrance(execution.frames[frames]) if frames >= 0 and not found else None
                if entrance is not None:
                    yield entrance
                if frames < 0 or not execution.frames[frames].stack_pointer:
                    return
                found = False
                fault, stack_pointer = execution.frames[frames].fault, execution.frames[frames].stack_pointer
                if isinstance(fault, FaultFrame):
                    registers, called = fault.registers.copy(), False
                    general = registers.general
                    continue
                general[RIP], general[RSP], called = self._read(stack_pointer), stack_pointer + 8, True
            rip = general[RIP]
            image = self._images.once_at(rip)
            if image is None:
                self._go_back(registers, _end_of_stack(execution, frames, general[RSP]))
                called = True
                continue
            found = True
            yield image, self.call_site(image, rip) if called else rip
            try:
                self._unwinder.unwind(registers, None if image.unloaded else image)
            except (GuestException, LookupError):
                general[RIP] = self._exports.leave
            called = True

    def _go_back(self, registers: Registers, end: int) -> None:
        """Code has jumped where nothing is: the nearest return address into an image, or the end of a Python call."""
        general = registers.general
        for at in range(general[RSP], min(general[RSP] + 8 * _ASTRAY, end), 8):
            address = self._read(at)
            image = self._images.once_at(address)
            if address == self._exports.leave or (
                image is not None and is_user(address) is image.user and self._length_of_call(address)
            ):
                general[RIP], general[RSP] = address, at + 8
                return
        general[RIP] = self._exports.leave

    def _read(self, address: int) -> int:
        try:
            return self._memory.read_u64(address)
        except GuestException:
            return 0


def _end_of_stack(execution: "Execution", frames: int, stack_pointer: int) -> int:
    """Where the part of a stack ends that the code called by the topmost of so many frames has used."""
    before = execution.frames[frames - 1].stack_pointer if frames else 0
    if before and is_user(before) is is_user(stack_pointer):
        return before
    return execution.user_stack_top if is_user(stack_pointer) else execution.stack_top
