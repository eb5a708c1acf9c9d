"""What the small commands cost: from the shell's prompt to its next one."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from harness.errors import HostError
from harness.farm.bench.figures import Series

GROUP = "a command, from start to end"
COMMANDS: dict[str, Sequence[str]] = {
    "help": ("--help",),
    "contract": ("contract",),
    "explain": ("explain", "PRE-COMP-01"),
    "drivers_list": ("drivers", "list"),
    "version": ("version",),
}


def measure_cli(runs: int) -> Iterator[Series]:
    """Run each command `runs` times after a first one, which warms the disk's cache: seconds, and seconds of CPU."""
    for key, words in COMMANDS.items():
        timed(words)
        taken = [timed(words) for _ in range(runs)]
        name = f"fltlab {' '.join(words)}"
        yield Series(f"{key}_s", name, GROUP, "s", tuple(wall for wall, _ in taken))
        yield Series(f"{key}_cpu_s", f"{name}, CPU", GROUP, "s", tuple(cpu for _, cpu in taken))


def timed(words: Sequence[str]) -> tuple[float, float]:
    """Run `fltlab WORDS`: seconds, and seconds of CPU, of all its processes; HostError if it ends with other than 0."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "harness.cli", *words],
        capture_output=True,
        check=False,
        env={**os.environ, "COLUMNS": "120"},
    )
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        printed = (done.stderr or done.stdout).decode(errors="replace").splitlines()
        raise HostError(f"fltlab {' '.join(words)} ended with {done.returncode}", details=tuple(printed[-3:]))
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
