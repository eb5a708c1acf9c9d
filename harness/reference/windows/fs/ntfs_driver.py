r"""\FileSystem\Ntfs: our file system as a driver on the device stack.

IRPs come by its dispatch routines, fast I/O by its table, FSFilter operations by its callbacks; what they ask is parsed
and given to the volume's FileSystemDriver. Where a completion happens follows from who does the work: the disk's DPC, a
system thread that the request was posted to, or the caller's thread.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fs.dispatch_table import make_driver
from harness.reference.windows.fs.driver import FileSystemDriver
from harness.reference.windows.fs.kinds import NTFS, Kind
from harness.reference.windows.io.constants import FILE_DEVICE_DISK_FILE_SYSTEM, DeviceFlags, IrpFlags, Minor
from harness.reference.windows.io.native_drivers import NativeDriver, Pass
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.structures.device_objects import MAJOR_FUNCTIONS, DeviceObject, Vpb

if TYPE_CHECKING:
    from harness.reference.windows.cc.cache_map import CacheMap
    from harness.reference.windows.cc.cached_stream import CachedStream
    from harness.reference.windows.cc.driver_streams import DriverStreams
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.ntos.executive import Executive

_TRANSFERS = frozenset({IrpMajor.READ, IrpMajor.WRITE})
_WAITS_FOR_DISK = 0.03
"""How often a synchronous request waits for its disk transfer in its own thread."""
_POSTED, _SYNCHRONOUS_POSTED = 0.3, 0.05
"""How often a cached transfer finds the file's resource taken and goes on in a system thread."""


@dataclass(slots=True)
class _Transfer:
    """A transfer that is on the disk: what it is to be completed with, and who waits for it."""

    status: int
    information: int
    done: Event | None


