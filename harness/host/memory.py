"""How much memory and how many processors guests may have: this machine's, within this process's control group."""

import contextlib
import os
import resource
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
CGROUP_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """Memory in MiB: what there is, and what can still be had without swapping."""

    total: int
    available: int


def read_memory(proc: Path = Path("/proc"), cgroup: Path = CGROUP_ROOT) -> Memory:
    """Return the memory of this machine, or of this process's control group where that is less."""
    values: dict[str, int] = {}
    for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) * 1024
    total, available = values["MemTotal"], values["MemAvailable"]
    limit, used = _cgroup_limit(proc, cgroup)
    if limit is not None:
        total = min(total, limit)
        available = min(available, max(0, limit - used))
    return Memory(total // MIB, available // MIB)


def processors() -> int:
    """Return how many processors this process may run on."""
    return len(os.sched_getaffinity(0))


def proportional_set_size(pid: int) -> int:
    """Return what a process really uses, in MiB: its own pages, and its share of those it has in common with others."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) // 1024
    return 0


def _cgroup_limit(proc: Path, root: Path) -> tuple[int | None, int]:
    """Return the tightest memory limit (bytes) above this process and what is used under it; version 2 groups only."""
    group = ""
    own = proc / "self" / "cgroup"
    if own.exists():
        for line in own.read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):
                group = line[3:].lstrip("/")
    tightest: tuple[int | None, int] = (None, 0)
    path = root / group
    while path.is_relative_to(root):
        limit_file, used_file = path / "memory.max", path / "memory.current"
        if limit_file.exists() and used_file.exists():
            text = limit_file.read_text(encoding="ascii").strip()
            if text != "max" and (tightest[0] is None or int(text) < tightest[0]):
                tightest = (int(text), int(used_file.read_text(encoding="ascii")))
        path = path.parent
    return tightest


def limit_memory(pid: int, mib: int) -> None:
    """Let a process, and those that it starts from now on, have no more than so many MiB of addresses each."""
    with contextlib.suppress(ProcessLookupError):  # it has ended already; who waits for it will say so
        resource.prlimit(pid, resource.RLIMIT_AS, (mib << 20, mib << 20))
