"""The disk driver: reads and writes take their time, and are completed by the DPC of an interrupt.

The bytes of a volume over a directory of the host are in the host's files: to it the disk adds time and interrupt. A
disk that has an image, a file of the host, moves sectors: file systems that are loaded as drivers live on such disks.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus
from harness.reference.windows.io import storage_control
from harness.reference.windows.io.constants import SECTOR_SIZE
from harness.reference.windows.io.native_drivers import NativeDriver
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.ke.offsets import KTHREAD
from harness.reference.windows.ntos.mm.mdl import MDL_MAPPED_TO_SYSTEM_VA, Mdl

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.volumes import Volume

_TICKS = (200, 2000)
"""How long a transfer takes: 20 to 200 microseconds, in 100 ns."""
_TICKS_PER_MS = 10_000
_INSIDE_A_FILE_SYSTEM = 0.1
"""How often the thread that the interrupt comes into is at work in a file system, and so has a top-level IRP."""
_FSRTL_FAST_IO_TOP_LEVEL_IRP = 4


@dataclass
class DiskState:
    """How a disk is: which transfers fail, with what and how often (0: always), and how much longer all take."""

    failing: frozenset[int] = frozenset()
    status: int = 0
    count: int = 0
    milliseconds: int = 0

    def failure(self, major: int) -> int:
        """The status that a transfer fails with; 0 if it does not."""
        if major not in self.failing:
            return 0
        if self.count == 1:
            self.failing = frozenset()
        self.count -= self.count > 0
        return self.status


_SOUND = DiskState()


class DiskDriver:
    r"""\Driver\Disk."""

    def __init__(self, io: "IoManager") -> None:
        self._io = io
        self._images: dict[int, Path] = {}
        """By device."""
        self.states: dict[int, DiskState] = {}
        """Of the disks that are not as they should be."""
        self.removed: set[int] = set()
        """Disks that are not in the machine any more."""
        self.driver = NativeDriver(
            io,
            r"\Driver\Disk",
            {
                IrpMajor.READ: self._transfer,
                IrpMajor.WRITE: self._transfer,
                IrpMajor.FLUSH_BUFFERS: self._succeed,
                IrpMajor.CREATE: self._succeed,
                IrpMajor.CLEANUP: self._succeed,
                IrpMajor.CLOSE: self._succeed,
                IrpMajor.PNP: self._succeed,
                IrpMajor.DEVICE_CONTROL: self._control,
            },
        )

    def attach_image(self, device: int, image: Path) -> None:
        """Give a disk its sectors."""
        self._images[device] = image

    def _succeed(self, device: int, irp: int) -> Code:
        del device
        yield from self._io.complete(irp, NtStatus.SUCCESS, 0)
        return int(NtStatus.SUCCESS)

    def _control(self, device: int, irp: int) -> Code:
        """Answer a control code of storage at once, from the system buffer into it."""
        io, memory = self._io, self._io.kernel.memory
        control = Control.unpack(io.irps.request_of(irp).parameters)
        volume = next((volume for volume in io.volumes if volume.disk_device == device), None)
        system = io.irps.buffers(irp).system
        status, answered = NtStatus.INVALID_DEVICE_REQUEST, b""
        if device in self.removed:
            status = NtStatus.NO_SUCH_DEVICE
        elif volume is not None:
            data = memory.read(system, control.input_length) if system else b""
            status, answered = storage_control.answer(
                volume, self._size(volume), control.code, data, control.output_length
            )
        if answered and system:
            memory.write(system, answered)
        yield from io.complete(irp, status, len(answered))
        return int(status)

    def _size(self, volume: "Volume") -> int:
        image = self._images.get(volume.disk_device)
        if image is not None:
            return image.stat().st_size
        return volume.file_system.store.space()[0] if volume.file_system is not None else 0

    def _transfer(self, device: int, irp: int) -> Code:
        """Start a transfer; its interrupt comes on any processor."""
        io, kernel = self._io, self._io.kernel
        request = io.irps.request_of(irp)
        io.irps.mark_pending(irp)
        processor = kernel.processors[kernel.choices.one_of("interrupt", len(kernel.processors))]
        state = self.states.get(device, _SOUND)
        ticks = kernel.choices.between("disk-time", *_TICKS) + state.milliseconds * _TICKS_PER_MS
        length = kernel.memory.read_u32(io.irps.current(irp) + 8)

        def interrupt() -> None:
            status = state.failure(request.major) or self._move(device, request, length)
            kernel.queue_dpc(lambda: self._complete(irp, status, 0 if status else length), processor)

        kernel.timer(ticks, interrupt)
        yield from ()
        return int(NtStatus.PENDING)

    def _complete(self, irp: int, status: int, information: int) -> Code:
        """Complete a transfer in its DPC. Whatever thread that has interrupted may have a top-level IRP of its own."""
        kernel = self._io.kernel
        slot = kernel.current.kthread + KTHREAD.TOP_LEVEL_IRP
        own = kernel.memory.read_u64(slot)
        if kernel.choices.chance("interrupts-file-system", _INSIDE_A_FILE_SYSTEM) and not own:
            kernel.memory.write_u64(slot, _FSRTL_FAST_IO_TOP_LEVEL_IRP)
        yield from self._io.complete(irp, status, information)
        kernel.memory.write_u64(slot, own)

    def _move(self, device: int, request: Request, length: int) -> NtStatus:
        """Move the sectors of a transfer between the image and memory; how it ended."""
        if device in self.removed:
            return NtStatus.NO_SUCH_DEVICE
        image = self._images.get(device)
        if image is None or length == 0:
            return NtStatus.SUCCESS
        memory, at = self._io.kernel.memory, self._io.irps.current(request.irp) + 8
        offset = memory.read_u64(at + 16)
        buffer = self._buffer(request.irp)
        if offset % SECTOR_SIZE or length % SECTOR_SIZE or not buffer:
            return NtStatus.INVALID_PARAMETER
        try:
            with image.open("r+b", buffering=0) as file:
                if offset + length > os.fstat(file.fileno()).st_size:
                    return NtStatus.INVALID_PARAMETER
                if request.major == IrpMajor.READ:
                    memory.write(buffer, os.pread(file.fileno(), length, offset))
                else:
                    os.pwrite(file.fileno(), memory.read(buffer, length), offset)
        except OSError:
            return NtStatus.IO_DEVICE_ERROR
        return NtStatus.SUCCESS

    def _buffer(self, irp: int) -> int:
        """Where the bytes of a transfer are: behind its MDL, or in its system buffer."""
        buffers = self._io.irps.buffers(irp)
        if not buffers.mdl:
            return buffers.system or buffers.user
        mdl = Mdl(self._io.kernel.memory, buffers.mdl)
        return mdl.mapped_system_va if mdl.mdl_flags & MDL_MAPPED_TO_SYSTEM_VA else mdl.virtual_address
