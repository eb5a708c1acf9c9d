"""What a case has uncovered, and what makes two of them the same."""

import re
from dataclasses import dataclass

from harness.guest.crash import calls
from harness.wire.attempts import Attempt
from harness.wire.kernel_state import Finding, Stop, StopKind

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\b\d+\b|'[^']*'|\"[^\"]*\"|\\\S+")


@dataclass(frozen=True)
class Fault:
    """A cause: two faults with the same `cause` are one."""

    cause: tuple[str, ...]
    message: str
    chain: tuple[str, ...] = ()
    rule: str = ""
    is_drivers: bool = True
    """False for what is no verdict on the driver: a missing export, or the kernel's own failure."""

    @property
    def lines(self) -> list[str]:
        """For people."""
        return [self.message, *(f"  {line}" for line in calls(self.chain))]


def faults_in(attempt: Attempt) -> list[Fault]:
    """What an attempt has uncovered, the end of the kernel first."""
    found = [_of_stop(attempt.stop)] if attempt.stop is not None else []
    return found + [_of_finding(finding) for finding in attempt.findings]


def endless(driver: str) -> Fault:
    """A case that does not come to its end."""
    return Fault(("endless",), f"{driver} does not come back: the script does not come to its end")


def died(driver: str, code: int) -> Fault:
    """A case under which the kernel's process died."""
    return Fault(("died",), f"the process of the reference kernel died under {driver} ({code})", is_drivers=False)


def _of_stop(stop: Stop) -> Fault:
    ours = stop.kind in (StopKind.MISSING_EXPORT, StopKind.KERNEL_FAULT)
    chain = stop.chain or ((stop.location,) if stop.location else ())
    place = chain[0] if chain else ",".join(waiter.location or "" for waiter in stop.waiters)
    name = stop.name if stop.kind is StopKind.BUGCHECK else stop.kind.value
    cause = (stop.kind.value, name, place or _same(stop.message))
    return Fault(cause, f"{name}: {stop.message}", chain, stop.rule or "", not ours)


def _of_finding(finding: Finding) -> Fault:
    place = finding.chain[0] if finding.chain else ""
    rule = f"{finding.rule}: " if finding.rule else ""
    cause = ("finding", finding.rule or "", finding.driver or "", place or _same(finding.text))
    return Fault(cause, f"{rule}{finding.driver or 'a driver'} {finding.text}", finding.chain, finding.rule or "")


def _same(text: str) -> str:
    """A text without what differs from run to run."""
    return _NUMBER.sub("#", text)
