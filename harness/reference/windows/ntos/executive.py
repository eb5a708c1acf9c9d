"""The executive: what every part of the kernel stands on; it knows of no device, file, filter or program.

It runs unmodified x64 images in virtual time, on `processors` logical processors of which one moves at a time. The
same seed gives the same run, bit for bit (`trace.digest`). The rooms behind it: machine/ (processor, memory, images,
threads and time), ntos/ (managers) and verifier/. `Kernel` (windows/kernel.py) puts I/O, filters and programs on it;
managers take an `Executive`, the functions that drivers import take a `Kernel`.
"""

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Never

from harness.nt import BugCheck, Irql
from harness.reference.machine.choices import Choices, Draw
from harness.reference.machine.cpu.code import NANOSECONDS
from harness.reference.machine.cpu.emulator import Emulator
from harness.reference.machine.cpu.notes import Notes
from harness.reference.machine.cpu.seh.dispatch import ExceptionDispatcher
from harness.reference.machine.cpu.traps import Traps
from harness.reference.machine.cpu.watchdog import watching
from harness.reference.machine.loader.binding import ExportBinder
from harness.reference.machine.loader.images import Image, ImageTable
from harness.reference.machine.loader.loader import Loader
from harness.reference.machine.memory.heap import KernelStacks, SystemHeap
from harness.reference.machine.memory.layout import CALL_PAGE, PAGE_SIZE, SYSTEM_MAPPINGS, is_user
from harness.reference.machine.memory.memory import Memory
from harness.reference.machine.memory.pagetables import PageTables
from harness.reference.machine.probes import Probes
from harness.reference.machine.scheduler.dispatcher import Dispatcher, Event
from harness.reference.machine.scheduler.engine import Engine
from harness.reference.machine.scheduler.exploring import ExploringScheduler
from harness.reference.machine.scheduler.processor import Processor, QueuedDpc
from harness.reference.machine.scheduler.schedules import Schedules
from harness.reference.machine.scheduler.thread import Execution, Process, Thread
from harness.reference.machine.scheduler.timers import Clock, Timer
from harness.reference.machine.stop import HangStop, MachineStop
from harness.reference.machine.supervisor import Supervisor
from harness.reference.machine.trace import Trace
from harness.reference.windows.leaves import LEAVES
from harness.reference.windows.mutants import Mutants
from harness.reference.windows.ntos.cm.key_watches import KeyWatches
from harness.reference.windows.ntos.cm.registry import Key, Registry
from harness.reference.windows.ntos.cm.registry_callbacks import RegistryCallbacks
from harness.reference.windows.ntos.ex.lock_table import LockTable
from harness.reference.windows.ntos.ex.pool import Pool
from harness.reference.windows.ntos.ex.scarcity import Scarcity
from harness.reference.windows.ntos.ex.worker_threads import WorkerQueues
from harness.reference.windows.ntos.kd.print_recorder import PrintRecorder
from harness.reference.windows.ntos.ke.apc_counts import ApcCounts
from harness.reference.windows.ntos.ke.kernel_timers import KernelTimers
from harness.reference.windows.ntos.ke.mutexes import Mutexes
from harness.reference.windows.ntos.ke.processor_control import make_processor
from harness.reference.windows.ntos.ke.shared_data import DataExports, SharedData
from harness.reference.windows.ntos.ke.spin_locks import SpinLocks
from harness.reference.windows.ntos.ob.handle_callbacks import HandleCallbacks
from harness.reference.windows.ntos.ob.namespace import Namespace
from harness.reference.windows.ntos.ob.objects import Handle, Object, ObjectManager
from harness.reference.windows.ntos.ps.process_table import ProcessTable
from harness.reference.windows.policy import Policy
from harness.reference.windows.verifier.blame import Blame
from harness.reference.windows.verifier.bug_checks import BugChecks
from harness.reference.windows.verifier.call_chain import CallChains
from harness.reference.windows.verifier.faults import Faults
from harness.reference.windows.verifier.findings import Verifier
from harness.reference.windows.verifier.handed_on import HandedOn
from harness.reference.windows.verifier.holdings import Holdings
from harness.reference.windows.verifier.kept import KeptStates
from harness.reference.windows.verifier.shields import Shields

