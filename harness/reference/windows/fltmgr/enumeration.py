"""The exports that enumerate filters, instances and volumes, and tell about them by information class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, Length, export
from harness.reference.windows.fltmgr.attachment import find_instance
from harness.reference.windows.fltmgr.filter_information import (
    filter_information,
    instance_information,
    volume_information,
)
from harness.reference.windows.fltmgr.filters import Filter, Instance

if TYPE_CHECKING:
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel


# -- objects


def _give(k: "Kernel", found: Sequence["Filter | Instance | Volume"], array: int, room: int, count_out: int) -> int:
    """Store the addresses of objects, each with a reference for the caller; NTSTATUS."""
    k.memory.write_u32(count_out, len(found))
    if room < len(found):
        return int(NtStatus.BUFFER_TOO_SMALL)
    for index, item in enumerate(found):
        address = item.address if isinstance(item, Filter | Instance) else k.flt.on(item).address
        k.flt.references.take(item if isinstance(item, Filter | Instance) else k.flt.on(item))
        k.memory.write_u64(array + 8 * index, address)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltEnumerateFilters", max_irql=Irql.APC)
def flt_enumerate_filters(k: "Kernel", array: int, room: U32, count_out: int) -> int:
    """FltEnumerateFilters."""
    return _give(k, list(k.flt.filters.values()), array, room, count_out)


@export(FLTMGR, "FltEnumerateVolumes", max_irql=Irql.APC)
def flt_enumerate_volumes(k: "Kernel", filter_: int, array: int, room: U32, count_out: int) -> int:
    """FltEnumerateVolumes: those that are mounted."""
    k.flt.filter_at(filter_)
    return _give(k, [volume for volume in k.io.volumes if volume.device], array, room, count_out)


def _instances(k: "Kernel", volume: int, filter_: int) -> list[Instance]:
    """The instances on a volume and of a filter, either of which may be 0 for any; high altitudes first."""
    on = [k.flt.volume_at(volume)] if volume else [k.flt.on(item) for item in k.io.volumes if item.device]
    of = k.flt.filter_at(filter_) if filter_ else None
    return [item for place in on for item in place.instances if of in (None, item.filter)]


@export(FLTMGR, "FltEnumerateInstances", max_irql=Irql.APC)
def flt_enumerate_instances(k: "Kernel", volume: int, filter_: int, array: int, room: U32, count_out: int) -> int:
    """FltEnumerateInstances."""
    return _give(k, _instances(k, volume, filter_), array, room, count_out)


@export(FLTMGR, "FltGetTopInstance", max_irql=Irql.APC)
def flt_get_top_instance(k: "Kernel", volume: int, out: int) -> int:
    """FltGetTopInstance."""
    return _give_one(k, _instances(k, volume, 0)[:1], out)


@export(FLTMGR, "FltGetBottomInstance", max_irql=Irql.APC)
def flt_get_bottom_instance(k: "Kernel", volume: int, out: int) -> int:
    """FltGetBottomInstance."""
    return _give_one(k, _instances(k, volume, 0)[-1:], out)


def _give_one(k: "Kernel", found: Sequence[Instance], out: int) -> int:
    k.memory.write_u64(out, found[0].address if found else 0)
    if not found:
        return int(NtStatus.NO_MORE_ENTRIES)
    k.flt.references.take(found[0])
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltGetVolumeInstanceFromName", max_irql=Irql.APC)
def flt_get_volume_instance_from_name(k: "Kernel", filter_: int, volume: int, name: int, out: int) -> int:
    """FltGetVolumeInstanceFromName: of one filter, or of any where `filter_` is NULL."""
    text = k.memory.read_unicode_string(name) if name else None
    place = k.flt.volume_at(volume).volume
    filters = [k.flt.filter_at(filter_)] if filter_ else list(k.flt.filters.values())
    found = [item for owner in filters if (item := find_instance(owner, place, text)) is not None]
    k.memory.write_u64(out, 0)
    return _give_one(k, found[:1], out) if found else int(NtStatus.FLT_INSTANCE_NOT_FOUND)


@export(FLTMGR, "FltGetVolumeFromDeviceObject", max_irql=Irql.APC)
def flt_get_volume_from_device_object(k: "Kernel", filter_: int, device: int, out: int) -> int:
    """FltGetVolumeFromDeviceObject: of any device in the volume's stack, or its storage device."""
    k.flt.filter_at(filter_)
    volume = k.io.volume_of_device(device)
    k.memory.write_u64(out, 0)
    if volume is None or not volume.device:
        return int(NtStatus.FLT_VOLUME_NOT_FOUND)
    k.flt.references.take(k.flt.on(volume))
    k.memory.write_u64(out, k.flt.on(volume).address)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltIsFltMgrVolumeDeviceObject", max_irql=Irql.APC)
