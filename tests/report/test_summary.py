"""What a run counts, and what it calls proven."""

import io
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.report.provenance import Provenance, read_run_json, write_run_json
from harness.report.records import Blame, Outcome, TestRecord
from harness.report.summary import RuleVerdict, rule_verdicts, summarise
from harness.report.table import not_witnessed, tables

HERE = Path(__file__).parent
GUARDED = frozenset({"PRE-COMP-01", "PRE-COMP-02", "IRQL-05"})


def test_every_outcome_is_counted_once(records: list[TestRecord]):
    summary = summarise(records, GUARDED, seconds=9.0)

    assert (summary.passed, summary.failed, summary.errors, summary.skipped, summary.not_witnessed) == (1, 1, 1, 1, 1)
    assert summary.tests == len(records)


def test_a_rule_is_proven_only_if_a_deliberate_break_is_known_to_turn_its_test_red(records: list[TestRecord]):
    verdicts = rule_verdicts(records, GUARDED)

    assert verdicts["PRE-COMP-01"] is RuleVerdict.PROVEN
    assert verdicts["PRE-COMP-03"] is RuleVerdict.PASSED
    assert summarise(records, GUARDED, 9.0).rules_proven == ("PRE-COMP-01",)


def test_one_failed_test_outweighs_the_passed_ones_of_a_rule(records: list[TestRecord]):
    contradicting = replace(records[0], nodeid="other", outcome=Outcome.FAILED)

    assert rule_verdicts([*records, contradicting], GUARDED)["PRE-COMP-01"] is RuleVerdict.FAILED


def test_a_rule_that_the_kernel_reports_is_violated_whatever_else_passed(records: list[TestRecord]):
    failed = replace(records[1], blame=Blame.DRIVER, violated=("PRE-COMP-01", "PRE-PEND-02"))

    verdicts = rule_verdicts([records[0], failed], GUARDED)

    assert verdicts["PRE-COMP-01"] is RuleVerdict.VIOLATED
    assert verdicts["PRE-PEND-02"] is RuleVerdict.VIOLATED


def test_a_rule_whose_test_went_wrong_for_another_reason_is_not_decided(records: list[TestRecord]):
    failed = replace(records[1], blame=Blame.DRIVER, violated=("PRE-PEND-02",))

    assert rule_verdicts([failed], GUARDED)["PRE-COMP-02"] is RuleVerdict.NOT_DECIDED
    assert rule_verdicts([records[3]], GUARDED)["IRQL-01"] is RuleVerdict.NOT_DECIDED


def test_a_rule_whose_tests_were_left_out_was_not_run(records: list[TestRecord]):
    assert rule_verdicts([records[4]], GUARDED)["IRQL-02"] is RuleVerdict.NOT_RUN


def test_what_was_not_witnessed_proves_nothing(records: list[TestRecord]):
    assert rule_verdicts(records, GUARDED)["IRQL-05"] is RuleVerdict.NOT_WITNESSED


def test_what_was_not_witnessed_is_told_with_its_test_and_of_many_the_first(records: list[TestRecord]):
    one = next(record for record in records if record.outcome is Outcome.NOT_WITNESSED)

    told = not_witnessed([*records, *[one] * 11])

    assert told[:2] == ["not witnessed: a post ran at DISPATCH_LEVEL", f"  in {one.nodeid}"]
    assert (len(told), told[-1]) == (21, "and 2 more, which the report names")


def test_a_flaky_test_proves_nothing_and_has_a_column_and_its_words(records: list[TestRecord]):
    flaky = replace(records[0], outcome=Outcome.FLAKY, message="passed on a fresh guest; failed before")
    out = io.StringIO()
    summary = summarise([flaky], GUARDED, 1.0)
    Console(file=out, width=80, color_system=None).print(tables([flaky], summary, GUARDED))

    assert (summary.flaky, summary.tests, summary.rules_proven) == (1, 1, ())
    assert "witnessed flaky proven" in out.getvalue()
    assert not_witnessed([flaky]) == [f"flaky: {flaky.message}", f"  in {flaky.nodeid}"]


def test_run_json_holds_the_summary_and_is_read_back(tmp_path: Path, provenance: Provenance, records: list[TestRecord]):
    path = write_run_json(tmp_path, provenance, summarise(records, GUARDED, 9.0))
    data = json.loads(path.read_text())

    assert data["summary"] == {
        "passed": 1,
        "failed": 1,
        "errors": 1,
        "skipped": 1,
        "not_witnessed": 1,
        "flaky": 0,
        "rules_proven": ["PRE-COMP-01"],
        "seconds": 9.0,
        "rules": {
            "failed": ["PRE-COMP-02"],
            "not decided": ["IRQL-01"],
            "proven": ["PRE-COMP-01"],
            "passed": ["PRE-COMP-03"],
            "not witnessed": ["IRQL-05"],
            "not run": ["IRQL-02"],
        },
        "explored": {},
    }
    assert "not of Windows" in data["guests"]["reference"]["notice"]
    assert read_run_json(tmp_path) == provenance


def test_run_json_of_an_unfinished_run_has_no_summary(tmp_path: Path, provenance: Provenance):
    assert json.loads(write_run_json(tmp_path, provenance, None).read_text())["summary"] is None


def test_the_tables_at_the_end(records: list[TestRecord]):
    out = io.StringIO()
    summary = summarise(records, GUARDED, 9.0)
    Console(file=out, width=110, color_system=None).print(tables(records, summary, GUARDED))

    assert [line.rstrip() for line in out.getvalue().splitlines()] == (
        HERE / "golden" / "tables.txt"
    ).read_text().splitlines()
