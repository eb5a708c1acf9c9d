"""The table of processes, and how threads are made and end."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from harness.reference.machine.scheduler.thread import Execution, Process, Thread, ThreadState
from harness.reference.windows.ntos.ke.dispatcher_objects import THREAD, DispatcherHeader
from harness.reference.windows.ntos.ke.offsets import EPROCESS, KTHREAD

if TYPE_CHECKING:
    from harness.reference.machine.memory.heap import KernelStacks
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.windows.ntos.ob.objects import Object
    from harness.reference.windows.verifier.shields import Shields

IDLE_PROCESS_ID = 0
SYSTEM_PROCESS_ID = 4
_FIRST_PROCESS_ID = 0x500
_FIRST_THREAD_ID = 0x20
_ID_STEP = 4


@dataclass(slots=True)
class ProcessFacts:
    """What drivers ask of a process. Times are in 100 ns since boot."""

    nt_path: str = ""
    r"""Of its image: \Device\HarddiskVolume1\... ; empty for the system's own."""
    dos_path: str = ""
    command_line: str = ""
    parent: int = 0
    created: int = 0
    ended: int | None = None
    exit_status: int | None = None
    peb: int = 0
    section_base: int = 0
    session: int = 0
    image_file: "Object | None" = None
    """The file object of its image, as long as it runs; of the system's own, and where it lies on no volume, none."""


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Whom a thread impersonates; it has a reference to the token."""

    token: "Object"
    level: int
    copy_on_open: bool
    effective_only: bool


class ProcessTable:
    """Processes and threads by id and by guest address. Ids are multiples of 4, as on Windows."""

    def __init__(self, memory: "Memory", shields: "Shields", stacks: "KernelStacks") -> None:
        self._memory = memory
        self._shields = shields
        self._stacks = stacks
        self._process_ids = count(_FIRST_PROCESS_ID, 2 * _ID_STEP)
        self._thread_ids = count(_FIRST_THREAD_ID, _ID_STEP)
        self.by_id: dict[int, Process] = {}
        self.by_eprocess: dict[int, Process] = {}
        self.threads: dict[int, Thread] = {}
        """Threads by KTHREAD, ended ones included as long as somebody may point to them."""
        self.facts: dict[Process, ProcessFacts] = {}
        self.impersonations: dict[Thread, Impersonation] = {}
        """Whom threads impersonate."""
        self.clients_before: dict[Thread, Object | None] = {}
        """Whom a thread impersonated before a driver had it impersonate another."""
        self.on_thread_end: list[Callable[[Thread], None]] = []
        """Called for every thread that ends: who tracks owned locks reports what it still holds."""
        self.idle = self._make(IDLE_PROCESS_ID, "Idle")
        self.system = self._make(SYSTEM_PROCESS_ID, "System")

    def create(self, name: str) -> Process:
        """A new process."""
        return self._make(next(self._process_ids), name)

    def _make(self, number: int, name: str) -> Process:
        eprocess = self._shields.allocate(EPROCESS.SIZE, lambda _: f"the EPROCESS of {name}")
        self._memory.write_u64(eprocess + EPROCESS.PROCESS_ID, number)
        self._memory.write(eprocess + EPROCESS.IMAGE_FILE_NAME, name.encode("ascii", "replace")[:14].ljust(15, b"\0"))
        process = Process(number, name, eprocess)
        self.by_id[number] = process
        self.by_eprocess[eprocess] = process
        self.facts[process] = ProcessFacts(parent=SYSTEM_PROCESS_ID if number > SYSTEM_PROCESS_ID else 0)
        return process

    def remove(self, process: Process) -> None:
        """Forget a process whose threads have all ended."""
        self.by_id.pop(process.id, None)

    def make_thread(self, code: "KernelCode", name: str, process: Process, start: int, priority: int) -> Thread:
        """A new thread with a kernel stack."""
        base, top = self._stacks.allocate()
        thread = self._thread(name, process, priority, next(self._thread_ids))
        thread.start = start
        thread.execution = Execution(code, base, top)
        process.threads.append(thread)
        return thread

    def make_idle_thread(self, processor: "Processor") -> Thread:
        """The thread that is current where nothing runs."""
        thread = self._thread(f"idle {processor.number}", self.idle, 0, 0)
        thread.state = ThreadState.RUNNING
        thread.processor = processor
        return thread

    def _thread(self, name: str, process: Process, priority: int, number: int) -> Thread:
        memory = self._memory
        kthread = self._shields.allocate(
            KTHREAD.SIZE, lambda _: f"the ETHREAD of thread {process.id}:{number} ({name})"
        )
        memory.write_u64(kthread + KTHREAD.PROCESS, process.eprocess)
        memory.write_u64(kthread + KTHREAD.PROCESS_ID, process.id)
        memory.write_u64(kthread + KTHREAD.THREAD_ID, number)
        memory.write_u64(kthread + KTHREAD.SELF, kthread)
        DispatcherHeader(memory, kthread).type = THREAD
        thread = Thread(number, name, process, kthread, priority)
        self.threads[kthread] = thread
        return thread

    def thread_ended(self, thread: Thread) -> None:
        """Give back what a thread had."""
        DispatcherHeader(self._memory, thread.kthread).signal_state = 1
        self._stacks.free(thread.execution.stack_base)
        thread.process.threads.remove(thread)
        for function in (*thread.at_end, *self.on_thread_end):
            function(thread)

    def thread_by_id(self, number: int) -> Thread | None:
        """A thread that has not ended, by id."""
        for thread in self.threads.values():
            if thread.id == number and not thread.ended:
                return thread
        return None
