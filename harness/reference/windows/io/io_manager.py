"""The I/O manager: devices and IRPs, volumes, file objects, and sending a request to the top of a device stack.

What drivers and programs ask for is in create.py, transfer_services.py and the other modules of this room; they make
requests and `issue` them here.
"""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.nt import IrpMajor, Irql, NtStatus, OperationClass
from harness.reference.machine.memory.guarded_heap import IO_OBJECTS, GuardedHeap
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.io.buffered_io import describe_buffer
from harness.reference.windows.io.constants import FileObjectFlags, IrpFlags
from harness.reference.windows.io.devices import Device, DeviceTable
from harness.reference.windows.io.disk import DiskDriver
from harness.reference.windows.io.dispatching import Dispatcher
from harness.reference.windows.io.extra_create_parameters import ExtraCreateParameters
from harness.reference.windows.io.fast_io import fast_io
from harness.reference.windows.io.file_object import FileObject, file_at
from harness.reference.windows.io.file_systems import FileSystems
from harness.reference.windows.io.fs_filter_callbacks import fs_filter
from harness.reference.windows.io.irps import Irps
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.unwritten_data import look_at_answer
from harness.reference.windows.io.user_memory import UserMemory
from harness.reference.windows.io.volume_removal import settle
from harness.reference.windows.io.volumes import DeviceTarget, Volume
from harness.reference.windows.ntos.ke.dispatcher_objects import GuestEvent
from harness.reference.windows.ntos.ke.offsets import KTHREAD
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.structures.device_objects import DeviceObject, DriverObject, Vpb
from harness.reference.windows.structures.fast_io_tables import FastIoDispatch

if TYPE_CHECKING:
    from harness.reference.windows.fs.filesystem import FileSystem
    from harness.reference.windows.io.driver_table import Driver, DriverTable
    from harness.reference.windows.io.native_drivers import NativeDriver
    from harness.reference.windows.ntos.executive import Executive

PORT_TYPE = "FilterConnectionPort"
"""Object type of a user's handle to a communication port."""

Send = Callable[[Request], Code]
"""Sends a request somewhere: to the top of the stack, or below a minifilter."""


class Stream(Protocol):
    """What a standard handle leads to."""

    def read(self, k: "Executive", buffer: int, length: int, iosb: int) -> Code:
        """NtReadFile."""

    def write(self, k: "Executive", buffer: int, length: int, iosb: int) -> Code:
        """NtWriteFile."""


