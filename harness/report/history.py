"""The runs before a run: what its tests came to then."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness.errors import ConfigurationError
from harness.report.journal import FILE_NAME as JOURNAL
from harness.report.journal import read_journal
from harness.report.provenance import FILE_NAME as RUN_JSON
from harness.report.provenance import Provenance
from harness.report.records import Outcome, TestRecord

RUNS = 10
"""How many former runs are looked at, at most."""
BYTES = 64 * 1024 * 1024
"""How much of their journals is read, at most."""


@dataclass(frozen=True)
class FormerRun:
    """A run that began earlier, with the outcome and the seconds of each test that this run has too."""

    id: str
    started: str
    tests: dict[str, tuple[Outcome, float]]


def former_runs(directory: Path, provenance: Provenance, records: Sequence[TestRecord]) -> list[FormerRun]:
    """The runs beside this one that began before it and ran tests of it, the newest first."""
    own = {record.nodeid for record in records}
    found: list[FormerRun] = []
    left = BYTES
    for started, folder, run_id in sorted(_earlier(directory, provenance), reverse=True):
        left -= (folder / JOURNAL).stat().st_size
        if len(found) == RUNS or left < 0:
            break
        try:
            tests = {r.nodeid: (r.outcome, r.seconds) for r in read_journal(folder) if r.nodeid in own}
        except ConfigurationError:  # a journal of another version, or a damaged one: no history
            continue
        if tests:
            found.append(FormerRun(run_id, started, tests))
    return found


@dataclass(frozen=True)
class Expected:
    """How long tests will take, by a former run, which `run` names."""

    run: str
    seconds: Mapping[str, float]
    """By node id; of a test on several guests, on all of them."""
    otherwise: float
    """What a test takes that the run did not have: as its tests in the middle."""
    missing: int = 0
    """How many it did not have."""

    @property
    def total(self) -> float:
        return sum(self.seconds.values()) + self.missing * self.otherwise

    def of(self, nodeid: str) -> float:
        """Seconds of one test."""
        return self.seconds.get(nodeid, self.otherwise)


def expected_seconds(runs: Path, wanted: Iterable[tuple[str, str]]) -> Expected | None:
    """How long tests will take, by the newest run below `runs` that had most of them.

    `wanted` are node ids, each with the name of its guest. None if no run had as many as half of them.
    """
    asked = set(wanted)
    found = sorted((path.parent for path in runs.glob(f"*/{JOURNAL}")), key=lambda folder: folder.name, reverse=True)
    for folder in found[:RUNS]:
        try:
            took = {(r.nodeid, r.guest): r.seconds for r in read_journal(folder) if (r.nodeid, r.guest) in asked}
        except (ConfigurationError, OSError):
            continue
        if took and 2 * len(took) >= len(asked):
            seconds: dict[str, float] = {}
            for (nodeid, _), one in took.items():
                seconds[nodeid] = seconds.get(nodeid, 0) + one
            return Expected(folder.name, seconds, median(took.values()), len(asked) - len(took))
    return None


def _earlier(directory: Path, provenance: Provenance) -> Iterator[tuple[str, Path, str]]:
    for path in directory.resolve().parent.glob(f"*/{RUN_JSON}"):
        folder = path.parent
        if folder == directory.resolve() or not (folder / JOURNAL).is_file():
            continue
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            started, run_id = str(data["started"]), str(data["id"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if started < provenance.started or (started == provenance.started and run_id < provenance.id):
            yield started, folder, run_id
