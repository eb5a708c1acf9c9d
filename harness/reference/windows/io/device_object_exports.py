"""The exports for device objects: making, naming, stacking, finding and deleting them."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import BugCheck, IrpMajor, Irql, NtStatus, OperationClass
from harness.reference.machine.loader.exports import NTOSKRNL, U32, Length, export
from harness.reference.windows.io.constants import DeviceFlags, FileObjectFlags, IrpFlags
from harness.reference.windows.io.create import OpenParameters, make_handle, open_file
from harness.reference.windows.io.devices import Device
from harness.reference.windows.io.object_names import ObjectName
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.ob.namespace import SYMBOLIC_LINK, NameRefused
from harness.reference.windows.structures.device_objects import DeviceObject, DeviceObjectExtension, Vpb

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_NON_DIRECTORY_FILE, _READ_ATTRIBUTES = 0x40, 0x80


@export(NTOSKRNL, "IoCreateDevice", max_irql=Irql.APC)
def io_create_device(
    k: "Kernel", driver: int, extension: U32, name: int, kind: U32, characteristics: U32, exclusive: bool, out: int
) -> int:
    """IoCreateDevice."""
    path = k.memory.read_unicode_string(name) if name else ""
    if path and k.namespace.find(path) is not None:
        return NtStatus.OBJECT_NAME_COLLISION
    flags = DeviceFlags.DEVICE_INITIALIZING
    if path:
        flags |= DeviceFlags.DEVICE_HAS_NAME
    if exclusive:
        flags |= DeviceFlags.EXCLUSIVE
    device = k.io.devices.create(driver, kind, extension=extension, flags=int(flags), name=path)
    device.view.characteristics = characteristics
    maker = k.blame.current()
    device.owner, device.made_at = maker.driver, maker.location
    if path and not k.namespace.insert(path, device.object):
        k.io.devices.delete(device)
        return NtStatus.OBJECT_PATH_NOT_FOUND
    k.memory.write_u64(out, device.address)
    return NtStatus.SUCCESS


@export(NTOSKRNL, "IoDeleteDevice", max_irql=Irql.APC)
def io_delete_device(k: "Kernel", address: int) -> Code:
    """IoDeleteDevice: who has attached to it without a FastIoDetachDevice keeps a pointer to nothing."""
    device, caller = k.io.devices.at(address), k.blame.current().driver
    if device is None:
        k.verifier.report(None, caller, f"IoDeleteDevice was given {address:#x}, which is no device")
        return
    if caller is not None and device.owner != caller:
        text = f"IoDeleteDevice was given {device!r}, which is another's"
        k.bugcheck(BugCheck.DRIVER_VERIFIER_IOMANAGER_VIOLATION, 4, address, message=text)
    if device.name:
        k.namespace.remove(device.name)
    what = repr(device)
    if (yield from k.io.delete_device(device)):
        k.verifier.report(None, caller, f"IoDeleteDevice: {what} is deleted while another is attached to it")


# -- stacks


@export(NTOSKRNL, "IoAttachDeviceToDeviceStack", max_irql=Irql.DISPATCH)
def io_attach_device_to_device_stack(k: "Kernel", source: int, target: int) -> int:
    """IoAttachDeviceToDeviceStack: the device that ours is attached to."""
    device = k.io.devices.at(source)
    return k.io.devices.attach(device, target) if device is not None else 0


@export(NTOSKRNL, "IoAttachDeviceToDeviceStackSafe", max_irql=Irql.DISPATCH)
def io_attach_device_to_device_stack_safe(k: "Kernel", source: int, target: int, out: int) -> int:
    """IoAttachDeviceToDeviceStackSafe: the driver knows the device below before any IRP can come."""
    device = k.io.devices.at(source)
    if device is None:
        return NtStatus.NO_SUCH_DEVICE
    k.memory.write_u64(out, k.io.devices.top(target))
    k.io.devices.attach(device, target)
    return NtStatus.SUCCESS


@export(NTOSKRNL, "IoDetachDevice", max_irql=Irql.DISPATCH)
def io_detach_device(k: "Kernel", below: int) -> None:
    """IoDetachDevice: `below` is the device that the caller's is attached to."""
    device, caller = k.io.devices.at(below), k.blame.current().driver
    above = k.io.devices.at(device.view.attached_device) if device is not None else None
    if caller is not None and above is not None and above.owner != caller:
        text = f"IoDetachDevice was given {device!r}, to which {above!r} is attached, which is another's"
        k.bugcheck(BugCheck.DRIVER_VERIFIER_IOMANAGER_VIOLATION, 4, below, message=text)
    k.io.devices.detach(below)


