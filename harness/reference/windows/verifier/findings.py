"""Findings: what a driver did that it must not do, where the run could go on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.machine.probes import Probes


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation: the rule of the catalogue (None where the catalogue has none), the driver, and what happened."""

    rule: str | None
    driver: str | None
    text: str
    time: int


class Verifier:
    """Collects findings in the order in which they were made."""

    def __init__(self, now: Callable[[], int], irql: Callable[[], int], probes: "Probes") -> None:
        self.findings: list[Finding] = []
        self._now = now
        self._irql = irql
        self._probes = probes

    def report(self, rule: str | None, driver: str | None, text: str) -> Finding:
        """Record a violation of `rule` by `driver`."""
        finding = Finding(rule, driver, text, self._now())
        self.findings.append(finding)
        self._probes.found(rule, driver, text)
        return finding

    def check_irql(self, expected: int, driver: str | None, what: str, *, rule: str | None = None) -> bool:
        """Report a routine of a driver that has returned at another IRQL than it was called at."""
        irql = self._irql()
        if irql == expected:
            return True
        self.report(rule, driver, f"{what} was called at IRQL {expected} and returned at IRQL {irql}")
        return False
