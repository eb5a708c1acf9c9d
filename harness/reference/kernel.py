"""The reference kernel: one object that owns memory, processors, threads, images and what was found wrong."""

from collections.abc import Callable, Generator, Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Never

from harness.nt import BugCheck
from harness.reference.policy import Policy
from harness.reference.trace import Trace
from harness.reference.verifier.findings import Verifier

if TYPE_CHECKING:
    from harness.reference.loader.images import Image, ImageTable
    from harness.reference.memory.memory import Memory
    from harness.reference.memory.pool import Pool
    from harness.reference.nt.objects import ObjectManager
    from harness.reference.nt.registry import Registry
    from harness.reference.scheduler.dispatcher import Event
    from harness.reference.scheduler.processor import Processor
    from harness.reference.scheduler.requests import KernelCode
    from harness.reference.scheduler.thread import Process, Thread
    from harness.reference.scheduler.timers import Timer


class Kernel:
    """A machine with `processors` logical processors that runs unmodified x64 images in virtual time."""

    memory: "Memory"
    pool: "Pool"
    images: "ImageTable"
    objects: "ObjectManager"
    registry: "Registry"
    verifier: Verifier
    policy: Policy
    trace: Trace
    random: Random
    mutants: frozenset[str]
    processors: list["Processor"]

    def __init__(
        self,
        *,
        seed: int = 0,
        processors: int = 2,
        mutants: Iterable[str] = (),
        policy: Mapping[str, str] | None = None,
        memory_mib: int = 128,
    ) -> None:
        raise NotImplementedError("the core follows")

    # -- threads and time

    @property
    def current(self) -> "Thread":
        """The current thread: id, name, process, kthread (guest address), processor."""
        raise NotImplementedError

    @property
    def processor(self) -> "Processor":
        """The processor that runs now: number, irql, kpcr."""
        raise NotImplementedError

    @property
    def irql(self) -> int:
        """IRQL of the current processor."""
        raise NotImplementedError

    @property
    def now(self) -> int:
        """Virtual time in 100 ns."""
        raise NotImplementedError

    def spawn(
        self, code: "KernelCode", name: str, *, process: "Process | None" = None, start: int = 0, priority: int = 8
    ) -> "Thread":
        """Make a thread that runs `code` and put it into the ready queue."""
        raise NotImplementedError

    def create_process(self, name: str) -> "Process":
        """Make a process: id, name, eprocess (guest address)."""
        raise NotImplementedError

    def queue_worker(self, code: "KernelCode", *, queue: int = 1) -> None:
        """Have a system worker thread run `code`."""
        raise NotImplementedError

    def queue_dpc(self, routine: "Callable[[], KernelCode]", processor: "Processor | None" = None) -> None:
        """Run `routine()` at DISPATCH_LEVEL on `processor` (the current one), in whatever thread is there."""
        raise NotImplementedError

    def timer(self, after: int, function: Callable[[], None], period: int = 0) -> "Timer":
        """Call `function` in `after` * 100 ns (and every `period`), at no particular thread; `.cancel()` it."""
        raise NotImplementedError

    def signal(self, event: "Event") -> None:
        """Set a Python event and wake who waits for it."""
        raise NotImplementedError

    def raise_irql(self, irql: int) -> int:
        """KeRaiseIrql on the current processor; the old IRQL."""
        raise NotImplementedError

    def lower_irql(self, irql: int) -> None:
        """KeLowerIrql on the current processor."""
        raise NotImplementedError

    # -- running

    def run_until(self, thread: "Thread", *, deadline: int | None = None) -> Any:
        """Run until `thread` has ended; its result. Raises BugCheckStop or HangStop."""
        raise NotImplementedError

    def run(self, code: "KernelCode", name: str = "system", *, process: "Process | None" = None) -> Any:
        """Spawn a thread for `code` and run until it has ended."""
        raise NotImplementedError

    def settle(self) -> None:
        """Run what can run without letting time pass."""
        raise NotImplementedError

    # -- drivers

    def load_driver(self, service: str, image: bytes, registry: Mapping[str, Any]) -> "Generator[Any, Any, int]":
        """Load an image as a driver and run its DriverEntry; NTSTATUS. `registry` is the service's key."""
        raise NotImplementedError

    def unload_image(self, image: "Image") -> None:
        """Unmap an image after its driver is done with, reporting what it leaks."""
        raise NotImplementedError

    # -- verdicts

    def mutant(self, name: str) -> bool:
        """Whether the deliberate break `name` is on."""
        return name in self.mutants

    def bugcheck(
        self,
        code: BugCheck,
        p1: int = 0,
        p2: int = 0,
        p3: int = 0,
        p4: int = 0,
        message: str = "",
        *,
        rule: str | None = None,
        driver: str | None = None,
    ) -> Never:
        """Stop the machine. Without `driver` the nearest driver on the current thread's stack is named."""
        raise NotImplementedError
