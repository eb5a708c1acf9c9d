"""Processes that a test stops: a signal that was sent is not yet in force, least of all on a busy machine."""

import os
import signal
from pathlib import Path

from harness.machine.deadlines import Deadline


def stop(pid: int) -> None:
    """Stop a process, and wait for every thread of it to stand."""
    os.kill(pid, signal.SIGSTOP)

    def stopped() -> tuple[bool | None, str]:
        states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
        return set(states) == {"T"} or None, f"its threads are {states}"

    Deadline(20, f"process {pid} to stand").poll(stopped)
