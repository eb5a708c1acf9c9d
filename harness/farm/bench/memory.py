"""What 1, 4 and 8 guests take of the host's memory: forks of one template, against as many that were booted."""

from collections.abc import Callable, Iterator

from harness.farm.bench.figures import Series
from harness.farm.bench.ground import Ground, Running

GROUP = "memory of running guests (PSS)"


def measure_memory(ground: Ground, counts: tuple[int, ...] = (1, 4, 8)) -> Iterator[Series]:
    """Measure forks and then cold boots, all of a kind running at once."""
    yield from _kind("forks", "fork", ground.fork, counts)
    yield from _kind("cold_boots", "cold boot", ground.boot, counts)


def _kind(key: str, name: str, start: Callable[[], Running], counts: tuple[int, ...]) -> Iterator[Series]:
    running: list[Running] = []
    try:
        for number in range(1, max(counts) + 1):
            running.append(start())
            if number in counts:
                used = float(sum(one.machine.memory_used_mib() for one in running))
                text = f"{number} {name}{'s' if number > 1 else ''}"
                yield Series(f"memory_mib.{key}.{number}", text, GROUP, "MiB", (used,))
    finally:
        for one in running:
            one.machine.kill()
