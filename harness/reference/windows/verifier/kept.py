"""What a routine of a driver must not keep when it returns: regions without APCs, locks, an IRQL, a client's rights."""

from typing import TYPE_CHECKING, NamedTuple

from harness.nt import BugCheck
from harness.reference.machine.cpu.emulator import DIRECTION, INTERRUPTS
from harness.reference.machine.memory.layout import KERNEL_STACK_SIZE
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.ntos.ke.apc_counts import ATTACHED, CRITICAL_REGION, GUARDED_REGION, regions_of
from harness.reference.windows.ntos.ke.offsets import KPCR, KTHREAD
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.ntos.executive import Executive

IMPERSONATED = Kind("impersonation", "PsRevertToSelf")
"""Held under (thread,)."""
STACK_RESERVE = 4096
"""Bytes of a kernel stack that no routine may use."""
_UNUSED = bytes(STACK_RESERVE)


class Kept(NamedTuple):
    """What the current thread and processor keep at a moment."""

    thread: "Thread"
    regions: tuple[int, int]
    """How deep the thread is in critical and in guarded regions."""
    acquisitions: int
    """How many locks with owners anybody has acquired so far."""
    spin_locks: int
    controls: int
    """IF and DF of EFLAGS."""
    process: int
    """EPROCESS of the process that the thread is attached to."""


class KeptStates:
    """Compares what is kept before and after a routine."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel

    def now(self) -> Kept:
        """What is kept now."""
        kernel, thread = self._kernel, self._kernel.current
        held = kernel.memory.read_u32(kernel.processor.control + KPCR.HELD)
        regions, process = regions_of(kernel.memory, thread), kernel.memory.read_u64(thread.kthread + KTHREAD.PROCESS)
        return Kept(thread, regions, kernel.locks.acquisitions, held, kernel.emulator.controls, process)

    def call(self, what: str, routine: int, *arguments: int) -> "KernelCode":
        """Call a routine of a driver, `what` it is; what it keeps is reported of that driver. What it returned.

        Preoperation and postoperation callbacks have rules of their own, and routines that are there to take or release
        a lock (of a queue, of a cache) keep one on purpose: neither is called so.
        """
        kernel = self._kernel
        before, irql = self.now(), kernel.irql
        client = (kernel.current,)
        impersonated = kernel.holdings.count(IMPERSONATED, client)
        answer = yield Call(routine, *arguments)
        image = kernel.images.once_at(routine)
        driver = image.name if image is not None else None
        self.check(before, driver, what)
        more = kernel.holdings.count(IMPERSONATED, client) - impersonated
        for site in kernel.holdings.newest(IMPERSONATED, client, more):
            at = f", since {site.location}" if site.location else ""
            text = f"{what} has returned with its thread acting as a client{at}: {IMPERSONATED.back}"
            kernel.verifier.report(None, driver, text, chain=(site.location,) if site.location else ())
        if kernel.irql != irql:
            text = f"{what} was called at IRQL {irql} and returned at IRQL {kernel.irql}"
            kernel.bugcheck(BugCheck.IRQL_UNEXPECTED_VALUE, kernel.irql, irql, message=text, driver=driver)
        return answer

    @property
    def stack_nearly_used_up(self) -> bool:
        """Whether a routine has used what it must leave of the current kernel stack."""
        base = self._kernel.engine.current_execution.stack_base
        return bool(base) and self._kernel.memory.read(base, STACK_RESERVE) != _UNUSED

    def check(self, before: Kept, driver: str | None, what: str, *, rule: str | None = None) -> None:
        """Report what a routine of `driver` has kept, or given away that it found; `what` names the routine.

        Without `driver` the one that has made the call is named; `rule` is what keeping a lock breaks. Regions are put
        right again.
        """
        self._check_stack(driver, what)
        now = self.now()
        if now == before or now.thread is not before.thread:
            return
        self._check_processor(before, now, driver, what)
        self._check_regions(before, now, driver, what)
        if now.acquisitions != before.acquisitions:
            for lock, at in self._kernel.locks.acquired_since(before.acquisitions, now.thread):
                sites = (at,) if at else ()
                acquired = f", acquired at {at}" if at else ""
                text = f"{what} has returned with the {lock.kind} at {lock.address:#x} held{acquired}"
                self._kernel.verifier.report(rule, driver or lock.driver, text, chain=sites)
            for address, mutex in self._kernel.mutexes.of(now.thread):
                if mutex is not None and mutex.number > before.acquisitions:
                    acquired = f", acquired at {mutex.at}" if mutex.at else ""
                    text = f"{what} has returned with the mutex at {address:#x} held{acquired}"
                    self._kernel.verifier.report(rule, driver, text, chain=(mutex.at,) if mutex.at else ())
        if now.spin_locks > before.spin_locks:
            held = self._kernel.spin_locks.held_on(self._kernel.processor)[before.spin_locks :]
            for address, since in held:
                where = self._kernel.blame.call_before(since).location  # None behind a tail call
                acquired = f", acquired at {where}" if where else ""
                text = f"{what} has returned with the spin lock at {address:#x} held{acquired}"
                self._kernel.verifier.report(None, driver, text, chain=(where,) if where else ())

    def _check_processor(self, before: Kept, now: Kept, driver: str | None, what: str) -> None:
        kernel, changed = self._kernel, before.controls ^ now.controls
        if changed & INTERRUPTS & before.controls:
            kernel.verifier.report(None, driver, f"{what} has returned with interrupts disabled: _enable")
        if changed & DIRECTION:
            kernel.verifier.report(None, driver, f"{what} has returned with another direction flag: cld")
        if changed:
            kernel.emulator.controls = before.controls
        if now.process != before.process:
            sites = kernel.holdings.newest(ATTACHED, now.thread, 1)
            chain = tuple(site.location for site in sites if site.location)
            at = f", attached at {chain[0]}" if chain else ""
            text = f"{what} has returned attached to another process{at}: KeUnstackDetachProcess"
            kernel.verifier.report(None, driver or (sites[0].driver if sites else None), text, chain=chain)
            kernel.memory.write_u64(now.thread.kthread + KTHREAD.PROCESS, before.process)

    def _check_stack(self, driver: str | None, what: str) -> None:
        """The kernel's own frames take more of a stack on Windows than here, where they are Python's."""
        kernel = self._kernel
        if self.stack_nearly_used_up:
            kernel.memory.write(kernel.engine.current_execution.stack_base, _UNUSED)
            text = f"{what} has left less than {STACK_RESERVE} of {KERNEL_STACK_SIZE} bytes of its kernel stack unused"
            kernel.verifier.report(None, driver, text)

    def _check_regions(self, before: Kept, now: Kept, driver: str | None, what: str) -> None:
        kernel = self._kernel
        for kind, old, new in zip((CRITICAL_REGION, GUARDED_REGION), before.regions, now.regions, strict=True):
            if new < old:
                text = f"{what} has left a {kind.name} that it had not entered"
                kernel.verifier.report(None, driver, text)
            for site in kernel.holdings.newest(kind, now.thread, new - old):
                at = f", entered at {site.location}" if site.location else ""
                text = f"{what} has returned inside a {kind.name}{at}: {kind.back}"
                chain = (site.location,) if site.location else ()
                kernel.verifier.report(None, driver or site.driver, text, chain=chain)
        kernel.apc_counts.restore(*before.regions)
