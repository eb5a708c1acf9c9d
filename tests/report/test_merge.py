"""Several runs become one, with every result and every file; what cannot be one is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ConfigurationError, ExitCode
from harness.report.journal import Journal, read_journal
from harness.report.merge import merge_runs
from harness.report.provenance import GuestFacts, Provenance, read_run_json, write_run_json
from harness.report.records import TestRecord


@pytest.fixture
def on_two_guests(tmp_path: Path, provenance: Provenance, records: list[TestRecord]) -> tuple[Path, Path]:
    windows = replace(
        provenance,
        id="20261123-091500-0002",
        started="2026-11-23T09:15:00+00:00",
        finished="2026-11-23T09:16:00+00:00",
        guests={"windows-11": GuestFacts("windows-11", "windows", "ef" * 32)},
    )
    there = [replace(record, guest="windows-11", guest_kind="windows") for record in records[:2]]
    return _run(tmp_path / "one", provenance, records), _run(tmp_path / "two", windows, there)


def _run(directory: Path, provenance: Provenance, records: list[TestRecord]) -> Path:
    directory.mkdir()
    write_run_json(directory, provenance, None)
    with Journal(directory) as journal:
        for record in records:
            journal.append(record)
            if record.folder:
                (directory / record.folder).mkdir(parents=True)
                (directory / record.folder / "serial.log").write_text(f"serial of {provenance.id}")
    return directory


def test_the_results_and_files_of_both_are_there(on_two_guests: tuple[Path, Path], tmp_path: Path):
    summary = merge_runs(on_two_guests, tmp_path / "both")

    merged = read_journal(tmp_path / "both")
    assert (summary.tests, summary.passed, summary.failed) == (7, 2, 2)
    assert [record.outcome for record in merged[:5]] == [record.outcome for record in read_journal(on_two_guests[0])]
    logs = [(tmp_path / "both" / record.folder / "serial.log").read_text() for record in merged if record.folder]
    assert logs == ["serial of 20261123-081500-7f3a", "serial of 20261123-091500-0002"]
    assert (tmp_path / "both" / "junit.xml").exists()
    assert (tmp_path / "both" / "report.html").exists()


def test_a_test_of_both_guests_is_told_apart_by_them(on_two_guests: tuple[Path, Path], tmp_path: Path):
    merge_runs(on_two_guests, tmp_path / "both")

    names = [record.nodeid.partition("::")[2] for record in read_journal(tmp_path / "both")]
    assert "test_status[reference]" in names
    assert "test_status[windows-11]" in names
    assert "test_lost" in names
    assert len(set(names)) == len(names)


def test_the_merged_run_says_where_it_comes_from(on_two_guests: tuple[Path, Path], tmp_path: Path):
    merge_runs(on_two_guests, tmp_path / "both")

    run = read_run_json(tmp_path / "both")
    assert set(run.guests) == {"reference", "windows-11"}
    assert (run.started, run.finished) == ("2026-11-23T08:15:00+00:00", "2026-11-23T09:16:00+00:00")
    assert run.command[-2:] == ("20261123-081500-7f3a", "20261123-091500-0002")


def test_two_results_of_one_test_on_one_guest_are_refused(on_two_guests: tuple[Path, Path], tmp_path: Path):
    first = on_two_guests[0]
    again = _run(tmp_path / "again", replace(read_run_json(first), id="again"), read_journal(first))

    with pytest.raises(ConfigurationError, match="has a result on reference in two of these runs"):
        merge_runs([first, again], tmp_path / "both")

    assert not (tmp_path / "both").exists()


def test_runs_of_two_versions_are_refused(on_two_guests: tuple[Path, Path], tmp_path: Path):
    other = replace(read_run_json(on_two_guests[1]), versions={"fltlab": "0.2.0"})
    write_run_json(on_two_guests[1], other, None)

    with pytest.raises(ConfigurationError, match="different versions of fltlab"):
        merge_runs(on_two_guests, tmp_path / "both")


def test_the_command_merges_and_says_what_came_out(
    on_two_guests: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    both = tmp_path / "both"

    assert main(["report", "merge", *map(str, on_two_guests), "--out", str(both), "--json"]) == ExitCode.PASSED

    assert json.loads(capsys.readouterr().out)["failed"] == 2


@pytest.mark.parametrize("words", [["merge", "--out", "x"], ["merge", "ONE", "--out", "x"], ["merge", "ONE", "TWO"]])
def test_too_little_to_merge_is_wrong_use(
    words: list[str], on_two_guests: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    paths = dict(zip(("ONE", "TWO"), map(str, on_two_guests), strict=True))

    assert main(["report", *(paths.get(word, word) for word in words)]) == ExitCode.USAGE

    assert "merge takes at least two runs" in capsys.readouterr().err
