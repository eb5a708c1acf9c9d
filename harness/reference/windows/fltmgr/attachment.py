"""Instances: attaching and detaching, with the callbacks that are asked and told (ATT-01, ATT-02, TEAR-01 to -05)."""

from typing import TYPE_CHECKING

from harness.nt import InstanceSetupFlags, InstanceTeardownFlags, IrpMajor, NtStatus, OperationClass, nt_success
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fltmgr.altitude import Altitude
from harness.reference.windows.fltmgr.callback_data import RELATED_OBJECTS_SIZE
from harness.reference.windows.fltmgr.filters import Filter, Instance, InstanceState
from harness.reference.windows.fltmgr.instance_definitions import (
    NO_AUTOMATIC_ATTACHMENT,
    NO_MANUAL_ATTACHMENT,
    definitions,
)
from harness.reference.windows.io.constants import FILE_DEVICE_DISK_FILE_SYSTEM
from harness.reference.windows.io.request import Code, Request
from harness.wire.trace import Phase

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.contexts import Contexts
    from harness.reference.windows.fltmgr.draining import Draining
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import FilterVolume, Frame
    from harness.reference.windows.fltmgr.passage import PassageEngine
    from harness.reference.windows.fltmgr.selection import Selection
    from harness.reference.windows.io.volumes import Volume


def find_instance(found: Filter, volume: "Volume", name: str | None) -> Instance | None:
    """The instance of a filter on a volume, by name or the only one."""
    for instance in found.instances:
        if instance.volume is volume and (name is None or instance.name.lower() == name.lower()):
            return instance
    return None


