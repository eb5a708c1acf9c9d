"""Several runs as one: the jobs of a CI matrix each write a run, and somebody wants one report of them all."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import ConfigurationError
from harness.report.journal import Journal, read_journal
from harness.report.provenance import Provenance, new_run_id, read_run_json, write_run_json
from harness.report.records import TestRecord
from harness.report.run_directory import RunDirectory
from harness.report.summary import Summary
from harness.report.write import write_reports


def merge_runs(directories: Sequence[Path], into: Path) -> Summary:
    """Write one run into the directory `into` that holds every result, file and guest of the runs in `directories`.

    A test that ran on several guests is told apart by its guest's name, as in a run on several guests. Raises
    ConfigurationError if two of the runs have a result of one test on one guest (which of them counts is not ours to
    say), or were of different versions of fltlab.
    """
    runs = [(read_run_json(directory), directory) for directory in directories]
    _require_one_version([provenance for provenance, _ in runs])
    records = [(run, directory, record) for run, directory in runs for record in read_journal(directory)]
    _require_one_result_each([(record.nodeid, record.guest, run.id) for run, _, record in records])
    guests = Counter(record.nodeid for _, _, record in records)
    taken = RunDirectory.take(into, keep=False)
    try:
        merged = []
        with Journal(into) as journal:
            for run, directory, record in records:
                told = _named_by_guest(record) if guests[record.nodeid] > 1 else record
                merged.append(replace(told, folder=_copied(record.folder, run.id, directory, into)))
                journal.append(merged[-1])
        for run, directory in runs:
            _copy_tree(directory / "guests", into / "guests" / run.id)
        provenance = _together([run for run, _ in runs])
        write_run_json(into, provenance, None)
        return write_reports(into, provenance, merged, sum(record.seconds for record in merged))
    finally:
        taken.release()


def _require_one_version(runs: Sequence[Provenance]) -> None:
    versions = {run.id: f"{run.versions.get('fltlab', '')} {run.versions.get('commit', '')}".strip() for run in runs}
    if len(set(versions.values())) > 1:
        raise ConfigurationError(
            "these runs were made by different versions of fltlab, so one report of them would say nothing",
            details=tuple(f"{run}: {version}" for run, version in versions.items()),
        )


def _require_one_result_each(results: Sequence[tuple[str, str, str]]) -> None:
    first: dict[tuple[str, str], str] = {}
    for nodeid, guest, run in results:
        if (nodeid, guest) in first:
            raise ConfigurationError(
                f"{nodeid} has a result on {guest or 'no guest'} in two of these runs",
                details=(f"{first[nodeid, guest]} and {run}; which one counts is not for fltlab to say",),
                hint="leave one of them out",
            )
        first[nodeid, guest] = run


def _named_by_guest(record: TestRecord) -> TestRecord:
    return replace(record, nodeid=f"{record.nodeid}[{record.guest}]", name=f"{record.name}[{record.guest}]")


def _copied(folder: str | None, run_id: str, directory: Path, into: Path) -> str | None:
    """Copy a test's files, if it has any, and say where they are now."""
    if folder is None:
        return None
    place = Path("tests") / f"{run_id}-{Path(folder).name}"
    _copy_tree(directory / folder, into / place)
    return str(place)


def _copy_tree(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)


def _together(runs: Sequence[Provenance]) -> Provenance:
    """Where the merged run comes from: what its parts have in common, and which they are."""
    seeds = {run.seed for run in runs}
    merged = replace(
        runs[0],
        id=new_run_id(),
        started=min(run.started for run in runs),
        finished=max(filter(None, (run.finished for run in runs)), default=None),
        command=("fltlab", "report", "merge", *(run.id for run in runs)),
        options={run.id: dict(run.options) for run in runs},
        seed=seeds.pop() if len(seeds) == 1 else None,
        mutants=tuple(dict.fromkeys(_mutants(runs))),
        arguments=(),
        resumed=(),
    )
    for run in runs:
        for facts in run.guests.values():
            merged = merged.with_guest(facts)
        merged = merged.with_drivers(run.drivers)
    return merged


def _mutants(runs: Sequence[Provenance]) -> Iterator[str]:
    for run in runs:
        yield from run.mutants
