"""The passage of an operation: pre-operation callbacks high to low, the file system, post-operation callbacks back up.

Whoever has control drives: the requester's thread on the way down, the thread that resumes a pended operation, and
whatever thread or DPC completes it below. A thread that must make a post-operation callback itself (SYNCHRONIZE, and
every create) waits inside `_keep_thread` until completion has come up to it.

The methods without an underscore are the steps of the contract; mutants (windows/mutants) replace one of them.
"""

from typing import TYPE_CHECKING

from harness.nt import CallbackDataFlags, IrpMajor, Irql, NtStatus, OperationClass, PostopStatus, PreopStatus
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Call, Wait
from harness.reference.windows.fltmgr import buffers
from harness.reference.windows.fltmgr.chains import HELD_UNTIL_POST, takes_locks
from harness.reference.windows.fltmgr.operation import Node, Operation, Visit, VisitState
from harness.reference.windows.io.fast_io import fast_io
from harness.reference.windows.io.fs_filter_callbacks import fs_filter
from harness.reference.windows.io.native_drivers import Pass
from harness.reference.windows.io.request import Code, Request
from harness.wire.trace import Phase

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.checks import Checks
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import FrameDevice, Instance
    from harness.reference.windows.fltmgr.selection import Shown

_SYNTHETIC = PreopStatus.SUCCESS_WITH_CALLBACK
_DIRTY, _POST_OPERATION = int(CallbackDataFlags.DIRTY), int(CallbackDataFlags.POST_OPERATION)
GO_ON, STOPPED = True, False


