"""Instances: attaching and detaching, with the callbacks that are asked and told (ATT-01, ATT-02, TEAR-01 to -05)."""

from typing import TYPE_CHECKING

from harness.nt import InstanceSetupFlags, InstanceTeardownFlags, IrpMajor, NtStatus, OperationClass, nt_success
from harness.reference.machine.scheduler.requests import Call, Wait
from harness.reference.windows.fltmgr.altitude import Altitude
from harness.reference.windows.fltmgr.callback_data import RELATED_OBJECTS_SIZE
from harness.reference.windows.fltmgr.contexts import delete_instance_contexts, delete_volume_contexts
from harness.reference.windows.fltmgr.draining import drain
from harness.reference.windows.fltmgr.filters import Filter, Instance, InstanceState
from harness.reference.windows.io.constants import FILE_DEVICE_DISK_FILE_SYSTEM
from harness.reference.windows.io.request import Code, Request
from harness.wire.trace import Phase

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_volumes import FilterVolume
    from harness.reference.windows.fltmgr.frames import Frame
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel
    from harness.reference.windows.ntos.cm.registry import Key

_NO_AUTOMATIC, _NO_MANUAL = 0x1, 0x2
"""Flags of an instance's registry key."""


class Definition:
    """An instance as the service's registry key defines it."""

    def __init__(self, name: str, altitude: str, flags: int) -> None:
        self.name = name
        self.altitude = altitude
        self.flags = flags


def definitions(k: "Kernel", found: Filter) -> list[Definition]:
    """The instances of a filter's service key, the default one first; both layouts are known."""
    return _definitions(k, found.name)


def default_altitude(k: "Kernel", service: str) -> Altitude:
    """The altitude of a service's first instance, 0 without one: what its frame is chosen by."""
    for item in _definitions(k, service):
        try:
            return Altitude.parse(item.altitude)
        except ValueError:
            break
    return Altitude.parse("0")


def has_instances(k: "Kernel", name: str) -> bool:
    """Whether a service key has an `Instances` key, in either layout; FltRegisterFilter fails without one."""
    service = k.registry.find(f"{k.registry.SERVICES}\\{name}")
    if service is None:
        return False
    parents = (service.key("Parameters"), service)
    return any(parent is not None and parent.key("Instances") is not None for parent in parents)


def _definitions(k: "Kernel", name: str) -> list[Definition]:
    service = k.registry.find(f"{k.registry.SERVICES}\\{name}")
    if service is None:
        return []
    for parent in (service.key("Parameters"), service):
        instances = parent.key("Instances") if parent is not None else None
        if instances is not None and instances.keys:
            default = _text(instances, "DefaultInstance").lower()
            listed = [
                Definition(key.name, _text(key, "Altitude"), _number(key, "Flags")) for key in instances.keys.values()
            ]
            return sorted(listed, key=lambda item: item.name.lower() != default)
    return []


def _text(key: "Key", name: str) -> str:
    value = key.value(name)
    return value.data.decode("utf-16-le").rstrip("\0") if value is not None else ""


def _number(key: "Key", name: str) -> int:
    value = key.value(name)
    return int.from_bytes(value.data[:4], "little") if value is not None else 0


# -- attaching


def attach_automatically(k: "Kernel", found: Filter) -> Code:
    """Offer a filter every volume that is mounted."""
    for volume in k.io.volumes:
        if volume.device:
            yield from _offer(k, found, volume, InstanceSetupFlags.AUTOMATIC_ATTACHMENT)


def volume_mounted(k: "Kernel", volume: "Volume", frame: "Frame") -> Code:
    """Offer a volume that has just been mounted to every filter of a frame that has started."""
    for found in list(k.flt.filters.values()):
        if found.started and not found.unloading and found.frame is frame:
            flags = InstanceSetupFlags.AUTOMATIC_ATTACHMENT | InstanceSetupFlags.NEWLY_MOUNTED_VOLUME
            yield from _offer(k, found, volume, flags)
    yield from _tell_instances(k, IrpMajor.VOLUME_MOUNT, k.flt.on(volume), frame)


def _offer(k: "Kernel", found: Filter, volume: "Volume", flags: InstanceSetupFlags) -> Code:
    for definition in definitions(k, found):
        if not definition.flags & _NO_AUTOMATIC:
            yield from attach(k, found, volume, definition.name, definition.altitude, flags)


