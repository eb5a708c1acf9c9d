"""From a fault to the handler that takes it: RtlDispatchException, RtlUnwind and `__C_specific_handler`.

Two passes over the call frames, as on Windows: the first asks each frame's handler, the second, begun by the handler
that accepts, runs the `__finally` blocks on the way. Handlers are called in the guest, so that a compiler's wrappers
around `__C_specific_handler` work. Between guest frames lie Python frames (exports that called back); unwinding
crosses them, and the engine closes them when the handler's frame resumes.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.nt import NtStatus
from harness.reference.machine.cpu.emulator import EFLAGS, RAX, RIP, RSP, Emulator
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.cpu.seh.records import (
    NONCONTINUABLE,
    TARGET_UNWIND,
    UNWINDING,
    DispatcherContext,
    ExceptionArea,
    ExceptionRecord,
)
from harness.reference.machine.cpu.seh.unwind import EHANDLER, UHANDLER, CallFrame, Registers, Unwinder
from harness.reference.machine.memory.layout import is_user
from harness.reference.machine.scheduler.requests import Call, Request, Resume, Throw
from harness.reference.machine.scheduler.thread import Execution

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.reference.machine.loader.binding import ExportBinder
    from harness.reference.machine.loader.images import ImageTable
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.supervisor import Supervisor

_CONTINUE_EXECUTION, _CONTINUE_SEARCH = 0, 1

SehCode = Generator[Request, Any, int]


@dataclass(slots=True)
class FaultFrame:
    """Kept with the Python frame of an exception in progress: where an unwind that passes it goes on."""

    registers: Registers
    dispatcher: DispatcherContext
    unwinding: bool = False


class Walk:
    """A walk over the call frames of an execution, from the inside out."""

    def __init__(self, dispatcher: "ExceptionDispatcher", execution: Execution, registers: Registers, top: int) -> None:
        self._dispatcher = dispatcher
        self._execution = execution
        self.registers = registers
        self._below = top
        """Index of the Python frame above the guest frames that are being walked."""
        self.user = is_user(registers.rip) and is_user(registers.rsp)
        """Whether it is user mode's stack; kernel mode may have jumped to an address of user mode's."""
        self.scope = 0
        """Where the next frame's handler starts in its scope table."""

    def skip_python(self) -> bool:
        """Step over Python frames to the guest frame below; False at the end of the stack."""
        while self._dispatcher.is_python(self.registers.rip):
            self._below -= 1
            frame = self._execution.frames[self._below]
            if frame.stack_pointer == 0 or is_user(frame.stack_pointer) is not self.user:
                return False
            fault = frame.fault
            if isinstance(fault, FaultFrame):
                self.registers = fault.registers.copy()
                self.scope = fault.dispatcher.scope_index if fault.unwinding else 0
            else:
                general = self.registers.general
                general[RSP] = frame.stack_pointer + 8
                general[RIP] = self._dispatcher.read_u64(frame.stack_pointer)
        return True


