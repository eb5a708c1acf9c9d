"""Drivers: an image with a DRIVER_OBJECT and a service key, from DriverEntry to the last look for leaks."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.nt import BugCheck, NtStatus, nt_success
from harness.reference.machine.loader.images import Image
from harness.reference.machine.loader.loader import LoadError
from harness.reference.machine.scheduler.requests import KernelCode, Request
from harness.reference.windows.ntos.ps.process_notify import image_loaded
from harness.reference.windows.structures.device_objects import (
    IO_TYPE_DRIVER,
    MAJOR_FUNCTIONS,
    DeviceObject,
    DriverExtension,
    DriverObject,
)

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_DEVICE_INITIALIZING = 0x80


@dataclass(slots=True, eq=False)
class Driver:
    """A loaded driver."""

    name: str
    """The service's name; reports call the driver by it."""
    image: Image
    object: DriverObject
    registry_path: int
    """Guest address of the UNICODE_STRING that DriverEntry was given."""
    service_key: str
    """The registry path itself."""
    buffers: list[int]


class DriverTable:
    """The loaded drivers."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self.loaded: dict[str, Driver] = {}
        """By lower-case name."""
        self.invalid_device_request = 0
        """What fills MajorFunction of a new DRIVER_OBJECT: the I/O manager's routine, if there is one."""
        self.on_remove: list[Callable[[Driver], None]] = []
        """Called before a driver's image goes: who tracks more than pool and handles reports its leaks."""

    def by_object(self, address: int) -> Driver | None:
        """The driver whose DRIVER_OBJECT is at a guest address."""
        for driver in self.loaded.values():
            if driver.object.address == address:
                return driver
        return None

    def load(
        self, service: str, data: bytes, registry: Mapping[str, Any] | None = None
    ) -> Generator[Request, Any, int]:
        """Load a driver and run its DriverEntry; NTSTATUS. `registry`, if given, replaces its service key's content.

        Raises LoadError if the image cannot be loaded. A driver whose DriverEntry fails is unloaded again.
        """
        kernel = self._kernel
        if service.lower() in self.loaded:
            raise LoadError(NtStatus.IMAGE_ALREADY_LOADED, f"{service} is loaded already")
        key = f"{kernel.registry.SERVICES}\\{service}"
        if registry is not None:
            kernel.registry.load(key, registry)
        kernel.registry.make(key)
        image = kernel.load_image(service, data)
        driver = self._make(service, image, key.replace("CurrentControlSet", "ControlSet001"))
        self.loaded[service.lower()] = driver
        kernel.probes.happened((f"load {service}",))
        yield from image_loaded(kernel, image, rf"\SystemRoot\System32\drivers\{service}.sys", 0)
        arguments = (driver.object.address, driver.registry_path)
        status = (yield from kernel.kept.call("its DriverEntry", image.entry_point, *arguments)) & 0xFFFF_FFFF
        kernel.probes.happened((f"DriverEntry of {service} returned {status:#010x}",))
        if nt_success(status):
            kernel.loader.discard(image)
            self._devices_initialized(driver)
        else:
            self.remove(driver)
        return int(status)

    def _make(self, service: str, image: Image, key: str) -> Driver:
        kernel = self._kernel
        memory = kernel.memory
        item = DriverObject(memory, kernel.heap.allocate(DriverObject.SIZE))
        buffers: list[int] = []

        def string(at: int, text: str) -> None:
            data = text.encode("utf-16-le")
            buffer = kernel.heap.allocate(len(data) + 2)
            memory.write(buffer, data)
            memory.write_unicode_string(at, buffer, len(data), len(data) + 2)
            buffers.append(buffer)

        item.type = IO_TYPE_DRIVER
        item.size = DriverObject.SIZE
        item.driver_start = image.base
        item.driver_size = image.size
        item.driver_init = image.entry_point
        item.driver_extension = kernel.heap.allocate(DriverExtension.SIZE)
        buffers.append(item.driver_extension)
        string(item.address + DriverObject.NAME, f"\\FileSystem\\{service}")
        invalid = self.invalid_device_request
        for major in range(MAJOR_FUNCTIONS):
            memory.write_u64(item.address + DriverObject.MAJOR_FUNCTION + 8 * major, invalid)
        path = kernel.heap.allocate(16)
        string(path, key)
        return Driver(service, image, item, path, key, [*buffers, path])

    def _devices_initialized(self, driver: Driver) -> None:
        """Devices that DriverEntry has made are initialized once it has returned."""
        memory, at = self._kernel.memory, driver.object.device_object
        while at:
            device = DeviceObject(memory, at)
            device.flags &= ~_DEVICE_INITIALIZING
            at = device.next_device

    def require_intact(self, driver: Driver) -> None:
        """Bug check if a driver has destroyed its DRIVER_OBJECT."""
        found = driver.object
        if (found.type, found.size) != (IO_TYPE_DRIVER, DriverObject.SIZE):
            text = f"the DRIVER_OBJECT of {driver.name} is destroyed: Type {found.type:#x}, Size {found.size:#x}"
            self._kernel.bugcheck(BugCheck.DRIVER_VERIFIER_IOMANAGER_VIOLATION, message=text, driver=driver.name)

    def unload(self, driver: Driver) -> KernelCode:
        """Call the driver's DriverUnload, if it has one, and remove it."""
        routine = driver.object.driver_unload
        if routine and not self._kernel.blame.is_code(routine):
            text = f"DriverUnload in the DRIVER_OBJECT of {driver.name} is {routine:#x}, where no code is"
            self._kernel.bugcheck(BugCheck.PAGE_FAULT_IN_NONPAGED_AREA, routine, 8, message=text, driver=driver.name)
        if routine:
            yield from self._kernel.kept.call("its DriverUnload", routine, driver.object.address)
        self.remove(driver)

    def remove(self, driver: Driver) -> None:
        """Take a driver away, with a report of what it leaves behind."""
        kernel = self._kernel
        for function in self.on_remove:
            function(driver)
        for block in list(kernel.pool.live(driver.name)):
            kernel.verifier.report(
                None,
                driver.name,
                f"leak at unload: {block}, allocated by {kernel.pool.place(block.allocated_by)}, was never freed",
                chain=(kernel.pool.place(block.allocated_by),),
            )
        for handle in kernel.objects.handles_opened_by(driver.name):
            kernel.verifier.report(
                None,
                driver.name,
                f"leak at unload: a handle to a {handle.object.type} was never closed"
                f"{f', opened at {handle.opened_at}' if handle.opened_at else ''}",
                chain=(handle.opened_at,) if handle.opened_at else (),
            )
        kernel.holdings.report(driver.name, "unloaded")
        for lock in kernel.locks.made_by(driver.name):
            if not lock.free:
                sites = tuple(dict.fromkeys(taken.at for owner in lock.taken.values() for taken in owner if taken.at))
                acquired = f", acquired at {', '.join(sites)}" if sites else ""
                text = f"leak at unload: the {lock.describe()} was never released{acquired}"
                kernel.verifier.report(None, driver.name, text, chain=sites or None)
        for thread in kernel.scheduler.threads.values():
            if driver.image.base <= thread.start < driver.image.end:
                by = thread.execution.behalf
                text = f"leak at unload: {thread.describe()} of the driver has not ended"
                if by:
                    text += f", created at {by}"
                kernel.verifier.report(None, driver.name, text, chain=(by,) if by else None)
        kernel.loader.unload(driver.image)
        del self.loaded[driver.name.lower()]
        for buffer in driver.buffers:
            kernel.heap.free(buffer)
        kernel.heap.free(driver.object.address)
        kernel.probes.happened((f"unload {driver.name}",))
