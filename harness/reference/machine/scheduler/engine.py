"""The engine: runs one execution, Python frames and guest code in turn, until it gives up the processor.

Guest code never runs nested in guest code: a Python frame that wants a guest function yields `Call`, an export that
wants one is a generator, and this loop is the only place that starts the emulator.
"""

from enum import Enum
from typing import TYPE_CHECKING, Any

from harness.reference.machine.cpu import guest_events as events
from harness.reference.machine.cpu.emulator import EFLAGS, RIP, RSP, Emulator, MachineState
from harness.reference.machine.cpu.exceptions import GuestException, PageFault
from harness.reference.machine.cpu.seh.unwind import Registers
from harness.reference.machine.cpu.traps import Traps
from harness.reference.machine.memory.layout import TRAP, is_user
from harness.reference.machine.scheduler.crossings import Crossings
from harness.reference.machine.scheduler.processor import Spin as SpinState
from harness.reference.machine.scheduler.requests import Call, Delay, EndThread, Resume, Spin, Throw, Wait, Yield
from harness.reference.machine.scheduler.runaway import calls_for_ever, loops_for_ever
from harness.reference.machine.scheduler.thread import CALLS_OF_A_STEP, Execution, Frame, ResumeAt, ReturnTo
from harness.reference.machine.stop import MachineStop

if TYPE_CHECKING:
    from harness.reference.machine.cpu.seh.dispatch import ExceptionDispatcher
    from harness.reference.machine.loader.binding import ExportBinder
    from harness.reference.machine.loader.images import Image, ImageTable
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.machine.scheduler.scheduler import Scheduler
    from harness.reference.machine.supervisor import Supervisor

_M64 = (1 << 64) - 1
_PAGE_FAULT = 14
RUNAWAY_INSTRUCTIONS = 50_000_000
"""How much guest code may run, once it has drawn attention by its duration, without calling the kernel."""

PATIENCE = 30
"""How often the watchdog may find guest code without a call, each time after half a second, before that is counted."""
RUNAWAY_CALLS = 4_000_000
"""How many calls of the kernel one operation, callback or routine may make without a wait."""
_CALLS_OF_AN_EXCEPTION = 200
"""As how many calls an exception counts, by the time that it takes."""


class Outcome(Enum):
    """Why an execution gave up the processor."""

    ENDED = "ended"
    WAITING = "waiting"
    YIELDED = "yielded"
    INTERRUPTED = "interrupted"
    SPINNING = "spinning"