class IoManager:
    """Devices, volumes and requests of one kernel."""

    def __init__(self, kernel: "Executive", drivers: "DriverTable") -> None:
        self.kernel = kernel
        self.heap = GuardedHeap(kernel.memory, IO_OBJECTS)
        self.native_drivers: dict[int, NativeDriver] = {}
        """Drivers of the kernel's own, by the address of their DRIVER_OBJECT."""
        self.devices = DeviceTable(kernel)
        self.irps = Irps(kernel)
        self.ecps = ExtraCreateParameters(kernel, self.heap)
        self.dispatcher = Dispatcher(kernel, self.irps, self.finish)
        self.file_systems = FileSystems(self)
        self._drivers = drivers
        drivers.on_remove.append(self._report_devices)
        drivers.invalid_device_request = self.dispatcher.add_native(
            "IopInvalidDeviceRequest", self.invalid_device_request, 2
        )
        self.disk = DiskDriver(self)
        self.catch_routine = self.dispatcher.add_native("IopCatch", self._catch, 3)
        """A completion routine that gives the IRP back to who waits for it."""
        self._caught: dict[int, Event] = {}
        self._disks = 0
        self.volumes: list[Volume] = []
        self.files: dict[Volume, set[FileObject]] = {}
        """File objects that are not closed, by volume."""
        self.missed_file = ""
        """The name of the file that a driver has opened last by NtCreateFile or NtOpenFile and that was not there."""
        self.views: UserMemory
        """Set by the kernel, whose memory manager maps files."""
        self.streams: dict[int, Stream] = {}
        """Standard handles of programs, by handle."""
        self.priorities: dict[int, int] = {}
        """IO_PRIORITY_HINTs that were set, by file object or thread."""
        self.thread_activities: dict[int, int] = {}
        """Where the GUID of the activity is that a thread works for, by thread."""
        self._targets: dict[Device, DeviceTarget] = {}
        self.driver_extensions: dict[tuple[int, int], int] = {}
        """Blocks of IoAllocateDriverObjectExtension, by driver object and identification."""
        self.pending: dict[Request, None] = {}
        """Sent and not finished, in the order of sending."""
        self.on_file_object_gone: list[Callable[[FileObject], None]] = []
        """Called when a file object has been closed."""
        self.on_stream_gone: list[Callable[[Hashable, Hashable | None], None]] = []
        """Called when a stream's last file object has been closed, with the file if that was its last stream."""
        for kind in ("IoFileObjectType", PORT_TYPE):
            kernel.close_hooks[kind] = kernel.objects.close_by_service
        kernel.object_names["IoFileObjectType"] = self._name_of

    @staticmethod
    def _name_of(item: Object) -> str:
        file = item.body
        assert isinstance(file, FileObject)
        return file.volume.device_name + file.name

    # -- volumes

    def add_volume(self, dos_name: str, file_system: "FileSystem", *, removable: bool = False) -> Volume:
        """A disk with a volume over a directory of the host; it is mounted at its first use."""
        return self._add_volume(dos_name, file_system, removable=removable)

    def add_disk(self, dos_name: str, image: Path) -> Volume:
        """A disk whose sectors are a file of the host, for whichever file system recognises it at its first use."""
        volume = self._add_volume(dos_name, None)
        self.disk.attach_image(volume.disk_device, image)
        return volume

    def _add_volume(self, dos_name: str, file_system: "FileSystem | None", *, removable: bool = False) -> Volume:
        self._disks += 1
        number, disk_driver = self._disks, self.disk.driver.object.address
        volume = Volume(self.devices, self.heap, disk_driver, number, dos_name, file_system, removable=removable)
        self.volumes.append(volume)
        names = self.kernel.namespace
        names.insert(volume.device_name, volume.disk.object)
        for link in self.names_of(volume)[1:]:
            names.link(link, volume.device_name)
        return volume

    @staticmethod
    def names_of(volume: Volume) -> list[str]:
        """The names of a volume in the object manager's namespace: its device's, and the links to it."""
        return [volume.device_name, rf"\??\{volume.dos_name}", volume.guid_name]

    def target_of(self, device: Device) -> DeviceTarget:
        """A device that a file object is to be opened on, and that is no volume."""
        return self._targets.setdefault(device, DeviceTarget(device))

    def volume_of(self, path: str) -> tuple[Volume, str] | None:
        r"""The volume of an NT path such as \??\V:\a.txt, and the rest of the path."""
        for volume in self.volumes:
            for prefix in (rf"\??\{volume.dos_name}", rf"\DosDevices\{volume.dos_name}", volume.device_name):
                if path.lower().startswith(prefix.lower()):
                    rest = path[len(prefix) :]
                    if not rest or rest.startswith("\\"):
                        return volume, rest
        return None

    def volume_named(self, name: str) -> Volume | None:
        r"""A volume as fltmc and FilterAttach name it: `V:`, `V:\`, \Device\HarddiskVolume2."""
        name = name.rstrip("\\")
        for volume in self.volumes:
            if name.lower() in (volume.dos_name.lower(), volume.device_name.lower(), volume.guid_name.lower()):
                return volume
        found = self.volume_of(name)
        return found[0] if found is not None else None

    def volume_of_device(self, device: int) -> Volume | None:
        """The volume whose disk or file-system device, or one attached to it, is at an address."""
        below = list(self.devices.downwards(device))[-1] if device in self.devices.by_address else 0
        return next((volume for volume in self.volumes if below and below in (volume.disk_device, volume.device)), None)

    def delete_device(self, device: Device) -> Code:
        """IoDeleteDevice: what is attached to it is taken off first, by its driver; what is left there."""
        memory = self.kernel.memory
        above = device.view.attached_device
        if above:
            owner = DriverObject(memory, DeviceObject(memory, above).driver_object)
            routine = FastIoDispatch.routine(memory, owner.fast_io_dispatch, FastIoDispatch.fast_io_detach_device)
            if routine:
                yield from self.dispatcher.call(routine, above, device.address)
        left = device.view.attached_device
        self.devices.delete(device)
        return left

    # -- file objects

    def make_file_object(self, volume: Volume, name: str, flags: int, *, vpb: int | None = None) -> FileObject:
        """A file object for a create that is about to be sent: on the present mount, or that of a `vpb`."""
        file = FileObject(self.kernel, self.heap, volume, name, flags, self.close)
        self.kernel.objects.reference(volume.disk.object)
        volume.disk.view.reference_count += 1
        if vpb is not None:
            file.view.vpb = vpb
        if file.view.vpb:
            Vpb(self.kernel.memory, file.view.vpb).reference_count += 1
        self.files.setdefault(volume, set()).add(file)
        return file

    def file_at(self, address: int) -> FileObject | None:
        """The file object at a guest address."""
        return file_at(self.kernel, address)

    def file_of_irp(self, irp: int) -> FileObject | None:
        """The file object of an IRP's current stack location."""
        return self.file_at(self.kernel.memory.read_u64(self.irps.current(irp) + 0x30))

    def close(self, file: FileObject) -> Code:
        """The last reference to a file object is gone: IRP_MJ_CLOSE, if it was ever opened, and no file object."""
        self.files[file.volume].discard(file)
        if file.is_open:
            request = Request(
                OperationClass.IRP,
                IrpMajor.CLOSE,
                file,
                self.kernel.current,
                irp_flags=int(IrpFlags.CLOSE_OPERATION | IrpFlags.SYNCHRONOUS_API),
            )
            yield from self.issue(request)
        file.closed = True
        self._device_closed(file.volume.disk)
        for function in self.on_file_object_gone:
            function(file)
        if file.view.vpb:
            yield from self.file_systems.release(file.view.vpb)
        if file.volume.disk_device in self.disk.removed:
            yield from settle(self, file.volume)
        self.kernel.objects.forget(file.object)
        file.free_memory()

    def sends_again(self, request: Request) -> bool:
        """Whether a request that has come back from fast I/O is sent again as an IRP: every one that was disallowed."""
        return request.disallowed and self.kernel.policy["fast-io-resend"] != "never"

    def _device_closed(self, device: Device) -> None:
        """A file object that was opened on a device is gone, and with the last one what waited for that."""
        device.view.reference_count -= 1
        if device.view.reference_count == 0:
            if device.deleted:
                self.devices.finish(device)
            driver = self._drivers.by_object(device.view.driver_object) if device.unloading else None
            if driver is not None:
                self.kernel.queue_worker(self.unload_driver(driver))
        self.kernel.objects.dereference(device.object)

    def unload_driver(self, driver: "Driver") -> Code:
        """NtUnloadDriver: a driver whose device somebody has open stays until that is closed; nobody opens it again."""
        self._drivers.require_intact(driver)
        devices = self.devices.of_driver(driver.object.address)
        if any(device.view.reference_count > 0 for device in devices):
            for device in devices:
                device.unloading = True
            self.kernel.probes.happened((f"unload {driver.name} waits for its open devices",))
            return
        yield from self._drivers.unload(driver)

    def cleanup(self, file: FileObject) -> Code:
        """IRP_MJ_CLEANUP: the last handle is closed. Whatever comes back, the handle is gone."""
        request = Request(
            OperationClass.IRP,
            IrpMajor.CLEANUP,
            file,
            self.kernel.current,
            irp_flags=int(IrpFlags.CLOSE_OPERATION | IrpFlags.SYNCHRONOUS_API),
        )
        yield from self.issue(request)
        file.cleaned_up = True
        file.add_flags(FileObjectFlags.CLEANUP_COMPLETE)

    # -- requests

    def device_of(self, file: FileObject) -> int:
        """IoGetRelatedDeviceObject: the top of the stack that a file object's requests go to."""
        memory = self.kernel.memory
        device, vpb = file.device_and_vpb
        mounted = memory.read_u64(vpb + 0x08) if vpb else 0
        return self.devices.top(mounted or device)

    def send(self, request: Request) -> Code:
        """Send a request to the top of its file object's stack.

        When this returns the request may be pending: see `request.finished`.
        """
        assert request.file is not None
        return self.send_to(self.device_of(request.file), request)

    def send_to(self, device: int, request: Request) -> Code:
        """Send a request to a device: an IRP, a call of its fast I/O table, or of its FSFilter callbacks."""
        if request.kind is OperationClass.IRP:
            self.pending[request] = None
            irp = self.irps.build(request, self.kernel.memory.read_u8(device + 0x4C), device)
            describe_buffer(self.kernel, request, irp, self.kernel.memory.read_u32(device + 0x30))
            yield from self.dispatcher.call_driver(device, irp)
        elif request.kind is OperationClass.FAST_IO:
            done = yield from fast_io(self, device, request)
            self.finish(request, request.status if done else NtStatus.FLT_DISALLOW_FAST_IO, request.information)
        else:
            yield from fs_filter(self, device, request)
            self.finish(request, request.status, request.information)

    def issue(self, request: Request, send: Send | None = None) -> Code:
        """Send a request and wait for it; its status."""
        yield from (send or self.send)(request)
        if not request.finished:
            yield Wait([request.done], reason=f"{request.describe()} to be finished")
        return request.status

    def finish(self, request: Request, status: int, information: int) -> None:
        """The request has come back from the top of the stack."""
        self.pending.pop(request, None)
        if information and (request.mode or request.paging) and self.kernel.pool.unwritten.is_known:
            look_at_answer(self.kernel, request, status, information)
        done = request.finish(status, information)
        if done is not None:
            self.kernel.signal(done)

    def complete(self, irp: int, status: int, information: int) -> Code:
        """Complete an IRP that a driver of ours has, here."""
        self.irps.set_io_status(irp, status, information)
        yield from self.dispatcher.complete(irp)

    def complete_later(self, request: Request, status: int, information: int) -> None:
        """The file system completes a request that it had kept: in a system thread."""
        irp, request.irp = request.irp, 0
        if not irp:
            return  # on its way already
        request.irp = irp
        request.set_cancel_routine(None)
        request.irp = 0
        self.kernel.queue_worker(self.complete(irp, int(status), information))

    def cancel(self, request: Request) -> Code:
        """IoCancelIrp, of a request that may be over; whether a cancel routine was called."""
        if not request.irp or request.cancelled:
            return False
        return (yield from self.dispatcher.cancel(request.irp))

    def caught(self, done: Event) -> int:
        """The context with which `catch_routine` sets an event."""
        self._caught[id(done)] = done
        return id(done)

    def _catch(self, device: int, irp: int, context: int) -> Code:
        del device, irp
        yield from ()
        self.kernel.signal(self._caught.pop(context))
        return int(NtStatus.MORE_PROCESSING_REQUIRED)

    def _report_devices(self, driver: "Driver") -> None:
        """A driver goes: a device that it has not deleted would point into nothing."""
        for device in self.devices.of_driver(driver.object.address):
            made = f", created at {device.made_at}" if device.made_at else ""
            text = f"leak at unload: {device!r} was never deleted (IoDeleteDevice){made}"
            self.kernel.verifier.report(None, driver.name, text, chain=(device.made_at,) if device.made_at else None)

    def invalid_device_request(self, device: int, irp: int) -> Code:
        """What fills MajorFunction of a new DRIVER_OBJECT."""
        del device
        yield from self.complete(irp, NtStatus.INVALID_DEVICE_REQUEST, 0)
        return int(NtStatus.INVALID_DEVICE_REQUEST)

    def release_cancel_lock(self, irql: int) -> None:
        """IoReleaseCancelSpinLock."""
        self.dispatcher.release_cancel_lock(irql)

    def set_event(self, address: int) -> None:
        """Signal an event in guest memory."""
        event = GuestEvent(self.kernel.memory, address)
        event.header.signal_state = 1
        self.kernel.signal(event)

    def previous_mode(self) -> int:
        """Whether the current thread is in a service that a program has called."""
        return self.kernel.memory.read_u8(self.kernel.current.kthread + KTHREAD.PREVIOUS_MODE)

    # -- IRQL

    def at_apc_level(self, code: Code) -> Code:
        """Run `code` at APC_LEVEL: how the memory manager and the cache enter the file system for paging I/O."""
        if self.kernel.irql >= Irql.APC:
            return (yield from code)
        old = self.kernel.raise_irql(Irql.APC)
        result = yield from code
        self.kernel.lower_irql(old)
        return result
