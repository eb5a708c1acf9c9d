"""The exports that ask about filters, instances, volumes, requestors and the filter manager itself."""

from struct import Struct
from typing import TYPE_CHECKING, Any

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, Length, export, find_export
from harness.reference.windows.fltmgr.attachment import find_instance
from harness.reference.windows.fltmgr.filters import Filter, FilterVolume, Instance
from harness.reference.windows.io.constants import FILE_DEVICE_DISK_FILE_SYSTEM
from harness.reference.windows.io.request import Code
from harness.reference.windows.structures.device_objects import DriverObject

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Process
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel

_PROPERTIES = Struct("<IIIIHH4x")
"""FLT_VOLUME_PROPERTIES up to its three UNICODE_STRINGs."""
_PROPERTIES_SIZE = 0x48


@export(FLTMGR, "FltGetRoutineAddress", max_irql=Irql.APC)
def flt_get_routine_address(k: "Kernel", name: int) -> int:
    """FltGetRoutineAddress: NULL for what is not there."""
    text = k.memory.read_cstring(name).decode("latin-1")
    if find_export(FLTMGR, text) is None:
        return 0
    return k.exports.resolve(FLTMGR, text) or 0


# -- requestors


@export(FLTMGR, "FltGetRequestorProcess", max_irql=Irql.DISPATCH)
def flt_get_requestor_process(k: "Kernel", data: int) -> int:
    """FltGetRequestorProcess."""
    return _requestor(k, data).eprocess


@export(FLTMGR, "FltGetRequestorProcessId", max_irql=Irql.DISPATCH)
def flt_get_requestor_process_id(k: "Kernel", data: int) -> int:
    """FltGetRequestorProcessId."""
    return _requestor(k, data).id


@export(FLTMGR, "FltGetRequestorProcessIdEx", max_irql=Irql.DISPATCH)
def flt_get_requestor_process_id_ex(k: "Kernel", data: int) -> int:
    """FltGetRequestorProcessIdEx: as a handle."""
    return _requestor(k, data).id


def _requestor(k: "Kernel", data: int) -> "Process":
    """The process of the thread that made the request; a draining callback's copy has it too."""
    thread = k.processes.threads.get(k.memory.read_u64(data + 8))
    return thread.process if thread is not None else k.processes.system


# -- volumes


@export(FLTMGR, "FltGetVolumeProperties", max_irql=Irql.PASSIVE)
def flt_get_volume_properties(k: "Kernel", volume: int, out: int, length: Length, returned: int) -> int:
    """FltGetVolumeProperties."""
    found = k.flt.volume_at(volume).volume
    texts = [text.encode("utf-16-le") for text in (*_file_system_names(k, found), found.device_name)]
    needed = _PROPERTIES_SIZE + sum(len(text) for text in texts)
    if returned:
        k.memory.write_u32(returned, needed if length >= needed else min(length, needed))
    if length < _PROPERTIES_SIZE:
        if returned:
            k.memory.write_u32(returned, needed)
        return NtStatus.BUFFER_TOO_SMALL
    k.memory.write(
        out, _PROPERTIES.pack(FILE_DEVICE_DISK_FILE_SYSTEM, found.characteristics, 0, 0, found.sector_size, 0)
    )
    at = out + _PROPERTIES_SIZE
    for index, text in enumerate(texts):
        fits = at + len(text) <= out + length
        size = len(text) if fits else 0
        k.memory.write_unicode_string(out + 24 + 16 * index, at if fits else 0, size, size)
        if fits:
            k.memory.write(at, text)
            at += len(text)
    return NtStatus.SUCCESS if length >= needed else NtStatus.BUFFER_OVERFLOW


def _file_system_names(k: "Kernel", volume: "Volume") -> tuple[str, str]:
    """The names of a volume's file system driver and of its control device."""
    if volume.file_system is not None:
        return volume.file_system.kind.driver, volume.file_system.kind.control_device
    device = k.io.devices.at(volume.device)
    if device is None:
        return "", ""
    driver = DriverObject(k.memory, device.view.driver_object)
    controls = (k.io.devices.at(item) for item in k.io.file_systems.registered)
    names = (item.name for item in controls if item is not None and item.view.driver_object == driver.address)
    return k.memory.read_unicode_string(driver.address + DriverObject.NAME), next(names, "")


def _give_string(k: "Kernel", text: str, string: int, needed: int) -> int:
    encoded = text.encode("utf-16-le")
    if needed:
        k.memory.write_u32(needed, len(encoded))
    if not string:
        return NtStatus.BUFFER_TOO_SMALL
    maximum, buffer = k.memory.read_u16(string + 2), k.memory.read_u64(string + 8)
    if maximum < len(encoded):
        return NtStatus.BUFFER_TOO_SMALL
    k.memory.write(buffer, encoded)
    k.memory.write_u16(string, len(encoded))
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetVolumeName", max_irql=Irql.APC)
def flt_get_volume_name(k: "Kernel", volume: int, string: int, needed: int) -> int:
    """FltGetVolumeName."""
    return _give_string(k, k.flt.volume_at(volume).volume.device_name, string, needed)


