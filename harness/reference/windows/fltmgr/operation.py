"""An operation among the minifilters: its callback data in guest memory, and who still waits for its completion."""

from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import CallbackDataFlags, NtStatus, OperationClass
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.windows.fltmgr.callback_data import (
    CALLBACK_DATA,
    CALLBACK_DATA_SIZE,
    PARAMETER_BLOCK,
    PARAMETER_BLOCK_SIZE,
    RELATED_OBJECTS_SIZE,
    UNSET_INFORMATION,
    CallbackData,
)
from harness.reference.windows.fltmgr.chain_layout import OPERATION
from harness.reference.windows.io import stack_parameters
from harness.reference.windows.io.request import Code
from harness.reference.windows.structures.irp import Irp
from harness.wire.trace import Phase

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.chains import Chain
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import Callbacks, FrameDevice, Instance
    from harness.reference.windows.io.native_drivers import Pass
    from harness.reference.windows.io.request import Request
    from harness.reference.windows.io.stack_parameters import Buffers

_IOPB, _VISITS, _VISIT_STRIDE, _STATUS = OPERATION.IOPB, OPERATION.VISITS, OPERATION.STRIDE, OPERATION.STATUS
_U32, _U64 = Struct("<I"), Struct("<Q")
_IO_STATUS = Struct("<I4xQ")
_M64 = (1 << 64) - 1
assert CallbackData.flags.offset == 0
assert CallbackData.status.offset == _STATUS
assert CallbackData.information.offset == _STATUS + 8
assert CALLBACK_DATA_SIZE <= _IOPB
assert _IOPB + PARAMETER_BLOCK_SIZE <= _VISITS
assert RELATED_OBJECTS_SIZE == OPERATION.SLOT
assert RELATED_OBJECTS_SIZE + 8 <= _VISIT_STRIDE


class VisitState(Enum):
    """How far one filter is with an operation."""

    IN_CALLBACK = "in its callback"
    PENDED = "pended"
    RETURNED = "handed back"


@dataclass(eq=False, slots=True)
class Visit:
    """One filter's turn with an operation, in pre or in post."""

    instance: "Instance"
    callbacks: "Callbacks"
    related: int
    slot: int
    parameters: bytes
    """The parameter block as this filter is shown it, in pre and in post (PARM-02)."""
    state: VisitState = VisitState.IN_CALLBACK
    resumed: bool = False
    overtaken: bool = False
    """Resumed on the way down; the callback that pended may not have returned when the operation comes up again."""
    swapped: bool = False
    """The filter has put another buffer in."""
    swapped_mdl: int = 0
    retain_mdl: bool = False
    information_before: int = 0
    status_before: int = 0
    """What its post-operation callback was called with."""
    kept_thread: bool = False
    """The filter has synchronized it (or it is a create): its post-operation callback is called in the same thread."""


@dataclass(eq=False, slots=True)
class Node:
    """A post-operation callback that is owed."""

    visit: Visit
    context: int
    ready: Event | None = None
    """Set when the thread that waits inside the filter manager is to make the call."""
    drained: bool = False
    awaited: bool = False
    """Its instance goes away, and waits for it: the filter has put another buffer in (DRAIN-04)."""

    @property
    def instance(self) -> "Instance":
        return self.visit.instance


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """FltRequestOperationStatusCallback; `objects` and `parameters` are copies that live until the filter was told."""

    instance: "Instance"
    callback: int
    context: int
    objects: int
    parameters: int