class Engine:
    """Runs executions on the emulator."""

    def __init__(
        self,
        memory: "Memory",
        emulator: Emulator,
        traps: Traps,
        scheduler: "Scheduler",
        seh: "ExceptionDispatcher",
        images: "ImageTable",
        exports: "ExportBinder",
        supervisor: "Supervisor",
    ) -> None:
        self._memory = memory
        self._images = images
        self._supervisor = supervisor
        self._emulator = emulator
        self._traps = traps
        self._scheduler = scheduler
        self._seh = seh
        self._exports = exports
        self._crossings = Crossings(memory, emulator, traps, exports, supervisor)
        traps.ends = self.ends
        self._owner: Execution | None = None
        """Whose registers the processor holds."""
        self.execution: Execution | None = None
        """What runs now, or ran last."""

    @property
    def current_execution(self) -> Execution:
        """What runs now."""
        assert self.execution is not None
        return self.execution

    def registers_of(self, execution: Execution) -> list[int]:
        """The general registers of an execution whose guest code is in a call, as far as a callee keeps them."""
        if self._owner is execution:
            return self._emulator.state().general
        return self._emulator.kept(execution.context) if execution.saved else [0] * (EFLAGS + 1)

    # -- Python frames

    def run(self, processor: "Processor", execution: Execution) -> Outcome:
        """Run until the execution gives up the processor."""
        self._processor = self._crossings.processor = processor
        traps = self._traps
        self.execution = traps.execution = execution
        while True:
            if traps.attention and self._scheduler.wants_processor(processor):
                return Outcome.INTERRUPTED
            if execution.continuation is not None:
                outcome = self._continue_guest(execution, execution.continuation)
            else:
                execution.calls += CALLS_OF_A_STEP
                if execution.calls > RUNAWAY_CALLS:
                    self.require_end(execution, 0)
                outcome = self._step(execution)
            if outcome is not None:
                return outcome

    def _step(self, execution: Execution) -> Outcome | None:
        """Run the topmost Python frame up to its next request, and do that."""
        frame = execution.frames[-1]
        throw = execution.throw
        try:
            if throw is None:
                request = frame.code.send(execution.send)
            else:
                execution.throw = None
                request = frame.code.throw(throw)
        except StopIteration as stop:
            return self._returned(execution, stop.value)
        except GuestException as exception:
            self._raise(execution, exception)
            return None
        except MachineStop:
            raise
        except Exception as error:
            self._traps.stack_pointer = frame.stack_pointer  # who called is named
            raise self._supervisor.kernel_fault(error, frame.export) from error
        execution.send = None
        return self._do(execution, frame, request)

    def _do(self, execution: Execution, frame: Frame, request: object) -> Outcome | None:
        kind = type(request)
        if kind is Call:
            assert isinstance(request, Call)
            return self._call(execution, frame, request)
        if kind is Wait:
            assert isinstance(request, Wait)
            return self._wait(execution, request)
        if kind is Resume:
            assert isinstance(request, Resume)
            return self._resume_at(execution, request)
        if kind is Spin:
            assert isinstance(request, Spin)
            if request.ready():
                return None
            self._processor.spin = SpinState(request.ready, request.describe)
            return Outcome.SPINNING
        if kind is Delay:
            assert isinstance(request, Delay)
            return self._wait(execution, Wait((), timeout=request.ticks, reason="a delay"))
        if kind is Yield:
            return Outcome.YIELDED
        if kind is Throw:
            assert isinstance(request, Throw)
            if not any(frame.user_call for frame in execution.frames):  # user mode's stack, and nobody is in user mode
                assert isinstance(request.exception, GuestException)
                raise self._supervisor.unhandled_exception(request.exception.status, 0, request.exception.parameters)
            while not execution.frames[-1].user_call:
                execution.frames.pop().code.close()
            execution.throw = request.exception
            return None
        if kind is EndThread:
            assert isinstance(request, EndThread)
            return self._end(execution, request.status)
        raise self._supervisor.kernel_fault(TypeError(f"{request!r} is no request"), frame.export)

    def _end(self, execution: Execution, status: int) -> Outcome:
        """End a thread wherever it is."""
        self._unwind_frames(execution, 0)
        execution.finished = True
        execution.result = status
        return Outcome.ENDED

    def _returned(self, execution: Execution, value: Any) -> Outcome | None:
        """A Python frame has returned: to guest code, or to nobody."""
        frame = execution.frames.pop()
        if frame.stack_pointer == 0:
            execution.finished = True
            execution.result = value
            return Outcome.ENDED
        execution.continuation = ReturnTo(frame.stack_pointer, int(value or 0) & _M64)
        return None

    def _wait(self, execution: Execution, request: Wait) -> Outcome | None:
        thread = self._processor.thread
        if execution is self._processor.dpc or thread is None:
            if request.timeout == 0:
                execution.send = self._scheduler.poll(self._processor.current, request)
                return None
            raise self._supervisor.wait_refused(request.describe(), self._processor.irql, in_dpc=True)
        answer = self._scheduler.begin_wait(thread, request)
        if answer is None:
            return Outcome.WAITING
        execution.send = answer
        return None

    def _raise(self, execution: Execution, exception: GuestException) -> None:
        """A Python frame raised into its guest caller; into the Python frame below if there is none."""
        frame = execution.frames.pop()
        if frame.stack_pointer == 0:
            raise self._supervisor.unhandled_exception(exception.status, 0, exception.parameters)
        self._take_registers(execution)
        self._raise_at_call(execution, exception, frame.stack_pointer, frame.export)

    def _raise_at_call(self, execution: Execution, exception: GuestException, stack_pointer: int, export: str) -> None:
        """Raise in the guest code that called the export now running."""
        if isinstance(exception, PageFault):
            self._traps.stack_pointer = stack_pointer  # it is the caller's pointer
            self._supervisor.check_pointer(exception, export)
            self._traps.stack_pointer = 0
        registers = self._seh.registers_at_call(stack_pointer)
        self._push_exception(execution, registers, exception.status, exception.parameters)

    def _push_exception(
        self, execution: Execution, registers: Registers, status: int, parameters: tuple[int, ...]
    ) -> None:
        self.require_end(execution, _CALLS_OF_AN_EXCEPTION)
        try:
            code, fault, stack_pointer = self._seh.begin(registers, status, parameters)
        except PageFault as problem:
            raise self._supervisor.stack_overflow(problem.address, registers.general) from None
        execution.frames.append(Frame(code, stack_pointer, "an exception", fault=fault))
        execution.send = None

    # -- guest code

    def _call(self, execution: Execution, frame: Frame, request: Call) -> Outcome | None:
        """Run a guest function on this execution's stack."""
        address = self._crossings.prepare_call(execution, frame, request)
        self._take_registers(execution)
        return self._run_guest(execution, address, user=request.user)

    def _continue_guest(self, execution: Execution, continuation: ReturnTo | ResumeAt) -> Outcome | None:
        execution.continuation = None
        self._take_registers(execution)
        if isinstance(continuation, ResumeAt):
            self._emulator.allow_pageable(self._crossings.may_page)
            return self._run_guest(execution, continuation.address, user=is_user(continuation.address))
        user = self._crossings.prepare_return(execution, continuation.stack_pointer, continuation.value)
        return self._run_guest(execution, self._crossings.resume, user=user)

    def _resume_at(self, execution: Execution, request: Resume) -> Outcome | None:
        """Continue with given registers, leaving all frames above them: the end of exception handling."""
        self._take_registers(execution)
        self._unwind_frames(execution, request.registers[RSP])
        self._emulator.load(request.registers, request.vectors, pageable=self._crossings.may_page)
        return self._run_guest(execution, request.address, user=is_user(request.address))

    def _unwind_frames(self, execution: Execution, stack_pointer: int) -> None:
        """Close the Python frames of exports called from guest frames that are no more."""
        keep_user = is_user(stack_pointer)
        while execution.frames:
            at = execution.frames[-1].stack_pointer
            if stack_pointer and at == 0:
                return
            if stack_pointer and (at > stack_pointer if is_user(at) is keep_user else is_user(at)):
                return
            execution.frames.pop().code.close()

    def _take_registers(self, execution: Execution) -> None:
        """Make the processor hold this execution's registers, keeping those of whoever used it before."""
        owner = self._owner
        if owner is execution:
            return
        if owner is not None and not owner.finished and owner.has_guest_frames:
            owner.context = self._emulator.save(owner.context)
            owner.context_gs = self._emulator.gs
            owner.saved = True
        if execution.saved:
            self._emulator.restore(execution.context, execution.context_gs)
            execution.saved = False
        self._owner = execution

    def _run_guest(self, execution: Execution, address: int, *, user: bool) -> Outcome | None:
        """Run the emulator until a hook stops it, and take in why."""
        traps = self._traps
        thread = self._processor.thread
        if user and thread is not None and thread.terminating and execution is thread.execution:
            return self._end(execution, thread.exit_status)
        self._emulator.set_gs(execution.teb if user else self._processor.control)
        event = traps.run(address)
        if type(event) is events.Returned:
            execution.frames[-1].has_returned()
            execution.send = event.value
            return None
        return self._stalled(execution) if event is None else self._take(execution, event)

    def _take(self, execution: Execution, event: events.GuestEvent) -> Outcome | None:
        execution.stalls = 0
        if isinstance(event, events.Suspended | events.Returned | events.Interrupted) and is_user(event.stack_pointer):
            execution.calls = 0
        if isinstance(event, events.Returned):
            execution.frames[-1].has_returned()
            execution.send = event.value
            return None
        if isinstance(event, events.Suspended):
            execution.frames.append(Frame(event.code, event.stack_pointer, event.export))
            execution.send = None
            return None
        if isinstance(event, events.Requested):
            execution.send = None
            return self._do(execution, event.frame, event.request)
        if isinstance(event, events.Interrupted | events.Finished):
            execution.continuation = event.goes_on
            return Outcome.INTERRUPTED if isinstance(event, events.Interrupted) else None
        if isinstance(event, events.Raised):
            self._raise_at_call(execution, event.exception, event.stack_pointer, event.export)
            return None
        if isinstance(event, events.Faulted):
            state = self._emulator.recover()
            if event.execution is not None:
                state.general[RIP] = state.fault_address = event.execution
            elif self._exports.in_counted_leaf(state.general[RIP]):
                # It has changed nothing yet: what it was called for is Python's to do, and to judge.
                self._emulator.load(state.general, state.vectors, pageable=self._crossings.may_page)
                return self._run_guest(execution, TRAP, user=False)
            if event.vector == _PAGE_FAULT:
                code = self._supervisor.page_in(state)
                if code is not None:
                    handling = self._page_in(execution, code, state)
                    execution.frames.append(Frame(handling, state.general[RSP], "page fault"))
                    execution.send = None
                    return None
            status, parameters = self._supervisor.classify_fault(event.vector, state)
            self._push_exception(execution, Registers(state.general, state.vectors), status, parameters)
            return None
        if isinstance(event.error, MachineStop):
            raise event.error
        self._traps.stack_pointer = event.stack_pointer  # who called is named
        raise self._supervisor.kernel_fault(event.error, event.export) from event.error

    def _page_in(self, execution: Execution, code: "KernelCode", state: MachineState) -> "KernelCode":
        """Bring a page in, then run the instruction again; if that fails, the instruction raises."""
        try:
            yield from code
        except GuestException as exception:
            frame = execution.frames[-1]
            registers = Registers(state.general, state.vectors)
            handling, frame.fault, frame.stack_pointer = self._seh.begin(
                registers, exception.status, exception.parameters
            )
            yield from handling
        yield Resume(state.general[RIP], state.general, state.vectors)

    # -- code that does not come back

    def ends(self, execution: Execution, calls: int) -> bool:
        """Whether so many calls more would be no reason to believe that code does not come back."""
        return execution.calls + calls <= RUNAWAY_CALLS

    def require_end(self, execution: Execution, calls: int) -> None:
        """Count calls of the kernel; HangStop if this code makes them again and again, and never waits or ends."""
        execution.calls += calls
        if execution.calls > RUNAWAY_CALLS:
            location = self._supervisor.location_in(execution)
            image = self._images.by_name(location.split("+")[0]) if location else self._caller()
            where = location or (image.name if image is not None else "")
            raise calls_for_ever(where)

    def _caller(self) -> "Image | None":
        """The image that the code which runs now was called from."""
        try:
            return self._images.at(self._memory.read_u64(self._emulator.recover().general[RSP]))
        except GuestException:
            return None

    def _stalled(self, execution: Execution) -> Outcome | None:
        """The watchdog stopped guest code that had not called for a while: it may be long, and the last of it counts.

        Counting slows all code sixteenfold, so it is done only when patience is at its end.
        """
        emulator = self._emulator
        while execution.stalls < PATIENCE:
            execution.stalls += 1
            address = emulator.instruction_pointer
            if self._scheduler.others_can_run(self._processor):
                execution.continuation = ResumeAt(address)
                return Outcome.INTERRUPTED
            event = self._traps.run(address)
            if event is not None:
                return self._take(execution, event)
        emulator.flush_code()
        event = self._traps.run(emulator.instruction_pointer, RUNAWAY_INSTRUCTIONS)
        if event is not None:
            return self._take(execution, event)
        address = emulator.instruction_pointer
        image = self._images.at(address) or self._caller()
        name = image.name if image is not None else None
        raise loops_for_ever(self._images.describe(address), name, RUNAWAY_INSTRUCTIONS)