def flt_is_flt_mgr_volume_device_object(k: "Kernel", device: int) -> bool:
    """FltIsFltMgrVolumeDeviceObject: whether a device is one that a frame has attached to a volume."""
    return k.flt.frames.is_on_volume(device)


# -- information


def _store(k: "Kernel", content: bytes | None, out: int, room: int, needed: int) -> int:
    """Store one structure, if there is room for it; NTSTATUS."""
    if content is None:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write_u32(needed, len(content))
    if room < len(content):
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(out, content)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltGetFilterInformation", max_irql=Irql.APC)
def flt_get_filter_information(k: "Kernel", filter_: int, kind: U32, out: int, room: Length, needed: int) -> int:
    """FltGetFilterInformation."""
    return _store(k, filter_information(k.flt, k.flt.filter_at(filter_), kind), out, room, needed)


@export(FLTMGR, "FltEnumerateFilterInformation", max_irql=Irql.APC)
def flt_enumerate_filter_information(k: "Kernel", index: U32, kind: U32, out: int, room: Length, needed: int) -> int:
    """FltEnumerateFilterInformation: NO_MORE_ENTRIES behind the last."""
    filters = list(k.flt.filters.values())
    if index >= len(filters):
        return int(NtStatus.NO_MORE_ENTRIES)
    return _store(k, filter_information(k.flt, filters[index], kind), out, room, needed)


@export(FLTMGR, "FltGetInstanceInformation", max_irql=Irql.APC)
def flt_get_instance_information(k: "Kernel", instance: int, kind: U32, out: int, room: Length, needed: int) -> int:
    """FltGetInstanceInformation."""
    return _store(k, instance_information(k.flt, k.flt.instance_at(instance), kind), out, room, needed)


def _nth_instance(
    k: "Kernel", found: Sequence[Instance], index: int, kind: int, out: int, room: int, needed: int
) -> int:
    if index >= len(found):
        return int(NtStatus.NO_MORE_ENTRIES)
    return _store(k, instance_information(k.flt, found[index], kind), out, room, needed)


@export(FLTMGR, "FltEnumerateInstanceInformationByFilter", max_irql=Irql.APC)
def flt_enumerate_instance_information_by_filter(
    k: "Kernel", filter_: int, index: U32, kind: U32, out: int, room: Length, needed: int
) -> int:
    """FltEnumerateInstanceInformationByFilter."""
    return _nth_instance(k, _instances(k, 0, filter_), index, kind, out, room, needed)


@export(FLTMGR, "FltEnumerateInstanceInformationByVolume", max_irql=Irql.APC)
def flt_enumerate_instance_information_by_volume(
    k: "Kernel", volume: int, index: U32, kind: U32, out: int, room: Length, needed: int
) -> int:
    """FltEnumerateInstanceInformationByVolume."""
    return _nth_instance(k, _instances(k, volume, 0), index, kind, out, room, needed)


@export(FLTMGR, "FltEnumerateInstanceInformationByVolumeName", max_irql=Irql.APC)
def flt_enumerate_instance_information_by_volume_name(
    k: "Kernel", name: int, index: U32, kind: U32, out: int, room: Length, needed: int
) -> int:
    """FltEnumerateInstanceInformationByVolumeName."""
    volume = k.io.volume_named(k.memory.read_unicode_string(name))
    if volume is None:
        return int(NtStatus.FLT_VOLUME_NOT_FOUND)
    return _nth_instance(k, k.flt.on(volume).instances, index, kind, out, room, needed)


@export(FLTMGR, "FltEnumerateInstanceInformationByDeviceObject", max_irql=Irql.APC)
def flt_enumerate_instance_information_by_device_object(
    k: "Kernel", device: int, index: U32, kind: U32, out: int, room: Length, needed: int
) -> int:
    """FltEnumerateInstanceInformationByDeviceObject."""
    volume = k.io.volume_of_device(device)
    if volume is None:
        return int(NtStatus.FLT_VOLUME_NOT_FOUND)
    return _nth_instance(k, k.flt.on(volume).instances, index, kind, out, room, needed)


@export(FLTMGR, "FltGetVolumeInformation", max_irql=Irql.APC)
def flt_get_volume_information(k: "Kernel", volume: int, kind: U32, out: int, room: Length, needed: int) -> int:
    """FltGetVolumeInformation."""
    return _store(k, volume_information(k.flt, k.flt.volume_at(volume).volume, kind), out, room, needed)


@export(FLTMGR, "FltEnumerateVolumeInformation", max_irql=Irql.APC)
def flt_enumerate_volume_information(
    k: "Kernel", filter_: int, index: U32, kind: U32, out: int, room: Length, needed: int
) -> int:
    """FltEnumerateVolumeInformation."""
    k.flt.filter_at(filter_)
    mounted = [volume for volume in k.io.volumes if volume.device]
    if index >= len(mounted):
        return int(NtStatus.NO_MORE_ENTRIES)
    return _store(k, volume_information(k.flt, mounted[index], kind), out, room, needed)
