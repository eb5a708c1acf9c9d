"""The kernel's verifier is asked for its findings when there may be some, and not otherwise."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import DriverError
from harness.fleet.health import KernelWatch
from harness.guest.command import CommandResult

FINDING = {"rule": "PRE-PEND-02", "driver": "pending", "text": "holds an operation that nobody completed"}


class Guest:
    """A guest whose last program told of some findings, and that has some in truth."""

    profile = SimpleNamespace(kernel_status="fltlab-kernel status --json")

    def __init__(self) -> None:
        self.commands = 0
        self.findings: int | None = None
        self.asked = 0
        self.kept: list[dict[str, Any]] = []

    def program(self, told: int | None) -> None:
        self.commands, self.findings = self.commands + 1, told

    def run(self, command: str, timeout: object = None) -> CommandResult:
        self.commands, self.findings, self.asked = self.commands + 1, None, self.asked + 1
        document = {"state": "running", "findings": self.kept}
        return CommandResult(command, 0, json.dumps(document).encode(), b"")


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def watch(guest: Guest) -> KernelWatch:
    return KernelWatch(SimpleNamespace(guest=guest, findings=0))  # type: ignore[arg-type]


def test_a_program_that_told_of_no_new_finding_is_believed(guest: Guest, watch: KernelWatch):
    guest.program(told=0)

    watch.check()

    assert guest.asked == 0


def test_a_finding_that_was_told_of_is_asked_for_and_raised_once(guest: Guest, watch: KernelWatch):
    guest.kept = [FINDING]
    guest.program(told=1)

    with pytest.raises(DriverError, match="PRE-PEND-02 violated: pending holds an operation"):
        watch.check()
    watch.check()
    guest.program(told=1)
    watch.check()

    assert guest.asked == 1


def test_of_several_findings_the_first_is_the_error_and_the_others_are_added(guest: Guest, watch: KernelWatch):
    guest.kept = [FINDING, {**FINDING, "rule": "IRQL-08", "text": "resumes at DISPATCH_LEVEL"}]
    guest.program(told=2)

    with pytest.raises(DriverError) as caught:
        watch.check()

    assert str(caught.value).count("holds an operation that nobody completed") == 1
    assert "also found: IRQL-08: pending resumes at DISPATCH_LEVEL" in caught.value.details


def test_a_command_that_did_not_tell_is_no_proof_of_anything(guest: Guest, watch: KernelWatch):
    guest.program(told=0)
    guest.program(told=None)
    guest.kept = [FINDING]

    with pytest.raises(DriverError, match="pending"):
        watch.check()