class NtfsDriver:
    """The driver of a kind of file system, with its control device and a device for every mounted volume."""

    def __init__(self, kernel: "Executive", io: "IoManager", kind: Kind = NTFS) -> None:
        self._kernel = kernel
        self._io = io
        self._kind = kind
        self.driver = NativeDriver(
            self._io,
            kind.driver,
            dict.fromkeys(range(MAJOR_FUNCTIONS), self._dispatch),
            fast_io=self._fast_io,
            fs_filter=self._fs_filter,
        )
        self.control = self._io.devices.create(
            self.driver.object.address, FILE_DEVICE_DISK_FILE_SYSTEM, name=kind.control_device
        )
        self._volumes: dict[int, FileSystemDriver] = {}
        """By device."""
        self._results: dict[int, _Transfer] = {}
        """Transfers on the disk, by IRP."""
        self._transferred = self._io.dispatcher.add_native("Ntfs transfer", self._transfer_completed, 3)

    def driver_of(self, volume: "Volume") -> FileSystemDriver | None:
        """The file system of a volume; None if it is not mounted by this driver."""
        return self._volumes.get(volume.device)

    def volumes(self) -> list[FileSystemDriver]:
        """What is mounted, and what was and has files open."""
        for gone in [address for address in self._volumes if address not in self._io.devices.by_address]:
            del self._volumes[gone]
        return list(self._volumes.values())

    def start(self) -> Code:
        """IoRegisterFileSystem."""
        yield from self._io.file_systems.register(self.control.address)

    # -- mounting

    def _mount(self, irp: int) -> Code:
        """IRP_MN_MOUNT_VOLUME: whether the volume is one of ours, and its device if it is."""
        memory, io = self._kernel.memory, self._io
        vpb = Vpb(memory, memory.read_u64(io.irps.current(irp) + 8))
        volume = next((item for item in io.volumes if item.disk_device == vpb.real_device), None)
        if volume is None or volume.file_system is None or volume.file_system.kind is not self._kind:
            return (yield from self._complete(irp, NtStatus.UNRECOGNIZED_VOLUME, 0))
        device = io.devices.create(self.driver.object.address, FILE_DEVICE_DISK_FILE_SYSTEM, ours=True)
        device.view.stack_size = DeviceObject(memory, volume.disk_device).stack_size + 1
        device.view.vpb = 0
        vpb.device_object = device.address
        vpb.serial_number = volume.serial
        label = volume.label.encode("utf-16-le")[:64]
        vpb.volume_label_length = len(label)
        memory.write(vpb.address + Vpb.LABEL, label)
        self._volumes[device.address] = make_driver(self._kernel, io, volume)
        return (yield from self._complete(irp, NtStatus.SUCCESS, 0))

    # -- IRPs

    def _complete(self, irp: int, status: int, information: int) -> Code:
        yield from self._io.complete(irp, status, information)
        return int(status)

    def _dispatch(self, device: int, irp: int) -> Code:
        """Every dispatch routine."""
        request = self._io.irps.request_of(irp)
        if device == self.control.address:
            if request.major == IrpMajor.FILE_SYSTEM_CONTROL and request.minor == Minor.MOUNT_VOLUME:
                return (yield from self._mount(irp))
            opened = request.major in (IrpMajor.CREATE, IrpMajor.CLEANUP, IrpMajor.CLOSE)
            return (yield from self._complete(irp, 0 if opened else NtStatus.INVALID_DEVICE_REQUEST, 0))
        volume = self._volumes[device]
        if request.major == IrpMajor.PNP:
            return (yield from self._plug_and_play(volume, request))
        if request.major == IrpMajor.FILE_SYSTEM_CONTROL and request.minor == Minor.VERIFY_VOLUME:
            return (yield from self._complete(irp, (yield from self._verify(volume)), 0))
        if volume.needs_verification and request.file is not None and not volume.dismounted:
            yield from self._io.file_systems.verify(volume.volume)
        outcome = yield from volume.dispatch(request)
        if outcome is None:  # kept: completed later, by whatever it waits for
            self._io.irps.mark_pending(irp)
            return int(NtStatus.PENDING)
        status, information = int(outcome[0]), outcome[1]
        if request.major not in _TRANSFERS or (status & 0x8000_0000 and status != NtStatus.IO_DEVICE_ERROR):
            return (yield from self._complete(irp, status, information))
        if request.irp_flags & (IrpFlags.NOCACHE | IrpFlags.PAGING_IO):
            return (yield from self._transfer(volume, request, status, information))
        if self._kernel.choices.chance("posted", _SYNCHRONOUS_POSTED if request.synchronous else _POSTED):
            self._io.irps.mark_pending(irp)
            self._kernel.queue_worker(self._complete(irp, status, information))
            return int(NtStatus.PENDING)
        return (yield from self._complete(irp, status, information))

    def _transfer(self, volume: FileSystemDriver, request: Request, status: int, information: int) -> Code:
        """Send the IRP on to the disk; it comes back in the disk's DPC."""
        io, irp = self._io, request.irp
        may_wait = request.synchronous and self._kernel.irql < Irql.DISPATCH
        waits = may_wait and self._kernel.choices.chance("waits-for-disk", _WAITS_FOR_DISK)
        done = Event(f"the disk transfer of {request.describe()}") if waits else None
        transfer = self._results[irp] = _Transfer(status, information, done)
        io.irps.copy_to_next(irp)
        io.irps.set_completion_routine(irp, self._transferred, 0)
        if done is None:
            io.irps.mark_pending(irp)
        yield from io.dispatcher.call_driver(volume.volume.disk_device, irp)
        if done is None:
            return int(NtStatus.PENDING)
        yield Wait([done], reason=done.name)
        return (yield from self._complete(irp, transfer.status, transfer.information))

    def _transfer_completed(self, device: int, irp: int, context: int) -> Code:
        del device, context
        transfer = self._results.pop(irp)
        below = self._io.irps.io_status(irp)[0]
        if below & 0x8000_0000:  # the disk has failed, or is gone
            transfer.status, transfer.information = below, 0
        yield from ()
        if transfer.done is not None:
            transfer.done.state = True
            self._kernel.signal(transfer.done)
            return int(NtStatus.MORE_PROCESSING_REQUIRED)
        self._io.irps.set_io_status(irp, transfer.status, transfer.information)
        return 0

    # -- the volume in its drive

    def _verify(self, volume: FileSystemDriver) -> Code:
        """IRP_MN_VERIFY_VOLUME: another volume in the drive is the end of this mount."""
        volume.volume.disk.view.flags &= ~DeviceFlags.VERIFY_VOLUME
        if volume.dismounted or volume.files is volume.volume.file_system:
            return int(NtStatus.SUCCESS)
        yield from volume.dismount(flush=False)
        return int(NtStatus.WRONG_VOLUME)

    def _plug_and_play(self, volume: FileSystemDriver, request: Request) -> Code:
        """IRP_MJ_PNP: the disk is asked too, and its removal ends the mount."""
        io, irp = self._io, request.irp
        if request.minor == Minor.QUERY_REMOVE_DEVICE and volume.in_use:
            return (yield from self._complete(irp, NtStatus.ACCESS_DENIED, 0))
        done = Event("the disk to do a Plug and Play request")
        io.irps.copy_to_next(irp)
        io.irps.set_completion_routine(irp, io.catch_routine, io.caught(done))
        yield from io.dispatcher.call_driver(volume.volume.disk_device, irp)
        if not done.state:
            yield Wait([done], reason=done.name)
        status, information = io.irps.io_status(irp)
        if request.minor in (Minor.SURPRISE_REMOVAL, Minor.REMOVE_DEVICE) and not volume.dismounted:
            yield from volume.dismount(flush=False)
        return (yield from self._complete(irp, status, information))

    # -- what is no IRP

    def _fast_io(self, device: int, request: Request) -> Code:
        volume = self._volumes.get(device)
        if volume is None:
            return False
        outcome = yield from volume.dispatch(request)
        if outcome is None or outcome[0] == NtStatus.FLT_DISALLOW_FAST_IO:
            return False
        request.status, request.information = int(outcome[0]), outcome[1]
        return True

    def _fs_filter(self, device: int, request: Request, below: Pass) -> Code:
        del below
        outcome = yield from self._volumes[device].dispatch(request)
        request.status, request.information = int(outcome[0]), outcome[1]