def _referenced(k: "Kernel", address: int) -> int:
    device = k.io.devices.at(address)
    if device is None:
        return 0
    k.objects.take(device.object)
    return address


@export(NTOSKRNL, "IoGetAttachedDevice", max_irql=Irql.DISPATCH)
def io_get_attached_device(k: "Kernel", device: int) -> int:
    """IoGetAttachedDevice: the top of the stack, without a reference."""
    return k.io.devices.top(device)


@export(NTOSKRNL, "IoGetAttachedDeviceReference", max_irql=Irql.DISPATCH)
def io_get_attached_device_reference(k: "Kernel", device: int) -> int:
    """IoGetAttachedDeviceReference."""
    return _referenced(k, k.io.devices.top(device))


@export(NTOSKRNL, "IoGetLowerDeviceObject", max_irql=Irql.DISPATCH)
def io_get_lower_device_object(k: "Kernel", device: int) -> int:
    """IoGetLowerDeviceObject: with a reference for the caller, or NULL."""
    return _referenced(k, k.io.devices.below(device))


@export(NTOSKRNL, "IoGetDeviceAttachmentBaseRef", max_irql=Irql.DISPATCH)
def io_get_device_attachment_base_ref(k: "Kernel", device: int) -> int:
    """IoGetDeviceAttachmentBaseRef: the lowest device of the stack."""
    if not device:
        k.bugcheck(
            BugCheck.PAGE_FAULT_IN_NONPAGED_AREA,
            message="IoGetDeviceAttachmentBaseRef was given NULL, which is no device",
        )
    return _referenced(k, list(k.io.devices.downwards(device))[-1])


@export(NTOSKRNL, "IoGetDiskDeviceObject", max_irql=Irql.APC)
def io_get_disk_device_object(k: "Kernel", device: int, out: int) -> int:
    """IoGetDiskDeviceObject: the storage device below a file system's volume device."""
    extension = DeviceObjectExtension(k.memory, DeviceObject(k.memory, device).device_object_extension)
    if not extension.vpb:
        return NtStatus.INVALID_PARAMETER
    k.memory.write_u64(out, _referenced(k, Vpb(k.memory, extension.vpb).real_device))
    return NtStatus.SUCCESS


@export(NTOSKRNL, "IoEnumerateDeviceObjectList", max_irql=Irql.PASSIVE)
def io_enumerate_device_object_list(k: "Kernel", driver: int, out: int, size: Length, count_out: int) -> int:
    """IoEnumerateDeviceObjectList: each with a reference for the caller."""
    found: list[Device] = k.io.devices.of_driver(driver)
    k.memory.write_u32(count_out, len(found))
    if size < 8 * len(found):
        return NtStatus.BUFFER_TOO_SMALL
    for index, device in enumerate(found):
        k.memory.write_u64(out + 8 * index, _referenced(k, device.address))
    return NtStatus.SUCCESS


# -- names


@export(NTOSKRNL, "IoCreateSymbolicLink", "IoCreateUnprotectedSymbolicLink", max_irql=Irql.PASSIVE)
def io_create_symbolic_link(k: "Kernel", link: int, target: int) -> int:
    """IoCreateSymbolicLink."""
    name = k.memory.read_unicode_string(link)
    if k.namespace.find(name) is not None:
        return NtStatus.OBJECT_NAME_COLLISION
    if not k.namespace.link(name, k.memory.read_unicode_string(target)):
        return NtStatus.OBJECT_PATH_NOT_FOUND
    k.holdings.take(SYMBOLIC_LINK, name.lower(), name, _owner_of(k, k.memory.read_unicode_string(target)))
    return NtStatus.SUCCESS


