"""A minifilter goes into the guest, is shown operations, and goes out again: what every test of a run needs.

It is part of the self-test of an image. What is refused, a signature, a privilege, an altitude, is refused here first.
"""

import contextlib

from harness.errors import FltLabError
from harness.guest.deploy import VOLUME, Deployment, DriverUnderTest
from harness.guest.guest import Guest
from harness.guest.probe import PROGRAM, run_probe
from harness.guest.selftest import Finding
from harness.guest.stack import parse_stack, place
from harness.host.directories import own_builds
from harness.minifilter.build import SUPPORT, build_drivers
from harness.minifilter.probe import ProbeResult
from harness.nt import IrpMajor, Irql, NtStatus, OperationClass

CHECK = "a minifilter"
LABEL = "selftest"
SCRIPT = rf"""
filter {LABEL}
open   f {VOLUME}\fltlab-selftest.bin access=rw disposition=overwrite-if options=noncached
write  f offset=0 length=4096 fill=0x5A
read   f offset=0 length=4096
close  f
open   c {VOLUME}\fltlab-selftest.bin access=rw disposition=open-if
write  c offset=0 length=4096 fill=0x5A
read   c offset=0 length=4096
read   c offset=0 length=4096
close  c
"""
MAJORS = (IrpMajor.CREATE, IrpMajor.WRITE, IrpMajor.READ, IrpMajor.CLEANUP)
"""What the script must show to the minifilter, before and after."""


def check_minifilter(guest: Guest) -> Finding:
    """Deploy `observer` alone, do I/O, and remove it; what goes wrong on the way is the difference."""
    try:
        built = build_drivers(SUPPORT, own_builds(), ["observer", "fltprobe"])
        (entry,) = place(parse_stack(f"observer@{LABEL}"))
        files = {PROGRAM: built["fltprobe"].sys.read_bytes()}
        deployment = Deployment(guest, [DriverUnderTest(entry, built["observer"])], files)
        try:
            instances = deployment.deploy()
            answer, result = run_probe(guest, SCRIPT)
        except FltLabError:
            with contextlib.suppress(FltLabError):  # what went wrong first says more
                deployment.remove()
            raise
        deployment.remove()
    except FltLabError as error:
        return Finding(CHECK, "-", error.message, tuple(error.details), error.hint or "")
    raw = (*(f"| {row}" for row in instances), *map(str, result.steps), answer[:2000])
    measured = f"loaded, attached, {len(result.events)} events, removed; {_witnessed(result)}"
    return Finding(CHECK, measured, _difference(result), raw)


def _witnessed(result: ProbeResult) -> str:
    """What may happen and need not, and whether it did: tests that wait for it are red where it never does."""
    fast = any(event.operation_class is OperationClass.FAST_IO for event in result.events)
    high = any(event.is_post and event.irql >= Irql.DISPATCH for event in result.events)
    return f"fast I/O {'seen' if fast else 'not seen'}, a post at DISPATCH_LEVEL {'seen' if high else 'not seen'}"


def _difference(result: ProbeResult) -> str:
    if result.error:
        return f"fltprobe: {result.error}"
    failed = [str(step) for step in result.steps if step.status != NtStatus.SUCCESS]
    if failed:
        return f"a step did not succeed: {failed[0]}"
    if set(result.step("read", "f").data) != {0x5A}:
        return "what was read is not what was written"
    unseen = [
        f"{phase} of {major.name}"
        for major in MAJORS
        for phase, seen in (
            ("pre", any(event.is_pre and event.major == major for event in result.events)),
            ("post", any(event.is_post and event.major == major for event in result.events)),
        )
        if not seen
    ]
    return f"the minifilter was not shown: {', '.join(unseen)}" if unseen else ""
