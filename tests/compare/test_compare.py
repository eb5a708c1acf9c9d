"""Two guests are held against each other, rule by rule; a disagreement can be written down."""

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ConfigurationError, ExitCode
from harness.minifilter.recording import read_recording
from harness.report.compare import Difference, compare, find_sides
from harness.report.journal import Journal
from harness.report.provenance import GuestFacts, Provenance, write_run_json
from harness.report.records import Outcome, TestRecord
from harness.wire.trace import FILE_NAME as TRACE
from harness.wire.trace import Header, Io, Minifilter, Step, write_trace


def write_run(folder: Path, *guests: tuple[str, str, dict[str, Outcome]], traces: bool = False) -> Path:
    """Write a run: for each guest its name, its kind, and the outcomes of its tests."""
    folder.mkdir()
    facts = {name: GuestFacts(name, kind, details={"build": "26100"}) for name, kind, _ in guests}
    provenance = Provenance(folder.name, "2026-11-23T10:00:00+00:00", ("fltlab", "run"), {}, {}, {}, guests=facts)
    write_run_json(folder, provenance, None)
    with Journal(folder) as journal:
        for name, kind, outcomes in guests:
            for test, outcome in outcomes.items():
                nodeid = f"suites/a/test_a.py::{test}" + (f"[{name}]" if len(guests) > 1 else "")
                kept = f"tests/{test}-{name}"
                if traces:
                    keep(folder / kept)
                message = "it was not so" if outcome is Outcome.FAILED else ""
                record = TestRecord(
                    *(nodeid, outcome, 0.1, "a", test, name, kind), rules=("PRE-COMP-01",), message=message, folder=kept
                )
                journal.append(record)
    return folder


def keep(folder: Path) -> None:
    folder.mkdir(parents=True)
    records = [
        Minifilter("above", "observer", "370020.5"),
        Io(1, "open h V:\\x access=read\n", process=8, thread=4, frequency=1),
        Step(1, 1, "open", "h", 0xC0000022, thread=4, begin=1, end=2),
    ]
    write_trace(folder / TRACE, Header("test_x"), records)


P, F, N, E = Outcome.PASSED, Outcome.FAILED, Outcome.NOT_WITNESSED, Outcome.ERROR


@pytest.mark.parametrize(
    ("one", "two", "difference"),
    [
        (P, F, Difference.DISAGREE),
        (F, P, Difference.DISAGREE),
        (N, F, Difference.DISAGREE),
        (P, N, Difference.NOT_SEEN),
        (P, E, Difference.UNANSWERED),
        (F, Outcome.SKIPPED, Difference.UNANSWERED),
        (P, P, None),
    ],
)
def test_what_differs_is_told_apart(one, two, difference, tmp_path: Path):
    first = write_run(tmp_path / "first", ("reference", "reference", {"test_x": one, "test_same": P}))
    second = write_run(tmp_path / "second", ("windows-11", "windows", {"test_x": two, "test_same": P}))

    found = compare(find_sides([str(first), str(second)], tmp_path))

    assert found.compared == 2
    assert [item.difference for item in found.tests] == ([difference] if difference else [])


def test_two_guests_of_one_run_are_compared_although_their_tests_bear_their_names(tmp_path: Path, capsys):
    run = write_run(
        tmp_path / "run",
        ("reference", "reference", {"test_x": P, "test_only_here": P}),
        ("windows-11", "windows", {"test_x": F}),
    )

    assert main(["compare", str(run)]) == ExitCode.FAILED

    said = capsys.readouterr().out
    assert "PRE-COMP-01  Returning FLT_PREOP_COMPLETE stops the operation at this filter" in said
    assert "disagree: suites/a/test_a.py::test_x\n    reference: passed\n    windows-11: failed: it was not so" in said
    assert "no answer from all: suites/a/test_a.py::test_only_here" in said
    assert said.endswith("reference of run and windows-11 of run: 1 tests on both, 1 disagreements\n")


