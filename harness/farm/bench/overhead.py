"""What a cluster costs on one machine, beside pytest-xdist: the same run, shared out among as many processes."""

import tempfile
from collections.abc import Callable, Iterator, Sequence

from harness.farm.bench.commands import timed
from harness.farm.bench.figures import Series

PROCESSES = 2
GROUP = f"all suites on reference-local, by {PROCESSES} processes"
WAYS: dict[str, tuple[str, Sequence[str]]] = {
    "xdist": (f"-n {PROCESSES}", ("-n", str(PROCESSES))),
    "cluster": (f"--cluster --workers {PROCESSES}", ("--cluster", "--workers", str(PROCESSES))),
}


def measure_overhead(pairs: int, say: Callable[[str], None]) -> Iterator[Series]:
    """Do it both ways in turn, `pairs` times after a first one, which builds drivers: seconds, and seconds of CPU."""
    taken: dict[str, list[tuple[float, float]]] = {key: [] for key in WAYS}
    for number in range(pairs + 1):
        # Whatever comes second in a pair finds another machine: each is first in every other pair.
        for key in (*WAYS,) if number % 2 else (*reversed(WAYS),):
            name, words = WAYS[key]
            with tempfile.TemporaryDirectory(prefix="fltlab-local-") as out:
                wall, cpu = timed(["run", "--guest", "reference-local", "--out", out, "-q", *words])
            say(f"{number or 'first'}: {name}: {wall:.1f} s, CPU {cpu:.1f} s")
            if number:
                taken[key].append((wall, cpu))
    for key, (name, _) in WAYS.items():
        yield Series(f"{key}_cpu_s", f"{name}, CPU", GROUP, "s", tuple(cpu for _, cpu in taken[key]))
        yield Series(f"{key}_s", name, GROUP, "s", tuple(wall for wall, _ in taken[key]))
