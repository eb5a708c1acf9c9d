"""A watchdog over guest code that does not call the kernel: time draws attention, instructions decide.

Counting every instruction would slow all guest code sixteenfold. So a thread looks whether the emulator makes
progress; if not, it stops it. That alone changes nothing the guest can see: the engine goes on from the very
instruction, counting now, and only the count ends a run (scheduler/engine.py).
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.reference.machine.cpu.emulator import Emulator

_PERIOD = 0.4
"""Seconds of CPU time: a process that does not get the processor makes no progress either."""


class _Watchdog:
    """One thread for the process; it sleeps while nothing is watched."""

    def __init__(self) -> None:
        self._wanted = threading.Condition()
        self._emulator: Emulator | None = None
        self._thread: threading.Thread | None = None

    def watch(self, emulator: Emulator | None) -> Emulator | None:
        """Watch this emulator from now on; what was watched before."""
        with self._wanted:
            before, self._emulator = self._emulator, emulator
            if emulator is not None and emulator is not before:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="guest watchdog", daemon=True)
                    self._thread.start()
                self._wanted.notify()
        return before

    def _run(self) -> None:
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._emulator is not None)
                emulator = self._emulator
            assert emulator is not None
            activity, began = emulator.activity, time.process_time()
            with self._wanted:
                while self._emulator is emulator and emulator.activity == activity:
                    if time.process_time() - began >= _PERIOD:
                        break
                    self._wanted.wait_for(lambda: self._emulator is None, timeout=_PERIOD / 4)
                stalled = self._emulator is emulator and emulator.activity == activity and emulator.running
            if stalled:
                emulator.stop()

    def forget_thread(self) -> None:
        """In a fork there is none, and who held the lock is not there either."""
        self._wanted, self._thread = threading.Condition(), None


_WATCHDOG = _Watchdog()
os.register_at_fork(after_in_child=_WATCHDOG.forget_thread)


@contextmanager
def watching(emulator: Emulator) -> Iterator[None]:
    """Have the watchdog watch an emulator for the while."""
    before = _WATCHDOG.watch(emulator)
    try:
        yield
    finally:
        _WATCHDOG.watch(before)
