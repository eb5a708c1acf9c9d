"""A run in numbers: by suite, by rule, and all together.

A rule is *proven* by a run only if a test that names it passed, nothing that names it went wrong, and the rule is known
to be guarded: some deliberate break of it (a mutant of the reference kernel, or a wrong driver) turns its test red.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum

from harness.report.records import Blame, Outcome, TestRecord


class RuleVerdict(StrEnum):
    """What a run says about one rule; the first that applies."""

    VIOLATED = "violated"  # the kernel reported that it was
    FAILED = "failed"  # a test of it failed by its own assertion
    NOT_DECIDED = "not decided"  # a test of it went wrong for another reason
    PROVEN = "proven"  # a test of it passed, which a deliberate break of the rule is known to turn red
    PASSED = "passed"  # a test of it passed, without that knowledge
    NOT_WITNESSED = "not witnessed"  # what it permits did not occur, or its test was flaky
    NOT_RUN = "not run"  # its tests were left out


@dataclass(frozen=True)
class Summary:
    """The run in numbers; `rules_proven` are ids, sorted, and `rules` those of every verdict, by its word.

    `explored` is what the function of that name finds.
    """

    passed: int
    failed: int
    errors: int
    skipped: int
    not_witnessed: int
    flaky: int
    rules_proven: tuple[str, ...]
    seconds: float
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    explored: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def tests(self) -> int:
        return self.passed + self.failed + self.errors + self.skipped + self.not_witnessed + self.flaky


def summarise(records: Iterable[TestRecord], guarded: AbstractSet[str], seconds: float) -> Summary:
    """Count `records`; `guarded` are the rules that a deliberate break is known to turn red."""
    records = list(records)
    count = {outcome: sum(record.outcome is outcome for record in records) for outcome in Outcome}
    verdicts = rule_verdicts(records, guarded)
    return Summary(
        passed=count[Outcome.PASSED],
        failed=count[Outcome.FAILED],
        errors=count[Outcome.ERROR],
        skipped=count[Outcome.SKIPPED],
        not_witnessed=count[Outcome.NOT_WITNESSED],
        flaky=count[Outcome.FLAKY],
        rules_proven=tuple(sorted(rule for rule, verdict in verdicts.items() if verdict is RuleVerdict.PROVEN)),
        seconds=round(seconds, 3),
        rules={
            word.value: tuple(sorted(rule for rule, verdict in verdicts.items() if verdict is word))
            for word in RuleVerdict
            if word in verdicts.values()
        },
        explored=explored(records),
    )


def explored(records: Iterable[TestRecord]) -> dict[str, dict[str, int]]:
    """Of `schedules` and of `seeds`: how many were tried, and how many tests held under each of theirs or did not."""
    found: dict[str, dict[str, int]] = {}
    for one in (record.schedules for record in records if record.schedules):
        counts = found.setdefault("seeds" if one.by_seeds else "schedules", {"tried": 0, "held": 0, "failed": 0})
        counts["tried"] += one.tried
        counts["failed" if one.failed else "held"] += 1
    return found


def rule_verdicts(records: Iterable[TestRecord], guarded: AbstractSet[str]) -> dict[str, RuleVerdict]:
    """What the run says about each rule that some test of it names, and of those that the kernel reported."""
    records = list(records)
    found: dict[str, set[RuleVerdict]] = {}
    for record in records:
        for rule in record.rules:
            found.setdefault(rule, set()).add(_verdict(record, proves=rule in guarded))
    for record in records:
        for rule in record.violated:
            found.setdefault(rule, set()).add(RuleVerdict.VIOLATED)
    return {rule: next(word for word in RuleVerdict if word in words) for rule, words in found.items()}


def by_suite(records: Iterable[TestRecord]) -> Mapping[str, list[TestRecord]]:
    """The records of each suite, suites by name: with several workers they come in any order."""
    suites: dict[str, list[TestRecord]] = {}
    for record in records:
        suites.setdefault(record.suite, []).append(record)
    return dict(sorted(suites.items()))


def _verdict(record: TestRecord, *, proves: bool) -> RuleVerdict:
    """What one test says of a rule that it names."""
    match record.outcome:
        case Outcome.FAILED:
            return RuleVerdict.NOT_DECIDED if record.blame is Blame.DRIVER else RuleVerdict.FAILED
        case Outcome.ERROR:
            return RuleVerdict.NOT_DECIDED
        case Outcome.PASSED:
            return RuleVerdict.PROVEN if proves else RuleVerdict.PASSED
        case Outcome.NOT_WITNESSED | Outcome.FLAKY:
            return RuleVerdict.NOT_WITNESSED
        case Outcome.SKIPPED:
            return RuleVerdict.NOT_RUN
