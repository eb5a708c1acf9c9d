"""Threads that are kept: to start one costs an emulated guest as much as to answer a request."""

import sys
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue

Task = Callable[[], object]


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
                traceback.print_exc(file=sys.stderr)
            del task  # and what it holds
            with self._lock:
                self._idle += 1


workers = Workers("worker")