def _owner_of(k: "Kernel", target: str) -> str | None:
    """Who makes a link: the driver that calls, else that of the device that the name leads to."""
    caller = k.blame.current().driver
    if caller is not None:
        return caller
    try:
        item, _ = k.namespace.resolve(target)
    except NameRefused:
        return None
    driver = k.drivers.by_object(item.body.view.driver_object) if isinstance(item.body, Device) else None
    return driver.name if driver is not None else None


@export(NTOSKRNL, "IoDeleteSymbolicLink", max_irql=Irql.PASSIVE)
def io_delete_symbolic_link(k: "Kernel", link: int) -> int:
    """IoDeleteSymbolicLink."""
    name = k.memory.read_unicode_string(link)
    k.holdings.give_back(SYMBOLIC_LINK, name.lower())
    return NtStatus.SUCCESS if k.namespace.remove(name) else NtStatus.OBJECT_NAME_NOT_FOUND


@export(NTOSKRNL, "IoAttachDevice", max_irql=Irql.PASSIVE)
def io_attach_device(k: "Kernel", source: int, name: int, out: int) -> Code:
    """IoAttachDevice: to the top of the stack of a device that is opened by its name."""
    device, path = k.io.devices.at(source), k.memory.read_unicode_string(name)
    if device is None:
        return int(NtStatus.NO_SUCH_DEVICE)
    status, _, file = yield from open_file(k.io, ObjectName(path), OpenParameters(access=_READ_ATTRIBUTES))
    if file is None:
        return status
    k.memory.write_u64(out, k.io.devices.attach(device, k.io.device_of(file)))
    yield from k.objects.close_handle(make_handle(k.io, file, kernel=True, access=_READ_ATTRIBUTES))
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "IoCancelFileOpen", max_irql=Irql.PASSIVE)
def io_cancel_file_open(k: "Kernel", device: int, file_object: int) -> Code:
    """IoCancelFileOpen: IRP_MJ_CLEANUP to the devices below a legacy filter that fails a create; its close follows."""
    file = k.io.file_at(file_object)
    if file is None or file.flags & FileObjectFlags.HANDLE_CREATED:
        text = "IoCancelFileOpen was called for what is no file object, or has a handle"
        k.verifier.report(None, k.blame.current().driver, text)
        return
    flags = int(IrpFlags.CLOSE_OPERATION | IrpFlags.SYNCHRONOUS_API)
    request = Request(OperationClass.IRP, IrpMajor.CLEANUP, file, k.current, irp_flags=flags)
    yield from k.io.issue(request, partial(k.io.send_to, device))
    file.cleaned_up = file.is_open = True
    file.add_flags(int(FileObjectFlags.CLEANUP_COMPLETE | FileObjectFlags.FILE_OPEN_CANCELLED))


@export(NTOSKRNL, "IoGetDeviceObjectPointer", max_irql=Irql.PASSIVE)
def io_get_device_object_pointer(k: "Kernel", name: int, access: U32, file_out: int, device_out: int) -> Code:
    """IoGetDeviceObjectPointer: the top of the stack, and a reference to the file object that keeps it."""
    path = k.memory.read_unicode_string(name)
    parameters = OpenParameters(access=access, options=_NON_DIRECTORY_FILE)
    status, _, file = yield from open_file(k.io, ObjectName(path), parameters)
    if file is None:
        return status
    k.objects.take(file.object)
    k.memory.write_u64(file_out, file.address)
    k.memory.write_u64(device_out, k.io.device_of(file))
    yield from k.objects.close_handle(make_handle(k.io, file, kernel=True, access=access))
    return int(NtStatus.SUCCESS)
