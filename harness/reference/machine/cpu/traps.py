"""Where guest code meets Python: import calls, faults, and the counters it reads.

An export that is a plain function finishes inside the hook, and the guest goes on without having left the emulator.
Everything else stops the processor and leaves an *event* for the engine (scheduler/engine.py).
"""

from struct import Struct
from types import GeneratorType
from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.cpu import native
from harness.reference.machine.cpu.code import (
    ATTENTION,
    BUDGET,
    GOLDEN_RATIO,
    INDEX,
    LEFT_INDEX,
    MIXED,
    MOST_STALE,
    MULTIPLIER,
    NANOSECONDS,
    RESULT,
    RETURN_INDEX,
    STACK_POINTER,
    STALE,
    WANTED,
)
from harness.reference.machine.cpu.emulator import Emulator
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.cpu.guest_events import (
    Failed,
    Faulted,
    Finished,
    GuestEvent,
    Interrupted,
    Raised,
    Requested,
    Returned,
    Suspended,
)
from harness.reference.machine.cpu.native_answers import NativeAnswers
from harness.reference.machine.loader.binding import MissingExport
from harness.reference.machine.loader.exports import Export, Variadic
from harness.reference.machine.loader.patches import RANDOM, READ_IRQL, WRITE_IRQL
from harness.reference.machine.memory.layout import CALL_PAGE, PAGE_SIZE, is_user
from harness.reference.machine.scheduler.requests import Call
from harness.reference.machine.scheduler.thread import CALLS_OF_A_STEP, Frame, ResumeAt, ReturnTo

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from harness.reference.machine.loader.binding import ExportBinder
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.probes import Probes
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.machine.scheduler.thread import Execution
    from harness.reference.machine.scheduler.timers import Clock
    from harness.reference.machine.supervisor import Supervisor

_HEAD = Struct("<QQq")  # rsp, index, budget
_U64 = Struct("<Q")
_M64 = (1 << 64) - 1
_STACK_ARGUMENTS = 0x28
_PAGE_FAULT = 14
_I64 = Struct("<q")
_STALE = [Struct(f"<{count + 1}Q") for count in range(MOST_STALE + 1)]

_WANTED_ATTENTION = Struct("<BB")
assert ATTENTION == WANTED + 1
assert (INDEX, BUDGET) == (STACK_POINTER + 8, STACK_POINTER + 16)


