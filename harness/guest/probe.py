"""Runs fltprobe in a guest: the I/O script goes in on standard input, its JSON document comes out."""

from harness.errors import GuestError
from harness.guest.guest import Guest
from harness.machine.deadlines import Wait
from harness.minifilter.probe import ProbeResult, parse_probe

PROGRAM = r"C:\fltlab\fltprobe.exe"
# Exit codes of fltprobe (docs/io-script.md). With each of these it has written its document.
DONE, SCRIPT, DEADLINE = 0, 2, 4


def run_probe(guest: Guest, script: str) -> tuple[str, ProbeResult]:
    """Run a script; the document as text and as read. GuestError if fltprobe did not get to write one."""
    result = guest.run(PROGRAM, script.encode(), Wait.IO_SCRIPT)
    if result.exit_code not in {DONE, SCRIPT, DEADLINE}:
        raise GuestError("fltprobe did not run to its end", details=result.describe())
    return result.output, parse_probe(result.output)
