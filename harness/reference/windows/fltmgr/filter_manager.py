"""The filter manager: its tables, and the parts that work on them."""

from typing import TYPE_CHECKING

from harness.reference.windows.fltmgr.attachment import Attachments
from harness.reference.windows.fltmgr.callback_data_queues import CallbackDataQueues
from harness.reference.windows.fltmgr.callback_recorder import CallbackRecorder
from harness.reference.windows.fltmgr.checks import Checks
from harness.reference.windows.fltmgr.contexts import Contexts
from harness.reference.windows.fltmgr.draining import Draining
from harness.reference.windows.fltmgr.file_names import FileNames
from harness.reference.windows.fltmgr.filter_objects import FilterObjects
from harness.reference.windows.fltmgr.frames import Frames
from harness.reference.windows.fltmgr.operation_services import OperationServices
from harness.reference.windows.fltmgr.passage import PassageEngine
from harness.reference.windows.fltmgr.port_clients import PortClients
from harness.reference.windows.fltmgr.safe_completion import SafeCompletion
from harness.reference.windows.fltmgr.selection import Selection
from harness.reference.windows.fltmgr.work_items import WorkItems

if TYPE_CHECKING:
    from collections.abc import Hashable

    from harness.reference.windows.fltmgr.filters import OwnCallbackData
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.request import Request
    from harness.reference.windows.ntos.executive import Executive


class FilterManager(FilterObjects):
    """What FLTMGR.SYS knows and does."""

    def __init__(self, kernel: "Executive", io: "IoManager") -> None:
        super().__init__(kernel, io)
        part = kernel.mutants.of
        self.recorder = CallbackRecorder(self)
        self.checks = part(Checks)(self)
        self.engine = part(PassageEngine)(self, self.checks)
        self.selection = part(Selection)(self)
        self.frames = part(Frames)(self, self.selection, self.engine)
        self.operation_services = part(OperationServices)(self, self.frames)
        self.contexts = part(Contexts)(self)
        self.draining = part(Draining)(self, self.engine, self.checks)
        self.attachments = part(Attachments)(self, self.selection, self.engine, self.contexts, self.draining)
        self.safe_completion = part(SafeCompletion)(self, self.engine)
        self.work_items = part(WorkItems)(self)
        self.queues = part(CallbackDataQueues)(self)
        self.file_names = part(FileNames)(self)
        self.port_clients = PortClients(self)
        self.own_data: dict[int, OwnCallbackData] = {}
        """Callback data that minifilters have made themselves, and what for."""
        self.own_operations: dict[int, Request] = {}
        """What is under way by such callback data."""
        self.irp_names: dict[int, int] = {}
        self.frames.mounted = self.attachments.volume_mounted
        self.frames.dismounted = self.attachments.volume_dismounted
        io.on_file_object_gone.append(self.file_object_gone)
        io.on_stream_gone.append(self.stream_gone)

    # -- what goes away

    def file_object_gone(self, file: "FileObject") -> None:
        """A file object is closed: its stream-handle contexts go, and its names."""
        self.contexts.object_gone(id(file))
        self.file_names.cache.forget(file)

    def stream_gone(self, stream: "Hashable", file: "Hashable | None") -> None:
        """The last file object of a stream is closed: its contexts go, and with the file's last stream the file's."""
        self.contexts.object_gone(id(stream))
        if file is not None:
            self.contexts.object_gone(id(file))

    # -- what is left undone

    def report_outstanding(self) -> None:
        """Name every operation that a filter has pended and not resumed: at a hang, a deadline, the end of a run."""
        for instance in list(self.instances.values()):
            for operation in instance.pended:
                post = operation.post is not None and operation.visit is None
                if operation.reported or operation.waits_for_program:
                    continue
                operation.reported = True
                if operation.refused_to_post:  # it could not be handed over, and was pended all the same
                    kept = "POST-PEND-04" if post else "PEND-WI-05"
                else:
                    kept = "POST-PEND-03" if post else "PRE-PEND-02"
                rule = kept if instance.attached else "TEAR-03"
                visit = operation.post if post else operation.visit
                kept_by = (visit.callbacks.post if post else visit.callbacks.pre) if visit is not None else 0
                self.kernel.verifier.report(
                    rule,
                    instance.filter.name,
                    f"{operation.describe()} was pended in {'post' if post else 'pre'} and never resumed",
                    chain=self.kernel.blame.beginning(kept_by),
                )
