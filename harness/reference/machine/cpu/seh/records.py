"""EXCEPTION_RECORD, CONTEXT and DISPATCHER_CONTEXT in guest memory."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.emulator import EFLAGS, RIP
from harness.reference.machine.cpu.seh.unwind import CallFrame, Registers
from harness.reference.machine.memory.structure import Field, Structure

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory

NONCONTINUABLE = 0x01
UNWINDING = 0x02
EXIT_UNWIND = 0x04
TARGET_UNWIND = 0x20
COLLIDED_UNWIND = 0x40

_GENERAL = Struct("<17Q")
_CONTEXT_FULL = 0x10000B


class ExceptionRecord(Structure):
    """EXCEPTION_RECORD."""

    SIZE = 0x98
    code = Field(0x00, "I")
    flags = Field(0x04, "I")
    address_of_exception = Field(0x10)
    parameter_count = Field(0x18, "I")
    INFORMATION = 0x20

    def fill(self, code: int, flags: int, address: int, parameters: tuple[int, ...]) -> None:
        self.clear()
        self.code = code
        self.flags = flags
        self.address_of_exception = address
        self.parameter_count = len(parameters)
        for index, parameter in enumerate(parameters):
            self.memory.write_u64(self.address + self.INFORMATION + 8 * index, parameter)


class Context(Structure):
    """CONTEXT."""

    SIZE = 0x4D0
    flags = Field(0x30, "I")
    mxcsr = Field(0x34, "I")
    eflags = Field(0x44, "I")
    GENERAL = 0x78
    VECTORS = 0x1A0

    def store(self, registers: Registers) -> None:
        """Write registers into the structure."""
        self.clear()
        self.flags = _CONTEXT_FULL
        self.mxcsr = 0x1F80
        self.eflags = registers.general[EFLAGS]
        self.memory.write(self.address + self.GENERAL, _GENERAL.pack(*registers.general[: RIP + 1]))
        vectors = b"".join(value.to_bytes(16, "little") for value in registers.vectors)
        self.memory.write(self.address + self.VECTORS, vectors)

    def load(self) -> Registers:
        """Registers from the structure: an exception filter may have changed them."""
        general = list(_GENERAL.unpack(self.memory.read(self.address + self.GENERAL, _GENERAL.size)))
        raw = self.memory.read(self.address + self.VECTORS, 256)
        vectors = [int.from_bytes(raw[at : at + 16], "little") for at in range(0, 256, 16)]
        return Registers([*general, self.eflags], vectors)


class DispatcherContext(Structure):
    """DISPATCHER_CONTEXT."""

    SIZE = 0x50
    control_pc = Field(0x00)
    image_base = Field(0x08)
    function_entry = Field(0x10)
    establisher_frame = Field(0x18)
    target_ip = Field(0x20)
    context_record = Field(0x28)
    language_handler = Field(0x30)
    handler_data = Field(0x38)
    scope_index = Field(0x48, "I")

    def fill(self, pc: int, frame: CallFrame, context: int, target: int, scope: int) -> None:
        self.control_pc = pc
        self.image_base = frame.image_base
        self.function_entry = frame.function_entry
        self.establisher_frame = frame.establisher
        self.target_ip = target
        self.context_record = context
        self.language_handler = frame.handler
        self.handler_data = frame.handler_data
        self.scope_index = scope


class ExceptionArea:
    """Room on the faulting stack for one exception: record, contexts, and the EXCEPTION_POINTERS of filters."""

    SIZE = 0xC00
    POINTERS_FROM_DISPATCHER = 0x80

    def __init__(self, memory: "Memory", stack_pointer: int) -> None:
        self.base = (stack_pointer - self.SIZE) & ~15
        self.record = ExceptionRecord(memory, self.base + 0x100)
        self.context = Context(memory, self.base + 0x200)
        self.dispatcher = DispatcherContext(memory, self.base + 0x700)
