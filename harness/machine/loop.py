"""The one event loop of this process, in a thread of its own that lives as long as the process.

qemu.qmp is asynchronous, and a QEMU with a parent-death signal dies with the *thread* that started it: both want a
thread that never ends. Nothing else runs here.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """An event loop in its own thread, and ways to run things in it from any other."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="fltlab-machines", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine to its end and return its result; TimeoutError cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the loop's thread and return its result. It must not wait for anything."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
                future.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return future.result()


_lock = threading.Lock()
_owners: dict[int, LoopThread] = {}


def loop_thread() -> LoopThread:
    """Return this process's event loop thread, started when first asked for; a forked process gets its own."""
    with _lock:
        owner = os.getpid()
        if owner not in _owners:
            _owners[owner] = LoopThread()
        return _owners[owner]
