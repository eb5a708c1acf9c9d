"""The filter manager's own tables: filters, instances on volumes, operations under way, and who is shown what."""

from typing import TYPE_CHECKING, Never

from harness.nt import BugCheck, IrpMajor
from harness.reference.windows.fltmgr.callback_data import RELATED_OBJECTS, RELATED_OBJECTS_SIZE
from harness.reference.windows.fltmgr.callback_probes import CallbackProbes
from harness.reference.windows.fltmgr.callback_recorder import CallbackRecorder
from harness.reference.windows.fltmgr.chains import Chains, Turn
from harness.reference.windows.fltmgr.filter_volumes import FilterVolume
from harness.reference.windows.fltmgr.filters import Callbacks, Filter, Instance
from harness.reference.windows.fltmgr.frames import Frame, Frames
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.fltmgr.passage import PassageEngine
from harness.reference.windows.fltmgr.port_clients import ClientPort, PortClients, ServerPort
from harness.reference.windows.fltmgr.references import References
from harness.reference.windows.io.guarded_heap import FILTER_OBJECTS, GuardedHeap
from harness.reference.windows.io.request import Request

if TYPE_CHECKING:
    from collections.abc import Hashable

    from harness.reference.windows.fltmgr.contexts import Context
    from harness.reference.windows.fltmgr.ecp_lists import Ecp, EcpList
    from harness.reference.windows.fltmgr.file_names import NameInformation
    from harness.reference.windows.fltmgr.work_items import WorkItem
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel


