"""What drivers leave behind: they are unloaded in a fork of the kernel's process, and the kernel itself goes on.

So a test's own leaks are found at its end, and the next test has the stack as it stands. A fork shares no memory with
the kernel; what it still does to the volume's files is undone by whoever empties the volume.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.process.copies import in_a_copy

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

SECONDS = 60.0
"""How long the unloading may take, by the host's clock; the kernel's own limits come first."""


class AuditError(Exception):
    """The copy did not come to its end."""


def in_a_fork(work: Callable[[], bytes]) -> bytes:
    """What `work` returns in a copy of this process. AuditError if it does not return in time."""
    copied = in_a_copy(lambda write: write(work()), SECONDS)
    if copied.out_of_time:
        raise AuditError(f"the drivers were not unloaded within {SECONDS:.0f} s")
    if copied.exit_code:
        raise AuditError(f"the fork ended with code {copied.exit_code}")
    return copied.written


def unload(k: "Kernel", services: Iterable[str]) -> None:
    """Unload drivers, in this order; the verifier reports what they leave. One that cannot be unloaded stays."""
    k.settle()
    for service in services:
        if service.lower() not in k.drivers.loaded:
            continue
        for mandatory in (True, False):
            status = k.run(k.filter_services.unload(service, mandatory=mandatory), f"unload {service}")
            if status != NtStatus.INVALID_DEVICE_REQUEST:
                break
    k.settle()