class ExceptionDispatcher:
    """Finds and runs handlers."""

    def __init__(
        self,
        memory: "Memory",
        emulator: Emulator,
        images: "ImageTable",
        exports: "ExportBinder",
        current: "Callable[[], Execution]",
        supervisor: "Supervisor",
    ) -> None:
        self._memory = memory
        self._emulator = emulator
        self._images = images
        self._exports = exports
        self._current = current
        """The execution that runs now."""
        self._supervisor = supervisor
        self._unwinder = Unwinder(memory)
        self.read_u64 = memory.read_u64

    def is_python(self, return_address: int) -> bool:
        """Whether a guest function was called by Python, be it by a routine that calls many in turn."""
        return return_address == self._exports.leave or self._exports.in_routine(return_address)

    def registers_at_call(self, stack_pointer: int) -> Registers:
        """The registers of the guest code that called the export now running, as they will be after it returns."""
        state = self._emulator.state()
        state.general[RSP] = stack_pointer + 8
        state.general[RIP] = self._memory.read_u64(stack_pointer)
        return Registers(state.general, state.vectors)

    # -- first pass

    def begin(
        self, registers: Registers, code: int, parameters: tuple[int, ...], *, flags: int = 0
    ) -> tuple[SehCode, FaultFrame, int]:
        """Start handling an exception: the Python frame to push, what to keep with it, and its stack pointer."""
        area = ExceptionArea(self._memory, registers.rsp)
        area.record.fill(code, flags, registers.rip, parameters)
        area.context.store(registers)
        fault = FaultFrame(registers.copy(), area.dispatcher)
        return self._dispatch(area, registers, parameters), fault, area.base

    def _dispatch(self, area: ExceptionArea, registers: Registers, parameters: tuple[int, ...]) -> SehCode:
        """Ask the handlers of all frames, innermost first."""
        execution = self._current()
        record = area.record
        walk = Walk(self, execution, registers.copy(), len(execution.frames) - 1)
        while walk.skip_python():
            pc = walk.registers.rip
            image = self._images.at(pc)
            if image is None and self._exports.name_at(pc) is None and pc != registers.rip:
                break  # where the exception itself is, code has jumped astray: its caller is asked
            frame = self._leave(walk)
            if frame is None:
                break
            if frame.handler_flags & EHANDLER:
                area.dispatcher.fill(pc, frame, area.context.address, 0, walk.scope)
                answer = yield Call(
                    frame.handler,
                    record.address,
                    frame.establisher,
                    area.context.address,
                    area.dispatcher.address,
                    user=walk.user,
                )
                if answer & 0xFFFF_FFFF == _CONTINUE_EXECUTION:
                    if record.flags & NONCONTINUABLE:
                        break
                    resumed = area.context.load()
                    yield Resume(resumed.rip, resumed.general, resumed.vectors)
            walk.scope = 0
        if walk.user:
            yield Throw(GuestException(record.code, *parameters))
        raise self._supervisor.unhandled_exception(record.code, registers.rip, parameters)

    def _leave(self, walk: Walk) -> CallFrame | None:
        """Unwind one frame; None if the stack is damaged."""
        image = self._images.at(walk.registers.rip)
        try:
            return self._unwinder.unwind(walk.registers, image)
        except GuestException:
            return None

    # -- second pass

    def unwind_to(
        self, record: ExceptionRecord, context_address: int, dispatcher: DispatcherContext, frame: int, target: int
    ) -> SehCode:
        """RtlUnwindEx: run the termination handlers of all frames up to `frame`, then go on at `target`."""
        execution = self._current()
        top, fault = self._fault_frame(execution)
        walk = Walk(self, execution, fault.registers.copy(), top)
        walk.scope = 0
        fault.unwinding = True
        while walk.skip_python():
            before = walk.registers.copy()
            pc = before.rip
            scope, walk.scope = walk.scope, 0
            left = self._leave(walk)
            if left is None:
                break
            at_target = left.function_entry != 0 and left.establisher == frame
            fault.registers = before
            if left.handler_flags & UHANDLER:
                record.flags = record.flags | UNWINDING | (TARGET_UNWIND if at_target else 0)
                dispatcher.fill(pc, left, context_address, target, scope)
                arguments = (record.address, left.establisher, context_address, dispatcher.address)
                yield Call(left.handler, *arguments, user=walk.user)
            if at_target:
                before.general[RIP] = target
                before.general[RAX] = record.code
                yield Resume(target, before.general, before.vectors)
        raise self._supervisor.unhandled_exception(record.code, record.address_of_exception, ())

    @staticmethod
    def _fault_frame(execution: Execution) -> tuple[int, FaultFrame]:
        """The exception in progress, and its index among the frames."""
        for index in range(len(execution.frames) - 1, -1, -1):
            fault = execution.frames[index].fault
            if isinstance(fault, FaultFrame):
                return index, fault
        raise AssertionError("an unwind without an exception")

    def specific_handler(self, record_at: int, frame: int, context: int, dispatcher_at: int) -> SehCode:
        """`__C_specific_handler`: the scope table of `__try` blocks."""
        memory = self._memory
        record = ExceptionRecord(memory, record_at)
        dispatcher = DispatcherContext(memory, dispatcher_at)
        base = dispatcher.image_base
        table = dispatcher.handler_data
        pc = dispatcher.control_pc - base
        if record.flags & UNWINDING:
            return (yield from self._finally_blocks(record, frame, dispatcher, table, pc))
        for index in range(dispatcher.scope_index, memory.read_u32(table)):
            begin, end, filter_rva, jump = _scope(memory.read(table + 4 + 16 * index, 16))
            if not begin <= pc < end or not jump:
                continue
            verdict = 1
            if filter_rva != 1:
                pointers = dispatcher_at + ExceptionArea.POINTERS_FROM_DISPATCHER
                memory.write_u64(pointers, record_at)
                memory.write_u64(pointers + 8, context)
                answer = (yield Call(base + filter_rva, pointers, frame, user=is_user(base))) & 0xFFFF_FFFF
                verdict = answer - (1 << 32) if answer & 0x8000_0000 else answer
            if verdict < 0:
                return _CONTINUE_EXECUTION
            if verdict > 0:
                yield from self.unwind_to(record, context, dispatcher, frame, base + jump)
        return _CONTINUE_SEARCH

    def _finally_blocks(
        self, record: ExceptionRecord, frame: int, dispatcher: DispatcherContext, table: int, pc: int
    ) -> SehCode:
        """Run the `__finally` blocks around `pc` that the unwind leaves."""
        base = dispatcher.image_base
        scopes = [
            _scope(self._memory.read(table + 4 + 16 * index, 16)) for index in range(self._memory.read_u32(table))
        ]
        last = len(scopes)
        if record.flags & TARGET_UNWIND:
            last = _first_scope_kept(scopes, pc, dispatcher.target_ip - base)
        for index in range(dispatcher.scope_index, last):
            begin, end, handler, jump = scopes[index]
            if begin <= pc < end and not jump:
                dispatcher.scope_index = index + 1
                yield Call(base + handler, 1, frame, user=is_user(base))
        return _CONTINUE_SEARCH


