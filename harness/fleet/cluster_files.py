"""What workers of a cluster have on this machine, below `home`, and what those leave that are killed."""

from collections.abc import Iterator
from pathlib import Path

from harness.host.directories import home
from harness.host.leftovers import Leftover, left_behind, lock_file, remove

RUN = ".scratch-"
"""How the directory of a run on a worker is called, before a key of its own."""
FETCHING = ".fetching-"
"""How a tree is called that is being fetched, before its digest."""


def runs() -> Path:
    """Where workers have the directories of their runs."""
    return home() / "cluster-runs"


def fetched() -> Path:
    """Where the trees are that came from stores."""
    return home() / "cluster"


def leftovers() -> Iterator[Leftover]:
    """What was left by workers that were killed."""
    yield from (Leftover(path, "a run on a cluster's worker that was killed") for path in left_behind(runs(), RUN))
    yield from (Leftover(path, "a tree that was being fetched") for path in left_behind(fetched(), FETCHING))


def reclaim_runs() -> None:
    """Remove the runs of workers that were killed; nobody takes the lock of one again."""
    for path in left_behind(runs(), RUN):
        remove(path)
        lock_file(runs(), path.name.removeprefix(RUN)).unlink(missing_ok=True)
