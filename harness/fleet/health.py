"""What the kernel of a guest has found its drivers doing wrong.

The reference kernel's verifier reports by driver and rule; a finding fails the test in which it was made. Windows says
such things with a bug check, which the guest itself turns into an error.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from harness.contract import load_catalogue
from harness.errors import DriverError
from harness.fleet.pool import Lease
from harness.guest import GuestState
from harness.guest.crash import calls, parse_findings, parse_status
from harness.guest.registration import word
from harness.machine.deadlines import Wait
from harness.wire.kernel_state import Finding


class KernelWatch:
    """Watches one guest's kernel during one test."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._checked_after = 0
        self._has_raised = False

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
        state = parse_status(guest.run(command, timeout=Wait.KERNEL_STATUS))
        self._checked_after = guest.commands
        new, self._lease.findings = state.findings[self._lease.findings :], len(state.findings)
        if new:
            self._has_raised = True
            raise _error(new)

    def begin_again(self) -> None:
        """The kernel is where it was before: what it has found since then it has not found."""
        self._checked_after, self._has_raised = 0, False

    def audit(self, *, for_good: bool = False) -> None:
        """Raise DriverError if drivers of the stack would leave anything behind, or stop the kernel, when unloaded.

        They stay loaded, unless it is `for_good`: that is done sooner, in a guest that nobody has afterwards. Where the
        kernel has reported something already, or is gone, there is nothing more to learn.
        """
        guest = self._lease.guest
        command, services = guest.profile.kernel_audit, guest.drivers_under_test
        if command is None or not services or self._has_raised or guest.state is not GuestState.READY:
            return
        words = [command, *(["--for-good"] if for_good else []), *map(word, services)]
        found = parse_findings(guest.succeed(" ".join(words), timeout=Wait.KERNEL_STATUS))
        if found:
            self._has_raised = True
            raise _error(found)


def _error(findings: Sequence[Finding]) -> DriverError:
    first = findings[0]
    rule = f"{first.rule} violated: " if first.rule else ""
    others = Counter(map(_line, findings[1:]))
    # A finding about what was taken says where already.
    details = [line for place, line in zip(first.chain, calls(first.chain), strict=True) if place not in first.text]
    details += [f"also found: {line}{f' ({count} times)' if count > 1 else ''}" for line, count in others.items()]
    catalogue = load_catalogue()
    if first.rule and first.rule in catalogue:
        known = catalogue[first.rule]
        details += [f"{known.id} says: {known.statement}", f"source: {known.source}"]
    return DriverError(
        f"{rule}{_driver(first)} {first.text}",
        details=tuple(details),
        rules=tuple(dict.fromkeys(finding.rule for finding in findings if finding.rule)),
        findings=tuple(asdict(finding) for finding in findings),
    )


def _driver(finding: Finding) -> str:
    return finding.driver or "an undetermined driver"


def _line(finding: Finding) -> str:
    rule = f"{finding.rule}: " if finding.rule else ""
    return f"{rule}{_driver(finding)} {finding.text}"