def attach_manually(k: "Kernel", found: Filter, volume: "Volume", name: str | None, altitude: str | None) -> Code:
    """FilterAttach and fltmc attach: by the registry's definition, or at a given altitude; NTSTATUS.

    A volume that is not mounted is mounted first, as by any other use of its name.
    """
    unready: int = yield from k.io.file_systems.make_ready(volume)
    if unready:
        return unready
    listed = definitions(k, found)
    if altitude is None:
        if name is None:
            chosen = listed[0] if listed else None
        else:
            chosen = next((item for item in listed if item.name.lower() == name.lower()), None)
        if chosen is None:
            return int(NtStatus.FLT_INSTANCE_NOT_FOUND)
        if chosen.flags & _NO_MANUAL:
            return int(NtStatus.FLT_DO_NOT_ATTACH)
        name, altitude = chosen.name, chosen.altitude
    status, _ = yield from attach(
        k, found, volume, name or f"{found.name}_{altitude}", altitude, InstanceSetupFlags.MANUAL_ATTACHMENT
    )
    return status


def attach(k: "Kernel", found: Filter, volume: "Volume", name: str, altitude: str, flags: InstanceSetupFlags) -> Code:
    """Make an instance and ask its filter; (NTSTATUS, instance or None)."""
    if not found.started:
        return int(NtStatus.FLT_FILTER_NOT_READY), None
    if found.unloading:
        return int(NtStatus.FLT_DELETING_OBJECT), None
    if not volume.device:
        return int(NtStatus.FLT_VOLUME_NOT_FOUND), None
    try:
        place = Altitude.parse(altitude)
    except ValueError:
        return int(NtStatus.INVALID_PARAMETER), None
    place_on = k.flt.on(volume)
    there = place_on.instances
    if any(instance.filter is found and instance.name.lower() == name.lower() for instance in there):
        return int(NtStatus.FLT_INSTANCE_NAME_COLLISION), None
    if any(instance.altitude == place for instance in there):
        return int(NtStatus.FLT_INSTANCE_ALTITUDE_COLLISION), None
    instance = Instance(found, place_on, name, place, altitude, k.flt.heap.allocate(0x40), found.frame)
    k.flt.instances[instance.address] = instance
    there.append(instance)
    if k.mutant("altitudes-compared-as-text"):
        there.sort(key=lambda item: str(item.altitude), reverse=True)
    else:
        there.sort(key=lambda item: item.altitude, reverse=True)
    status = int(NtStatus.SUCCESS)
    if found.registration.setup:
        related = make_related(k, instance)
        answer = yield Call(found.registration.setup, related, int(flags), instance.on.device_type, instance.on.type)
        k.flt.heap.free(related)
        status = answer & 0xFFFF_FFFF
        k.flt.callbacks.lived(found, instance.address, Phase.INSTANCE_SETUP, status)
        if status & 0x8000_0000:
            yield from delete_instance_contexts(k, instance)
            _remove(k, instance)
            return status, None
    instance.state = InstanceState.ATTACHED
    k.flt.instances_changed()
    found.instances.append(instance)
    k.probes.happened((f"attach {found.name} at {altitude} to {volume.dos_name}",))
    return (status if nt_success(status) else int(NtStatus.SUCCESS)), instance


def make_related(k: "Kernel", instance: Instance) -> int:
    """FLT_RELATED_OBJECTS for a lifecycle callback. The caller frees it."""
    related = k.flt.heap.allocate(RELATED_OBJECTS_SIZE)
    k.memory.write(related, k.flt.related_objects(instance))
    return related


def _remove(k: "Kernel", instance: Instance) -> None:
    instance.state = InstanceState.GONE
    k.flt.instances_changed()
    instance.on.instances.remove(instance)
    del k.flt.instances[instance.address]
    k.flt.heap.free(instance.address)


# -- mounting and dismounting


