"""The filter manager's tables: filters, instances, volumes and operations, found by the addresses that drivers name."""

from typing import TYPE_CHECKING, Never

from harness.nt import BugCheck
from harness.reference.machine.memory.guarded_heap import FILTER_OBJECTS, GuardedHeap
from harness.reference.windows.fltmgr.callback_data import RELATED_OBJECTS, RELATED_OBJECTS_SIZE, UNSET_STATUS
from harness.reference.windows.fltmgr.callback_probes import CallbackProbes
from harness.reference.windows.fltmgr.chains import Chains
from harness.reference.windows.fltmgr.filters import Filter, FilterVolume, Instance
from harness.reference.windows.fltmgr.references import References
from harness.reference.windows.verifier.shields import Shield

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.operation import Operation
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.ntos.executive import Executive

_OBJECT_SIZE = 0x40


class FilterObjects:
    """What every part of the filter manager is made with; it knows none of the parts."""

    def __init__(self, kernel: "Executive", io: "IoManager") -> None:
        self.kernel = kernel
        self.io = io
        self.callbacks = CallbackProbes()
        self.chains = Chains(kernel, lambda: self.callbacks.heard)
        self.heap = GuardedHeap(kernel.memory, FILTER_OBJECTS)
        self.unset_status = UNSET_STATUS if kernel.policy["io-status-fill"] == "pattern" else 0
        """IoStatus.Status on the way down."""
        self.filters: dict[int, Filter] = {}
        """By the address of FLT_FILTER."""
        self.instances: dict[int, Instance] = {}
        """By the address of FLT_INSTANCE."""
        self.operations: dict[int, Operation] = {}
        """By the address of FLT_CALLBACK_DATA."""
        self.drained: dict[int, Operation] = {}
        """By the address of the copy that a draining post-operation callback is given, while it runs."""
        self.references = References(kernel.holdings)
        self._volumes: dict[Volume, FilterVolume] = {}
        """What is mounted now."""
        self._dismounted: list[FilterVolume] = []
        """What was, and is still referenced or in use."""

    # -- finding

    def filter_at(self, address: int) -> Filter:
        """The filter a driver names; a wrong pointer is a bug check."""
        found = self.filters.get(address)
        if found is None:
            self._bad_object(address, "filter")
        return found

    def instance_at(self, address: int) -> Instance:
        """The instance a driver names; a wrong pointer is a bug check."""
        found = self.instances.get(address)
        if found is None:
            self._bad_object(address, "instance")
        return found

    def allocate_object(self, name: str, size: int = _OBJECT_SIZE) -> int:
        """Memory for a filter, an instance, a name or a work item, which only the filter manager writes."""
        address = self.heap.allocate(size, shielded=True)
        self.kernel.shields.add(Shield(address, size, lambda: name))
        return address

    def free_object(self, address: int) -> None:
        """Give such memory back."""
        self.kernel.shields.remove(address)
        self.heap.free(address)

    def on(self, volume: "Volume") -> FilterVolume:
        """What is kept of a volume as it is mounted now."""
        found = self._volumes.get(volume)
        if found is not None and found.vpb != volume.vpb:
            self.dismounted(found)
            found = None
        if found is None:
            address = self.allocate_object(f"the FLT_VOLUME of {volume.dos_name}")
            found = self._volumes[volume] = FilterVolume(volume, address, volume.vpb)
        return found

    def mount_of(self, file: "FileObject") -> FilterVolume:
        """The mount that a file object belongs to."""
        vpb = file.view.vpb
        return next((item for item in self._dismounted if item.vpb == vpb), None) or self.on(file.volume)

    def volume_at(self, address: int) -> FilterVolume:
        """The volume a driver names; a wrong pointer is a bug check."""
        for found in (*self._volumes.values(), *self._dismounted):
            if found.address == address:
                return found
        self._bad_object(address, "volume")

    def dismounted(self, found: FilterVolume) -> None:
        """A volume is mounted no more: the next mount is another FLT_VOLUME."""
        if not found.dismounted:
            found.dismounted = True
            self._volumes.pop(found.volume, None)
            self._dismounted.append(found)

    def forget_volume(self, found: FilterVolume) -> None:
        """Free a dismounted FLT_VOLUME that nobody references or uses any more."""
        if found in self._dismounted and not (found.instances or found.devices or self.references.held(found)):
            self._dismounted.remove(found)
            self.heap.free(found.address)

    def operation_at(self, address: int) -> "Operation":
        """The operation of a callback data; a wrong pointer is a bug check."""
        found = self.operations.get(address)
        if found is None and (found := self.drained.get(address)) is not None:
            text = f"{found.describe()}: a draining postoperation callback, which may only clean up, asks about it"
            self.kernel.verifier.report("DRAIN-02", self.kernel.blame.current().driver, text)
        if found is None:
            self._bad_object(address, "callback data")
        return found

    def _bad_object(self, address: int, what: str) -> Never:
        self.kernel.bugcheck(
            BugCheck.FLTMGR_FILE_SYSTEM,
            0,
            address,
            message=f"{address:#x} was given to the filter manager, which has no such {what} (any more)",
        )

    def filter_named(self, name: str) -> Filter | None:
        """A filter by its name, without regard to case."""
        for found in self.filters.values():
            if found.name.lower() == name.lower():
                return found
        return None

    def related_objects(self, instance: Instance, file: int = 0) -> bytes:
        """FLT_RELATED_OBJECTS."""
        volume = instance.on.address
        return RELATED_OBJECTS.pack(RELATED_OBJECTS_SIZE, 0, instance.filter.address, volume, instance.address, file, 0)

    # -- what an instance is in

    def leave(self, instance: Instance) -> None:
        """A callback, a pended operation or generated I/O of an instance is over."""
        busy = instance.busy
        busy.count -= 1
        if busy.count == 0:
            self.kernel.signal(busy.idle)

    def in_flight(self, instance: Instance) -> "list[Operation]":
        """Operations that owe a post-operation callback to an instance."""
        return [
            operation
            for operation in self.operations.values()
            if any(node.instance is instance for node in operation.nodes)
        ]
