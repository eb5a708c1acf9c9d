"""What drivers leave behind: they are unloaded in a fork of the kernel's process, and the kernel itself goes on.

So a test's own leaks are found at its end, and the next test has the stack as it stands. A fork shares no memory with
the kernel; what it still does to the volume's files is undone by whoever empties the volume.
"""

import os
import select
import signal
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from harness.nt import NtStatus

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

SECONDS = 60.0
"""How long the unloading may take, by the host's clock; the kernel's own limits come first."""
_CHUNK = 1 << 16


class AuditError(Exception):
    """The fork did not come to its end."""


def in_a_fork(work: Callable[[], bytes]) -> bytes:
    """What `work` returns in a fork of this process, which ends with it. AuditError if it does not return in time."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            with os.fdopen(write, "wb") as pipe:
                pipe.write(work())
            code = 0
        finally:
            os._exit(code)  # nothing of the kernel that was forked may be closed or flushed here
    os.close(write)
    try:
        answer = _drain(read)
    except AuditError:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.close(read)
        _, status = os.waitpid(child, 0)
    if status:
        raise AuditError(f"the fork ended with code {os.waitstatus_to_exitcode(status)}")
    return answer


def _drain(read: int) -> bytes:
    """All that comes until the other end is closed."""
    chunks: list[bytes] = []
    while True:
        readable, _, _ = select.select([read], [], [], SECONDS)
        if not readable:
            raise AuditError(f"the drivers were not unloaded within {SECONDS:.0f} s")
        chunk = os.read(read, _CHUNK)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


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
