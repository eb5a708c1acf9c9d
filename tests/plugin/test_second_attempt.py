"""A test that Windows itself may disturb is tried once more in a fresh guest there, and every report says so."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml  # noqa: F401 (before pytester takes a picture of sys.modules: its C part bears no second import)

from harness.plugin.second_attempt import FIRST_ATTEMPT
from harness.report.journal import read_journal
from harness.report.records import Outcome, TestRecord

CONFTEST = """
    import pytest
    from harness.plugin.facts import FACTS

    @pytest.fixture(autouse=True)
    def in_windows_place(request, guest):
        request.node.stash[FACTS].guest_kind = "windows"
"""
SUITE = r"""
    import pytest
    from harness.errors import DriverError
    from harness.plugin.postmortem import LEASE

    attempts = {}
    pytestmark = pytest.mark.disturbed_by("an indexer")

    @pytest.fixture
    def attempt(request, guest):
        attempts.setdefault(request.node.name, []).append(request.node.stash[LEASE])
        return len(attempts[request.node.name])

    @pytest.mark.stack("passthrough")
    def test_holds_the_second_time(lab, attempt, guest):
        io = lab.io(r"query-path V:\left.bin" if attempt > 1 else r"open f V:\left.bin access=rw disposition=create")
        assert attempt > 1, "somebody had it open"
        assert io.step("query-path").status != 0

    def test_never_holds(attempt):
        assert False, f"attempt {attempt}"

    def test_a_driver_is_no_disturbance(attempt):
        raise DriverError("it crashed")

    def test_errors_are_none(attempt, no_such_fixture):
        pass

    def test_passes(attempt):
        assert attempt == 1

    def test_last_and_what_ran(attempt):
        assert {name: len(guests) for name, guests in attempts.items()} == {
            "test_holds_the_second_time": 2, "test_never_holds": 2, "test_a_driver_is_no_disturbance": 1,
            "test_errors_are_none": 1, "test_passes": 1, "test_last_and_what_ran": 1,
        }
        first, second = attempts["test_holds_the_second_time"]
        assert first is not second
"""


def run(pytester: pytest.Pytester, conftest: str) -> dict[str, TestRecord]:
    pytester.makeconftest(conftest)
    pytester.makepyfile(test_suite=SUITE)
    pytester.runpytest_subprocess("--guest=reference-local", "--out=run", "-p", "no:cacheprovider")
    return {record.name: record for record in read_journal(pytester.path / "run")}


def test_on_windows_a_red_test_is_tried_again_and_what_holds_then_is_flaky(pytester: pytest.Pytester):
    records = run(pytester, CONFTEST)

    assert {name: record.outcome for name, record in records.items()} == {
        "test_holds_the_second_time": Outcome.FLAKY,
        "test_never_holds": Outcome.FAILED,
        "test_a_driver_is_no_disturbance": Outcome.FAILED,
        "test_errors_are_none": Outcome.ERROR,
        "test_passes": Outcome.PASSED,
        "test_last_and_what_ran": Outcome.PASSED,
    }
    said = records["test_holds_the_second_time"].message
    assert said.startswith("passed on a fresh guest; failed before")
    assert "an indexer" in said
    assert "somebody had it open" in said
    assert "attempt 2" in records["test_never_holds"].message
    assert "failed too" in records["test_never_holds"].details
    assert "attempt 1" in records["test_never_holds"].details
    case = next(
        case
        for case in ET.parse(pytester.path / "run" / "junit.xml").iter("testcase")
        if case.get("name") == "test_holds_the_second_time"
    )
    skipped = case.find("skipped")
    assert skipped is not None
    assert str(skipped.get("message")) == f"flaky: {said}"
    folder = pytester.path / "run" / str(records["test_holds_the_second_time"].folder)
    assert "left.bin" in (folder / FIRST_ATTEMPT / "trace.jsonl").read_text()
    assert json.loads((folder / "trace.jsonl").read_text().splitlines()[0])
    assert (folder / FIRST_ATTEMPT / "guest").is_dir()


def test_elsewhere_it_is_run_once(pytester: pytest.Pytester):
    records = run(pytester, "")

    assert records["test_holds_the_second_time"].outcome is Outcome.FAILED
    assert not (Path(pytester.path) / "run" / str(records["test_never_holds"].folder) / FIRST_ATTEMPT).exists()
