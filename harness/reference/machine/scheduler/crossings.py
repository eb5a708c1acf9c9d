"""Crossings: how Python calls guest code and returns to it, from the engine or from the hook of a call.

What a crossing needs lies in the call page (cpu/code.py); the code that reads it is where guest code goes on. In a hook
guest code goes on there by itself, and the processor has not been left: that is how an export's code calls drivers.
"""

from struct import Struct, error
from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.cpu.code import ENTER, ENTER_STACK_POINTER, NEXT, RESULT
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.memory.layout import is_user

if TYPE_CHECKING:
    from harness.reference.machine.cpu.emulator import Emulator
    from harness.reference.machine.cpu.traps import Traps
    from harness.reference.machine.loader.binding import ExportBinder
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.machine.scheduler.requests import Call
    from harness.reference.machine.scheduler.thread import Execution, Frame
    from harness.reference.machine.supervisor import Supervisor

_ENTER = Struct("<7Q")
_RETURN = Struct("<QQQ")
_U64 = Struct("<Q")
_M64 = (1 << 64) - 1
_IN_REGISTERS = 4
_NO_ARGUMENTS = (0,) * _IN_REGISTERS
_SHADOW_SPACE = 0x20
_CALLED_BELOW = 0x80 + _SHADOW_SPACE
_DISPATCH_LEVEL = int(Irql.DISPATCH)
_ACCESS_VIOLATION, _EXECUTE = 0xC0000005, 8


class Crossings:
    """Prepares calls of guest functions, and returns to guest code."""

    def __init__(
        self, memory: "Memory", emulator: "Emulator", traps: "Traps", exports: "ExportBinder", supervisor: "Supervisor"
    ) -> None:
        self._memory = memory
        self._emulator = emulator
        self._traps = traps
        self._supervisor = supervisor
        self._ram = memory.ram
        self._page = traps.page
        self._enter, self._leave, self._resume = exports.enter, exports.leave, exports.resume
        traps.call_here, traps.return_here = self.call_here, self.return_here
        self.processor: Processor
        """What runs now."""

    @property
    def may_page(self) -> bool:
        """Whether pageable memory may be touched now."""
        return self._ram[self.processor.irql_offset] < _DISPATCH_LEVEL

    def prepare_call(self, execution: "Execution", frame: "Frame", request: "Call") -> int:
        """Lay out a call on this execution's stack; the code that makes it."""
        function, arguments, user = request.function, request.args, request.user
        if not user and is_user(function):
            self._traps.stack_pointer = frame.stack_pointer  # who called is named
            raise self._supervisor.unhandled_exception(_ACCESS_VIOLATION, function, (_EXECUTE, function))
        if len(execution.frames) == 1:  # a routine of its own: of a thread, a work item, a DPC
            execution.calls = 0
        frame.call = request
        stack_pointer = (_stack_for_call(execution, user=user) - _CALLED_BELOW) & ~15
        try:
            if len(arguments) > _IN_REGISTERS:
                stack_pointer = self._write_rest(stack_pointer, arguments[_IN_REGISTERS:])
            self._memory.write_u64(stack_pointer - 8, self._leave)
        except GuestException:
            raise self._supervisor.stack_overflow(stack_pointer) from None
        if stack_pointer < execution.stack_low and not user:
            execution.stack_low = 0
            self._supervisor.stack_nearly_used_up(execution, stack_pointer - execution.stack_base)
        first = arguments[:_IN_REGISTERS] + _NO_ARGUMENTS[len(arguments) :]
        control = execution.teb if user else self.processor.control
        try:
            _ENTER.pack_into(self._ram, self._page + ENTER, *first, stack_pointer - 8, function, control)
        except error:  # a negative number
            masked = [argument & _M64 for argument in first]
            _ENTER.pack_into(self._ram, self._page + ENTER, *masked, stack_pointer - 8, function, control)
        return self._enter[self.may_page]

    def _write_rest(self, stack_pointer: int, rest: tuple[int, ...]) -> int:
        """Write the arguments that are not in registers, below `stack_pointer`; rsp for the call."""
        stack_pointer = (stack_pointer - 8 * len(rest)) & ~15
        for index, argument in enumerate(rest):
            self._memory.write_u64(stack_pointer + _SHADOW_SPACE + 8 * index, argument & _M64)
        return stack_pointer

    def prepare_return(self, execution: "Execution", stack_pointer: int, value: int) -> bool:
        """Lay out the return from an export that was called at `stack_pointer`; whether it leads to user mode."""
        _U64.pack_into(self._ram, self._page + RESULT, value)
        address = self._memory.read_u64(stack_pointer)
        user = is_user(address)
        control = execution.teb if user else self.processor.control
        _RETURN.pack_into(self._ram, self._page + ENTER_STACK_POINTER, stack_pointer + 8, address, control)
        return user

    @property
    def resume(self) -> int:
        """The code that returns from an export."""
        return self._resume[self.may_page]

    # -- in a hook

    def call_here(self, execution: "Execution", frame: "Frame", request: "Call") -> None:
        """Call a kernel-mode function as soon as the hook is over."""
        _U64.pack_into(self._ram, self._page + NEXT, self.prepare_call(execution, frame, request))
        self._emulator.gs = self.processor.control

    def return_here(self, execution: "Execution", stack_pointer: int, value: int) -> bool:
        """Return from an export as soon as the hook is over; False if it cannot be made here."""
        thread = self.processor.thread
        try:
            user = self.prepare_return(execution, stack_pointer, value)
        except GuestException:  # its stack is gone
            return False
        if user and thread is not None and thread.terminating:
            return False
        _U64.pack_into(self._ram, self._page + NEXT, self.resume)
        self._emulator.gs = execution.teb if user else self.processor.control
        return True


def _stack_for_call(execution: "Execution", *, user: bool) -> int:
    """Rsp below which a new call may use the stack: user code and kernel code have one each."""
    for frame in reversed(execution.frames):
        stack_pointer = frame.stack_pointer
        if stack_pointer and is_user(stack_pointer) is user:
            return stack_pointer
    if not user:
        return execution.stack_top
    assert execution.user_stack_top, "a user-mode function is called on a thread without a user stack"
    return execution.user_stack_top
