"""The scheduler: which processor runs what, who waits for what, and when nothing can move any more.

Everything is decided by virtual time, priorities and one seeded generator, so a seed gives one schedule. One
processor runs at a time; the others stand still between two import calls of theirs. A thread at DISPATCH_LEVEL keeps
its processor. Time passes a little with every import call, and jumps to the next timer when nobody can run.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.cpu.traps import Traps
from harness.reference.machine.memory.layout import is_user
from harness.reference.machine.scheduler.deadlocks import check_spinning, hang, waiting
from harness.reference.machine.scheduler.dispatcher import Dispatcher
from harness.reference.machine.scheduler.engine import Engine, Outcome
from harness.reference.machine.scheduler.processor import Processor, QueuedDpc
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.machine.scheduler.thread import Execution, Thread, ThreadState
from harness.reference.machine.scheduler.timers import NANOSECONDS_PER_TICK, Clock
from harness.reference.machine.stop import HangKind, HangStop, Waiter

if TYPE_CHECKING:
    from collections.abc import Hashable

    from harness.reference.machine.choices import Choices
    from harness.reference.machine.memory.heap import KernelStacks
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.probes import Probes
    from harness.reference.machine.supervisor import Supervisor

_PRIORITIES = 32
_NANOSECONDS_OF_A_SWITCH = 500
_MEAN_CALLS_BETWEEN_PREEMPTIONS = 40
_MOST_CALLS_BETWEEN_PREEMPTIONS = 1024
_CALLS_BETWEEN_LOOKS = 1 << 16
"""Where nothing is preempted, how often it is looked whether code comes back at all."""


def _never() -> bool:
    return False


class Scheduler:
    """Threads, processors and waits."""

    engine: Engine
    traps: Traps

    def __init__(
        self,
        memory: "Memory",
        stacks: "KernelStacks",
        processors: list[Processor],
        clock: Clock,
        choices: "Choices",
        probes: "Probes",
        supervisor: "Supervisor",
        *,
        preemption: bool,
    ) -> None:
        self._memory = memory
        self._stacks = stacks
        self._supervisor = supervisor
        self.processors = processors
        self._clock = clock
        self._choices = choices
        self._probes = probes
        self._ready: list[deque[Thread]] = [deque() for _ in range(_PRIORITIES)]
        self._ready_count = 0
        self._waiters: dict[Hashable, list[Thread]] = {}
        self.threads: dict[int, Thread] = {}
        self.current_processor = processors[0]
        self._preempt = preemption
        self._quantum_over = False
        self._done: Callable[[], bool] = _never
        self._drawn = 0
        """Calls until the preemption that was drawn last."""

    # -- the loop

    def run(self, done: Callable[[], bool], *, deadline: int | None = None) -> None:
        """Run until `done()`; raises HangStop when that cannot happen, or not before virtual time `deadline`."""
        clock = self._clock
        self._done = done
        while not done():
            clock.fire()
            if self._step():
                continue
            check_spinning(self.processors, self._supervisor)
            if deadline is not None and clock.now >= deadline:
                waiters = self.waiting_threads()
                driver = next((waiter.location.split("+")[0] for waiter in waiters if waiter.location), None)
                raise HangStop(HangKind.DEADLINE, "what was asked for did not end in guest time", waiters, driver)
            if not clock.advance():
                raise hang(self.threads.values(), self._supervisor)

    def settle(self) -> None:
        """Run all that can run now, without letting time jump."""
        self._done = _never
        self._clock.fire()
        while self._step():
            self._clock.fire()

    def _step(self) -> bool:
        """Let one processor run for a while; False if none can."""
        candidates = [processor for processor in self.processors if self._can_run(processor)]
        if not candidates:
            return False
        processor = (
            candidates[0] if len(candidates) == 1 else candidates[self._choices.one_of("processor", len(candidates))]
        )
        self._run_on(processor)
        return True

    def _can_run(self, processor: Processor) -> bool:
        if processor.spin is not None:
            return processor.spin.ready()
        if processor.dpc is not None or processor.thread is not None:
            return True
        if processor.dpcs and processor.irql < Irql.DISPATCH:
            return True
        return self._ready_count > 0 and self._pick(processor) is not None

    def _run_on(self, processor: Processor) -> None:
        processor.spin = None
        self.current_processor = processor
        traps = self.traps
        traps.select(processor)
        self._memory.select_processor(processor.irql_offset)
        if processor.dpc is None:
            if processor.dpcs and processor.irql < Irql.DISPATCH:
                self._start_dpc(processor)
            elif processor.thread is None:
                self._dispatch(processor)
        processor.show_thread()
        execution = processor.execution
        assert execution is not None
        self._begin_run(processor, execution)
        outcome = self.engine.run(processor, execution)
        if outcome is Outcome.INTERRUPTED:
            self.engine.require_end(execution, self._drawn - traps.until_preemption)
        else:
            execution.calls = 0
        self._clock.nanoseconds += _NANOSECONDS_OF_A_SWITCH
        self._after(processor, execution, outcome)

    def go_on_here(self, stack_pointer: int, budget: int) -> bool:
        """Guest code is interrupted after a call: draw its next preemption, if it is what would go on now anyway.

        That is what leaving and coming back (`_step`) would do. False if something else could run, or has to be done.
        `budget` is what was left of the last draw.
        """
        processor = self.current_processor
        thread = processor.thread
        if self._ready_count or processor.dpcs or thread is None or not thread.affinity & 1 << processor.number:
            return False
        for other in self.processors:
            if other is not processor and self._can_run(other):
                return False
        clock = self._clock
        later = clock.nanoseconds + _NANOSECONDS_OF_A_SWITCH
        if clock.is_due(later // NANOSECONDS_PER_TICK) or self._done():
            return False
        execution = processor.dpc or thread.execution
        calls = self._drawn - budget
        if is_user(stack_pointer):
            execution.calls = 0
        if not self.engine.ends(execution, calls):
            return False
        execution.calls += calls
        clock.nanoseconds = later
        self._begin_run(processor, execution)
        return True

    def _begin_run(self, processor: Processor, execution: Execution) -> None:
        """Draw how far the processor runs now, and say that it does."""
        self._drawn = self._calls_to_run()
        self.traps.begin_run(self._drawn, wanted=bool(processor.dpcs or self._ready_count))
        self._supervisor.before_run()
        self._probes.switched(processor, execution)

    def _calls_to_run(self) -> int:
        """How many calls the processor goes on now, if nothing else stops it."""
        if not self._preempt:
            return _CALLS_BETWEEN_LOOKS
        return self._choices.distance("preemption", _MEAN_CALLS_BETWEEN_PREEMPTIONS, _MOST_CALLS_BETWEEN_PREEMPTIONS)

    def _after(self, processor: Processor, execution: Execution, outcome: Outcome) -> None:
        if execution is processor.dpc:
            if outcome is Outcome.ENDED:
                self._end_dpc(processor, execution)
            return
        thread = processor.thread
        assert thread is not None
        if outcome is Outcome.ENDED:
            processor.thread = None
            self._end_thread(thread, processor)
        elif outcome is Outcome.WAITING:
            self._leave(processor, thread)
        elif outcome is Outcome.YIELDED:
            if processor.irql < Irql.DISPATCH:
                self._leave(processor, thread)
                self.make_ready(thread)
        elif outcome is Outcome.INTERRUPTED and processor.irql < Irql.DISPATCH:
            if thread.affinity & 1 << processor.number:
                self._maybe_requeue(processor, thread)
            else:
                self._leave(processor, thread)
                self.make_ready(thread)

    def _maybe_requeue(self, processor: Processor, thread: Thread) -> None:
        """After an interruption: a better thread takes the processor; an equal one does if its turn has come."""
        best = self._best_ready(processor)
        if best is None:
            return
        if best > thread.priority or (best == thread.priority and self.traps.until_preemption <= 0):
            self._leave(processor, thread)
            self.make_ready(thread, front=best > thread.priority)

    def _leave(self, processor: Processor, thread: Thread) -> None:
        thread.irql = processor.irql
        thread.processor = None
        processor.thread = None
        processor.irql = Irql.PASSIVE

    # -- threads

    def add(self, thread: Thread) -> None:
        """A new thread, ready to run."""
        self.threads[thread.kthread] = thread
        self.make_ready(thread)

    def make_ready(self, thread: Thread, *, front: bool = False) -> None:
        """Put a thread into the ready queue."""
        thread.state = ThreadState.READY
        queue = self._ready[thread.priority]
        if front:
            queue.appendleft(thread)
        else:
            queue.append(thread)
        self._ready_count += 1
        self.traps.want(True)
        running = self.current_processor.thread
        if running is not None and thread.priority > running.priority:
            self.traps.attention = True

    def set_priority(self, thread: Thread, priority: int) -> None:
        """Change a thread's priority, also while it is in the ready queue."""
        if thread.state is ThreadState.READY:
            self._ready[thread.priority].remove(thread)
            self._ready_count -= 1
            thread.priority = priority
            self.make_ready(thread)
        else:
            thread.priority = priority

    def _pick(self, processor: Processor) -> Thread | None:
        """The best ready thread that may run on a processor."""
        mask = 1 << processor.number
        for queue in reversed(self._ready):
            for thread in queue:
                if thread.affinity & mask:
                    return thread
        return None

    def _best_ready(self, processor: Processor) -> int | None:
        if not self._ready_count:
            return None
        thread = self._pick(processor)
        return thread.priority if thread is not None else None

    def _dispatch(self, processor: Processor, thread: Thread | None = None) -> None:
        """Give an idle processor a ready thread: the best, unless another is meant."""
        thread = thread or self._pick(processor)
        assert thread is not None
        self._ready[thread.priority].remove(thread)
        self._ready_count -= 1
        thread.state = ThreadState.RUNNING
        thread.processor = processor
        processor.thread = thread
        processor.irql = thread.irql
        self._clock.nanoseconds += 1000

    def _end_thread(self, thread: Thread, processor: Processor) -> None:
        irql, processor.irql = processor.irql, Irql.PASSIVE
        thread.state = ThreadState.ENDED
        del self.threads[thread.kthread]
        self._supervisor.thread_ended(thread, irql)
        self.signal(thread)

    def wants_processor(self, processor: Processor) -> bool:
        """Whether the processor should leave what it runs: a DPC is due, or a better thread is ready."""
        self.traps.attention = False
        thread = processor.thread
        if processor.dpc is not None or processor.irql >= Irql.DISPATCH or thread is None:
            return False
        if processor.dpcs or not thread.affinity & 1 << processor.number:
            return True
        best = self._best_ready(processor)
        return best is not None and best > thread.priority

    def irql_lowered(self, processor: Processor) -> None:
        """IRQL has dropped below DISPATCH_LEVEL: what waited for that comes now."""
        if processor.dpcs or self._ready_count:
            self.traps.attention = True

    def others_can_run(self, processor: Processor) -> bool:
        """Whether another processor could go on, or another thread here."""
        return any(other is not processor and self._can_run(other) for other in self.processors) or (
            processor.irql < Irql.DISPATCH and self._best_ready(processor) is not None
        )

    # -- DPCs

    def queue_dpc(self, dpc: QueuedDpc, processor: Processor, *, first: bool = False) -> None:
        """Queue a DPC; it runs as soon as the processor is below DISPATCH_LEVEL."""
        if first:
            processor.dpcs.appendleft(dpc)
        else:
            processor.dpcs.append(dpc)
        self.traps.want(True)
        self.traps.attention = True

    def _start_dpc(self, processor: Processor) -> None:
        dpc = processor.dpcs.popleft()
        base, top = self._stacks.allocate()
        processor.interrupted_irql = processor.irql
        processor.irql = Irql.DISPATCH
        processor.dpc = Execution(dpc.routine(), base, top)
        processor.dpc.behalf = dpc.behalf

    def _end_dpc(self, processor: Processor, execution: Execution) -> None:
        if processor.irql != Irql.DISPATCH:
            raise self._supervisor.dpc_ended_at(processor.irql)
        processor.dpc = None
        processor.irql = processor.interrupted_irql
        self._stacks.free(execution.stack_base)

    # -- waits

    def _satisfied(self, thread: Thread, request: Wait) -> int | None:
        """Try to satisfy a wait, taking its effects; the status, or None."""
        if request.all:
            if not all(item.signaled(thread) for item in request.objects):
                return None
            abandoned = [item.acquire(thread) for item in request.objects]
            return int(NtStatus.ABANDONED_WAIT_0) if any(abandoned) else 0
        for index, item in enumerate(request.objects):
            if item.signaled(thread):
                return index + (int(NtStatus.ABANDONED_WAIT_0) if item.acquire(thread) else 0)
        return None

    def poll(self, thread: Thread, request: Wait) -> int:
        """A wait with timeout 0."""
        status = self._satisfied(thread, request) if request.objects else None
        return int(NtStatus.TIMEOUT) if status is None else status

    def begin_wait_now(self, thread: Thread, request: Wait) -> int | None:
        """The status of a wait that is over at once; None if it would block."""
        status = self._satisfied(thread, request) if request.objects else None
        if status is None and request.timeout == 0:
            return int(NtStatus.TIMEOUT)
        return status

    def begin_wait(self, thread: Thread, request: Wait) -> int | None:
        """Begin a wait; its status if it is over at once."""
        status = self._satisfied(thread, request) if request.objects else None
        if status is not None:
            return status
        if request.timeout is not None and request.timeout <= 0:
            return int(NtStatus.TIMEOUT) if request.objects else 0
        processor = self.current_processor
        if processor.irql >= Irql.DISPATCH:
            raise self._supervisor.wait_refused(request.describe(), processor.irql, in_dpc=False)
        thread.waiting = request
        thread.state = ThreadState.WAITING
        for item in request.objects:
            self._waiters.setdefault(item.key, []).append(thread)
        if request.timeout is not None:
            expired = int(NtStatus.TIMEOUT) if request.objects else 0
            thread.wait_timer = self._clock.add(request.timeout, lambda: self.wake(thread, expired))
        return None

    def wake(self, thread: Thread, status: int) -> None:
        """End a thread's wait."""
        request = thread.waiting
        if request is None:
            return
        thread.waiting = None
        if thread.wait_timer is not None:
            thread.wait_timer.cancel()
            thread.wait_timer = None
        for item in request.objects:
            waiters = self._waiters.get(item.key)
            if waiters is not None and thread in waiters:
                waiters.remove(thread)
                if not waiters:
                    del self._waiters[item.key]
        thread.execution.send = status
        self.make_ready(thread)

    def signal(self, item: Dispatcher) -> None:
        """The object's state has become signaled: wake whose waits that satisfies."""
        self.signal_key(item.key)

    def signal_key(self, key: "Hashable") -> None:
        """The same, for an object known by its key."""
        for thread in list(self._waiters.get(key, ())):
            request = thread.waiting
            if request is None:
                continue
            status = self._satisfied(thread, request)
            if status is not None:
                self.wake(thread, status)

    def has_waiters(self, key: "Hashable") -> bool:
        """Whether anybody waits for an object."""
        return key in self._waiters

    def waited_keys_in(self, address: int, size: int) -> list[int]:
        """Guest objects inside a range that somebody waits for."""
        if not self._waiters:
            return []
        return [key for key in self._waiters if isinstance(key, int) and address <= key < address + size]

    def waiting_threads(self) -> tuple[Waiter, ...]:
        """Who waits, and for what; worker threads without work left out."""
        return waiting(self.threads.values(), self._supervisor)