class Attachments:
    """Makes instances, and takes them away."""

    def __init__(
        self,
        objects: "FilterObjects",
        selection: "Selection",
        engine: "PassageEngine",
        contexts: "Contexts",
        draining: "Draining",
    ) -> None:
        self.objects = objects
        self._kernel = objects.kernel
        self._selection = selection
        self._engine = engine
        self._contexts = contexts
        self._draining = draining

    def attach_automatically(self, found: Filter) -> Code:
        """Offer a filter every volume that is mounted."""
        for volume in self.objects.io.volumes:
            if volume.device:
                yield from self._offer(found, volume, InstanceSetupFlags.AUTOMATIC_ATTACHMENT)

    def volume_mounted(self, volume: "Volume", frame: "Frame") -> Code:
        """Offer a volume that has just been mounted to every filter of a frame that has started."""
        for found in list(self.objects.filters.values()):
            if found.started and not found.unloading and found.frame is frame:
                flags = InstanceSetupFlags.AUTOMATIC_ATTACHMENT | InstanceSetupFlags.NEWLY_MOUNTED_VOLUME
                yield from self._offer(found, volume, flags)
        yield from self._tell_instances(IrpMajor.VOLUME_MOUNT, self.objects.on(volume), frame)

    def _offer(self, found: Filter, volume: "Volume", flags: InstanceSetupFlags) -> Code:
        for definition in definitions(self._kernel.registry, found.name):
            if not definition.flags & NO_AUTOMATIC_ATTACHMENT:
                yield from self.attach(found, volume, definition.name, definition.altitude, flags)

    def attach_manually(self, found: Filter, volume: "Volume", name: str | None, altitude: str | None) -> Code:
        """FilterAttach and fltmc attach: by the registry's definition, or at a given altitude; NTSTATUS.

        A volume that is not mounted is mounted first, as by any other use of its name.
        """
        unready: int = yield from self.objects.io.file_systems.make_ready(volume)
        if unready:
            return unready
        listed = definitions(self._kernel.registry, found.name)
        if altitude is None:
            if name is None:
                chosen = listed[0] if listed else None
            else:
                chosen = next((item for item in listed if item.name.lower() == name.lower()), None)
            if chosen is None:
                return int(NtStatus.FLT_INSTANCE_NOT_FOUND)
            if chosen.flags & NO_MANUAL_ATTACHMENT:
                return int(NtStatus.FLT_DO_NOT_ATTACH)
            name, altitude = chosen.name, chosen.altitude
        label = name or f"{found.name}_{altitude}"
        status, _ = yield from self.attach(found, volume, label, altitude, InstanceSetupFlags.MANUAL_ATTACHMENT)
        return status

    def attach(self, found: Filter, volume: "Volume", name: str, altitude: str, flags: InstanceSetupFlags) -> Code:
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
        place_on = self.objects.on(volume)
        there = place_on.instances
        collision = self.collision(there, found, name, place)
        if collision:
            return collision, None
        address = self.objects.allocate_object(f"the FLT_INSTANCE {name}")
        instance = Instance(found, place_on, name, place, altitude, address, found.frame)
        self.objects.instances[instance.address] = instance
        there.append(instance)
        there.sort(key=self.rank, reverse=True)
        status = int(NtStatus.SUCCESS)
        if found.registration.setup:
            related = self.make_related(instance)
            setup, on = found.registration.setup, instance.on
            arguments = (related, int(flags), on.device_type, on.type)
            answer = yield from self._kernel.kept.call("its InstanceSetup callback", setup, *arguments)
            self.objects.heap.free(related)
            status = answer & 0xFFFF_FFFF
            self.objects.callbacks.lived(found, instance.address, Phase.INSTANCE_SETUP, status)
            if self.refuses(status):
                yield from self._contexts.instance_gone(instance)
                self._remove(instance)
                return status, None
        instance.state = InstanceState.ATTACHED
        self._selection.instances_changed()
        found.instances.append(instance)
        self._kernel.probes.happened((f"attach {found.name} at {altitude} to {volume.dos_name}",))
        return (status if nt_success(status) else int(NtStatus.SUCCESS)), instance

    def collision(self, there: list[Instance], found: Filter, name: str, place: Altitude) -> int:
        """The NTSTATUS if an instance's name or altitude is taken on its volume, or 0 (ATT-02)."""
        if any(instance.filter is found and instance.name.lower() == name.lower() for instance in there):
            return int(NtStatus.FLT_INSTANCE_NAME_COLLISION)
        if any(instance.altitude == place for instance in there):
            return int(NtStatus.FLT_INSTANCE_ALTITUDE_COLLISION)
        return 0

    def refuses(self, answer: int) -> bool:
        """Whether an InstanceSetup callback keeps its instance off the volume (ATT-01)."""
        return bool(answer & 0x8000_0000)

    def make_related(self, instance: Instance) -> int:
        """FLT_RELATED_OBJECTS for a lifecycle callback. The caller frees it."""
        related = self.objects.heap.allocate(RELATED_OBJECTS_SIZE)
        self._kernel.memory.write(related, self.objects.related_objects(instance))
        return related

    def _remove(self, instance: Instance) -> None:
        instance.state = InstanceState.GONE
        self._selection.instances_changed()
        instance.on.instances.remove(instance)
        del self.objects.instances[instance.address]
        self.objects.heap.free(instance.address)

    def abandon(self, found: Filter) -> None:
        """The code of a filter is gone: none of its instances is called any more."""
        for instance in [item for item in self.objects.instances.values() if item.filter is found]:
            self._remove(instance)

    # -- mounting and dismounting

    def _tell_instances(self, major: IrpMajor, on: "FilterVolume", frame: "Frame") -> Code:
        """Show the instances of a frame that their volume comes or goes: fast I/O that goes no further (OQ-34)."""
        parameters = FILE_DEVICE_DISK_FILE_SYSTEM.to_bytes(4, "little") if major is IrpMajor.VOLUME_MOUNT else b""
        request = Request(OperationClass.FAST_IO, major, None, self._kernel.current, parameters=parameters)
        at = on.devices.get(frame)
        instances = self._selection.interested(at, request) if at is not None else []
        if at is not None and instances:
            yield from self._engine.send(request, instances, at, _nothing_below)

    def volume_dismounted(self, on: "FilterVolume", frame: "Frame") -> Code:
        """A volume goes: the instances of a frame on it are torn down, with the last frame's the volume's contexts."""
        yield from self._tell_instances(IrpMajor.VOLUME_DISMOUNT, on, frame)
        for instance in [item for item in on.instances if item.frame is frame]:
            yield from self.tear_down(instance, int(InstanceTeardownFlags.VOLUME_DISMOUNT))
        if not on.instances:
            yield from self._contexts.volume_gone(on)
        self.objects.forget_volume(on)

    # -- detaching

    def rank(self, instance: Instance) -> Altitude:
        """What instances on a volume are ordered by: as numbers, of any number of digits (ATT-01)."""
        return instance.altitude

    def vetoes(self, answer: int) -> bool:
        """Whether an InstanceQueryTeardown callback refuses."""
        return bool(answer & 0x8000_0000)

    def detach_manually(self, instance: Instance) -> Code:
        """FilterDetach and fltmc detach: only if the query-teardown callback agrees (OQ-22); NTSTATUS."""
        query = instance.filter.registration.query_teardown
        if not instance.attached:
            return int(NtStatus.FLT_DELETING_OBJECT)
        if not query:
            if self._kernel.policy["detach-without-query"] == "refuse":
                return int(NtStatus.FLT_DO_NOT_DETACH)
        else:
            related = self.make_related(instance)
            callback = "its InstanceQueryTeardown callback"
            answer = (yield from self._kernel.kept.call(callback, query, related, 0)) & 0xFFFF_FFFF
            self.objects.callbacks.lived(instance.filter, instance.address, Phase.QUERY_TEARDOWN, answer)
            self.objects.heap.free(related)
            if self.vetoes(answer):
                return answer
        yield from self.tear_down(instance, int(InstanceTeardownFlags.MANUAL))
        return int(NtStatus.SUCCESS)

    def tear_down(self, instance: Instance, reason: int) -> Code:
        """TeardownStart, then drain and wait, then TeardownComplete (TEAR-02)."""
        if instance.state is not InstanceState.ATTACHED:
            yield Wait([instance.gone], reason=f"{instance!r} to be gone")
            return
        found, registration = instance.filter, instance.filter.registration
        self.hide(instance)
        self._kernel.probes.happened((f"teardown of {found.name} at {instance.altitude_text} starts",))
        related = self.make_related(instance)
        if registration.teardown_start:
            callback = "its InstanceTeardownStart callback"
            yield from self._kernel.kept.call(callback, registration.teardown_start, related, reason)
            self.objects.callbacks.lived(found, instance.address, Phase.TEARDOWN_START, 0)
        yield from self._draining.drain(instance)
        yield from self.wait_until_idle(instance)
        if registration.teardown_complete:
            callback = "its InstanceTeardownComplete callback"
            yield from self._kernel.kept.call(callback, registration.teardown_complete, related, reason)
            self.objects.callbacks.lived(found, instance.address, Phase.TEARDOWN_COMPLETE, 0)
        self.objects.heap.free(related)
        yield from self._contexts.instance_gone(instance)
        found.instances.remove(instance)
        self._remove(instance)
        self._kernel.signal(instance.gone)
        self._kernel.probes.happened((f"teardown of {found.name} at {instance.altitude_text} is complete",))

    def hide(self, instance: Instance) -> None:
        """From now on the instance is shown nothing new (TEAR-04)."""
        instance.state = InstanceState.TEARING_DOWN
        self._selection.instances_changed()

    def wait_until_idle(self, instance: Instance) -> Code:
        """Wait for running callbacks, pended operations and its own I/O; posts that come to be owed are drained."""
        while instance.busy.count or self.objects.in_flight(instance):
            if instance.busy.count:
                pended = ", ".join(operation.describe() for operation in instance.pended)
                yield Wait(
                    [instance.busy.idle],
                    reason=f"{instance.filter.name} to resume {pended}" if pended else f"{instance!r} to become idle",
                )
            yield from self._draining.drain(instance)


def _nothing_below() -> Code:
    yield from ()
