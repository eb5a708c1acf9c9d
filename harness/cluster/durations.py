"""How long tests will take, by what they took in former runs."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median

from harness.errors import ConfigurationError
from harness.report.journal import FILE_NAME as JOURNAL
from harness.report.journal import read_journal
from harness.report.records import Outcome, TestRecord

UNKNOWN_SECONDS = 2.0
"""What a test is expected to take where nothing at all is known: a fork and a short script, measured under TCG."""
NEWEST = 5
"""A test is expected to take what it took in the middle of so many newest runs: one may have had a slow hour."""
RUNS = 20
"""So many former runs are read, at most."""
BYTES = 64 << 20
"""So much of their journals, at most."""


class Durations:
    """The seconds of tests, learned from results; what is not known is guessed from what is near it.

    In this order: the test on this guest; the middle of its file on this guest; the test on other guests; the middle
    of its suite on this guest; of this guest; of everything; `UNKNOWN_SECONDS`.
    """

    def __init__(self) -> None:
        self._known: defaultdict[tuple[str, ...], deque[float]] = defaultdict(lambda: deque(maxlen=NEWEST))
        self._near: defaultdict[tuple[str, ...], dict[tuple[str, str], None]] = defaultdict(dict)
        self._medians: dict[tuple[str, ...], float] = {}

    @classmethod
    def learned(cls, runs: Iterable[Iterable[TestRecord]]) -> "Durations":
        """From the results of runs, the oldest run first."""
        durations = cls()
        for records in runs:
            for record in records:
                durations.learn(record)
        return durations

    def learn(self, record: TestRecord) -> None:
        """Take one result into account: none that was skipped, or ended for want of a guest."""
        if record.outcome in {Outcome.SKIPPED, Outcome.ERROR}:
            return
        test = (bare(record.nodeid, record.guest), record.guest)
        self._known[test].append(record.seconds)
        for near in _neighbourhoods(*test):
            self._near[near][test] = None
        self._medians.clear()

    def __len__(self) -> int:
        """How many tests are known, each on one guest."""
        return len(self._known)

    def of(self, nodeid: str, guest: str) -> float:
        """Seconds that a test on a guest is expected to take; never negative."""
        test = (bare(nodeid, guest), guest)
        if test in self._known:
            return median(self._known[test])
        for near in _neighbourhoods(*test):
            if near in self._near:
                return self._median(near)
        return UNKNOWN_SECONDS

    def _median(self, near: tuple[str, ...]) -> float:
        if near not in self._medians:
            self._medians[near] = median(median(self._known[test]) for test in self._near[near])
        return self._medians[near]


def bare(nodeid: str, guest: str) -> str:
    """A node id without the guest's name, which it has where a run is on several: `test_a[windows-11]`."""
    name, bracket, parameters = nodeid.partition("[")
    if not bracket or not guest:
        return nodeid
    kept = [word for word in _split(parameters.removesuffix("]"), guest) if word]
    return f"{name}[{'-'.join(kept)}]" if kept else name


def _split(parameters: str, guest: str) -> tuple[str, ...]:
    """What stands before a guest's name, and after it; names of guests have dashes, too."""
    padded = f"-{parameters}-"
    before, found, after = padded.partition(f"-{guest}-")
    return (before.strip("-"), after.strip("-")) if found else (parameters,)


def _neighbourhoods(nodeid: str, guest: str) -> Iterator[tuple[str, ...]]:
    """What a test is near to, the nearest first."""
    file = nodeid.partition("::")[0]
    yield ("file", file, guest)
    yield ("test", nodeid)
    yield ("suite", file.rpartition("/")[0], guest)
    yield ("guest", guest)
    yield ("all",)


def former_durations(runs: Path, wanted: Callable[[TestRecord], bool] = lambda _: True) -> Durations:
    """What the newest runs below a directory (`runs/`) took; a journal that cannot be read teaches nothing."""
    found = sorted((path.parent for path in runs.glob(f"*/{JOURNAL}")), key=lambda folder: folder.name, reverse=True)
    read: list[list[TestRecord]] = []
    left = BYTES
    for folder in found[:RUNS]:
        try:
            left -= (folder / JOURNAL).stat().st_size
            if left < 0:
                break
            read.append([record for record in read_journal(folder) if wanted(record)])
        except (ConfigurationError, OSError):
            continue
    return Durations.learned(reversed(read))