@export(FLTMGR, "FltGetVolumeGuidName", max_irql=Irql.PASSIVE)
def flt_get_volume_guid_name(k: "Kernel", volume: int, string: int, needed: int) -> int:
    """FltGetVolumeGuidName."""
    return _give_string(k, k.flt.volume_at(volume).volume.guid_name, string, needed)


@export(FLTMGR, "FltGetFileSystemType", max_irql=Irql.APC)
def flt_get_file_system_type(k: "Kernel", flt_object: int, out: int) -> int:
    """FltGetFileSystemType, for a volume or an instance."""
    instance = k.flt.instances.get(flt_object)
    on = instance.on if instance is not None else k.flt.volume_at(flt_object)
    k.memory.write_u32(out, on.type)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltIsVolumeWritable", max_irql=Irql.PASSIVE)
def flt_is_volume_writable(k: "Kernel", flt_object: int, out: int) -> int:
    """FltIsVolumeWritable."""
    if flt_object not in k.flt.instances:
        k.flt.volume_at(flt_object)
    k.memory.write_u8(out, 1)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetDiskDeviceObject", max_irql=Irql.APC)
def flt_get_disk_device_object(k: "Kernel", volume: int, out: int) -> int:
    """FltGetDiskDeviceObject: with a reference for the caller."""
    found = k.flt.volume_at(volume).volume
    k.objects.take(found.disk.object)
    k.memory.write_u64(out, found.disk_device)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetDeviceObject", max_irql=Irql.APC)