class Operation:
    """A request on its way through the minifilters of a volume.

    The instances are fixed when it starts (OQ-25). `nodes` are the posts that are owed, lowest last.
    """

    dispatching: object = None
    """The execution that is in the dispatch routine with it; None once that has returned."""
    marked_pending = False
    arrived_with: "tuple[Buffers, int] | None" = None
    """What the IRP came with, of what has been changed in it for the devices below."""
    next = 0
    _visit: Visit | None = None
    _post: Visit | None = None
    noted_below = False
    """A chain has brought it to the file system, unchanged, and noted that (chains.py)."""
    below = False
    """The file system (or whatever is beneath) has it."""
    running = 0
    """Callbacks that have not returned; the callback data lives as long as one of them or the operation."""
    finished = False
    final_status = 0
    pass_on: "Pass | None" = None
    cancel_routine = 0
    queue = 0
    """The callback data queue it is in."""
    queue_context = 0
    refused_to_post = False
    """The last try to hand it to a deferred work item was refused."""
    locked_mdl = 0
    completed_pending: str | None = None
    """The filter that has completed it with STATUS_PENDING."""
    waits_for_program = False
    """It was pended by a package of the kernel, an oplock's or a file lock's: a program lets it go, no driver."""
    reported = False
    """Reported as never resumed."""

    def __init__(
        self,
        objects: "FilterObjects",
        request: "Request",
        instances: "list[tuple[Instance, Callbacks]]",
        at: "FrameDevice",
    ) -> None:
        self.objects = objects
        self.request = request
        self.label = request.describe()
        """What it is, as it came: for the trace."""
        self.instances = instances
        self.at = at
        """The device it has come to."""
        self.irp = request.irp
        self._nodes: list[Node] = []
        self.own = request.irp != 0 and request in objects.io.pending
        """A filter's own I/O: the request is the issuer's."""
        self.unset_status = unset = objects.unset_status
        self.unset_information = UNSET_INFORMATION if unset else 0
        self.swapped: list[Visit] = []
        """The filters that have put another buffer in."""
        self.status_requests: list[StatusRequest] = []
        """Filters that want to know what the drivers below answer."""
        self._memory = objects.kernel.memory
        self.data, self._at = objects.heap.allocate_on_page(_VISITS + _VISIT_STRIDE * len(instances))
        """The block's address, and where it is in RAM."""
        self.iopb = self.data + _IOPB
        self._ram = self._memory.ram
        flags = int(request.kind)
        if request.system_buffer:
            flags |= CallbackDataFlags.SYSTEM_BUFFER
        if request.generated:
            flags |= CallbackDataFlags.GENERATED_IO
        if request.reissued:
            flags |= CallbackDataFlags.REISSUED_IO
        self.made_flags = flags
        """Those of the callback data that say what it is."""
        thread = request.thread.kthread
        CALLBACK_DATA.pack_into(
            self._ram, self._at, flags, thread, self.iopb, unset, self.unset_information, 0, request.mode
        )
        self.write_parameters(self.pack_parameters(0))
        self.chain = objects.chains.take(self)
        """What takes it through the filters; None when it goes step by step."""

    @property
    def view(self) -> CallbackData:
        return CallbackData(self._memory, self.data)

    @property
    def is_irp(self) -> bool:
        return self.request.kind is OperationClass.IRP

    # -- callback data

    def pack_parameters(self, instance: int) -> bytes:
        """The parameter block as the I/O manager made it, for an instance."""
        request = self.request
        return PARAMETER_BLOCK.pack(
            request.irp_flags & 0xFFFF_FFFF,
            request.major,
            request.minor,
            request.operation_flags,
            0,
            request.file.address if request.file is not None else 0,
            instance,
            request.parameters,
        )

    def read_parameters(self) -> bytes:
        """The parameter block as it is now."""
        at = self._at + _IOPB
        return self._ram[at : at + PARAMETER_BLOCK_SIZE]

    def write_parameters(self, block: bytes) -> None:
        at = self._at + _IOPB
        self._ram[at : at + PARAMETER_BLOCK_SIZE] = block

    def make_visit(self, index: int) -> Visit:
        """The next filter's turn: its related objects and its context slot."""
        instance = self.instances[index][0]
        block = bytearray(self.read_parameters())
        _U64.pack_into(block, OPERATION.TARGET_INSTANCE, instance.address)
        file = _U64.unpack_from(block, OPERATION.TARGET_FILE)[0]
        at = self._at + _VISITS + _VISIT_STRIDE * index
        self._ram[at : at + RELATED_OBJECTS_SIZE] = self.objects.related_objects(instance, file)
        return self._visit_of(index, bytes(block))

    def _visit_of(self, index: int, parameters: bytes) -> Visit:
        instance, callbacks = self.instances[index]
        related = self.data + _VISITS + _VISIT_STRIDE * index
        return Visit(instance, callbacks, related, related + OPERATION.SLOT, parameters)

    def has_related_objects(self, visit: Visit) -> bool:
        """Whether FltObjects are as the filter was given them."""
        file = _U64.unpack_from(visit.parameters, OPERATION.TARGET_FILE)[0]
        at = self._at + visit.related - self.data
        return self._ram[at : at + RELATED_OBJECTS_SIZE] == self.objects.related_objects(visit.instance, file)

    # -- where it is

    @property
    def holder(self) -> Visit | None:
        """The turn of the filter that has the operation now, on the way down or up."""
        return self.visit or self.post

    @property
    def nodes(self) -> list[Node]:
        """The posts that are owed, lowest last."""
        self.leave_chain()
        return self._nodes

    @property
    def visit(self) -> Visit | None:
        """The filter that has the operation now, on the way down."""
        self.leave_chain()
        return self._visit

    @visit.setter
    def visit(self, visit: Visit | None) -> None:
        self._visit = visit

    @property
    def post(self) -> Visit | None:
        """The filter that has it now, on the way up."""
        self.leave_chain()
        return self._post

    @post.setter
    def post(self, visit: Visit | None) -> None:
        self._post = visit

    def begin_chain(self, chain: "Chain") -> None:
        """Lay out what a chain that makes the preoperation callbacks needs."""
        at = self._at + _VISITS
        self._ram[at : at + len(chain.related)] = chain.related
        irql, parameters = self.objects.kernel.irql, self.read_parameters()
        chain.begin_pre(irql, self.unset_status, self.unset_information, parameters)

    def leave_chain(self, *, called: bool = True) -> None:
        """From now on it goes step by step. `called` says whether a chain that runs is in a callback, or before one."""
        chain, self.chain = self.chain, None
        if chain is None:
            return
        last = len(self.instances) if chain.begun else 0
        if chain.running is not None:
            last = chain.now
            chain.stop()
        if chain.running is Phase.PRE:
            self.next = last
        for index in range(last):
            context = chain.context(index)
            if context is not None:
                self._nodes.append(Node(self._visit_in(chain, index), context))
        if chain.running is None:
            self.objects.chains.give_back(chain)
        elif called:
            visit = self._visit_in(chain, last)
            visit.instance.busy.enter()
            visit.status_before, visit.information_before = chain.status, self.information
            chain.visit = visit
            if chain.running is Phase.PRE:
                self._visit = visit
                self.next = last + 1
            else:
                self._post = visit

    def _visit_in(self, chain: "Chain", index: int) -> Visit:
        return self._visit_of(index, chain.parameters(self.instances[index][0].address))

    @property
    def status(self) -> int:
        status: int = _U32.unpack_from(self._ram, self._at + _STATUS)[0]
        return status

    @property
    def io_status(self) -> int:
        """IoStatus.Status, with what pads it."""
        status: int = _U64.unpack_from(self._ram, self._at + _STATUS)[0]
        return status

    @property
    def outcome(self) -> tuple[int, int]:
        """IoStatus: status and Information."""
        status, information = _IO_STATUS.unpack_from(self._ram, self._at + _STATUS)
        return status, information

    @property
    def information(self) -> int:
        information: int = _U64.unpack_from(self._ram, self._at + _STATUS + 8)[0]
        return information

    def set_io_status(self, status: int, information: int) -> None:
        """Store IoStatus."""
        _IO_STATUS.pack_into(self._ram, self._at + _STATUS, status & 0xFFFF_FFFF, information & _M64)

    def show_tag_data(self, status: int) -> None:
        """TagData of a create that has met a reparse point: its data, where the file system has left them."""
        given = Irp(self._memory, self.irp).auxiliary_buffer if status == NtStatus.REPARSE else 0
        CallbackData(self._memory, self.data).tag_data = given

    def clear_io_status(self) -> None:
        """IoStatus as a filter on the way down finds it."""
        self.set_io_status(self.unset_status, self.unset_information)

    def set_flags(self, *, add: int = 0, remove: int = 0) -> None:
        flags = _U32.unpack_from(self._ram, self._at)[0]
        _U32.pack_into(self._ram, self._at, (flags | add) & ~remove)

    def take_back_parameters(self) -> None:
        """Give the request what the last filter left: that is what the file system gets (PARM-01)."""
        irp_flags, _, minor, operation_flags, _, file, _, parameters = PARAMETER_BLOCK.unpack(self.read_parameters())
        request = self.request
        request.irp_flags = irp_flags
        request.minor = minor
        request.operation_flags = operation_flags
        request.parameters = parameters
        if request.file is None or request.file.address != file:
            # A file object that is being closed has no references left, and is still this request's.
            request.file = self.objects.io.file_at(file) if file else None

    # -- the IRP

    def set_next_location(self) -> None:
        """The next stack location of the IRP, and its buffers, as the last filter left the parameters."""
        irps, request = self.objects.io.irps, self.request
        buffers = irps.buffers(self.irp)
        location, wanted = stack_parameters.unpack(request.major, request.minor, request.parameters, buffers)
        file = request.file.address if request.file is not None else 0
        irps.write_location(
            irps.next(self.irp), request.major, request.minor, request.operation_flags, location, 0, file
        )
        flags = irps.flags(self.irp)
        if wanted != buffers or flags != request.irp_flags:
            self.arrived_with = (buffers, flags)
            irps.set_buffers(self.irp, wanted)
            self._memory.write_u32(self.irp + 0x10, request.irp_flags)

    def restore_irp(self) -> None:
        """What was changed in the IRP for the devices below is as it came."""
        if self.arrived_with is not None:
            buffers, flags = self.arrived_with
            self.arrived_with = None
            self.objects.io.irps.set_buffers(self.irp, buffers)
            self._memory.write_u32(self.irp + 0x10, flags)

    # -- the status below

    def request_status(self, callback: int, context: int) -> bool:
        """The filter in whose pre-operation callback this is wants to know what the drivers below answer."""
        visit, heap = self.visit, self.objects.heap
        if visit is None or not self.is_irp or not callback:
            return False
        objects, parameters = heap.allocate(RELATED_OBJECTS_SIZE), heap.allocate(PARAMETER_BLOCK_SIZE)
        self._memory.write(objects, self._memory.read(visit.related, RELATED_OBJECTS_SIZE))
        visit.instance.busy.enter()
        self.status_requests.append(StatusRequest(visit.instance, callback, context, objects, parameters))
        return True

    def call_below(self) -> Code:
        """IofCallDriver, and the answer to who wants to know it, lowest filter first."""
        asked = self._take_status_requests()
        status = yield from self.objects.io.dispatcher.call_driver(self.at.below, self.irp)
        yield from self._tell_status(asked, status)

    def finish(self, status: int) -> None:
        """All posts are done. Where a filter has completed it, who asked for the status below is told that one."""
        self.finished, self.final_status = True, status
        if self.status_requests:
            self.objects.kernel.queue_worker(self._tell_status(self._take_status_requests(), status))

    def _take_status_requests(self) -> list[StatusRequest]:
        found, self.status_requests = self.status_requests[::-1], []
        for item in found:
            self._memory.write(item.parameters, self.read_parameters())
        return found

    def _tell_status(self, asked: list[StatusRequest], status: int) -> Code:
        for item in asked:
            arguments = (item.objects, item.parameters, status & 0xFFFF_FFFF, item.context)
            yield from self.objects.kernel.kept.call("its status callback", item.callback, *arguments)
            self.objects.heap.free(item.objects)
            self.objects.heap.free(item.parameters)
            self.objects.leave(item.instance)

    # -- the end

    def release(self) -> None:
        """Free the callback data once the operation has ended and no callback is running."""
        if self.finished and self.running == 0 and self.objects.operations.pop(self.data, None) is not None:
            self.objects.heap.free(self.data)

    def describe(self) -> str:
        return self.request.describe()
