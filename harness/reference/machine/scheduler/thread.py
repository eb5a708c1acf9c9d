"""Processes, threads, and executions: the stacks of Python and guest frames that a processor runs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from harness.reference.machine.scheduler.dispatcher import Dispatcher

if TYPE_CHECKING:
    from collections.abc import Hashable

    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.machine.scheduler.requests import Call, KernelCode, Wait
    from harness.reference.machine.scheduler.timers import Timer


CALLS_OF_A_STEP = 100
"""As how many calls a step of the system's own code counts: a request takes some of them."""
STACK_RESERVE = 0x800
"""How much of a kernel stack must be left when a routine is called."""


@dataclass(slots=True)
class Frame:
    """Python kernel code on an execution's stack.

    `stack_pointer` is rsp at the entry of the export the guest called to get here ([rsp] is the return address); 0 for
    code that no guest called.
    """

    code: "KernelCode"
    stack_pointer: int
    export: str = ""
    call: "Call | None" = None
    """The guest function that the frame has called and that has not returned."""
    returned: "Call | None" = None
    """The one that has returned last."""
    fault: object = None
    """Of an exception in progress: its `FaultFrame`."""

    def has_returned(self) -> None:
        """The function that the frame has called has returned."""
        self.returned, self.call = self.call, None

    @property
    def user_call(self) -> bool:
        """Whether the frame has called a user-mode function and waits for it."""
        return self.call is not None and self.call.user


@dataclass(slots=True)
class UserState:
    """What a thread needs to run user-mode code."""

    stack_top: int
    teb: int


class ThreadState(Enum):
    """Where a thread is."""

    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ReturnTo:
    """Guest code goes on by returning from the export it called."""

    stack_pointer: int
    value: int


@dataclass(frozen=True, slots=True)
class ResumeAt:
    """Guest code goes on in the midst of a function; its registers are the processor's, or in `Execution.context`."""

    address: int


class Execution:
    """A stack of alternating Python frames and guest calls: of a thread, or of a DPC."""

    def __init__(self, code: "KernelCode", stack_base: int, stack_top: int) -> None:
        self.frames = [Frame(code, 0)]
        self.stack_base = stack_base
        self.stack_top = stack_top
        self.stack_low = stack_base + STACK_RESERVE
        """Below here the stack is nearly used up; 0 once that has been told."""
        self.send: Any = None
        """What the topmost Python frame is sent next."""
        self.throw: BaseException | None = None
        """What is thrown into the topmost Python frame next."""
        self.continuation: ReturnTo | ResumeAt | None = None
        """Where guest code goes on, if it is guest code that goes on next."""
        self.context: Any = None
        self.context_gs = 0
        self.saved = False
        """`context` holds this execution's registers: something else has used the processor since."""
        self.user_stack_top = 0
        self.teb = 0
        self.stalls = 0
        self.calls = 0
        """Calls of the kernel since it last waited, was called, or came from user mode."""
        self.behalf = ""
        """The call by which guest code has queued this, in words: who is meant when there is nothing on the stack."""
        self.finished = False
        self.result: Any = None

    @property
    def has_guest_frames(self) -> bool:
        """Whether registers matter: some guest code is suspended on this stack."""
        return self.continuation is not None or len(self.frames) > 1


class Process:
    """A process. `eprocess` is the guest address of the structure that the system keeps of it."""

    def __init__(self, number: int, name: str, eprocess: int) -> None:
        self.id = number
        self.name = name
        self.eprocess = eprocess
        self.token = 0
        self.threads: list[Thread] = []
        self.handles: dict[int, object] = {}

    def __repr__(self) -> str:
        return f"<Process {self.id} {self.name}>"


class Thread(Dispatcher):
    """A thread; a wait for it ends when it has ended.

    `kthread` is the guest address of the structure that the system keeps of it.
    """

    def __init__(self, number: int, name: str, process: Process, kthread: int, priority: int) -> None:
        self.id = number
        self.name = name
        self.process = process
        self.kthread = kthread
        self.priority = priority
        self.affinity = ~0
        self.state = ThreadState.READY
        self.execution: Execution
        self.processor: Processor | None = None
        self.waiting: Wait | None = None
        self.user: UserState | None = None
        self.terminating = False
        """The thread ends, with `exit_status`, before it runs user-mode code again."""
        self.exit_status = 0
        self.start = self.created = 0
        """Its first function, and the guest time in 100 ns at which it was made."""
        self.system = True
        self.at_end: list[Callable[[Thread], None]] = []
        self.irql = 0
        """IRQL to go on at, while the thread is not on a processor."""
        self.wait_timer: Timer | None = None

    @property
    def key(self) -> "Hashable":
        return self.kthread

    @property
    def ended(self) -> bool:
        return self.state is ThreadState.ENDED

    @property
    def result(self) -> Any:
        """What the thread's code returned."""
        return self.execution.result

    def signaled(self, thread: "Thread") -> bool:
        return self.state is ThreadState.ENDED

    def describe(self) -> str:
        return f"thread {self.process.id}:{self.id} ({self.name})"

    def __repr__(self) -> str:
        return f"<Thread {self.process.id}:{self.id} {self.name}>"
