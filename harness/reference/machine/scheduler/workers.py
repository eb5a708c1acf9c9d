"""System worker threads: a few threads that run queued work items."""

from collections import deque
from typing import TYPE_CHECKING

from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import KernelCode, Wait

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

CRITICAL, DELAYED, HYPER_CRITICAL = range(3)
_PRIORITY = {CRITICAL: 13, DELAYED: 12, HYPER_CRITICAL: 15}
_THREADS = {CRITICAL: 2, DELAYED: 3, HYPER_CRITICAL: 1}
_MOST_THREADS = 16


class WorkerQueues:
    """The queues and their threads. Threads are made when work comes, and more when all of them are blocked."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self._work: dict[int, deque[KernelCode]] = {queue: deque() for queue in _PRIORITY}
        self._event = {queue: Event("work", synchronization=True) for queue in _PRIORITY}
        self._idle = dict.fromkeys(_PRIORITY, 0)
        self._threads = dict.fromkeys(_PRIORITY, 0)

    def queue(self, code: KernelCode, queue: int) -> None:
        """Have a worker thread run `code`."""
        if queue not in _PRIORITY:
            queue = DELAYED
        self._work[queue].append(code)
        if self._idle[queue]:
            self._kernel.signal(self._event[queue])
        elif self._threads[queue] < _MOST_THREADS:
            self._threads[queue] += 1
            name = f"worker {queue}.{self._threads[queue]}"
            self._kernel.spawn(self._loop(queue), name, priority=_PRIORITY[queue])

    def _loop(self, queue: int) -> KernelCode:
        work = self._work[queue]
        while True:
            if work:
                yield from self._run(work.popleft())
                continue
            self._idle[queue] += 1
            yield Wait([self._event[queue]], reason="work", idle=True)
            self._idle[queue] -= 1

    def _run(self, code: KernelCode) -> KernelCode:
        irql = self._kernel.irql
        yield from code
        if self._kernel.irql != irql:
            self._kernel.bugcheck(
                self._kernel.blame.WORKER_AT_IRQL,
                self._kernel.irql,
                message=f"a work item returned at IRQL {self._kernel.irql}",
            )