def test_many_guests_of_a_run_are_a_table_of_rules_and_guests(tmp_path: Path, capsys):
    run = write_run(
        tmp_path / "run",
        ("windows-11+ntfs", "windows", {"test_x": P, "test_y": P}),
        ("windows-11+refs", "windows", {"test_x": F, "test_y": P}),
        ("windows-2022+ntfs", "windows", {"test_x": P, "test_y": E}),
    )

    assert main(["compare", str(run)]) == ExitCode.FAILED

    said = capsys.readouterr().out
    assert "1  windows-11+ntfs of run\n2  windows-11+refs of run\n3  windows-2022+ntfs of run\n" in said
    assert "             1 2 3\nPRE-COMP-01  . F E\n" in said
    assert "disagree: suites/a/test_a.py::test_x\n    1, 3: passed\n    2: failed: it was not so" in said
    assert "no answer from all: suites/a/test_a.py::test_y\n    1, 2: passed\n    3: error" in said
    assert said.endswith("3 guests: 2 tests on all, 1 disagreements; 0 rules alike on all\n")
    assert main(["compare", str(run), "--json"]) == ExitCode.FAILED
    document = json.loads(capsys.readouterr().out)
    assert document["table"] == {"PRE-COMP-01": ["passed", "failed", "error"]}
    assert next(item["outcomes"] for item in document["rules"]["PRE-COMP-01"]) == ["passed", "failed", "passed"]
    assert main(["compare", str(run), "--save", str(tmp_path / "saved")]) == ExitCode.USAGE


def test_a_directory_without_a_run_is_wrong_use(tmp_path: Path, capsys):
    (tmp_path / "empty").mkdir()

    assert main(["compare", str(tmp_path / "empty"), str(tmp_path / "empty")]) == ExitCode.USAGE
    assert "holds no run" in capsys.readouterr().err


def test_guests_that_agree_are_exit_code_0(tmp_path: Path, capsys):
    run = write_run(tmp_path / "run", ("a", "windows", {"test_x": P}), ("b", "windows", {"test_x": P}))

    assert main(["compare", f"{run}:a", f"{run}:b", "--json"]) == ExitCode.PASSED

    document = json.loads(capsys.readouterr().out)
    assert (document["compared"], document["disagreements"], document["rules"]) == (1, 0, {})
    assert [side["guest"] for side in document["sides"]] == ["a", "b"]


def test_what_cannot_be_compared_is_wrong_use(tmp_path: Path):
    one = write_run(tmp_path / "one", ("a", "windows", {"test_x": P}))
    other = write_run(tmp_path / "other", ("a", "windows", {"test_y": P}))

    with pytest.raises(ConfigurationError, match="no test in common"):
        compare(find_sides([str(one), str(other)], tmp_path))
    with pytest.raises(ConfigurationError, match="guests are compared with each other, and that names 1"):
        find_sides([str(one)], tmp_path)
    with pytest.raises(ConfigurationError, match="has no guest 'b'"):
        find_sides([f"{one}:b", str(other)], tmp_path)
    assert main(["compare", "nowhere", str(one)]) == ExitCode.USAGE


def test_a_disagreement_is_saved_as_what_windows_did(tmp_path: Path, capsys):
    reference = write_run(tmp_path / "reference", ("reference", "reference", {"test_x": F}), traces=True)
    windows = write_run(tmp_path / "windows", ("windows-11", "windows", {"test_x": P}), traces=True)

    assert main(["compare", str(reference), str(windows), "--save", str(tmp_path / "saved")]) == ExitCode.FAILED

    assert "saved: " in capsys.readouterr().out
    (path,) = (tmp_path / "saved").iterdir()
    recording = read_recording(path)
    assert recording.test == "suites/a/test_a.py::test_x"
    assert recording.observed_on["guest"] == "windows-11"
    assert recording.observed_on["build"] == "26100"
    assert recording.stack == ("observer@above#370020.5",)
    assert recording.io[0].steps == ("1 open h: 0xC0000022 ACCESS_DENIED, 0",)
    assert recording.why.startswith("passed on windows-11 of windows, failed on reference of reference: it was not so")


def test_what_has_no_trace_is_said_to_have_none(tmp_path: Path, capsys):
    reference = write_run(tmp_path / "reference", ("reference", "reference", {"test_x": F}))
    windows = write_run(tmp_path / "windows", ("windows-11", "windows", {"test_x": P}))

    assert main(["compare", str(reference), str(windows), "--save", str(tmp_path / "saved")]) == ExitCode.FAILED

    assert "has no trace of it" in capsys.readouterr().err
    assert not (tmp_path / "saved").exists()
