"""Threads that are kept, a few: to start one costs an emulated guest as much as to answer a request."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from harness.reference.guestd.complaints import complain

Task = Callable[[], object]
KEPT = 8
"""Threads without a task, at most: those beyond end with their tasks."""


class Workers:
    """Runs every task at once, in a thread that has none; starts another where all have."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def run(self, task: Task) -> None:
        """Run a task beside the caller."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            else:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._tasks.put(task)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            except Exception:  # noqa: BLE001 - a task that fails must not take the thread of the next one with it
                complain()
            del task  # and what it holds
            with self._lock:
                if self._idle >= KEPT:
                    return
                self._idle += 1


workers = Workers("worker")
