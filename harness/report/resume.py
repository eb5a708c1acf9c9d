"""A run that was interrupted, as its directory tells it: which results are there, and how the rest is asked for."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.errors import ConfigurationError
from harness.report.journal import FILE_NAME as JOURNAL
from harness.report.journal import read_journal
from harness.report.provenance import FILE_NAME as RUN_JSON
from harness.report.provenance import Provenance, read_run_json
from harness.report.records import Outcome, TestRecord

NEWEST = "last"
"""What stands for the newest run below runs/."""


@dataclass(frozen=True)
class UnfinishedRun:
    """What is left of a run: how it was started, and the results that stand.

    A test that ended in an error of the host or the guest has no verdict: it is run again, like one that never began.
    """

    directory: Path
    provenance: Provenance
    records: tuple[TestRecord, ...]

    @cached_property
    def finished(self) -> frozenset[str]:
        """The node ids of the tests that are not run again."""
        return frozenset(record.nodeid for record in self.records)


def find_run(name: str, below: Path) -> Path:
    """The directory of a run that is named by its path, by its id (in `below`/runs), or as the last one."""
    runs = below / "runs"
    if name == NEWEST:
        found = sorted(path.parent for path in runs.glob(f"*/{RUN_JSON}"))
        if not found:
            raise ConfigurationError(f"there is no run below {runs}", hint="name the directory of a run")
        return found[-1]
    for path in (below / name, runs / name):
        if path.is_dir():
            return path.resolve()
    known = sorted((path.parent.name for path in runs.glob(f"*/{RUN_JSON}")), reverse=True)
    raise ConfigurationError(
        f"there is no run {name!r}", details=(f"newest below {runs}: {', '.join(known[:3]) or 'none'}",)
    )


def read_unfinished(directory: Path) -> UnfinishedRun:
    """Read what an interrupted run has left."""
    if not (directory / RUN_JSON).is_file():
        raise ConfigurationError(
            f"{directory} holds nothing to resume",
            details=(f"there is no {RUN_JSON} in it: the run ended before its first result",),
            hint="start it anew",
        )
    provenance = read_run_json(directory)
    if not Path(provenance.directory).is_absolute() or not Path(provenance.directory).is_dir():
        raise ConfigurationError(
            f"the run in {directory} cannot be gone on with: the directory that it was started in is gone",
            details=(f"it was {provenance.directory or 'not written down'}",),
            hint="start it anew",
        )
    records = read_journal(directory) if (directory / JOURNAL).is_file() else []
    return UnfinishedRun(
        directory, provenance, tuple(record for record in records if record.outcome is not Outcome.ERROR)
    )
