"""How a test ends is told apart: failure, error, not witnessed; in pytest, in the journal and in the exit code."""

import json
from xml.etree import ElementTree as ET

import pytest
import yaml  # noqa: F401 (before pytester takes a picture of sys.modules: its C part bears no second import)

from harness.report.journal import read_journal
from harness.report.records import Outcome

SUITE = """
    import pytest
    from harness.errors import ConfigurationError, DriverError, GuestError
    from harness.plugin.facts import FACTS
    from harness.report.records import Witness

    pytestmark = pytest.mark.rule("REG-01")

    def test_passes():
        pass

    def test_assertion():
        assert 1 == 2

    def test_driver_brings_the_guest_down():
        raise DriverError("completion brought the guest down", details=("0xD1",))

    def test_guest_is_lost():
        raise GuestError("the guest never answered", hint="fltlab image verify reference")

    def test_unseen(request):
        request.node.stash[FACTS].witnesses.append(Witness("it was completed elsewhere", seen=False))

    def test_skipped():
        pytest.skip("needs Windows 11")

    @pytest.fixture
    def broken():
        raise DriverError("the driver brought the guest down while it was loaded")

    def test_driver_brings_the_guest_down_in_setup(broken):
        pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester):
    """Run a suite of one file and give pytest's result and the records of its journal."""

    def run_suite(text: str, *arguments: str):
        pytester.makepyfile(test_suite=text)
        execute = pytester.runpytest_subprocess if "-n" in arguments else pytester.runpytest
        result = execute("--out", "run", "-W", "ignore", *arguments)
        journal = pytester.path / "run"
        records = read_journal(journal) if (journal / "results.jsonl").exists() else []
        return result, {record.name: record for record in records}

    return run_suite


def test_every_outcome_is_told_apart(run):
    result, records = run(SUITE)

    assert {name: record.outcome for name, record in records.items()} == {
        "test_passes": Outcome.PASSED,
        "test_assertion": Outcome.FAILED,
        "test_driver_brings_the_guest_down": Outcome.FAILED,
        "test_guest_is_lost": Outcome.ERROR,
        "test_unseen": Outcome.NOT_WITNESSED,
        "test_skipped": Outcome.SKIPPED,
        "test_driver_brings_the_guest_down_in_setup": Outcome.FAILED,
    }
    result.stdout.re_match_lines([r"=+ 3 failed, 1 passed, 1 skipped, 1 error, 1 not witnessed in .*"])


def test_workers_of_xdist_report_the_same_in_the_same_order(run, pytester: pytest.Pytester):
    _, alone = run(SUITE)
    in_order = _names_in_junit(pytester)
    _, shared = run(SUITE, "-n", "2")

    assert _names_in_junit(pytester) == in_order == list(alone)
    assert {name: (record.outcome, record.message, record.rules) for name, record in shared.items()} == {
        name: (record.outcome, record.message, record.rules) for name, record in alone.items()
    }


def _names_in_junit(pytester: pytest.Pytester) -> list[str]:
    cases = ET.parse(pytester.path / "run" / "junit.xml").iter("testcase")
    return [case.attrib["name"] for case in cases]


def test_an_error_of_ours_is_shown_as_its_message_and_the_line_of_the_test(run):
    result, records = run(SUITE, "-k", "guest_is_lost")

    assert records["test_guest_is_lost"].message == "the guest never answered"
    result.stdout.fnmatch_lines(
        [
            "test_suite.py:18: in test_guest_is_lost",
            "    raise GuestError(*",
            "the guest never answered",
            "  try:  fltlab*",
        ]
    )
    result.stdout.no_fnmatch_line("*harness/errors.py*")


@pytest.mark.parametrize(
    ("chosen", "code"),
    [
        ("passes", 0),
        ("passes or unseen or skipped", 0),
        ("assertion", 1),
        ("driver", 1),
        ("lost", 3),
        ("lost or assertion", 1),
    ],
)
def test_the_exit_code_says_whose_fault_it_was(run, chosen, code):
    result, _ = run(SUITE, "-k", chosen)

    assert result.ret == code


def test_the_summary_is_in_run_json_and_the_tables_are_printed(run, pytester: pytest.Pytester):
    result, _ = run(SUITE)
    summary = json.loads((pytester.path / "run" / "run.json").read_text())["summary"]

    assert {key: summary[key] for key in ("passed", "failed", "errors", "skipped", "not_witnessed")} == {
        "passed": 1,
        "failed": 3,
        "errors": 1,
        "skipped": 1,
        "not_witnessed": 1,
    }
    result.stdout.re_match_lines([r"suite +tests +passed +failed +errors +skipped +witnessed +proven +seconds"])
    result.stdout.re_match_lines(
        [r"not witnessed: it was completed elsewhere", r"  in test_\S+\.py::test_unseen"], consecutive=True
    )
    assert (pytester.path / "run" / "junit.xml").is_file()
    assert (pytester.path / "run" / "report.html").is_file()


def test_pytests_own_junit_file_works_beside_ours(run, pytester: pytest.Pytester):
    run(SUITE, "--junitxml", "own.xml")

    own = (pytester.path / "own.xml").read_text()
    assert 'tests="7"' in own
    assert '<property name="rule" value="REG-01"' in own


def test_a_run_without_our_tests_leaves_nothing_behind(run, pytester: pytest.Pytester):
    result, _ = run("def test_plain(): pass")

    assert result.ret == 0
    assert not (pytester.path / "run").exists()
    assert not (pytester.path / "runs").exists()


def test_a_later_run_takes_the_place_of_an_earlier_one_in_the_same_directory(run):
    run(SUITE)
    _, records = run(SUITE, "-k", "passes")

    assert set(records) == {"test_passes"}


def test_a_directory_that_holds_something_else_is_left_alone(run, pytester: pytest.Pytester):
    (pytester.path / "run").mkdir()
    (pytester.path / "run" / "thesis.txt").write_text("years of work")

    result, _ = run(SUITE, "-k", "passes")

    assert result.ret != 0
    assert (pytester.path / "run" / "thesis.txt").read_text() == "years of work"
    assert "nothing was touched" in result.stdout.str() + result.stderr.str()


def test_two_orders_of_callbacks_that_differ_are_both_shown_whole(run):
    result, _ = run(
        """
        import pytest

        @pytest.mark.rule("REG-01")
        def test_path():
            assert ["above.pre", "low.pre", "low.post", "above.post"] == ["above.pre", "above.post"]
        """
    )

    result.stdout.fnmatch_lines(
        [
            "E*low.pre came, where above.post must come",
            "E*came:      above.pre, low.pre, low.post, above.post",
            "E*must come: above.pre, above.post",
        ]
    )


def test_a_status_that_is_not_the_one_asserted_is_shown_by_name(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        from harness.nt import NtStatus, Status

        def test_of_a_user():
            assert Status(0xC0000022) == NtStatus.SUCCESS
        """
    )

    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    assert "status 0xC0000022 ACCESS_DENIED, must be 0x00000000 SUCCESS" in ran.stdout.str()
