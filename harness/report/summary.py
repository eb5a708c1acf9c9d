"""A run in numbers: by suite, by rule, and all together.

A rule is *proven* by a run only if a test that names it passed, none that names it failed, and the rule is known to
be guarded: some deliberate break of it (a mutant of the reference kernel, or a wrong driver) turns its test red.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from harness.report.records import Outcome, TestRecord


class RuleVerdict(StrEnum):
    """What a run says about one rule."""

    PROVEN = "proven"
    PASSED = "passed"  # a test of it passed, but no deliberate break is known to turn that test red
    NOT_WITNESSED = "not witnessed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Summary:
    """The run in numbers; `rules_proven` are ids, sorted."""

    passed: int
    failed: int
    errors: int
    skipped: int
    not_witnessed: int
    rules_proven: tuple[str, ...]
    seconds: float

    @property
    def tests(self) -> int:
        return self.passed + self.failed + self.errors + self.skipped + self.not_witnessed


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
        rules_proven=tuple(sorted(rule for rule, verdict in verdicts.items() if verdict is RuleVerdict.PROVEN)),
        seconds=round(seconds, 3),
    )


def rule_verdicts(records: Iterable[TestRecord], guarded: AbstractSet[str]) -> dict[str, RuleVerdict]:
    """What the run says about each rule that some test of it names."""
    outcomes: dict[str, set[Outcome]] = {}
    for record in records:
        for rule in record.rules:
            outcomes.setdefault(rule, set()).add(record.outcome)
    return {rule: _verdict(rule, seen, guarded) for rule, seen in outcomes.items()}


def by_suite(records: Iterable[TestRecord]) -> Mapping[str, list[TestRecord]]:
    """The records of each suite, suites by name: with several workers they come in any order."""
    suites: dict[str, list[TestRecord]] = {}
    for record in records:
        suites.setdefault(record.suite, []).append(record)
    return dict(sorted(suites.items()))


def _verdict(rule: str, seen: AbstractSet[Outcome], guarded: AbstractSet[str]) -> RuleVerdict:
    if Outcome.FAILED in seen:
        return RuleVerdict.FAILED
    if Outcome.ERROR in seen:
        return RuleVerdict.ERROR
    if Outcome.PASSED in seen:
        return RuleVerdict.PROVEN if rule in guarded else RuleVerdict.PASSED
    return RuleVerdict.NOT_WITNESSED if Outcome.NOT_WITNESSED in seen else RuleVerdict.SKIPPED