def _tell_instances(k: "Kernel", major: IrpMajor, on: "FilterVolume", frame: "Frame") -> Code:
    """Show the instances of a frame that their volume comes or goes: fast I/O that goes no further (OQ-34)."""
    parameters = FILE_DEVICE_DISK_FILE_SYSTEM.to_bytes(4, "little") if major is IrpMajor.VOLUME_MOUNT else b""
    request = Request(OperationClass.FAST_IO, major, None, k.current, parameters=parameters)
    instances = k.flt.interested(on, frame, request, None)
    if instances:
        yield from k.flt.engine.send(request, instances, on.devices[frame], _nothing_below)


def _nothing_below() -> Code:
    yield from ()


def volume_dismounted(k: "Kernel", on: "FilterVolume", frame: "Frame") -> Code:
    """A volume goes: the instances of a frame on it are torn down, and with the last frame's the volume's contexts."""
    yield from _tell_instances(k, IrpMajor.VOLUME_DISMOUNT, on, frame)
    for instance in [item for item in on.instances if item.frame is frame]:
        yield from tear_down(k, instance, int(InstanceTeardownFlags.VOLUME_DISMOUNT))
    if not on.instances:
        yield from delete_volume_contexts(k, on)
    k.flt.forget_volume(on)


# -- detaching


def find_instance(found: Filter, volume: "Volume", name: str | None) -> Instance | None:
    """The instance of a filter on a volume, by name or the only one."""
    for instance in found.instances:
        if instance.volume is volume and (name is None or instance.name.lower() == name.lower()):
            return instance
    return None


def detach_manually(k: "Kernel", instance: Instance) -> Code:
    """FilterDetach and fltmc detach: only if the query-teardown callback agrees (OQ-22); NTSTATUS."""
    query = instance.filter.registration.query_teardown
    if not instance.attached:
        return int(NtStatus.FLT_DELETING_OBJECT)
    if not query:
        if k.policy["detach-without-query"] == "refuse":
            return int(NtStatus.FLT_DO_NOT_DETACH)
    else:
        related = make_related(k, instance)
        answer = (yield Call(query, related, 0)) & 0xFFFF_FFFF
        k.flt.callbacks.lived(instance.filter, instance.address, Phase.QUERY_TEARDOWN, answer)
        k.flt.heap.free(related)
        if answer & 0x8000_0000 and not k.mutant("teardown-veto-ignored"):
            return answer
    yield from tear_down(k, instance, int(InstanceTeardownFlags.MANUAL))
    return int(NtStatus.SUCCESS)


def tear_down(k: "Kernel", instance: Instance, reason: int) -> Code:
    """TeardownStart, then drain and wait, then TeardownComplete (TEAR-02)."""
    if instance.state is not InstanceState.ATTACHED:
        yield Wait([instance.gone], reason=f"{instance!r} to be gone")
        return
    found, registration = instance.filter, instance.filter.registration
    instance.state = InstanceState.TEARING_DOWN
    k.flt.instances_changed()
    k.probes.happened((f"teardown of {found.name} at {instance.altitude_text} starts",))
    related = make_related(k, instance)
    if registration.teardown_start:
        yield Call(registration.teardown_start, related, reason)
        k.flt.callbacks.lived(found, instance.address, Phase.TEARDOWN_START, 0)
    yield from drain(k.flt.engine, instance, k.flt.in_flight(instance))
    yield from _wait_until_idle(k, instance)
    if registration.teardown_complete:
        yield Call(registration.teardown_complete, related, reason)
        k.flt.callbacks.lived(found, instance.address, Phase.TEARDOWN_COMPLETE, 0)
    k.flt.heap.free(related)
    yield from delete_instance_contexts(k, instance)
    found.instances.remove(instance)
    _remove(k, instance)
    k.signal(instance.gone)
    k.probes.happened((f"teardown of {found.name} at {instance.altitude_text} is complete",))


def _wait_until_idle(k: "Kernel", instance: Instance) -> Code:
    """Wait for running callbacks, pended operations and its own I/O; posts that come to be owed are drained."""
    while instance.busy.count or k.flt.in_flight(instance):
        if instance.busy.count:
            pended = ", ".join(operation.describe() for operation in instance.pended)
            yield Wait(
                [instance.busy.idle],
                reason=f"{instance.filter.name} to resume {pended}" if pended else f"{instance!r} to become idle",
            )
        yield from drain(k.flt.engine, instance, k.flt.in_flight(instance))