def flt_get_device_object(k: "Kernel", volume: int, out: int) -> int:
    """FltGetDeviceObject: with a reference for the caller."""
    found = k.flt.volume_at(volume)
    if found.dismounted:
        return NtStatus.FLT_DELETING_OBJECT
    device = k.io.devices.by_address[found.devices[k.flt.frames.frames[0]].address]
    k.objects.take(device.object)
    k.memory.write_u64(out, device.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetVolumeFromName", max_irql=Irql.PASSIVE)
def flt_get_volume_from_name(k: "Kernel", filter_: int, name: int, out: int) -> int:
    """FltGetVolumeFromName: with a reference for the caller."""
    k.flt.filter_at(filter_)
    volume = k.io.volume_named(k.memory.read_unicode_string(name))
    k.memory.write_u64(out, 0)
    if volume is None or not volume.device:
        return NtStatus.FLT_VOLUME_NOT_FOUND
    k.memory.write_u64(out, k.flt.on(volume).address)
    k.flt.references.take(k.flt.on(volume))
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetVolumeFromInstance", max_irql=Irql.APC)
def flt_get_volume_from_instance(k: "Kernel", instance: int, out: int) -> int:
    """FltGetVolumeFromInstance: with a reference for the caller."""
    volume = k.flt.instance_at(instance).on
    k.flt.references.take(volume)
    k.memory.write_u64(out, volume.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetVolumeFromFileObject", max_irql=Irql.APC)
def flt_get_volume_from_file_object(k: "Kernel", filter_: int, file_object: int, out: int) -> int:
    """FltGetVolumeFromFileObject: with a reference for the caller."""
    k.flt.filter_at(filter_)
    file = k.io.file_at(file_object)
    if file is None:
        return NtStatus.INVALID_PARAMETER
    volume = k.flt.mount_of(file)
    k.flt.references.take(volume)
    k.memory.write_u64(out, volume.address)
    return NtStatus.SUCCESS


# -- filters and instances


@export(FLTMGR, "FltGetFilterFromInstance", max_irql=Irql.APC)
def flt_get_filter_from_instance(k: "Kernel", instance: int, out: int) -> int:
    """FltGetFilterFromInstance: with a reference for the caller."""
    found = k.flt.instance_at(instance).filter
    k.flt.references.take(found)
    k.memory.write_u64(out, found.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetFilterFromName", max_irql=Irql.PASSIVE)
def flt_get_filter_from_name(k: "Kernel", name: int, out: int) -> int:
    """FltGetFilterFromName: with a reference for the caller."""
    found = k.flt.filter_named(k.memory.read_unicode_string(name))
    if found is None:
        return NtStatus.FLT_FILTER_NOT_FOUND
    k.flt.references.take(found)
    k.memory.write_u64(out, found.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltCompareInstanceAltitudes", max_irql=Irql.APC)
def flt_compare_instance_altitudes(k: "Kernel", first: int, second: int) -> int:
    """FltCompareInstanceAltitudes."""
    one, two = k.flt.instance_at(first).altitude, k.flt.instance_at(second).altitude
    return (one > two) - (one < two) & 0xFFFF_FFFF


@export(FLTMGR, "FltGetUpperInstance", max_irql=Irql.APC)
def flt_get_upper_instance(k: "Kernel", instance: int, out: int) -> int:
    """FltGetUpperInstance: with a reference for the caller."""
    return _neighbour(k, instance, -1, out)


@export(FLTMGR, "FltGetLowerInstance", max_irql=Irql.APC)
def flt_get_lower_instance(k: "Kernel", instance: int, out: int) -> int:
    """FltGetLowerInstance: with a reference for the caller."""
    return _neighbour(k, instance, 1, out)


def _neighbour(k: "Kernel", instance: int, step: int, out: int) -> int:
    found = k.flt.instance_at(instance)
    stack = found.on.instances
    index = stack.index(found) + step
    k.memory.write_u64(out, 0)
    if not 0 <= index < len(stack):
        return NtStatus.NO_MORE_ENTRIES
    k.flt.references.take(stack[index])
    k.memory.write_u64(out, stack[index].address)
    return NtStatus.SUCCESS


def _object_at(k: "Kernel", address: int) -> Any:
    found: Filter | Instance | None = k.flt.filters.get(address) or k.flt.instances.get(address)
    return found if found is not None else k.flt.volume_at(address)


@export(FLTMGR, "FltObjectReference", max_irql=Irql.APC)
def flt_object_reference(k: "Kernel", flt_object: int) -> int:
    """FltObjectReference, for a filter, an instance or a volume."""
    found = _object_at(k, flt_object)
    if isinstance(found, Filter) and found.unloading:
        return NtStatus.FLT_DELETING_OBJECT
    if isinstance(found, Instance) and not found.attached:
        return NtStatus.FLT_DELETING_OBJECT
    if isinstance(found, FilterVolume) and found.dismounted:
        return NtStatus.FLT_DELETING_OBJECT
    k.flt.references.take(found)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltObjectDereference", max_irql=Irql.APC)
def flt_object_dereference(k: "Kernel", flt_object: int) -> None:
    """FltObjectDereference."""
    found = _object_at(k, flt_object)
    if not k.flt.references.give_back(found):
        k.verifier.report(None, k.blame.current().driver, f"dereferenced {found!r} once too often")
    if isinstance(found, FilterVolume):
        k.flt.forget_volume(found)


@export(FLTMGR, "FltAttachVolume", max_irql=Irql.PASSIVE)
def flt_attach_volume(k: "Kernel", filter_: int, volume: int, name: int, out: int) -> Code:
    """FltAttachVolume; an altitude that is taken is a name collision here, as documented (ATT-02)."""
    found, place = k.flt.filter_at(filter_), k.flt.volume_at(volume)
    if place.dismounted:
        return int(NtStatus.FLT_DELETING_OBJECT)
    on = place.volume
    text = k.memory.read_unicode_string(name) if name else None
    status = yield from k.flt.attachments.attach_manually(found, on, text, None)
    if status == NtStatus.FLT_INSTANCE_ALTITUDE_COLLISION:
        status = int(NtStatus.OBJECT_NAME_COLLISION)
    return _give_instance(k, status, found, on, text, out)


@export(FLTMGR, "FltAttachVolumeAtAltitude", max_irql=Irql.PASSIVE)
def flt_attach_volume_at_altitude(k: "Kernel", filter_: int, volume: int, altitude: int, name: int, out: int) -> Code:
    """FltAttachVolumeAtAltitude."""
    found, place = k.flt.filter_at(filter_), k.flt.volume_at(volume)
    if place.dismounted:
        return int(NtStatus.FLT_DELETING_OBJECT)
    on = place.volume
    text = k.memory.read_unicode_string(name) if name else None
    status = yield from k.flt.attachments.attach_manually(found, on, text, k.memory.read_unicode_string(altitude))
    return _give_instance(k, status, found, on, text, out)


def _give_instance(k: "Kernel", status: int, found: Filter, on: Any, name: str | None, out: int) -> int:
    if status & 0x8000_0000 == 0 and out:
        instance = find_instance(found, on, name)
        if instance is not None:
            k.flt.references.take(instance)
            k.memory.write_u64(out, instance.address)
    return status


@export(FLTMGR, "FltDetachVolume", max_irql=Irql.PASSIVE)
def flt_detach_volume(k: "Kernel", filter_: int, volume: int, name: int) -> Code:
    """FltDetachVolume."""
    found, on = k.flt.filter_at(filter_), k.flt.volume_at(volume).volume
    instance = find_instance(found, on, k.memory.read_unicode_string(name) if name else None)
    if instance is None:
        return int(NtStatus.FLT_INSTANCE_NOT_FOUND)
    return (yield from k.flt.attachments.detach_manually(instance))


@export(FLTMGR, "FltGetIrpName", max_irql=Irql.DISPATCH)
def flt_get_irp_name(k: "Kernel", major: U32) -> int:
    """FltGetIrpName: a string that stays."""
    found = k.flt.irp_names.get(major & 0xFF)
    if found is None:
        try:
            text = f"IRP_MJ_{IrpMajor(major & 0xFF).name}"
        except ValueError:
            text = f"IRP_MJ_0x{major & 0xFF:02X}"
        found = k.flt.irp_names[major & 0xFF] = k.flt.heap.allocate(len(text) + 1)
        k.memory.write(found, text.encode() + b"\0")
    return found
