"""What the kernel of a guest has found its drivers doing wrong.

The reference kernel's verifier reports by driver and rule; a finding fails the test in which it was made. Windows says
such things with a bug check, which the guest itself turns into an error.
"""

from collections import Counter
from typing import Any

from harness.contract import load_catalogue
from harness.errors import DriverError, GuestError
from harness.fleet.pool import Lease
from harness.guest.crash import KernelStatus, parse_status
from harness.machine.deadlines import Wait


class KernelWatch:
    """Watches one guest's kernel during one test."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._checked_after = 0

    def check(self) -> None:
        """Raise DriverError if the verifier has made findings since the last time anybody looked.

        A reference kernel does nothing by itself: one that was asked nothing since then is not asked again. Nor is one
        that has said at the end of a program how many findings there are, if those are known.
        """
        guest = self._lease.guest
        command = guest.profile.kernel_status
        if command is None or guest.commands == self._checked_after:
            return
        if guest.findings == self._lease.findings:
            self._checked_after = guest.commands
            return
        status = parse_status(guest.run(command, timeout=Wait.KERNEL_STATUS))
        self._checked_after = guest.commands
        findings = _findings(status)
        new, self._lease.findings = findings[self._lease.findings :], len(findings)
        if new:
            raise _error(new)


def _findings(status: KernelStatus) -> list[dict[str, Any]]:
    """What the verifier has found; GuestError if it is told in no way that can be read."""
    found = status.facts.get("findings") or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise GuestError("the guest did not say in order what its verifier has found", details=(repr(found)[:400],))
    return found


def _error(findings: list[dict[str, Any]]) -> DriverError:
    first = findings[0]
    rule = f"{first['rule']} violated: " if first.get("rule") else ""
    others = Counter(map(_line, findings[1:]))
    details = [f"also found: {line}{f' ({count} times)' if count > 1 else ''}" for line, count in others.items()]
    catalogue = load_catalogue()
    if str(first.get("rule")) in catalogue:
        known = catalogue[str(first["rule"])]
        details += [f"{known.id} says: {known.statement}", f"source: {known.source}"]
    driver = first.get("driver") or "an undetermined driver"
    return DriverError(
        f"{rule}{driver} {first.get('text')}",
        details=tuple(details),
        rules=tuple(dict.fromkeys(str(finding["rule"]) for finding in findings if finding.get("rule"))),
        findings=tuple(findings),
    )


def _line(finding: dict[str, Any]) -> str:
    rule = f"{finding['rule']}: " if finding.get("rule") else ""
    return f"{rule}{finding.get('driver') or 'an undetermined driver'} {finding.get('text')}"
