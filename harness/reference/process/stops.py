"""How a kernel has ended, as messages."""

import traceback

from harness.nt import BugCheck, bugcheck_name
from harness.reference.machine.stop import HangStop, MachineStop
from harness.reference.windows.verifier.bug_check_stop import BugCheckStop
from harness.wire import kernel as wire
from harness.wire.kernel_state import KernelState, State, Stop, StopKind, Waiter


def stop_message(stop: MachineStop) -> Stop:
    """How the kernel ended, as a message."""
    if isinstance(stop, BugCheckStop):
        return Stop(
            StopKind(stop.kind.value), stop.message, stop.driver, int(stop.code), bugcheck_name(stop.code),
            stop.parameters, stop.rule, stop.location, chain=stop.chain,
        )  # fmt: skip
    assert isinstance(stop, HangStop)
    waiters = tuple(
        Waiter(one.thread, one.name, one.process, one.waits_for, one.owner, one.location) for one in stop.waiters
    )
    location = stop.chain[0] if stop.chain else None
    return Stop(
        StopKind(stop.kind.value), stop.message, stop.driver, location=location, waiters=waiters, chain=stop.chain
    )


def fault(error: BaseException) -> wire.Stopped:
    """The answer when this program itself has failed."""
    text = f"the reference kernel failed: {type(error).__name__}: {error}"
    code = BugCheck.FLTMGR_FILE_SYSTEM
    stop = Stop(StopKind.KERNEL_FAULT, text, None, int(code), bugcheck_name(code), (0, 0, 0, 0))
    trace = tuple(traceback.format_exception(error))
    return wire.Stopped(KernelState(State.BUGCHECK, text, stop, traceback=trace))
