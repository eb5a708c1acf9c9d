"""The way of a bug check, gone through on purpose: an NMI, QEMU's event, the dump, and what it says.

It is part of the self-test of an image, and its last check: the guest is lost by it.
"""

from pathlib import Path

from harness.errors import FltLabError
from harness.guest.selftest import Finding
from harness.guest.windows import WindowsBody
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.machine import Machine
from harness.machine.qmp import Event
from harness.nt.bugcheck import BugCheck

CHECK = "bug check by NMI"
_POLL = 0.5


def check_crash_path(body: WindowsBody, folder: Path) -> Finding:
    """Send the guest an NMI and follow what comes of it; what goes wrong on the way is the difference."""
    try:
        assert isinstance(body.machine, Machine)
        body.machine.inject_nmi()
        event = wait_for_crash(body)
        crash = body.save_crash(folder)
    except FltLabError as error:
        return Finding(CHECK, "", error.message, tuple(error.details), error.hint or "")
    if crash is None:
        return Finding(CHECK, event.name, "the guest crashed, and there is no dump of it")
    measured = f"{event.name}, {crash.header.type_name} dump, {len(crash.modules)} modules"
    problems = [*crash.notices]
    if crash.bugcheck.code != BugCheck.NMI_HARDWARE_FAILURE:
        problems.insert(0, f"the dump says {crash.bugcheck.name}, not {BugCheck.NMI_HARDWARE_FAILURE.name}")
    if not crash.modules:
        problems.append("the dump shows no modules")
    return Finding(CHECK, measured, "; ".join(problems), crash.lines())


def wait_for_crash(body: WindowsBody) -> Event:
    """Wait until QEMU tells of the crash; DeadlineError if it does not."""

    def look() -> tuple[Event | None, str]:
        return body.crash, body.describe()

    return Deadlines().begin(Wait.WINDOWS_CRASH).poll(look, _POLL)
