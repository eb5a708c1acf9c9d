"""From nothing to an answered WinRM command: cold boot, savevm and loadvm, migration to a file, fork, labgrid."""

from collections.abc import Callable, Iterator

from harness.farm.bench.figures import Series
from harness.farm.bench.ground import Ground, Running

GROUP = "from nothing to an answered WinRM command"


def measure_starts(ground: Ground, runs: int) -> Iterator[Series]:
    """Measure each way `runs` times, one guest at a time."""
    yield _series("cold_boot_s", "cold boot", runs, ground.boot)
    for how, key, name, start in (
        ("snapshot", "loadvm_s", "savevm, loadvm", ground.loaded),
        ("migration", "migration_s", "migration to a file", ground.migrated),
    ):
        saved = ground.save(how)
        yield _series(key, name, runs, lambda start=start, saved=saved: start(saved))  # type: ignore[misc]
        yield Series(
            f"{key.removesuffix('_s')}_save_s", f"saving it: {name}", "saving a running guest", "s", (saved.seconds,)
        )
    assert ground.template is not None  # made before, so that no fork pays for it
    yield _series("fork_s", "fork (fltlab)", runs, ground.fork)


def _series(key: str, name: str, runs: int, start: Callable[[], Running]) -> Series:
    seconds = []
    for _ in range(runs):
        running = start()
        seconds.append(running.seconds)
        running.machine.kill()
    return Series(key, name, GROUP, "s", tuple(seconds))
