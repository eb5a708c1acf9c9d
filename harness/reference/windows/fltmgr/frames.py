"""Frames: the filter manager's devices on the device stacks.

A frame is attached to every file system's control device and to every mounted volume's. What comes to one of its
devices, as IRP, fast I/O or FSFilter operation, is shown to the frame's minifilters and handed to the device below. As
long as no legacy filter is attached above, one frame holds all minifilters; above a legacy filter a new one is made.
"""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus, OperationClass, nt_success
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fltmgr.filters import Frame, FrameDevice
from harness.reference.windows.io.constants import FILE_DEVICE_DISK_FILE_SYSTEM, FSCTL_DISMOUNT_VOLUME, Minor
from harness.reference.windows.io.devices import Device
from harness.reference.windows.io.fast_io import fast_io
from harness.reference.windows.io.native_drivers import NativeDriver, Pass
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.structures.device_objects import MAJOR_FUNCTIONS, DeviceObject, Vpb

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.reference.windows.fltmgr.altitude import Altitude
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import FilterVolume, Instance
    from harness.reference.windows.fltmgr.passage import PassageEngine
    from harness.reference.windows.fltmgr.selection import Selection
    from harness.reference.windows.io.volumes import Volume


class Frames:
    """The filter manager as a driver: its frames and their devices."""

    def __init__(self, objects: "FilterObjects", selection: "Selection", engine: "PassageEngine") -> None:
        self._objects = objects
        self._kernel = objects.kernel
        self._io = objects.io
        self._selection = selection
        self._engine = engine
        self.driver = NativeDriver(
            self._io,
            r"\FileSystem\FltMgr",
            dict.fromkeys(range(MAJOR_FUNCTIONS), self._dispatch),
            fast_io=self._fast_io,
            fs_filter=self._fs_filter,
            detach=self._detach,
        )
        self._devices: dict[int, FrameDevice] = {}
        self.frames = [Frame(0)]
        """The lowest first."""
        self.mounted: Callable[[Volume, Frame], Code]
        """Told of a volume that has a frame's device now and had none. Set by the filter manager, as is:"""
        self.dismounted: Callable[[FilterVolume, Frame], Code]
        """Tears down the instances of a frame on a volume that is mounted no more."""

    def start(self) -> Code:
        """Attach to the file systems that are there and that come."""
        yield from self._io.file_systems.watch((self.driver.object.address, 0), self._file_system_changed)

    # -- frames

    def frame_for(self, altitude: "Altitude") -> Code:
        """The frame for a filter that registers now: a new one, if a legacy filter is above all that are there."""
        top = self.frames[-1]
        lowest = max((instance.altitude for instance in self._objects.instances.values()), default=None)
        above_all = lowest is None or altitude > lowest
        if above_all and self._covered(top):
            top = Frame(len(self.frames), altitude)
            self.frames.append(top)
            for control in list(self._io.file_systems.registered):
                self._attach(top, control, None)
            for volume in self._io.volumes:
                if volume.device:
                    self._attach(top, volume.device, volume)
            return top
        yield from ()
        return self._holding(altitude)

    def _holding(self, altitude: "Altitude") -> Frame:
        for frame in reversed(self.frames):
            if frame.lowest is None or altitude >= frame.lowest:
                return frame
        return self.frames[0]

    def _covered(self, frame: Frame) -> bool:
        """Whether something is attached above a frame."""
        memory = self._kernel.memory
        return any(
            DeviceObject(memory, item.address).attached_device for item in self._devices.values() if item.frame is frame
        )

    def filter_gone(self) -> None:
        """A filter has unregistered: frames that are empty and have nothing above them are taken off the stacks."""
        while len(self.frames) > 1:
            top = self.frames[-1]
            if self._covered(top) or any(item.frame is top for item in self._objects.filters.values()):
                return
            self.frames.pop()
            for device in [item for item in self._devices.values() if item.frame is top]:
                self._io.devices.detach(device.below)
                self._io.devices.delete(self._forget(device))

    def device_of(self, instance: "Instance") -> FrameDevice:
        """The device at which an instance's operations arrive."""
        return instance.on.devices[instance.frame]

    def is_on_volume(self, device: int) -> bool:
        """Whether a device is one that a frame has attached to a volume."""
        found = self._devices.get(device)
        return found is not None and found.on is not None

    # -- attaching

    def _file_system_changed(self, control: int, active: bool) -> Code:
        yield from ()
        if active and DeviceObject(self._kernel.memory, control).device_type == FILE_DEVICE_DISK_FILE_SYSTEM:
            for frame in self.frames:
                self._attach(frame, control, None)

    def _attach(self, frame: Frame, target: int, volume: "Volume | None") -> None:
        device = self._io.devices.create(self.driver.object.address, FILE_DEVICE_DISK_FILE_SYSTEM, ours=True)
        below = self._io.devices.attach(device, target)
        on = self._objects.on(volume) if volume is not None else None
        item = FrameDevice(frame, device.address, below, on)
        self._devices[device.address] = item
        if on is not None:
            on.devices[frame] = item

    def _forget(self, at: FrameDevice) -> Device:
        """A device of a frame is taken off its stack."""
        del self._devices[at.address]
        if at.on is not None:
            del at.on.devices[at.frame]
        return self._io.devices.by_address[at.address]

    def _detach(self, source: int, target: int) -> Code:
        """FastIoDetachDevice: the device below is deleted, because its volume is mounted no more."""
        at = self._devices[source]
        if at.on is not None:
            yield from self._dismounted(at.on, at.frame)
        self._io.devices.detach(target)
        yield from self._io.delete_device(self._forget(at))
        if at.on is not None:
            self._objects.forget_volume(at.on)

    def _dismounted(self, on: "FilterVolume", frame: Frame) -> Code:
        self._objects.dismounted(on)
        yield from self.dismounted(on, frame)

    def _mount(self, at: FrameDevice, irp: int) -> Code:
        """IRP_MN_MOUNT_VOLUME on its way to a file system: a volume that it mounts gets a device of this frame."""
        kernel, io = self._kernel, self._io
        vpb = Vpb(kernel.memory, kernel.memory.read_u64(io.irps.current(irp) + 8))
        disk = vpb.real_device
        status, information = yield from self._pass_and_wait(at, irp)
        volume = next((item for item in io.volumes if item.disk_device == disk), None)
        if nt_success(status) and volume is not None and volume.device:
            self._attach(at.frame, volume.device, volume)
            yield from self.mounted(volume, at.frame)
        yield from io.complete(irp, status, information)
        return status

    def _pass_and_wait(self, at: FrameDevice, irp: int) -> Code:
        """Have an IRP back from the device below: its IoStatus."""
        io = self._io
        done = Event("a volume to be mounted or dismounted")
        io.irps.copy_to_next(irp)
        io.irps.set_completion_routine(irp, io.catch_routine, io.caught(done))
        yield from io.dispatcher.call_driver(at.below, irp)
        if not done.state:
            yield Wait([done], reason=done.name)
        return io.irps.io_status(irp)

    # -- dismounting

    def _is_dismount(self, at: FrameDevice, request: Request) -> bool:
        """Whether a request, if it succeeds, leaves the frame's instances without their volume (OQ-34)."""
        if request.major != IrpMajor.FILE_SYSTEM_CONTROL or request.minor != Minor.USER_FS_REQUEST or at.on is None:
            return False
        dismount = Control.unpack(request.parameters).code == FSCTL_DISMOUNT_VOLUME
        return dismount and self._kernel.policy["dismount-teardown"] == "at-once"

    def _dismount(self, at: FrameDevice, irp: int, request: Request) -> Code:
        """FSCTL_DISMOUNT_VOLUME: the instances go once it has succeeded, before its issuer has it back."""
        instances = self._selection.interested(at, request)
        if instances:
            request.at_end = partial(self._after_dismount, at, request)
            return (yield from self._engine.send(request, instances, at))
        status, information = yield from self._pass_and_wait(at, irp)
        yield from self._after_dismount(at, request, status)
        yield from self._io.complete(irp, status, information)
        return status

    def _after_dismount(self, at: FrameDevice, request: Request, status: int) -> Code:
        if not nt_success(status) or at.on is None:
            return
        if request.generated or self._kernel.irql > Irql.PASSIVE:  # its issuer is what a teardown would wait for
            self._kernel.queue_worker(self._dismounted(at.on, at.frame))
        else:
            yield from self._dismounted(at.on, at.frame)

    # -- operations

    def _dispatch(self, device: int, irp: int) -> Code:
        """Every dispatch routine."""
        at, io = self._devices[device], self._io
        request = io.irps.request_of(irp)
        if at.on is None:
            if request.major == IrpMajor.FILE_SYSTEM_CONTROL and request.minor == Minor.MOUNT_VOLUME:
                return (yield from self._mount(at, irp))
        elif self._is_dismount(at, request):
            return (yield from self._dismount(at, irp, request))
        else:
            instances = self._selection.interested(at, request)
            if instances:
                return (yield from self._engine.send(request, instances, at))
        io.irps.skip(irp)
        return (yield from io.dispatcher.call_driver(at.below, irp))

    def _fast_io(self, device: int, request: Request) -> Code:
        """The fast I/O table."""
        at = self._devices[device]
        instances = self._selection.interested(at, request)
        if not instances:
            return (yield from fast_io(self._io, at.below, request))
        yield from self._engine.send(request, instances, at)
        return request.status != NtStatus.FLT_DISALLOW_FAST_IO

    def _fs_filter(self, device: int, request: Request, below: Pass) -> Code:
        """The FSFilter callbacks."""
        at = self._devices[device]
        instances = self._selection.interested(at, request)
        if not instances:
            yield from below()
            return
        yield from self._engine.send(request, instances, at, below)

    def send_below(self, instance: "Instance", request: Request) -> Code:
        """Send a filter's own request to what is below it: its frame's lower instances, then the device below."""
        at = self.device_of(instance)
        instances = self._selection.interested(at, request, instance)
        io = self._io
        instance.busy.enter()
        request.completions.append(lambda _: self._objects.leave(instance))
        if not instances:
            yield from io.send_to(at.below, request)
        elif request.kind is OperationClass.IRP:
            io.pending[request] = None
            irp = io.irps.build(request, self._kernel.memory.read_u8(at.address + 0x4C), at.address)
            io.irps.advance(irp)
            yield from self._engine.send(request, instances, at)
        else:
            yield from self._engine.send(request, instances, at)
            io.finish(request, request.status, request.information)
