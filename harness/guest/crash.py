"""What the reference kernel says of its end, and whose fault that is.

A bug check, a deadlock or a hang while a driver under test is loaded is that driver's failure (DriverError, named or
undetermined). A missing export, a fault of the reference kernel itself, or its process being gone is an error of the
guest.
"""

from collections.abc import Sequence
from dataclasses import replace

from harness.errors import DriverError, FltLabError, GuestError
from harness.guest.command import CommandResult
from harness.text import read_json
from harness.wire.codec import from_data
from harness.wire.kernel import ASKED_IN_VAIN, CALLBACKS_MARK, FINDINGS_MARK, STOPPED_MARK, Coverage, Findings
from harness.wire.kernel_state import Finding, KernelState, SeenCallbacks, State, Stop, StopKind

OUR_FAULTS = {
    StopKind.MISSING_EXPORT: (
        "the reference kernel lacks a function that a driver needs",
        "fltlab kernel imports lists what it has; on Windows the driver may well load",
    ),
    StopKind.KERNEL_FAULT: (
        "the reference kernel itself failed",
        "this is a fault of fltlab; its folder of the run has more",
    ),
}


def parse_status(result: CommandResult) -> KernelState:
    """Read what `fltlab-kernel status` printed."""
    try:
        return from_data(KernelState, read_json(result.output))
    except ValueError as error:
        raise GuestError(
            "the guest did not say how its kernel is", details=(f"{type(error).__name__}: {error}", *result.describe())
        ) from error


def parse_findings(result: CommandResult) -> tuple[Finding, ...]:
    """Read what `fltlab-kernel audit` printed."""
    try:
        return from_data(Findings, read_json(result.output)).findings
    except ValueError as error:
        raise GuestError(
            "the guest did not say what its drivers would leave behind",
            details=(f"{type(error).__name__}: {error}", *result.describe()),
        ) from error


def parse_coverage(result: CommandResult) -> Coverage:
    """Read what `fltlab-kernel coverage` printed."""
    try:
        return from_data(Coverage, read_json(result.output))
    except ValueError as error:
        raise GuestError(
            "the guest did not say what has run of its drivers",
            details=(f"{type(error).__name__}: {error}", *result.describe()),
        ) from error


def stopped_kernel(result: CommandResult) -> KernelState | None:
    """The end of the kernel under this command, if that is what ended it."""
    for line in result.errors.splitlines():
        if line.startswith(STOPPED_MARK):
            try:
                return from_data(KernelState, read_json(line.removeprefix(STOPPED_MARK)))
            except ValueError:
                return KernelState(State.GONE, line)
    return None


def without_mark(result: CommandResult) -> CommandResult:
    """The same without that line, for messages: the error says what is in it."""
    return _without(result, STOPPED_MARK)


def told_findings(result: CommandResult) -> tuple[CommandResult, int | None]:
    """The result without what the daemon added, and how many findings the kernel's verifier has; None if not told."""
    told = [line.removeprefix(FINDINGS_MARK) for line in result.errors.splitlines() if line.startswith(FINDINGS_MARK)]
    if not told:
        return result, None
    return _without(result, FINDINGS_MARK), int(told[-1]) if told[-1].isdecimal() else None


def told_callbacks(result: CommandResult) -> tuple[CommandResult, SeenCallbacks]:
    """The result without what the daemon added, and what the kernel has seen of watched minifilters meanwhile."""
    for line in result.errors.splitlines():
        if line.startswith(CALLBACKS_MARK):
            try:
                seen = from_data(SeenCallbacks, read_json(line.removeprefix(CALLBACKS_MARK)))
            except ValueError as error:
                raise GuestError("the guest did not say what its kernel has seen", details=(str(error),)) from error
            return _without(result, CALLBACKS_MARK), seen
    return result, SeenCallbacks()


def _without(result: CommandResult, mark: str) -> CommandResult:
    lines = (line for line in result.stderr.splitlines(keepends=True) if not line.startswith(mark.encode()))
    return replace(result, stderr=b"".join(lines))


def kernel_error(state: KernelState, drivers: Sequence[str], details: tuple[str, ...] = ()) -> FltLabError:
    """The error for a kernel that is not running any more; `drivers` are those under test that were loaded."""
    facts = (*_facts(state), *details)
    stop = state.stop
    if stop is not None:
        ours = OUR_FAULTS.get(stop.kind)
        if ours is not None:
            return GuestError(f"{ours[0]}: {stop.message}", details=facts, hint=ours[1])
        what = f"bug check {stop.name} (0x{stop.code:X})" if stop.kind is StopKind.BUGCHECK else stop.kind.value
        if not drivers:
            return GuestError(f"{what} with no driver under test loaded: {stop.message}", details=facts)
        rules = (stop.rule,) if stop.rule else ()
        return DriverError(f"{what} in {_culprit(stop, drivers)}: {stop.message}", details=facts, rules=rules)
    if state.state is State.BUSY:
        return GuestError("the reference kernel is still at work, and does not say with what end", details=facts)
    return GuestError(
        "the process of the reference kernel has ended",
        details=facts,
        hint="fltlab-kernel restart in the guest starts another; its last lines are above",
    )


def _culprit(stop: Stop, drivers: Sequence[str]) -> str:
    if stop.driver:
        return f"driver {stop.driver}"
    return f"an undetermined driver (loaded: {', '.join(drivers)})"


def calls(chain: Sequence[str]) -> list[str]:
    """A chain of calls, innermost first, as lines."""
    return [f"{'at' if not place else '   called at'} {where}" for place, where in enumerate(chain)]


def _facts(state: KernelState) -> tuple[str, ...]:
    stop = state.stop
    if stop is None:
        return tuple(state.message.splitlines())
    lines: list[str] = []
    if stop.rule:
        lines.append(f"rule: {stop.rule}")
    if stop.parameters:
        lines.append("parameters: " + ", ".join(f"0x{value:X}" for value in stop.parameters))
    if stop.location and stop.location not in stop.chain:
        lines.append(f"at {stop.location}")
    lines += calls(stop.chain)
    if state.asked_in_vain:
        lines.append(f"while it was loaded {ASKED_IN_VAIN}{state.asked_in_vain}")
    lines += [f"{one.name} ({one.process}:{one.thread}) waits for {one.waits_for}" for one in stop.waiters]
    return tuple(lines)
