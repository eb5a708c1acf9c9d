"""What went wrong in a run: each cause once, with all the tests in which it did."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.report.records import Outcome, TestRecord

_WENT_WRONG = frozenset({Outcome.FAILED, Outcome.ERROR})


@dataclass
class Trouble:
    """One cause: the tests that went wrong for it, in the order of the run, and their places in it."""

    tests: list[TestRecord] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    @property
    def first(self) -> TestRecord:
        """The test in which it came up."""
        return self.tests[0]

    @property
    def rules(self) -> list[str]:
        """The rules that the kernel has reported as violated."""
        return list(dict.fromkeys(rule for test in self.tests for rule in test.violated))


def troubles(records: Iterable[TestRecord]) -> list[Trouble]:
    """The troubles of a run, in the order in which they came up."""
    found: dict[str, Trouble] = {}
    for number, record in enumerate(records):
        if record.outcome in _WENT_WRONG:
            trouble = found.setdefault(record.cause or record.message or record.outcome.value, Trouble())
            trouble.tests.append(record)
            trouble.numbers.append(number)
    return list(found.values())
