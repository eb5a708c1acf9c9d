"""Where the file system's completions happen: in the sending thread, in a system thread, or in a DPC (OQ-05).

Non-cached and paging reads and writes are completed by the storage stack, mostly in a DPC that interrupts an
arbitrary thread; other requests are completed where the file system is, or by a thread of its own when it posted them.
One seeded choice for each request.
"""

from enum import Enum
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import Completed
    from harness.reference.windows.kernel import Kernel

_DISK_TICKS = (200, 2000)
"""How long the disk takes: 20 to 200 microseconds, in 100 ns."""


class Place(Enum):
    """Where a request is completed."""

    INLINE = "inline"
    WORKER = "worker"
    DISPATCH = "dispatch"


class Placement:
    """Chooses the place of each completion."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel

    def choose(self, request: Request, status: int) -> Place:
        """The place for a request that the file system has done."""
        kernel = self._kernel
        if request.kind is not OperationClass.IRP or request.major not in (IrpMajor.READ, IrpMajor.WRITE):
            return Place.INLINE
        disk = bool(request.irp_flags & (IrpFlags.NOCACHE | IrpFlags.PAGING_IO))
        policy = kernel.policy["post-placement"]
        if policy != "seeded":
            return Place(policy) if disk or policy != "dispatch" else Place.INLINE
        if status & 0x8000_0000 and status != NtStatus.IO_DEVICE_ERROR:
            return Place.INLINE
        dispatch, worker = self._chances(request, disk=disk)
        roll = kernel.random.random()
        if roll < dispatch:
            return Place.DISPATCH
        return Place.WORKER if roll < dispatch + worker else Place.INLINE

    @staticmethod
    def _chances(request: Request, *, disk: bool) -> tuple[float, float]:
        """Chances of a DPC and of a system thread."""
        if disk:
            return (0.75, 0.1) if request.synchronous else (0.85, 0.1)
        return (0.0, 0.05) if request.synchronous else (0.0, 0.3)

    def complete(self, request: Request, completed: "Completed", status: int, information: int) -> Code:
        """Complete a request at its place."""
        kernel = self._kernel
        place = self.choose(request, status)
        if place is Place.INLINE:
            yield from completed(request, status, information)
        elif place is Place.WORKER:
            kernel.queue_worker(completed(request, status, information))
        else:
            processor = kernel.random.choice(kernel.processors)
            ticks = kernel.random.randint(*_DISK_TICKS)

            def interrupt() -> None:
                kernel.queue_dpc(lambda: completed(request, status, information), processor)

            kernel.timer(ticks, interrupt)