if TYPE_CHECKING:
    from harness.reference.machine.cpu.emulator import MachineState
    from harness.reference.machine.cpu.exceptions import PageFault
    from harness.reference.machine.loader.binding import MissingExport
    from harness.reference.machine.loader.exports import Export
    from harness.reference.machine.scheduler.requests import KernelCode

LONGEST_REQUEST = 10 * 60 * 10_000_000
"""Guest time, in 100 ns, that loading, attaching or any other request of the system may take."""


class Executive(Supervisor):
    """A machine and the managers of ntoskrnl that need nothing but it."""

    def __init__(
        self,
        *,
        seed: int = 0,
        processors: int = 2,
        mutants: Iterable[str] = (),
        policy: Mapping[str, str] | None = None,
        memory_mib: int = 192,
        leaves: bool = True,
        replay: Iterable[Draw] = (),
    ) -> None:
        """`leaves=False` calls the Python function of every export that has one: slower, and otherwise the same.

        `replay` is the log of another kernel's `choices`: decisions are as there, and by the seed once it is used up.
        """
        self.seed = seed
        self.random = Random(seed)
        """The guest's own: rdrand, UUIDs, rand(). What may be decided freely is drawn from `choices`."""
        self.choices = Choices(seed, replay)
        self.probes = Probes()
        self.mutants = Mutants(mutants)
        self.policy = Policy(policy)
        self.stop: MachineStop | None = None
        """How the machine ended; once set, every use raises it again."""
        self.log: list[str] = []
        """What drivers printed with DbgPrint."""
        self.memory = Memory(PageTables(memory_mib << 20))
        self.memory.map(CALL_PAGE, PAGE_SIZE)
        (call_page,) = self.memory.frames(CALL_PAGE, PAGE_SIZE)
        self.clock = Clock(self.memory.ram, call_page + NANOSECONDS)
        self.emulator = Emulator(self.memory.tables)
        self.images = ImageTable()
        self.pool = Pool(self.memory, self.images)
        self.scarcity = Scarcity(self.choices)
        self.heap = SystemHeap(self.memory)
        self.stacks = KernelStacks(self.memory)
        self.shared_data = SharedData(self.memory, processors)
        self.exports = ExportBinder(self.memory, LEAVES if leaves else LEAVES.without_counted())
        self.chains = CallChains(self.memory, self.images, self.exports, self.emulator)
        self.blame = Blame(self.memory, self.images, self.pool, self.exports, self.chains, self._running)
        self.verifier = Verifier(
            lambda: self.clock.now, lambda: self.irql, self.probes, self.blame.chain, self.blame.returned
        )
        self.handed_on = HandedOn(self.memory, self.pool, self.blame, self.verifier)
        self.require_room = self.handed_on.require_room
        self.holdings = Holdings(self.blame, self.verifier)
        self.bug_checks = BugChecks(self.images, self.blame)
        self.faults = Faults(self.memory, self.images, self.blame, self.bug_checks, lambda: self.irql)
        pageable = self.policy["pageable"] == "enforce"
        self.loader = Loader(
            self.memory,
            self.images,
            self.exports,
            pageable=pageable,
            watch=self.emulator.watch_code,
            loaded=self.probes.loaded,
        )
        self.registry = Registry()
        self.registry_callbacks = RegistryCallbacks(self)
        self.key_watches = KeyWatches(self.registry)

        self.processors = [make_processor(self.memory, number) for number in range(processors)]
        self.shields = Shields(self.memory, self.blame, self.verifier)
        self.processes = ProcessTable(self.memory, self.shields, self.stacks)
        self.scheduler = ExploringScheduler(
            self.memory,
            self.stacks,
            self.processors,
            self.clock,
            self.choices,
            self.probes,
            self,
            preemption=self.policy["preemption"] == "seeded",
        )
        self.traps = Traps(self.memory, self.emulator, self.exports, self.clock, self.random, self.probes, self)
        self.shields.connect(self.traps)
        self.seh = ExceptionDispatcher(
            self.memory, self.emulator, self.images, self.exports, lambda: self.engine.current_execution, self
        )
        self.engine = Engine(
            self.memory, self.emulator, self.traps, self.scheduler, self.seh, self.images, self.exports, self
        )
        self.scheduler.engine = self.engine
        self.chains.registers_of = self.engine.registers_of
        self.scheduler.traps = self.traps
        self.traps.go_on_here = self.scheduler.go_on_here
        self.schedules = Schedules(self.memory, self.images, self.emulator, self.traps, self.choices, self.scheduler)
        self.traps.select(self.processor)
        self.memory.select_processor(self.processor.irql_offset)
        for processor in self.processors:
            processor.idle_thread = self.processes.make_idle_thread(processor)
            processor.show_thread()
        self.spin_locks = SpinLocks(self.memory, self.scheduler, self.blame, self.bug_checks)
        self.locks = LockTable(self.memory, self.scheduler, self.processes, self.blame, self.verifier)
        self.kept = KeptStates(self)
        self.timers = KernelTimers(
            self.memory, self.clock, self.scheduler, self.blame, self.bug_checks, self.verifier, self.kept.call
        )
        self.workers = WorkerQueues(self.scheduler, self.processes, self.bug_checks)
        self.objects = ObjectManager(self.scheduler, self.workers, self.blame, self.holdings, self.verifier)
        self.objects.on_handle_closed.append(self.key_watches.closed)
        self.namespace = Namespace()
        self.processes.on_thread_end.append(self.objects.forget_held)
        self.processes.on_thread_end.append(self.holdings.forget)
        self.mutexes = Mutexes(self.memory, self.scheduler, self.processes, self.locks, self.blame, self.verifier)
        self.rundown_waiters: dict[int, Event] = {}
        self.next_system_mapping = SYSTEM_MAPPINGS
        self.handle_callbacks = HandleCallbacks()
        self.notify_routines: dict[str, list[int]] = {}
        """Notify routines that drivers registered, by kind (ps/notify_routines.py)."""
        self.notify_calls: dict[int, list[Event]] = {}
        """The ends of the calls of notify routines that are under way, by the routine."""
        self.print_recorder = PrintRecorder(self)
        self.print_callbacks: list[int] = []
        """What DbgSetDebugPrintCallback was given."""
        self.printing: set[int] = set()
        """The processors that are in one of them."""
        self.pager: Callable[[int], KernelCode | None] | None = None
        """Asked at a page fault: code that brings the page in, or None if the address is nobody's."""
        self.close_hooks: dict[str, Callable[[Handle], int | KernelCode]] = {"Key": self.objects.close_by_service}
        """How a handle to a type of object is closed, where that is more than forgetting it."""
        self.object_names: dict[str, Callable[[Object], str]] = {"Key": self._name_of_key}
        """ObQueryNameString, by type of object."""
        self.data = DataExports(
            self.memory, self.heap, self.exports, system_process=self.processes.system.eprocess, processors=processors
        )
        self.notes = Notes(self.memory.ram, call_page, self.probes)
        self.trace = Trace(
            self.clock,
            lambda: self.scheduler.current_processor.current.id,
            lambda: self.traps.mixed,
            self.notes,
        )
        self.probes.happened.connect(self.trace.add)
        self.probes.noted.connect(self.trace.record)

    # -- threads and time

    @property
    def current(self) -> Thread:
        """The current thread: id, name, process, kthread (guest address), processor."""
        return self.processor.current

    @property
    def processor(self) -> Processor:
        """The processor that runs now: number, irql, kpcr."""
        return self.scheduler.current_processor

    @property
    def irql(self) -> int:
        """IRQL of the current processor."""
        return self.memory.ram[self.memory.irql_at]

    @property
    def now(self) -> int:
        """Virtual time since boot, in 100 ns."""
        return self.clock.now

    @property
    def apc_counts(self) -> ApcCounts:
        """The critical and guarded regions that the current thread is in."""
        return ApcCounts(self.memory, self.current, self.holdings)

    def spawn(
        self, code: "KernelCode", name: str, *, process: Process | None = None, start: int = 0, priority: int = 8
    ) -> Thread:
        """Make a thread that runs `code` and put it into the ready queue."""
        self._check()
        thread = self.processes.make_thread(code, name, process or self.processes.system, start, priority)
        thread.created = self.now
        self.scheduler.add(thread)
        return thread

    def create_process(self, name: str) -> Process:
        """Make a process: id, name, eprocess (guest address)."""
        return self.processes.create(name)

    def queue_worker(self, code: "KernelCode", *, queue: int = 1) -> None:
        """Have a system worker thread run `code`; `queue` is a WORK_QUEUE_TYPE."""
        self.workers.queue(code, queue, self.blame.current().location or "")

    def queue_dpc(self, routine: "Callable[[], KernelCode]", processor: Processor | None = None) -> None:
        """Run `routine()` at DISPATCH_LEVEL on `processor` (the current one), in whatever thread is there."""
        self.scheduler.queue_dpc(QueuedDpc(routine), processor or self.processor)

    def timer(self, after: int, function: Callable[[], None], period: int = 0) -> Timer:
        """Call `function` in `after` * 100 ns (and every `period`), in no particular thread; `.cancel()` it."""
        return self.clock.add(after, function, period)

    def signal(self, item: Dispatcher) -> None:
        """Wake who waits for an object; a Python Event is set first."""
        if isinstance(item, Event):
            item.state = True
        self.scheduler.signal(item)

    def raise_irql(self, irql: int) -> int:
        """KeRaiseIrql on the current processor; the old IRQL."""
        old = self.processor.irql
        if irql < old:
            self.bugcheck(
                BugCheck.IRQL_NOT_GREATER_OR_EQUAL, old, irql, message=f"IRQL {old} is raised to {irql}, which is lower"
            )
        self.set_irql(irql)
        return old

    def lower_irql(self, irql: int) -> None:
        """KeLowerIrql on the current processor."""
        old = self.processor.irql
        if irql > old:
            self.bugcheck(
                BugCheck.IRQL_NOT_LESS_OR_EQUAL, old, irql, message=f"IRQL {old} is lowered to {irql}, which is higher"
            )
        self.set_irql(irql)

    def set_irql(self, irql: int) -> None:
        """Set the current processor's IRQL: what IRQL takes away or gives back follows."""
        processor = self.processor
        before, processor.irql = processor.irql, irql
        if (before < Irql.DISPATCH) is not (irql < Irql.DISPATCH):
            if self.traps.stack_pointer:
                self.emulator.allow_pageable(irql < Irql.DISPATCH)
            if irql < Irql.DISPATCH:
                self.scheduler.irql_lowered(processor)

    def set_affinity(self, thread: Thread, mask: int) -> None:
        """Restrict a thread to some processors; the current one moves as soon as its export returns."""
        thread.affinity = mask
        self.traps.attention = True

    # -- running

    def run_until(self, thread: Thread, *, deadline: int | None = None) -> Any:
        """Run until `thread` has ended; its result. Raises BugCheckStop or HangStop."""
        self._run(lambda: thread.ended, deadline)
        return thread.result

    def run_while(self, condition: Callable[[], bool]) -> None:
        """Run as long as `condition()` holds. Raises BugCheckStop or HangStop."""
        self._run(lambda: not condition(), None)

    def run(self, code: "KernelCode", name: str = "system", *, process: Process | None = None) -> Any:
        """Spawn a thread for `code` and run until it has ended; its result. HangStop if it takes too long."""
        return self.run_until(self.spawn(code, name, process=process), deadline=self.clock.now + LONGEST_REQUEST)

    def settle(self) -> None:
        """Run what can run without letting time jump to a timer."""
        self._check()
        with _KeepStop(self), watching(self.emulator):
            self.scheduler.settle()

    def _run(self, done: Callable[[], bool], deadline: int | None) -> None:
        self._check()
        with _KeepStop(self), watching(self.emulator):
            self.scheduler.run(done, deadline=deadline)

    def _check(self) -> None:
        if self.stop is not None:
            raise self.stop

    # -- verdicts

    def _name_of_key(self, item: Object) -> str:
        return self.registry.path_of(item.body) if isinstance(item.body, Key) else ""

    def bugcheck(
        self,
        code: BugCheck,
        *parameters: int,
        message: str = "",
        rule: str | None = None,
        driver: str | None = None,
    ) -> Never:
        """Stop the machine. Without `driver` the nearest driver on the current stack is named."""
        raise self.bug_checks.stop(code, *parameters, message=message, rule=rule, driver=driver)

    # -- what the machine asks (Supervisor)

    def before_run(self) -> None:
        self.shared_data.update(self.clock.now)

    def above_irql(self, entry: "Export | MissingExport") -> Never:
        text = f"{entry.name} was called at IRQL {self.irql}; the highest it may be called at is {entry.max_irql}"
        self.verifier.report(None, self.blame.current().driver, text)
        self.bugcheck(BugCheck.IRQL_NOT_LESS_OR_EQUAL, 0, self.irql, message=text)

    def missing_export(self, entry: "MissingExport") -> Never:
        raise self.bug_checks.missing_export(entry)

    def page_in(self, state: "MachineState") -> "KernelCode | None":
        code = self.shields.at_fault(state)
        return self.pager(state.fault_address) if code is None and self.pager is not None else code

    def classify_fault(self, vector: int, state: "MachineState") -> tuple[int, tuple[int, ...]]:
        return self.faults.classify(vector, state)

    def check_pointer(self, fault: "PageFault", export: str) -> None:
        self.faults.check_pointer(fault, export)

    def stack_overflow(self, address: int, general: list[int] | None = None) -> MachineStop:
        return self.faults.stack_overflow(address, general=general)

    def stack_nearly_used_up(self, execution: Execution, left: int) -> None:
        recursion = self.blame.recursion(execution)
        driver = recursion.driver if recursion is not None else self.blame.in_execution(execution).driver
        again = f"; {recursion.text}" if recursion is not None else ""
        self.verifier.report(None, driver, f"the kernel stack is nearly used up: {max(left, 0)} bytes are left{again}")

    def unhandled_exception(self, code: int, address: int, parameters: tuple[int, ...]) -> MachineStop:
        return self.faults.unhandled(code, address, parameters, self.current, self.irql)

    def kernel_fault(self, error: BaseException, export: str) -> MachineStop:
        return self.bug_checks.kernel_fault(error, export)

    def thread_ended(self, thread: Thread, irql: int) -> None:
        if irql != Irql.PASSIVE:
            self.bugcheck(BugCheck.IRQL_UNEXPECTED_VALUE, irql, message=f"{thread.describe()} ended at IRQL {irql}")
        self.processes.thread_ended(thread)

    def dpc_ended_at(self, irql: int) -> MachineStop:
        return self.bug_checks.dpc_ended_at(irql)

    def wait_refused(self, what: str, irql: int, *, in_dpc: bool) -> MachineStop:
        return self.bug_checks.wait_refused(what, irql, in_dpc=in_dpc)

    def places_in(self, execution: Execution) -> tuple[str, ...]:
        return self.blame.places_in(execution)

    def location_in(self, execution: Execution) -> str | None:
        return self.blame.in_execution(execution).location

    def _running(self) -> tuple[int, Execution | None]:
        return self.traps.stack_pointer, self.engine.execution

    # -- images and addresses

    def describe_address(self, address: int) -> str:
        """An address in the words of a report: pool block, image, stack, or nothing known."""
        return self.blame.describe_address(address)

    def load_image(self, name: str, data: bytes, *, user: bool = False, library: Image | None = None) -> Image:
        """Load an image file without running anything of it. Raises LoadError."""
        image = self.loader.load(name, data, user=user, library=library)
        self.schedules.loaded(image)
        return image

    def is_user(self, address: int) -> bool:
        """Whether an address is in the user half."""
        return is_user(address)


class _KeepStop:
    """Keeps the first stop of a kernel."""

    def __init__(self, executive: Executive) -> None:
        self._executive = executive

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MachineStop):
            self._executive.stop = error
        if isinstance(error, HangStop):
            self._executive.blame.note_place(error)
