"""System worker threads: a few threads that run queued work items."""

from collections import deque
from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import KernelCode, Wait

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.scheduler import Scheduler
    from harness.reference.windows.ntos.ps.process_table import ProcessTable
    from harness.reference.windows.verifier.bug_checks import BugChecks

CRITICAL, DELAYED, HYPER_CRITICAL = range(3)
_PRIORITY = {CRITICAL: 13, DELAYED: 12, HYPER_CRITICAL: 15}
_THREADS = {CRITICAL: 2, DELAYED: 3, HYPER_CRITICAL: 1}
_MOST_THREADS = 16


class WorkerQueues:
    """The queues and their threads. Threads are made when work comes, and more when all of them are blocked."""

    def __init__(self, scheduler: "Scheduler", processes: "ProcessTable", bug_checks: "BugChecks") -> None:
        self._scheduler = scheduler
        self._processes = processes
        self._bug_checks = bug_checks
        self._work: dict[int, deque[tuple[KernelCode, str]]] = {queue: deque() for queue in _PRIORITY}
        self._event = {queue: Event("work", synchronization=True) for queue in _PRIORITY}
        self._idle = dict.fromkeys(_PRIORITY, 0)
        self._threads = dict.fromkeys(_PRIORITY, 0)

    def queue(self, code: KernelCode, queue: int, behalf: str = "") -> None:
        """Have a worker thread run `code`; `behalf` is the call of a driver that has queued it, in words."""
        if queue not in _PRIORITY:
            queue = DELAYED
        self._work[queue].append((code, behalf))
        if self._idle[queue]:
            event = self._event[queue]
            event.state = True
            self._scheduler.signal(event)
        elif self._threads[queue] < _MOST_THREADS:
            self._threads[queue] += 1
            name = f"worker {queue}.{self._threads[queue]}"
            processes = self._processes
            self._scheduler.add(processes.make_thread(self._loop(queue), name, processes.system, 0, _PRIORITY[queue]))

    def _loop(self, queue: int) -> KernelCode:
        work = self._work[queue]
        while True:
            if work:
                yield from self._run(*work.popleft())
                continue
            self._idle[queue] += 1
            yield Wait([self._event[queue]], reason="work", idle=True)
            self._idle[queue] -= 1

    def _run(self, code: KernelCode, behalf: str) -> KernelCode:
        self._scheduler.current_processor.current.execution.behalf = behalf
        before = self._scheduler.current_processor.irql
        yield from code
        irql = self._scheduler.current_processor.irql
        if irql != before:
            raise self._bug_checks.stop(
                BugCheck.IRQL_UNEXPECTED_VALUE, irql, message=f"a work item returned at IRQL {irql}"
            )
