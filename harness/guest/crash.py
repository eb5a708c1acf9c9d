"""What the reference kernel says of its end, and whose fault that is.

A bug check, a deadlock or a hang while a driver under test is loaded is that driver's failure (DriverError, named or
undetermined). A missing export, a fault of the reference kernel itself, or its process being gone is an error of the
guest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import DriverError, FltLabError, GuestError
from harness.guest.command import CommandResult
from harness.text import read_json

MARK = "fltlab-kernel-stopped "
"""How the daemon begins the line on standard error with which a command ends that the kernel did not survive."""

FINDINGS = "fltlab-kernel-findings "
"""How it begins the line with which a program ends that the kernel survived: how many findings its verifier has."""

OUR_FAULTS = {
    "missing-export": (
        "the reference kernel lacks a function that a driver needs",
        "fltlab kernel imports lists what it has; on Windows the driver may well load",
    ),
    "kernel-fault": ("the reference kernel itself failed", "this is a fault of fltlab; its folder of the run has more"),
}


@dataclass(frozen=True)
class KernelStatus:
    """What the reference kernel, or the daemon for it, says of its state.

    `state`: running, starting, bugcheck, hang, busy (it has not answered in time), gone (its process has ended).
    `facts` is the rest of the document, as host.py gives it.
    """

    state: str
    facts: Mapping[str, Any]

    @property
    def stop(self) -> Mapping[str, Any]:
        """The facts of a bug check or a hang; empty if it is neither."""
        found = self.facts.get(self.state)
        return found if isinstance(found, Mapping) else {}


def parse_status(result: CommandResult) -> KernelStatus:
    """Read what `fltlab-kernel status --json` printed."""
    try:
        document = read_json(result.output)
        return KernelStatus(str(document.pop("state")), document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GuestError("the guest did not say how its kernel is", details=result.describe()) from error


def stopped_kernel(result: CommandResult) -> KernelStatus | None:
    """The end of the kernel under this command, if that is what ended it."""
    for line in result.errors.splitlines():
        if line.startswith(MARK):
            try:
                document = read_json(line.removeprefix(MARK))
                return KernelStatus(str(document.pop("state")), document)
            except (ValueError, KeyError, TypeError, AttributeError):
                return KernelStatus("gone", {"message": line})
    return None


def without_mark(result: CommandResult) -> CommandResult:
    """The same without that line, for messages: the error says what is in it."""
    return _without(result, MARK)


def told_findings(result: CommandResult) -> tuple[CommandResult, int | None]:
    """The result without what the daemon added, and how many findings the kernel's verifier has; None if not told."""
    told = [line.removeprefix(FINDINGS) for line in result.errors.splitlines() if line.startswith(FINDINGS)]
    if not told:
        return result, None
    return _without(result, FINDINGS), int(told[-1]) if told[-1].isdecimal() else None


def _without(result: CommandResult, mark: str) -> CommandResult:
    lines = (line for line in result.stderr.splitlines(keepends=True) if not line.startswith(mark.encode()))
    return replace(result, stderr=b"".join(lines))


def kernel_error(status: KernelStatus, drivers: Sequence[str], details: tuple[str, ...] = ()) -> FltLabError:
    """The error for a kernel that is not running any more; `drivers` are those under test that were loaded."""
    try:
        return _kernel_error(status, drivers, details)
    except (ValueError, TypeError, AttributeError) as error:
        return GuestError(
            "the guest did not say in order how its kernel ended",
            details=(f"{type(error).__name__}: {error}", f"state: {status.state}", *details),
        )


def _kernel_error(status: KernelStatus, drivers: Sequence[str], details: tuple[str, ...]) -> FltLabError:
    stop = status.stop
    facts = (*_facts(status), *details)
    rules = (str(stop["rule"]),) if stop.get("rule") else ()
    ours = OUR_FAULTS.get(str(stop.get("kind")))
    if ours is not None:
        return GuestError(f"{ours[0]}: {stop.get('message')}", details=facts, hint=ours[1])
    if status.state == "bugcheck":
        name = f"{stop.get('name')} (0x{int(stop.get('code') or 0):X})"
        if drivers:
            return DriverError(
                f"bug check {name} in {_culprit(stop, drivers)}: {stop.get('message')}", details=facts, rules=rules
            )
        return GuestError(f"bug check {name} with no driver under test loaded: {stop.get('message')}", details=facts)
    if status.state == "hang":
        kind = str(stop.get("kind") or "hang")
        if drivers:
            return DriverError(
                f"{kind} in {_culprit(stop, drivers)}: {stop.get('message')}", details=facts, rules=rules
            )
        return GuestError(f"{kind} with no driver under test loaded: {stop.get('message')}", details=facts)
    if status.state == "busy":
        return GuestError("the reference kernel is still at work, and does not say with what end", details=facts)
    return GuestError(
        "the process of the reference kernel has ended",
        details=facts,
        hint="fltlab-kernel restart in the guest starts another; its last lines are above",
    )


def _culprit(stop: Mapping[str, Any], drivers: Sequence[str]) -> str:
    named = stop.get("driver")
    if named:
        return f"driver {named}"
    return f"an undetermined driver (loaded: {', '.join(drivers)})"


def _facts(status: KernelStatus) -> tuple[str, ...]:
    lines: list[str] = []
    stop = status.stop
    if stop.get("rule"):
        lines.append(f"rule: {stop['rule']}")
    if stop.get("parameters"):
        lines.append("parameters: " + ", ".join(f"0x{int(value):X}" for value in stop["parameters"]))
    if stop.get("location"):
        lines.append(f"at {stop['location']}")
    lines += [
        f"{waiter.get('name')} ({waiter.get('process')}:{waiter.get('thread')}) waits for {waiter.get('waits_for')}"
        for waiter in stop.get("waiters") or ()
    ]
    if not stop and status.facts.get("message"):
        lines += str(status.facts["message"]).splitlines()
    return tuple(lines)