class LocalFileSystems:
    """The drivers of our file systems: NTFS always, the others where a volume is theirs."""

    def __init__(
        self, kernel: "Executive", io: "IoManager", kinds: Iterable[Kind], driver_streams: "DriverStreams"
    ) -> None:
        self._driver_streams = driver_streams
        self._drivers = [NtfsDriver(kernel, io, kind) for kind in dict.fromkeys((NTFS, *kinds))]

    def driver_of(self, volume: "Volume") -> FileSystemDriver | None:
        """The file system of a volume as it is mounted now; None if it is not mounted by one of ours."""
        return next((found for item in self._drivers if (found := item.driver_of(volume)) is not None), None)

    def volumes(self) -> list[FileSystemDriver]:
        """What is mounted, and what was and has files open."""
        return [volume for item in self._drivers for volume in item.volumes()]

    def cache_at(self, pointers: int) -> "CacheMap | None":
        """The cache of the stream with these SECTION_OBJECT_POINTERS, ours or a driver's, if it has one."""
        for driver in self.volumes():
            state = driver.state_of(pointers) if pointers else None
            if state is not None:
                return state.cache
        return self._driver_streams.cache_at(pointers)

    def stream_of(self, file: "FileObject") -> "CachedStream | None":
        """What a file object has open, if sections can be over it: a stream of ours or of a driver's."""
        if file.opened is None:
            return self._driver_streams.of(file)
        driver = self.driver_of(file.volume)
        if driver is None or file.opened.stream.directory:
            return None
        return driver.state(file.opened.stream)

    def start(self) -> Code:
        """IoRegisterFileSystem of each."""
        for item in self._drivers:
            yield from item.start()
