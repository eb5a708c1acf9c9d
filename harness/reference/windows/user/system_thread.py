"""What a program asks of the kernel that a thread of the System process does for it."""

from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.executive import Executive


def in_system_thread(k: Executive, code: Code, what: str) -> Code:
    """Drivers are loaded and unloaded in a thread of the System process."""
    thread = k.spawn(code, what)
    yield Wait([thread], reason=f"{what} to end")
    return thread.result
