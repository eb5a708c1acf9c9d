"""What Python kernel code may ask of the scheduler.

Kernel code that can block, or that runs guest code, is a generator that yields one of these requests; the value of
the `yield` expression is the answer:

    result = yield Call(routine, context)               # rax of the guest function, run on the current thread
    status = yield Wait([event], timeout=10_000)         # NTSTATUS as KeWaitForMultipleObjects gives it
    yield Yield()                                       # let others run
    yield Delay(10_000)                                 # 1 ms of virtual time
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.reference.machine.scheduler.dispatcher import Dispatcher


@dataclass(slots=True, init=False)
class Call:
    """Run the guest function at `function` on the current thread; the answer is rax as an unsigned number.

    `user`: in user mode, on the thread's other stack. Kernel mode does not call where user mode's addresses are.
    """

    function: int
    args: tuple[int, ...]
    user: bool

    def __init__(self, function: int, *args: int, user: bool = False) -> None:
        self.function = function
        self.args = args
        self.user = user


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for one of `objects`, or for all of them.

    `timeout` is relative, in 100 ns of virtual time; None waits for ever, 0 polls. The answer is WAIT_0 + index
    (0 for `all`), TIMEOUT, ABANDONED_WAIT_0 + index.  `reason` is shown when the wait never ends.
    `idle` marks a wait for work that is no part of a hang (a worker thread's). `user` marks a program's wait, which
    ends with ALERTED when its thread is terminated.
    """

    objects: Sequence[Dispatcher]
    timeout: int | None = None
    all: bool = False
    reason: str = ""
    idle: bool = False
    user: bool = False

    def describe(self) -> str:
        """What it is for."""
        what = (" and " if self.all else " or ").join(item.describe() for item in self.objects)
        if self.reason:
            return f"{self.reason} ({what})" if what else self.reason
        return what or "a delay"


@dataclass(frozen=True, slots=True)
class Yield:
    """Go to the end of the ready queue."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Let `ticks` of 100 ns pass."""

    ticks: int


@dataclass(frozen=True, slots=True)
class Spin:
    """Busy-wait at raised IRQL until `ready()`: the thread keeps its processor, the others run."""

    ready: Callable[[], bool]
    describe: Callable[[], str]


@dataclass(frozen=True, slots=True)
class EndThread:
    """End the current thread, wherever it is."""

    status: int = 0


@dataclass(frozen=True, slots=True)
class Resume:
    """Continue guest code at `address` with all registers given: how exception handling ends."""

    address: int
    registers: Sequence[int]
    vectors: Sequence[int]


@dataclass(frozen=True, slots=True)
class Throw:
    """An exception nobody in user mode handled: raise it from the `Call` that entered user mode."""

    exception: BaseException


Request = Call | Wait | Yield | Delay | Spin | EndThread | Resume | Throw

KernelCode = Generator[Request, Any, Any]
"""A piece of Python kernel code: yields requests, is sent their answers, returns its result."""
