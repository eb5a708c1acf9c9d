"""What tests are expected to take."""

from pathlib import Path

import pytest

from harness.cluster.durations import UNKNOWN_SECONDS, Durations, bare, former_durations
from harness.report.journal import Journal
from harness.report.records import Outcome, TestRecord


def record(nodeid: str, seconds: float, guest: str = "g", outcome: Outcome = Outcome.PASSED) -> TestRecord:
    return TestRecord(nodeid, outcome, seconds, "a", nodeid.partition("::")[2], guest=guest)


def test_what_is_not_known_is_guessed_from_what_is_nearest():
    known = Durations.learned(
        [[record("s/a/t.py::one", 1), record("s/a/t.py::two", 3), record("s/a/u.py::x", 9), record("s/b/v.py::y", 40)]]
    )

    assert known.of("s/a/t.py::one", "g") == 1
    assert known.of("s/a/t.py::new", "g") == 2
    assert known.of("s/a/t.py::two", "other") == 3
    assert known.of("s/a/new.py::z", "g") == 3
    assert known.of("s/new/w.py::z", "g") == 6
    assert known.of("s/new/w.py::z", "other") == 6
    assert Durations().of("s/new/w.py::z", "g") == UNKNOWN_SECONDS


def test_one_slow_run_does_not_decide():
    runs = [[record("t.py::one", seconds)] for seconds in (1.0, 1.1, 60.0, 1.2, 1.0, 1.1)]

    assert Durations.learned(runs).of("t.py::one", "g") == 1.1


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.ERROR])
def test_what_was_no_run_of_the_test_teaches_nothing(outcome: Outcome):
    assert len(Durations.learned([[record("t.py::one", 0.0, outcome=outcome)]])) == 0


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("t.py::a", "t.py::a"),
        ("t.py::a[windows-11]", "t.py::a"),
        ("t.py::a[windows-11-x-y]", "t.py::a[x-y]"),
        ("t.py::a[x-windows-11]", "t.py::a[x]"),
        ("t.py::a[windows-11-x-windows-11]", "t.py::a[x-windows-11]"),
        ("t.py::a[windows-110]", "t.py::a[windows-110]"),
    ],
)
def test_a_test_is_known_whether_or_not_its_guest_is_in_its_name(nodeid: str, expected: str):
    assert bare(nodeid, "windows-11") == expected


def test_former_runs_are_read_the_newest_last_and_damaged_ones_left_out(tmp_path: Path):
    for name, seconds in (("20260101-old", 8.0), ("20260102-new", 2.0)):
        (tmp_path / name).mkdir()
        with Journal(tmp_path / name) as journal:
            journal.append(record("t.py::one", seconds))
    (tmp_path / "20260103-broken").mkdir()
    (tmp_path / "20260103-broken" / "results.jsonl").write_text("{}\nno result\n{}\n")

    assert former_durations(tmp_path).of("t.py::one", "g") == 5.0
    assert len(former_durations(tmp_path / "nothing")) == 0
