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
    chain: tuple[str, ...] = ()
    """The calls that have led to it, innermost first, as far as they are the driver's; of what was left behind those
    that took it."""


class Verifier:
    """Collects findings in the order in which they were made."""

    def __init__(
        self,
        now: Callable[[], int],
        irql: Callable[[], int],
        probes: "Probes",
        chain: "Callable[[], tuple[str, ...]]",
        returned: "Callable[[str], tuple[str, ...]]",
    ) -> None:
        self.findings: list[Finding] = []
        self.locked_by_drivers: set[int] = set()
        """Where buffers of programs begin that drivers have locked with MDLs of their own (MmProbeAndLockPages)."""
        self.attached_to: set[int] = set()
        """EPROCESSes that some thread was attached to (KeStackAttachProcess)."""
        self._now = now
        self._irql = irql
        self._probes = probes
        self._chain = chain
        self._returned = returned

    def report(
        self, rule: str | None, driver: str | None, text: str, *, chain: tuple[str, ...] | None = None
    ) -> Finding:
        """Record a violation of `rule` by `driver`; `chain` are the calls that led to it, if not those under way."""
        if chain is None:
            chain = self._chain()
        if driver is None and chain:
            driver = chain[0].rpartition("+")[0]
        elif driver is not None and not any(place.startswith(f"{driver}+") for place in chain):
            chain = self._returned(driver)  # others' calls say nothing about this driver
        finding = Finding(rule, driver, text, self._now(), chain)
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