class FilterManager:
    """What FLTMGR.SYS knows."""

    def __init__(self, kernel: "Kernel") -> None:
        self.kernel = kernel
        self.heap = GuardedHeap(kernel.memory, FILTER_OBJECTS)
        self.filters: dict[int, Filter] = {}
        """By the address of FLT_FILTER."""
        self.instances: dict[int, Instance] = {}
        """By the address of FLT_INSTANCE."""
        self.operations: dict[int, Operation] = {}
        """By the address of FLT_CALLBACK_DATA."""
        self._volumes: dict[Volume, FilterVolume] = {}
        """What is mounted now."""
        self._dismounted: list[FilterVolume] = []
        """What was, and is still referenced or in use."""
        self.contexts: dict[int, Context] = {}
        self.work_items: dict[int, WorkItem] = {}
        self.ports: dict[str, ServerPort] = {}
        """Server ports by lower-case name."""
        self.names: dict[int, NameInformation] = {}
        self.clients: dict[int, ClientPort] = {}
        self.port_clients = PortClients(self)
        self.own_data: dict[int, Instance] = {}
        """Callback data that minifilters have made themselves, and for which of their instances."""
        self.ecp_lists: dict[int, EcpList] = {}
        self.ecps: dict[int, Ecp] = {}
        """Extra create parameters that are in no list."""
        self.next_message = 0
        self.irp_names: dict[int, int] = {}
        self.references = References(kernel.holdings)
        self.callbacks = CallbackProbes()
        self.recorder = CallbackRecorder(self)
        self.chains = Chains(kernel, lambda: self.callbacks.heard)
        self._kept: dict[tuple[FilterVolume, Frame, int, bool], list[tuple[Instance, Callbacks]]] = {}
        """Who is shown an operation: by major function, and whether it is an IRP."""
        self.engine = PassageEngine(self)
        self.frames = Frames(self, self.engine)
        kernel.io.on_file_object_gone.append(self.file_object_gone)
        kernel.io.on_stream_gone.append(self.stream_gone)

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

    def on(self, volume: "Volume") -> FilterVolume:
        """What is kept of a volume as it is mounted now."""
        found = self._volumes.get(volume)
        if found is not None and found.vpb != volume.vpb:
            self.dismounted(found)
            found = None
        if found is None:
            found = self._volumes[volume] = FilterVolume(volume, self.heap.allocate(0x40), volume.vpb)
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

    def operation_at(self, address: int) -> Operation:
        """The operation of a callback data; a wrong pointer is a bug check."""
        found = self.operations.get(address)
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

    # -- operations

    def interested(
        self, on: FilterVolume, frame: Frame, request: Request, below: Instance | None
    ) -> list[tuple[Instance, Callbacks]]:
        """The instances of a frame on a volume that registered for a request: those below one, if that is given."""
        if below is not None:
            return self._look_for(on, frame, request, below)
        key = (on, frame, request.major, request.is_irp)
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        found = self._look_for(on, frame, request, None)
        if not any(
            callbacks.flags
            for instance in on.instances
            for callbacks in instance.filter.registration.operations.values()
        ):
            self._kept[key] = found
            self.chains.keep(found, [self._turn(instance, callbacks) for instance, callbacks in found])
        return found

    def _turn(self, instance: Instance, callbacks: Callbacks) -> Turn:
        return Turn(
            f"{instance.filter.name}@{instance.altitude_text}",
            instance.address,
            callbacks.pre,
            callbacks.post,
            self.related_objects(instance),
        )

    def instances_changed(self) -> None:
        """An instance comes or goes: operations under way go on step by step, and look at each."""
        for operation in self.operations.values():
            operation.leave_chain()
        self._kept.clear()
        self.chains.forget()

    def _look_for(
        self, on: FilterVolume, frame: Frame, request: Request, below: Instance | None
    ) -> list[tuple[Instance, Callbacks]]:
        found: list[tuple[Instance, Callbacks]] = []
        seen_initiator = below is None
        for instance in on.instances:
            if instance.frame is not frame:
                continue
            if not seen_initiator:
                seen_initiator = instance is below
                if not (seen_initiator and self.kernel.mutant("own-io-shown-to-initiator")):
                    continue
            if not instance.attached:
                continue
            callbacks = self._callbacks(instance, request)
            skipped = callbacks is not None and callbacks.skips(request)
            if callbacks is not None and (not skipped or self.kernel.mutant("skip-flags-ignored")):
                found.append((instance, callbacks))
        if self.kernel.mutant("pre-low-to-high"):
            found.reverse()
        return found

    def _callbacks(self, instance: Instance, request: Request) -> Callbacks | None:
        operations = instance.filter.registration.operations
        callbacks = operations.get(request.major)
        if callbacks is None and self.kernel.mutant("unregistered-shown") and request.is_irp:
            callbacks = next(iter(operations.values()), None)
        if callbacks is not None and self.kernel.mutant("wrong-pre-called") and callbacks.pre:
            # Every operation gets the routine of the first element.
            return None if request.major == IrpMajor.WRITE else callbacks
        return callbacks

    def related_objects(self, instance: Instance, file: int = 0) -> bytes:
        """FLT_RELATED_OBJECTS."""
        return RELATED_OBJECTS.pack(
            RELATED_OBJECTS_SIZE,
            0,
            instance.filter.address,
            instance.on.address,
            instance.address,
            file,
            0,
        )

    def leave(self, instance: Instance) -> None:
        """A callback, a pended operation or generated I/O of an instance is over."""
        busy = instance.busy
        busy.count -= 1
        if busy.count == 0:
            self.kernel.signal(busy.idle)

    def in_flight(self, instance: Instance) -> list[Operation]:
        """Operations that owe a post-operation callback to an instance."""
        return [
            operation
            for operation in self.operations.values()
            if any(node.instance is instance for node in operation.nodes)
        ]

    # -- what goes away

    def file_object_gone(self, file: "FileObject") -> None:
        """A file object is closed: its stream-handle contexts go."""
        from harness.reference.windows.fltmgr.contexts import object_gone

        object_gone(self, id(file))

    def stream_gone(self, stream: "Hashable", file: "Hashable | None") -> None:
        """The last file object of a stream is closed: its contexts go, and with the file's last stream the file's."""
        from harness.reference.windows.fltmgr.contexts import object_gone

        object_gone(self, id(stream))
        if file is not None:
            object_gone(self, id(file))

    # -- what is left undone

    def report_outstanding(self) -> None:
        """Name every operation that a filter has pended and not resumed: at a hang, a deadline, the end of a run."""
        for instance in list(self.instances.values()):
            for operation in instance.pended:
                post = operation.post is not None and operation.visit is None
                if operation.reported:
                    continue
                operation.reported = True
                kept = "POST-PEND-03" if post else "PRE-PEND-02"
                rule = kept if instance.attached else "TEAR-03"
                self.kernel.verifier.report(
                    rule,
                    instance.filter.name,
                    f"{operation.describe()} was pended in {'post' if post else 'pre'} and never resumed",
                )
