"""The way of a bug check, gone through on purpose: an NMI, QEMU's event, the dump, and what it says.

It is part of the self-test of an image, and its last check: the guest is lost by it.
"""

from collections.abc import Iterator
from pathlib import Path

from harness.errors import FltLabError
from harness.guest.selftest import Finding
from harness.guest.windows import WindowsBody, bugcheck_of
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.machine import Machine
from harness.machine.qmp import Event
from harness.nt.bugcheck import BugCheck

CHECK = "bug check by NMI"
HV_CRASH = "hv-crash"
_POLL = 0.5


def check_crash(body: WindowsBody, folder: Path) -> Iterator[Finding]:
    """Both checks: the way of the dump, and what QEMU was told."""
    yield check_crash_path(body, folder)
    yield check_hv_crash(body)


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


def check_hv_crash(body: WindowsBody) -> Finding:
    """Whether Windows told QEMU which bug check it was, as it does where the processor has hv-crash."""
    assert isinstance(body.machine, Machine)
    offered = HV_CRASH in body.machine.spec.processor.features
    event = body.crash
    if event is None:
        return Finding(
            HV_CRASH, "no bug check was seen", "" if not offered else "nothing came of the NMI to judge it by"
        )
    raw = (f"QEMU: {event.name} {dict(event.data)}",)
    told = bugcheck_of(event)
    if told is None:
        measured = f"{event.name}, without the bug check's code"
        if not offered:
            return Finding(HV_CRASH, f"{measured}: this host does not offer hv-crash", raw=raw)
        hint = "bug checks are still told, and explained from the dump; please report the raw text"
        return Finding(HV_CRASH, measured, "Windows does not use it: the event does not say which bug check", raw, hint)
    expected = BugCheck.NMI_HARDWARE_FAILURE
    difference = "" if told.code == expected else f"the event says {told.name}, not {expected.name}"
    return Finding(HV_CRASH, f"{event.name}: {told.name} (0x{told.code:X})", difference, raw)


def wait_for_crash(body: WindowsBody) -> Event:
    """Wait until QEMU tells of the crash; DeadlineError if it does not."""

    def look() -> tuple[Event | None, str]:
        return body.crash, body.describe()

    return Deadlines().begin(Wait.WINDOWS_CRASH).poll(look, _POLL)
