"""The runs before a run are found beside it, and what cannot be read of them is left out."""

from dataclasses import replace
from pathlib import Path

from harness.report.history import RUNS, expected_seconds, former_runs
from harness.report.journal import FILE_NAME as JOURNAL
from harness.report.journal import Journal
from harness.report.provenance import Provenance, write_run_json
from harness.report.records import Outcome, TestRecord


def write_run(below: Path, provenance: Provenance, run_id: str, started: str, records: list[TestRecord]) -> Path:
    folder = below / run_id
    folder.mkdir()
    write_run_json(folder, replace(provenance, id=run_id, started=started), None)
    with Journal(folder) as journal:
        for record in records:
            journal.append(record)
    return folder


def test_the_newest_comes_first_and_a_later_run_is_no_former_one(tmp_path, provenance, records):
    for hour in (9, 7, 8):
        write_run(tmp_path, provenance, f"at-{hour}", f"2026-11-23T0{hour}:00:00+00:00", records[:1])
    now = write_run(tmp_path, provenance, "now", provenance.started, records)

    assert [run.id for run in former_runs(now, provenance, records)] == ["at-8", "at-7"]


def test_what_tests_came_to_is_told_of_those_that_both_runs_have(tmp_path, provenance, records):
    broken = replace(records[0], outcome=Outcome.FAILED, seconds=2.0)
    stranger = replace(records[1], nodeid="suites/other/test_other.py::test_gone")
    write_run(tmp_path, provenance, "before", "2026-11-23T07:00:00+00:00", [broken, stranger])
    now = write_run(tmp_path, provenance, "now", provenance.started, records)

    (before,) = former_runs(now, provenance, records)

    assert before.tests == {records[0].nodeid: (Outcome.FAILED, 2.0)}


def test_runs_without_a_test_of_this_one_and_damaged_ones_are_left_out(tmp_path, provenance, records):
    stranger = replace(records[1], nodeid="suites/other/test_other.py::test_gone")
    write_run(tmp_path, provenance, "other", "2026-11-23T07:00:00+00:00", [stranger])
    damaged = write_run(tmp_path, provenance, "damaged", "2026-11-23T07:00:00+00:00", records)
    (damaged / JOURNAL).write_text("nonsense\n" + (damaged / JOURNAL).read_text())
    unreadable = write_run(tmp_path, provenance, "unreadable", "2026-11-23T07:00:00+00:00", records)
    (unreadable / "run.json").write_text("{")
    now = write_run(tmp_path, provenance, "now", provenance.started, records)

    assert former_runs(now, provenance, records) == []


def test_only_the_newest_few_are_read(tmp_path, provenance, records):
    for minute in range(RUNS + 3):
        write_run(tmp_path, provenance, f"at-{minute:02}", f"2026-11-23T07:{minute:02}:00+00:00", records[:1])
    now = write_run(tmp_path, provenance, "now", provenance.started, records)

    found = former_runs(now, provenance, records)

    assert [run.id for run in found] == [f"at-{minute:02}" for minute in range(RUNS + 2, 2, -1)]


def test_how_long_tests_will_take_is_told_by_the_newest_run_that_had_most_of_them(tmp_path: Path):
    def run(name: str, seconds: dict[str, float], guest: str = "reference") -> None:
        (tmp_path / name).mkdir()
        with Journal(tmp_path / name) as journal:
            for nodeid, took in seconds.items():
                journal.append(TestRecord(nodeid, Outcome.PASSED, took, "s", nodeid, guest=guest))

    run("1-old", {"a": 9, "b": 9, "c": 9})
    run("2-new", {"a": 1, "b": 3})
    run("3-other-guest", {"a": 50, "b": 50, "c": 50}, "windows")
    run("4-one-test", {"a": 7})
    (tmp_path / "5-damaged").mkdir()
    (tmp_path / "5-damaged" / "results.jsonl").write_text("no json\n{}\n")
    wanted = [(nodeid, "reference") for nodeid in "abc"]

    expected = expected_seconds(tmp_path, wanted)
    assert expected is not None
    assert (expected.total, expected.run) == (1 + 3 + 2, "2-new")
    assert expected_seconds(tmp_path, [("x", "reference")]) is None
    assert expected_seconds(tmp_path / "nowhere", wanted) is None
