"""Processes that a test stops or kills: a signal that was sent is not yet in force, least of all on a busy machine."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.limits import until

_GONE = (FileNotFoundError, ProcessLookupError)


def _stat(path: Path) -> list[str]:
    """The fields of a `stat` of /proc from the third on, the state; none if there is no such process or thread."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except _GONE:
        return []


def gone(pid: int) -> bool:
    """Whether a process has ended; it may not have been waited for yet."""
    return _stat(Path(f"/proc/{pid}/stat"))[:1] in ([], ["Z"], ["X"])


def kill(pid: int) -> None:
    """Kill a process, and wait until it has ended."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid), f"process {pid} to be gone")


def stop(pid: int) -> None:
    """Stop a process, and wait for every thread of it to stand."""
    os.kill(pid, signal.SIGSTOP)

    def stands() -> bool:
        states = [fields[0] for path in Path(f"/proc/{pid}/task").glob("*/stat") if (fields := _stat(path))]
        return gone(pid) or set(states) == {"T"}

    until(stands, f"process {pid} to stand")


def _processes() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        if fields := _stat(path):
            yield int(path.parent.name), fields


def children(pid: int) -> list[int]:
    """The processes that a process has started and that have not ended."""
    return [child for child, fields in _processes() if int(fields[1]) == pid and fields[0] not in "ZX"]


def of_group(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    return [pid for pid, fields in _processes() if int(fields[2]) == group and fields[0] not in "ZX"]


def running_with(variable: str, value: str) -> list[int]:
    """The processes that have a variable in their environment, zombies left out: they and all that they started."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(PermissionError, *_GONE):
            if f"\0{variable}={value}\0".encode() in b"\0" + environment.read_bytes():
                found.append(int(environment.parent.name))
    return found