class Traps:
    """The hooks of the emulator."""

    def __init__(
        self,
        memory: "Memory",
        emulator: Emulator,
        exports: "ExportBinder",
        clock: "Clock",
        random: "Random",
        probes: "Probes",
        supervisor: "Supervisor",
    ) -> None:
        self._memory = memory
        self._emulator = emulator
        self._random = random
        """The guest's own: rdrand."""
        self._probes = probes
        self._supervisor = supervisor
        """Also what exports get as their first argument."""
        self._tables = memory.tables
        self._ram = memory.ram
        (self.page,) = memory.frames(CALL_PAGE, PAGE_SIZE)
        _U64.pack_into(self._ram, self.page + MULTIPLIER, GOLDEN_RATIO)
        self._table = exports.table
        self._thunks = frozenset((*exports.enter, *exports.resume))
        self._clock = clock
        self.event: GuestEvent | None = None
        self.stack_pointer = 0
        """rsp at the entry of the export that runs now; 0 when none does."""
        self.export: Export | MissingExport | None = None
        self._irql_offset = 0
        """Where the current processor's IRQL is in RAM."""
        self._processor_number = 0
        self._attention = self.page + ATTENTION
        self.until_preemption = 1 << 60
        self.calls = 0
        """Import calls that came to Python."""
        self.written = False
        """Guest code has written what it mostly must not: `judge` looks at it before anything else is done."""
        self.judge: Callable[[], None]
        self.execution: Execution | None = None
        """What runs now."""
        self.ends: Callable[[Execution, int], bool]
        """The engine's: whether an execution may make so many calls more."""
        self.call_here: Callable[[Execution, Frame, Call], None]
        """The engine's: have guest code called when the hook is over (scheduler/crossings.py)."""
        self.return_here: Callable[[Execution, int, int], bool]
        """The same for the return from an export; False if it cannot be made here."""
        self.go_on_here: Callable[[int, int], bool]
        """The scheduler's: a preemption after which the same would go on, made without leaving the guest."""
        self._answers = (
            NativeAnswers(memory.tables.host_address, self.page + NANOSECONDS, READ_IRQL) if native.HERE else None
        )
        emulator.set_hooks(self, self._answers)

    def select(self, processor: "Processor") -> None:
        """This processor runs now."""
        self._irql_offset = processor.irql_offset
        self._processor_number = processor.number
        if self._answers is not None:
            self._answers.select(processor.irql_offset)

    # -- the call page

    @property
    def until_preemption(self) -> int:
        """Import calls until the next seeded preemption."""
        budget: int = _I64.unpack_from(self._ram, self.page + BUDGET)[0]
        return budget

    @until_preemption.setter
    def until_preemption(self, calls: int) -> None:
        _I64.pack_into(self._ram, self.page + BUDGET, calls)

    @property
    def attention(self) -> bool:
        """The processor is wanted: leave the guest after the current export, or its next."""
        return bool(self._ram[self._attention])

    @attention.setter
    def attention(self, wanted: bool) -> None:
        self._ram[self._attention] = wanted

    @property
    def mixed(self) -> int:
        """A running hash over all import calls: part of the trace's digest."""
        mixed: int = _U64.unpack_from(self._ram, self.page + MIXED)[0]
        return mixed

    def begin_run(self, calls: int, *, wanted: bool) -> None:
        """So many import calls until the next preemption, and no attention so far; `wanted`: see `want`."""
        _I64.pack_into(self._ram, self.page + BUDGET, calls)
        _WANTED_ATTENTION.pack_into(self._ram, self.page + WANTED, wanted, 0)

    def want(self, wanted: bool) -> None:
        """Whether somebody waits for the processor to fall below DISPATCH_LEVEL: then no leaf may lower its IRQL."""
        self._ram[self.page + WANTED] = wanted

    # -- import calls

    def on_call(self, engine: int, data: int) -> None:
        """The hook itself: everything in it is on the hot path."""
        del engine, data
        stack_pointer, index, budget = _HEAD.unpack_from(self._ram, self.page + STACK_POINTER)
        if index <= LEFT_INDEX:
            if index == RETURN_INDEX:
                self._returned(stack_pointer)
            else:
                self._leave(stack_pointer, _U64.unpack_from(self._ram, self.page + RESULT)[0], budget)
            return
        entry = self._table[index]
        self.calls += 1
        self.stack_pointer = stack_pointer
        self.export = entry
        self._probes.called(entry, stack_pointer)
        try:
            if self.written:
                self.judge()
            if self._ram[self._irql_offset] > entry.max_irql:
                self._supervisor.above_irql(entry)
            if entry.simple:
                result = entry.function(self._supervisor, *entry.registers.unpack_from(self._ram, self.page))
            else:
                result = self._invoke(entry, stack_pointer)
        except GuestException as exception:
            self._stop(Raised(exception, stack_pointer, entry.name))
        except BaseException as error:  # noqa: BLE001 - a hook must not raise; the engine raises it again
            self._stop(Failed(error, entry.name, stack_pointer))
        else:
            if type(result) is GeneratorType:
                self._begin_code(result, stack_pointer, entry.name)
                return
            value = result & _M64 if isinstance(result, int) else 0
            _U64.pack_into(self._ram, self.page + RESULT, value)
            if budget <= 0 or self._ram[self._attention]:
                self._leave(stack_pointer, value, budget)
                return
            if self._tables.stale:
                self._forget_stale()
        finally:
            self.stack_pointer = 0

    def _begin_code(self, code: "KernelCode", stack_pointer: int, export: str) -> None:
        """Run an export's code as far as it goes without leaving the guest: up to its end, mostly."""
        execution = self.execution
        assert execution is not None
        if is_user(stack_pointer):
            execution.calls = 0
        if self._ram[self._attention] or not self.ends(execution, CALLS_OF_A_STEP):
            self._stop(Suspended(code, stack_pointer, export))
            return
        frame = Frame(code, stack_pointer, export)
        execution.frames.append(frame)
        self.stack_pointer = 0
        self._go_on(execution, frame, None)

    def _returned(self, stack_pointer: int) -> None:
        """A guest function that Python has called has returned: the caller goes on, here if an export's code has."""
        execution = self.execution
        assert execution is not None
        self.calls += 1
        value = _U64.unpack_from(self._ram, self.page)[0]
        frame = execution.frames[-1]
        call = frame.call
        if (
            self.written
            or call is None
            or call.user
            or not frame.stack_pointer
            or self._ram[self._attention]
            or not self.ends(execution, CALLS_OF_A_STEP)
        ):
            self._stop(Returned(value, stack_pointer))
            return
        execution.stalls = 0
        frame.returned, frame.call = call, None
        self._go_on(execution, frame, value)

    def _go_on(self, execution: "Execution", frame: Frame, value: int | None) -> None:
        """Run kernel code up to its next request. A call is made from here, as the engine would make it."""
        execution.calls += CALLS_OF_A_STEP
        try:
            request = frame.code.send(value)
            if type(request) is Call and not request.user:
                self.call_here(execution, frame, request)
            else:
                self._stop(Requested(frame, request))
        except StopIteration as stop:
            execution.frames.pop()
            stack_pointer, result = frame.stack_pointer, int(stop.value or 0) & _M64
            if self._ram[self._attention] or not self.return_here(execution, stack_pointer, result):
                self._stop(Finished(ReturnTo(stack_pointer, result)))
        except GuestException as exception:
            execution.frames.pop()
            self._stop(Raised(exception, frame.stack_pointer, frame.export))
        except BaseException as error:  # noqa: BLE001 - a hook must not raise; the engine raises it again
            self._stop(Failed(error, frame.export, frame.stack_pointer))
        if self._tables.stale and self.event is None:
            self._forget_stale()

    def _leave(self, stack_pointer: int, value: int, budget: int) -> None:
        """An export is done, and the processor is to be left; if nothing else could run, it goes on at once."""
        if self._ram[self._attention] or not self.go_on_here(stack_pointer, budget):
            self._stop(Interrupted(ReturnTo(stack_pointer, value), stack_pointer))
        elif self._tables.stale:
            self._forget_stale()

    def run(self, address: int, count: int = 0) -> GuestEvent | None:
        """Run guest code until it wants something; None if nothing of the guest's has stopped it, or not yet."""
        if self._tables.stale:
            if address in self._thunks:
                self._forget_stale()
            else:
                self._emulator.flush_tlb()
        self.event = None
        self._emulator.run(address, count)
        if self.written:
            self.judge()
        return self.event

    def _forget_stale(self) -> None:
        """Have our code that runs next forget what is cached of a few pages; forget all, if there are many."""
        stale = self._tables.stale
        if len(stale) > MOST_STALE:
            self._emulator.flush_tlb()
            return
        _STALE[len(stale)].pack_into(self._ram, self.page + STALE, len(stale), *stale)
        stale.clear()

    def _invoke(self, entry: Export | MissingExport, stack_pointer: int) -> object:
        if isinstance(entry, MissingExport):
            self._supervisor.missing_export(entry)
        arguments = entry.registers.unpack_from(self._ram, self.page)
        if entry.stack is not None:
            arguments += entry.stack.unpack(self._memory.read(stack_pointer + _STACK_ARGUMENTS, entry.stack.size))
        if entry.variadic:
            return entry.function(self._supervisor, *arguments, self._variadic(entry.parameters, stack_pointer))
        return entry.function(self._supervisor, *arguments)

    def _variadic(self, first: int, stack_pointer: int) -> Variadic:
        registers = Struct("<4Q").unpack_from(self._ram, self.page)
        memory = self._memory

        def fetch(index: int) -> int:
            if index < len(registers):
                return int(registers[index])
            return memory.read_u64(stack_pointer + 8 + 8 * index)

        return Variadic(fetch, first)

    def break_before(self, address: int) -> None:
        """Leave the guest before the instruction that is about to run."""
        self._stop(Interrupted(ResumeAt(address), _M64))

    def fail(self, error: BaseException) -> None:
        """What watches guest code has failed."""
        self._stop(Failed(error, "", 0))

    def _stop(self, event: GuestEvent) -> None:
        self.event = event
        self._emulator.stop()

    # -- faults and instructions

    def on_interrupt(self, vector: int) -> None:
        if vector & 0xF0 == READ_IRQL:
            self._emulator.write_register(vector & 15, self._ram[self._irql_offset])
        elif vector & 0xF0 == WRITE_IRQL:
            irql = self._emulator.read_register(vector & 15) & 15
            self._supervisor.set_irql(irql)
            self._emulator.allow_pageable(irql < Irql.DISPATCH)
            if self._tables.stale:
                self._emulator.flush_tlb()
        elif vector & 0xF0 == RANDOM:
            self._emulator.write_register(vector & 15, self._random.getrandbits(64))
            self._emulator.set_carry()
        else:
            self._fault(vector)

    def on_invalid_instruction(self) -> None:
        self._fault(6)

    def _fault(self, vector: int) -> None:
        self.event = Faulted(vector)
        self._emulator.stop()

    def on_pageable_code(self, address: int) -> None:
        """Code in a pageable section is about to run."""
        if self._ram[self._irql_offset] >= Irql.DISPATCH and self._memory.is_pageable(address):
            self.event = Faulted(_PAGE_FAULT, address)
            self._emulator.stop()

    def on_time_stamp(self) -> int:
        return self._clock.stamp()

    def on_cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        """A plain x64 processor without what we cannot emulate."""
        del subleaf
        if leaf == 0:
            return 1, *_text("GenuineIntel", 0, 8, 4)  # type: ignore[return-value]
        if leaf == 1:
            return 0x000006F0, self._processor_number << 24, 0x00802201, 0x078BFBFF
        if leaf == 0x8000_0000:
            return 0x8000_0001, 0, 0, 0
        if leaf == 0x8000_0001:
            return 0, 0, 0x00000001, 0x28100800
        return 0, 0, 0, 0


def _text(name: str, *offsets: int) -> tuple[int, ...]:
    """A vendor string's registers."""
    return tuple(int.from_bytes(name[at : at + 4].encode(), "little") for at in offsets)
