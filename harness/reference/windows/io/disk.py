"""The disk driver: reads and writes take their time, and are completed by the DPC of an interrupt.

The bytes of a volume over a directory of the host are in the host's files: to it the disk adds time and interrupt.
"""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus
from harness.reference.windows.io.native_drivers import NativeDriver
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_TICKS = (200, 2000)
"""How long a transfer takes: 20 to 200 microseconds, in 100 ns."""


class DiskDriver:
    r"""\Driver\Disk."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.driver = NativeDriver(
            kernel,
            r"\Driver\Disk",
            {
                IrpMajor.READ: self._transfer,
                IrpMajor.WRITE: self._transfer,
                IrpMajor.FLUSH_BUFFERS: self._succeed,
                IrpMajor.CREATE: self._succeed,
                IrpMajor.CLEANUP: self._succeed,
                IrpMajor.CLOSE: self._succeed,
            },
        )

    def _succeed(self, device: int, irp: int) -> Code:
        del device
        yield from self._kernel.io.complete(irp, NtStatus.SUCCESS, 0)
        return int(NtStatus.SUCCESS)

    def _transfer(self, device: int, irp: int) -> Code:
        """Start a transfer; its interrupt comes on any processor."""
        del device
        kernel = self._kernel
        kernel.io.irps.mark_pending(irp)
        processor = kernel.random.choice(kernel.processors)
        ticks = kernel.random.randint(*_TICKS)
        length = kernel.memory.read_u32(kernel.io.irps.current(irp) + 8)

        def interrupt() -> None:
            kernel.queue_dpc(lambda: kernel.io.complete(irp, NtStatus.SUCCESS, length), processor)

        kernel.timer(ticks, interrupt)
        yield from ()
        return int(NtStatus.PENDING)
