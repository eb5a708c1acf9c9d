"""The tables a run ends with: its suites, and its rules."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.report.records import Outcome, TestRecord
from harness.report.summary import RuleVerdict, Summary, by_suite, explored, rule_verdicts

STYLE = {
    RuleVerdict.VIOLATED: "bold red",
    RuleVerdict.FAILED: "bold red",
    RuleVerdict.NOT_DECIDED: "bold magenta",
    RuleVerdict.PROVEN: "green",
    RuleVerdict.PASSED: "cyan",
    RuleVerdict.NOT_WITNESSED: "yellow",
    RuleVerdict.NOT_RUN: "dim",
}
NAMED = 10
"""How many tests that were not witnessed or flaky are named in the terminal."""
REMARK = {
    RuleVerdict.VIOLATED: ", as the kernel reports",
    RuleVerdict.FAILED: ", by a test's own assertion",
    RuleVerdict.NOT_DECIDED: ": its test went wrong for another reason",
    RuleVerdict.PASSED: ", by a test that no deliberate break is known to turn red",
}


_NOTHING: Mapping[str, str] = {}


def tables(
    records: Sequence[TestRecord], summary: Summary, guarded: frozenset[str], covered: Mapping[str, str] = _NOTHING
) -> RenderableType:
    """The table of suites, and the rules by what the run says about them.

    `covered` is how much of the lines of its drivers each suite ran, where that was measured.
    """
    return Group(suite_table(records, summary, guarded, covered), rule_table(records, guarded))


def not_witnessed(records: Sequence[TestRecord]) -> list[str]:
    """Which tests ended as not witnessed or flaky, and what did not occur, or failed at first: a line each."""
    told: list[str] = []
    for record in records:
        if record.outcome is Outcome.FLAKY:
            told.append(f"flaky: {record.message}\n  in {record.nodeid}")
        elif record.outcome is Outcome.NOT_WITNESSED:
            unseen = [witness.text for witness in record.witnesses if not witness.seen]
            told += [f"not witnessed: {text}\n  in {record.nodeid}" for text in unseen]
    more = [f"and {len(told) - NAMED} more, which the report names"] if len(told) > NAMED else []
    return "\n".join([*told[:NAMED], *more]).splitlines()


def held_or_failed(records: Sequence[TestRecord]) -> list[str]:
    """What came of trying tests under many schedules, or with many seeds: how many held, and which did not."""
    lines: list[str] = []
    for unit, counts in explored(records).items():
        tests = f"{counts['held']} tests held under each of theirs, {counts['failed']} failed"
        lines.append(f"{unit}: {counts['tried']} tried; {tests}")
    failed = [f"  {one}: {record.nodeid}" for record in records if (one := record.schedules) and one.failed]
    more = [f"  and {len(failed) - NAMED} more, which the report names"] if len(failed) > NAMED else []
    return [*lines, *failed[:NAMED], *more]


def suite_table(
    records: Sequence[TestRecord], summary: Summary, guarded: frozenset[str], covered: Mapping[str, str] = _NOTHING
) -> Table:
    """One row a suite, and the sum; `proven` counts rules, `lines` is coverage, all others are tests."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("\nsuite", no_wrap=True)
    flaky = ("flaky",) if summary.flaky else ()
    for heading in ("tests", "passed", "failed", "errors", "skipped", "not\nwitnessed", *flaky, "proven", "seconds"):
        table.add_column(heading if "\n" in heading else f"\n{heading}", justify="right", no_wrap=True)
    if covered:
        table.add_column("\nlines", justify="right", no_wrap=True)
    for name, tests in by_suite(records).items():
        proven = sum(verdict is RuleVerdict.PROVEN for verdict in rule_verdicts(tests, guarded).values())
        lines = [covered.get(name, "")] if covered else []
        table.add_row(
            Text(name), *_counts(tests, summary), str(proven), f"{sum(test.seconds for test in tests):.1f}", *lines
        )
    table.add_section()
    table.add_row(
        "all",
        *_counts(records, summary),
        str(len(summary.rules_proven)),
        f"{summary.seconds:.1f}",
        style="bold",
        end_section=True,
    )
    return table


def rule_table(records: Sequence[TestRecord], guarded: frozenset[str]) -> Table:
    """The ids of the rules, grouped by verdict; empty if no test names a rule."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column("how many", justify="right")
    table.add_column("verdict and rules", ratio=1)
    verdicts = rule_verdicts(records, guarded)
    for verdict in RuleVerdict:
        rules = sorted(rule for rule, seen in verdicts.items() if seen is verdict)
        if rules:
            said = Text.assemble((f"{verdict.value}{REMARK.get(verdict, '')}", STYLE[verdict]), ": ", " ".join(rules))
            table.add_row(str(len(rules)), said)
    return table


def _counts(records: Sequence[TestRecord], summary: Summary) -> list[str]:
    outcomes = [outcome for outcome in Outcome if outcome is not Outcome.FLAKY or summary.flaky]
    counted = [str(sum(record.outcome is outcome for record in records)) for outcome in outcomes]
    return [str(len(records)), *counted]
