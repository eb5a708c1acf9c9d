"""Device objects: making them, stacking them, finding the top and the bottom of a stack."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.windows.io.constants import DeviceFlags
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.structures.device_objects import (
    IO_TYPE_DEVICE,
    IO_TYPE_DEVICE_OBJECT_EXTENSION,
    DeviceObject,
    DeviceObjectExtension,
    DriverObject,
)

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

OBJECT_TYPE = "IoDeviceObjectType"
_ATTACHED, _EXTENSION, _ATTACHED_TO = 0x18, 0x138, 0x30
_SECTOR = 512


class Device:
    """A device object; whatever can be said of it is in guest memory. `name` is its path, "" without one."""

    def __init__(self, view: DeviceObject, item: Object, size: int, name: str) -> None:
        self.view = view
        self.address = view.address
        self.object = item
        self.extension_size = size
        self.name = name
        self.deleted = False
        """IoDeleteDevice was called; it is there for as long as somebody has it open."""
        self.unloading = False
        """Its driver is to be unloaded once nobody has it open."""
        self.descriptor = b""
        """Its security descriptor, self-relative; empty for the usual one."""
        self.owner: str | None = None
        """The driver from outside that made it."""
        self.made_at: str | None = None
        """The call by which it did."""

    def __repr__(self) -> str:
        return f"<Device {self.name or hex(self.address)}>"


class DeviceTable:
    """The device objects of a kernel."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self.shields = kernel.shields
        self._memory = kernel.memory
        self.by_address: dict[int, Device] = {}

    def create(
        self, driver: int, kind: int, *, extension: int = 0, flags: int = 0, name: str = "", ours: bool = False
    ) -> Device:
        """A new device of the driver whose DRIVER_OBJECT is at `driver`, with `extension` bytes of its own.

        `ours`: of a driver of the kernel's own, so that no other may write it.
        """
        kernel, memory = self._kernel, self._memory
        size = DeviceObject.SIZE + (extension + 15 & ~15)
        whole = size + DeviceObjectExtension.SIZE
        if ours:
            address = self.shields.allocate(whole, lambda at: f"the DEVICE_OBJECT {name or hex(at)}", DeviceObject)
        else:
            address = kernel.heap.allocate(whole)
        view, owner = DeviceObject(memory, address), DriverObject(memory, driver)
        view.type, view.size = IO_TYPE_DEVICE, DeviceObject.SIZE + extension
        view.driver_object = driver
        view.device_extension = address + DeviceObject.SIZE if extension else 0
        view.device_type, view.flags = kind, flags
        view.stack_size = 1
        view.sector_size = _SECTOR
        more = DeviceObjectExtension(memory, address + size)
        more.type, more.size, more.device_object = IO_TYPE_DEVICE_OBJECT_EXTENSION, 0, address
        view.device_object_extension = more.address
        view.next_device = owner.device_object
        owner.device_object = address
        device = Device(view, Object(OBJECT_TYPE, None, address), extension, name)
        device.object.body = device
        device.object.on_delete = lambda _: (self.shields if ours else kernel.heap).free(address)
        kernel.objects.register(device.object)
        self.by_address[address] = device
        return device

    def delete(self, device: Device) -> None:
        """IoDeleteDevice: at once, or when the last file object that was opened on it is closed."""
        if device.deleted:
            self._kernel.bugcheck(
                BugCheck.DRIVER_VERIFIER_IOMANAGER_VIOLATION,
                0x4,
                device.address,
                message=f"IoDeleteDevice: the device {device.name or hex(device.address)} is deleted already",
            )
        device.deleted = True
        if device.view.reference_count <= 0:
            self.finish(device)

    def finish(self, device: Device) -> None:
        """A deleted device goes: out of its driver's list; the memory goes with the last reference."""
        memory = self._memory
        at = device.view.driver_object + 0x08
        while (following := memory.read_u64(at)) and following != device.address:
            at = following + 0x10
        if following:
            memory.write_u64(at, device.view.next_device)
        device.view.next_device = 0
        self.by_address.pop(device.address, None)
        self._kernel.objects.dereference(device.object)

    def at(self, address: int) -> Device | None:
        """The device at a guest address."""
        return self.by_address.get(address)

    # -- stacks

    def attach(self, device: Device, target: int) -> int:
        """Put a device on top of the stack that `target` is in; the address of the device that was the top."""
        below = self.top(target)
        memory = self._memory
        lower = DeviceObject(memory, below)
        lower.attached_device = device.address
        memory.write_u64(device.view.device_object_extension + _ATTACHED_TO, below)
        view = device.view
        view.stack_size = lower.stack_size + 1
        view.alignment_requirement = lower.alignment_requirement
        view.sector_size = lower.sector_size
        return below

    def detach(self, below: int) -> None:
        """IoDetachDevice: take off what is attached to `below`."""
        lower = DeviceObject(self._memory, below)
        upper = lower.attached_device
        if upper:
            lower.attached_device = 0
            self._memory.write_u64(DeviceObject(self._memory, upper).device_object_extension + _ATTACHED_TO, 0)

    def top(self, device: int) -> int:
        """The highest device of a stack (IoGetAttachedDevice)."""
        memory = self._memory
        while above := memory.read_u64(device + _ATTACHED):
            device = above
        return device

    def below(self, device: int) -> int:
        """The next lower device of a stack, or 0."""
        return self._memory.read_u64(self._memory.read_u64(device + _EXTENSION) + _ATTACHED_TO)

    def downwards(self, device: int) -> Iterator[int]:
        """A device and those below it."""
        while device:
            yield device
            device = self.below(device)

    def of_driver(self, driver: int) -> list[Device]:
        """The devices of a driver, the newest first."""
        found, at = [], DriverObject(self._memory, driver).device_object
        while at:
            device = self.by_address.get(at)
            if device is not None:
                found.append(device)
            at = self._memory.read_u64(at + 0x10)
        return found

    def describe(self, address: int) -> str:
        """A device in words."""
        device = self.by_address.get(address)
        return device.name or f"device {address:#x}" if device is not None else f"{address:#x}"


__all__ = ["Device", "DeviceFlags", "DeviceTable"]
