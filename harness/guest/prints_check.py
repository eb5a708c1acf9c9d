"""What drivers print with DbgPrint is captured in a running guest: by DbgSetDebugPrintCallback, documented nowhere.

It is part of the self-test of an image. A print of level INFO passes the Debug Print Filter only where the image has
the mask for it; an error always does.
"""

from harness.errors import FltLabError
from harness.guest.deploy import Deployment, DriverUnderTest
from harness.guest.guest import Guest
from harness.guest.probe import PROGRAM, run_probe
from harness.guest.selftest import Finding
from harness.guest.stack import parse_stack, place
from harness.host.directories import own_builds
from harness.minifilter.build import SUPPORT, build_drivers
from harness.minifilter.prints import Print
from harness.minifilter.probe import ProbeResult
from harness.nt import nt_success, status_name

CHECK = "debug prints"
LABEL = "selftest"
SCRIPT = f"filter {LABEL} prints\ndebug-print {LABEL}\n"
PLAIN = f"fltlab: printed by fltlab-{LABEL}"
ERROR = f"fltlab: error of fltlab-{LABEL}"


def check_prints(guest: Guest) -> Finding:
    """Deploy `observer` alone, have it print two known lines, and remove it; what did not come is the difference."""
    try:
        built = build_drivers(SUPPORT, own_builds(), ["observer", "fltprobe"])
        (entry,) = place(parse_stack(f"observer@{LABEL}"))
        files = {PROGRAM: built["fltprobe"].sys.read_bytes()}
        deployment = Deployment(guest, [DriverUnderTest(entry, built["observer"])], files)
        deployment.deploy()
        answer, result = run_probe(guest, SCRIPT)
        deployment.remove()
    except FltLabError as error:
        return Finding(CHECK, "-", error.message, tuple(error.details), error.hint or "")
    report = result.filters[LABEL].prints if LABEL in result.filters else None
    prints = report.prints if report is not None else ()
    raw = (*(f"{item.component} {item.level} {item.line}" for item in prints), answer[:2000])
    return Finding(CHECK, f"{len(prints)} captured", _difference(result, prints), raw)


def _difference(result: ProbeResult, prints: tuple[Print, ...]) -> str:
    if result.error:
        return f"fltprobe: {result.error}"
    report = result.filters[LABEL].prints
    if report is not None and not nt_success(report.status):
        return f"DbgSetDebugPrintCallback: {status_name(report.status)}"
    lines = {item.line: item for item in prints}
    if ERROR not in lines:
        return "a callback was registered, but an error that was printed did not come"
    if PLAIN not in lines:
        return "what DbgPrint prints is held back by the Debug Print Filter; errors are not"
    if lines[PLAIN].source:
        return f"DbgPrint comes as {lines[PLAIN].source}"
    return ""