def _first_scope_kept(scopes: list[tuple[int, int, int, int]], pc: int, target: int) -> int:
    """The first scope, from the inside out, that an unwind from `pc` to `target` in the same function stays within.

    That is the `__except` it goes to. Asking whether the target lies in a scope's range is not enough: a range ends
    one byte after its last call, and with a call that never returns that byte may be the first of the `__except`.
    """
    for index, (begin, end, _, jump) in enumerate(scopes):
        if begin <= pc < end and jump == target:
            return index
    for index, (begin, end, _, _) in enumerate(scopes):
        if begin <= pc < end and begin <= target < end:
            return index
    return len(scopes)


def _scope(raw: bytes) -> tuple[int, int, int, int]:
    """One SCOPE_TABLE entry: begin, end, filter or finally handler, jump target."""
    return (
        int.from_bytes(raw[0:4], "little"),
        int.from_bytes(raw[4:8], "little"),
        int.from_bytes(raw[8:12], "little"),
        int.from_bytes(raw[12:16], "little"),
    )


STATUS_BY_VECTOR = {
    0: 0xC0000094,  # STATUS_INTEGER_DIVIDE_BY_ZERO
    1: 0x80000004,  # STATUS_SINGLE_STEP
    3: int(NtStatus.BREAKPOINT),
    4: 0xC0000095,  # STATUS_INTEGER_OVERFLOW
    6: 0xC000001D,  # STATUS_ILLEGAL_INSTRUCTION
    13: int(NtStatus.ACCESS_VIOLATION),
    17: int(NtStatus.DATATYPE_MISALIGNMENT),
    0x2C: 0xC0000420,  # STATUS_ASSERTION_FAILURE
}

__all__ = ["EFLAGS", "STATUS_BY_VECTOR", "ExceptionDispatcher", "FaultFrame", "Walk"]