class PassageEngine:
    """Moves operations through the minifilters."""

    def __init__(self, objects: "FilterObjects", checks: "Checks") -> None:
        self.objects = objects
        self.kernel = objects.kernel
        self.io = objects.io
        self.checks = checks
        self.seen = objects.callbacks
        self._completed = self.io.dispatcher.add_native("FltMgr completion", self._irp_completed, 3)

    # -- down

    def send(
        self,
        request: Request,
        instances: "Shown",
        at: "FrameDevice",
        fs_filter: Pass | None = None,
    ) -> Code:
        """Send a request that has come to a frame's device to `instances`, high to low, and on to what is below.

        What a dispatch routine returns: the status, or STATUS_PENDING if the IRP is completed elsewhere or later. Of
        what is no IRP the request has the status then. `fs_filter` passes an FSFilter operation on.
        """
        operation = self.begin(request, instances, at)
        operation.pass_on = fs_filter
        operation.dispatching = self.kernel.engine.current_execution
        yield from self._descend(operation)
        operation.dispatching = None
        if operation.marked_pending or not operation.finished:
            return int(NtStatus.PENDING)
        return operation.final_status

    def begin(self, request: Request, instances: "Shown", at: "FrameDevice") -> Operation:
        """Make an operation of a request, with its callback data."""
        operation = Operation(self.objects, request, instances, at)
        self.objects.operations[operation.data] = operation
        return operation

    def _descend(self, operation: Operation) -> Code:
        """Go on with the next filter below, until one keeps the operation or the file system has it."""
        if operation.chain is not None:
            stopped = yield from self.objects.chains.call_pre(operation)
            if stopped is not None:
                visit, answer, irql = stopped
                if not (yield from self._pre_answered(operation, visit, answer, self.context_left(visit), irql)):
                    return
        while operation.next < len(operation.instances):
            index = operation.next
            operation.next += 1
            if not operation.instances[index][0].attached:
                continue
            visit = operation.make_visit(index)
            turn = self.call_pre if visit.callbacks.pre else self.pass_without_pre
            if not (yield from turn(operation, visit)):
                return
        yield from self.to_file_system(operation)

    def pass_without_pre(self, operation: Operation, visit: Visit) -> Code:
        """The turn of a filter that has registered a post-operation callback only; whether the descent goes on."""
        operation.write_parameters(visit.parameters)
        return (yield from self.act(operation, visit, _SYNTHETIC, 0))

    def call_pre(self, operation: Operation, visit: Visit) -> Code:
        """Make one pre-operation callback and act on what it returns; whether the descent goes on from here."""
        operation.write_parameters(visit.parameters)
        operation.set_flags(remove=_DIRTY)
        operation.visit = visit
        self.trace(operation, "pre", visit.instance)
        old_irql = self.raise_for_pre(operation)
        irql = self.kernel.irql
        visit.instance.busy.enter()
        operation.running += 1
        self.seen.entered(operation, visit, Phase.PRE, 0, 0)
        kept = self.kernel.kept.now()
        answer = (yield Call(visit.callbacks.pre, operation.data, visit.related, visit.slot)) & 0xFFFF_FFFF
        context = self.context_left(visit)
        self.seen.returned(operation, visit, Phase.PRE, answer, context)
        rule = HELD_UNTIL_POST if answer == PreopStatus.SYNCHRONIZE else None
        if not takes_locks(operation.request, answer):
            self.kernel.kept.check(kept, visit.instance.filter.name, "its preoperation callback", rule=rule)
        operation.running -= 1
        return (yield from self._pre_answered(operation, visit, answer, context, irql, old_irql))

    def _pre_answered(
        self, operation: Operation, visit: Visit, answer: int, context: int, irql: int, old_irql: int | None = None
    ) -> Code:
        """A pre-operation callback that was called at `irql` has returned; whether the descent goes on from here."""
        kernel, checks = self.kernel, self.checks
        self.objects.leave(visit.instance)
        checks.irql_unchanged(visit, irql, "pre")
        if not visit.overtaken:
            checks.data_intact(operation, visit)
        if old_irql is not None:
            kernel.lower_irql(old_irql)
        if visit.overtaken:
            # The resume has won the race against the return (OQ-15): the operation is elsewhere by now, perhaps in this
            # filter's post-operation callback, or gone.
            checks.overtaken_answer(operation, visit, answer, context)
            operation.release()
            return STOPPED
        status = checks.pre_answer(operation, visit, answer, context)
        if status is PreopStatus.PENDING:
            self._pend(operation, visit)
            return STOPPED
        visit.state = VisitState.RETURNED
        return (yield from self.act(operation, visit, status, context))

    def raise_for_pre(self, operation: Operation) -> int | None:
        """The IRQL to go back to, where this callback is called at a raised one: only where the policy says so."""
        kernel = self.kernel
        if not operation.is_irp and kernel.policy["fast-io-irql"] == "apc" and kernel.irql < Irql.APC:
            return kernel.raise_irql(Irql.APC)
        return None

    def context_left(self, visit: Visit) -> int:
        """The completion context that a pre-operation callback has left in its slot."""
        return self.kernel.memory.read_u64(visit.slot)

    def act(self, operation: Operation, visit: Visit, status: PreopStatus, context: int) -> Code:
        """Do what a pre-operation callback asked for, at once or at its resume; whether the descent goes on here."""
        operation.visit = None
        self.checks.settle_parameters(operation, visit, status)
        if status is PreopStatus.COMPLETE:
            return (yield from self.complete(operation, visit))
        if status in (PreopStatus.DISALLOW_FASTIO, PreopStatus.DISALLOW_FSFILTER_IO):
            return (yield from self.disallow(operation))
        operation.clear_io_status()
        if status is PreopStatus.SUCCESS_NO_CALLBACK:
            return GO_ON
        return (yield from self.owe_post(operation, visit, status, context))

    def complete(self, operation: Operation, visit: Visit) -> Code:
        """A filter has completed the operation: only the filters above are still to be called (PRE-COMP-01)."""
        request = operation.request
        if request.major == IrpMajor.CREATE and request.file is not None:
            request.file.owner = visit.instance.filter.name
        yield from self.ascend(operation)
        return STOPPED

    def disallow(self, operation: Operation) -> Code:
        """A filter does not want this operation in this form: the issuer sends it as an IRP, if it can."""
        operation.set_io_status(NtStatus.FLT_DISALLOW_FAST_IO, 0)
        yield from self.ascend(operation)
        return STOPPED

    def owe_post(self, operation: Operation, visit: Visit, status: PreopStatus, context: int) -> Code:
        """The filter wants its post-operation callback; whether the descent goes on here, or went on within."""
        node = Node(visit, context)
        operation.nodes.append(node)
        if self.keeps_thread(operation, status):
            return (yield from self._keep_thread(operation, node))
        return GO_ON

    def keeps_thread(self, operation: Operation, status: PreopStatus) -> bool:
        """Whether the post-operation callback is called in the thread, and at the IRQL, of the pre-operation one."""
        create = operation.request.major == IrpMajor.CREATE
        return create or (status is PreopStatus.SYNCHRONIZE and operation.is_irp)

    def _keep_thread(self, operation: Operation, node: Node) -> Code:
        """Send the operation on and stay in its post-operation callback's thread until completion has come up here."""
        node.visit.kept_thread = True
        node.ready = Event(f"completion of {operation.describe()} below {node.instance.filter.name}")
        yield from self._descend(operation)
        yield Wait([node.ready], reason=f"{operation.describe()} to be completed below {node.instance.filter.name}")
        if not node.drained:
            yield from self.ascend(operation, arrived=node)
        return STOPPED

    def to_file_system(self, operation: Operation) -> Code:
        """All filters of the frame have let it pass: on to the device below."""
        operation.below = True
        if not operation.noted_below:  # what a chain has brought here is as it came, and noted
            operation.take_back_parameters()
            self.trace(operation, "file system", None)
        request, io = operation.request, self.io
        if request.kind is OperationClass.IRP:
            self.fill_next_location(operation)
            io.irps.set_completion_routine(operation.irp, self._completed, operation.data)
            yield from operation.call_below()
            return
        if operation.pass_on is not None:
            yield from operation.pass_on()
        elif request.kind is OperationClass.FAST_IO:
            if not (yield from fast_io(io, operation.at.below, request)):
                request.status, request.information = int(NtStatus.FLT_DISALLOW_FAST_IO), 0
        else:
            yield from fs_filter(io, operation.at.below, request)
        yield from self._back(operation, request.status, request.information)

    def fill_next_location(self, operation: Operation) -> None:
        """The IRP's stack location for the device below, which no filter needs to care for (PRE-PASS-08)."""
        operation.set_next_location()

    def _irp_completed(self, device: int, irp: int, data: int) -> Code:
        """The completion routine of every IRP that goes below: the way up begins here, in whatever thread this is."""
        del device
        operation = self.objects.operations[data]
        operation.restore_irp()
        status, information = self.io.irps.io_status(irp)
        if operation.request.major == IrpMajor.CREATE:
            operation.show_tag_data(status)
        yield from self._back(operation, status, information)
        return int(NtStatus.MORE_PROCESSING_REQUIRED)

    def _back(self, operation: Operation, status: int, information: int) -> Code:
        operation.below = False
        if operation.request.major == IrpMajor.CLOSE and operation.request.file is not None:
            operation.request.file.closed = True
        operation.set_io_status(status, information)
        if not self.objects.chains.goes_up(operation, status):
            self.trace(operation, f"completed 0x{status:08X}", None)
        return self.ascend(operation)

    # -- pended

    def _pend(self, operation: Operation, visit: Visit) -> None:
        """A callback keeps the operation until the filter resumes it."""
        visit.state = VisitState.PENDED
        visit.instance.busy.enter()
        visit.instance.pended.append(operation)

    def _unpend(self, operation: Operation, visit: Visit) -> None:
        visit.instance.pended.remove(operation)
        self.objects.leave(visit.instance)

    def resume(self, operation: Operation, status: PreopStatus, context: int) -> Code:
        """FltCompletePendedPreOperation: carry on in this thread as if the callback had returned `status` now."""
        visit = operation.visit
        assert visit is not None
        visit.resumed = True
        if visit.state is VisitState.PENDED:
            visit.state = VisitState.RETURNED
            self._unpend(operation, visit)
        visit.overtaken = True
        self.trace(operation, f"resumed {status.name}", visit.instance)
        self.seen.resumed(operation, visit, Phase.RESUME_PRE, int(status), context)
        operation.running += 1
        if (yield from self.act(operation, visit, status, context)):
            yield from self._descend(operation)
        operation.running -= 1
        operation.release()

    def resume_post(self, operation: Operation) -> Code:
        """FltCompletePendedPostOperation: go on upwards in this thread."""
        visit = operation.post
        assert visit is not None
        visit.resumed = True
        if visit.state is VisitState.PENDED:
            self._unpend(operation, visit)
        visit.state = VisitState.RETURNED
        operation.post = None
        self.checks.failed_create(operation, visit)
        self.trace(operation, "post resumed", visit.instance)
        self.seen.resumed(operation, visit, Phase.RESUME_POST, int(PostopStatus.FINISHED_PROCESSING), 0)
        operation.running += 1
        yield from self.ascend(operation)
        operation.running -= 1
        operation.release()

    # -- up

    def ascend(self, operation: Operation, *, arrived: Node | None = None) -> Code:
        """Call the posts that are owed, low to high, as far as this thread may."""
        if operation.chain is not None:
            information = operation.information
            stopped = yield from self.objects.chains.call_post(operation)
            if stopped is None and operation.information != information:
                names = {instance.filter.name for instance, _ in operation.instances}
                self.checks.beyond_the_buffer(operation, names.pop() if len(names) == 1 else None)
            if stopped is not None and not self._post_answered(operation, *stopped):
                return
        nodes = operation.nodes
        while nodes:
            node = nodes[-1]
            if node.ready is not None and node is not arrived:
                self.kernel.signal(node.ready)
                return
            nodes.pop()
            if not (yield from self.call_post(operation, node)):
                return
        yield from self._finish(operation)

    def call_post(self, operation: Operation, node: Node) -> Code:
        """Make one post-operation callback; whether completion goes on from here."""
        visit = node.visit
        visit.state, visit.resumed = VisitState.IN_CALLBACK, False
        operation.write_parameters(visit.parameters)
        operation.set_flags(add=_POST_OPERATION, remove=_DIRTY)
        operation.post = visit
        self.trace(operation, "post", visit.instance)
        irql = self.kernel.irql
        visit.status_before, visit.information_before = operation.status, operation.information
        visit.instance.busy.enter()
        operation.running += 1
        self.seen.entered(operation, visit, Phase.POST, node.context, 0)
        kept = self.kernel.kept.now()
        answer = (yield Call(visit.callbacks.post, operation.data, visit.related, node.context, 0)) & 0xFFFF_FFFF
        self.seen.returned(operation, visit, Phase.POST, answer, node.context)
        self.kernel.kept.check(kept, visit.instance.filter.name, "its postoperation callback")
        operation.running -= 1
        if node.awaited:
            self.objects.leave(visit.instance)
        return self._post_answered(operation, visit, answer, irql)

    def _post_answered(self, operation: Operation, visit: Visit, answer: int, irql: int) -> bool:
        """A post-operation callback that was called at `irql` has returned; whether completion goes on from here."""
        checks = self.checks
        checks.irql_unchanged(visit, irql, "post")
        self.objects.leave(visit.instance)
        if visit.resumed:
            operation.release()
            return STOPPED
        checks.data_intact(operation, visit)
        verdict = checks.post_answer(operation, visit, answer)
        if verdict is PostopStatus.MORE_PROCESSING_REQUIRED:
            self._pend(operation, visit)
            return STOPPED
        if verdict is PostopStatus.DISALLOW_FSFILTER_IO:
            operation.set_io_status(NtStatus.FLT_DISALLOW_FAST_IO, 0)
        operation.post = None
        checks.failed_create(operation, visit)
        return GO_ON

    def _finish(self, operation: Operation) -> Code:
        """All posts are done: who is above the frame gets the operation back."""
        request, io = operation.request, self.io
        status, information = operation.outcome
        if operation.unset_status and status == operation.unset_status:
            information = 0 if information == operation.unset_information else information
        self.checks.completed_as_pending(operation, status)
        operation.finish(status)
        if operation.swapped:
            buffers.release_swapped(self.kernel, operation)
        operation.release()
        if request.kind is not OperationClass.IRP:
            request.status, request.information = status, information
            return
        if operation.dispatching is not self.kernel.engine.current_execution:
            operation.marked_pending = True
            io.irps.mark_pending(operation.irp)
        if not operation.own:
            for completion in request.completions:
                completion(request)
        if request.at_end is not None:
            yield from request.at_end(status)
        yield from io.complete(operation.irp, status, information)

    # -- trace

    def trace(self, operation: Operation, what: str, instance: "Instance | None") -> None:
        where = f"{instance.filter.name}@{instance.altitude_text}: " if instance is not None else ""
        self.kernel.probes.happened((operation.data, operation.label, f"{where}{what}"))
