"""The passage of an operation: pre-operation callbacks high to low, the file system, post-operation callbacks back up.

Whoever has control drives: the requester's thread on the way down, the thread that resumes a pended operation, and
whatever thread or DPC completes it below. A thread that must make a post-operation callback itself (SYNCHRONIZE, and
every create) waits inside `_keep_thread` until completion has come up to it.
"""

from typing import TYPE_CHECKING

from harness.nt import CallbackDataFlags, IrpMajor, Irql, NtStatus, OperationClass, PostopStatus, PreopStatus
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Call, Wait
from harness.reference.windows.fltmgr import buffers, checks
from harness.reference.windows.fltmgr.operation import Node, Operation, Visit, VisitState
from harness.reference.windows.io.fast_io import fast_io
from harness.reference.windows.io.fs_filter_callbacks import fs_filter
from harness.reference.windows.io.native_drivers import Pass
from harness.reference.windows.io.request import Code, Request
from harness.wire.trace import Phase

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_manager import FilterManager
    from harness.reference.windows.fltmgr.filters import Callbacks, Instance
    from harness.reference.windows.fltmgr.frames import FrameDevice
    from harness.reference.windows.kernel import Kernel

_SYNTHETIC = PreopStatus.SUCCESS_WITH_CALLBACK
_DIRTY, _POST_OPERATION = int(CallbackDataFlags.DIRTY), int(CallbackDataFlags.POST_OPERATION)
GO_ON, STOPPED = True, False


class PassageEngine:
    """Moves operations through the minifilters."""

    def __init__(self, manager: "FilterManager") -> None:
        self.manager = manager
        self.kernel: Kernel = manager.kernel
        self._completed = self.kernel.io.dispatcher.add_native("FltMgr completion", self._irp_completed, 3)
        self._posting: list[object] = []
        """The executions that are in a post-operation callback."""

    # -- down

    def send(
        self,
        request: Request,
        instances: "list[tuple[Instance, Callbacks]]",
        at: "FrameDevice",
        fs_filter: Pass | None = None,
    ) -> Code:
        """Send a request that has come to a frame's device to `instances`, high to low, and on to what is below.

        What a dispatch routine returns: the status, or STATUS_PENDING if the IRP is completed elsewhere or later. Of
        what is no IRP the request has the status then. `fs_filter` passes an FSFilter operation on.
        """
        operation = Operation(self.manager, request, instances, at)
        operation.pass_on = fs_filter
        operation.dispatching = self.kernel.engine.current_execution
        self.manager.operations[operation.data] = operation
        yield from self._descend(operation)
        operation.dispatching = None
        if operation.marked_pending or not operation.finished:
            return int(NtStatus.PENDING)
        return operation.final_status

    def _descend(self, operation: Operation) -> Code:
        """Go on with the next filter below, until one keeps the operation or the file system has it."""
        if operation.chain is not None:
            stopped = yield from self.manager.chains.call_pre(operation)
            if stopped is not None:
                visit, answer, irql = stopped
                go_on = yield from self._answered(operation, visit, answer, irql, visit.slot)
                if not go_on:
                    return
        while operation.next < len(operation.instances):
            index = operation.next
            operation.next += 1
            instance = operation.instances[index][0]
            if not instance.attached:
                continue
            visit = operation.make_visit(index)
            if not visit.callbacks.pre:
                if not self.kernel.mutant("post-only-registration-ignored"):
                    operation.write_parameters(visit.parameters)
                    go_on = yield from self._act(operation, visit, _SYNTHETIC, 0)
                    if not go_on:
                        return
                continue
            if self.kernel.mutant("pre-not-called") or (
                self.kernel.mutant("pre-only-registration-ignored") and not visit.callbacks.post
            ):
                continue
            go_on = yield from self._visit(operation, visit)
            if not go_on:
                return
        yield from self._to_file_system(operation)

    def _visit(self, operation: Operation, visit: Visit) -> Code:
        """Make one pre-operation callback and act on what it returns; whether the operation goes on from here."""
        kernel, memory = self.kernel, self.kernel.memory
        operation.write_parameters(visit.parameters)
        operation.set_flags(remove=_DIRTY)
        operation.visit = visit
        self.trace(operation, "pre", visit.instance)
        if kernel.mutant("shown-below-during-pre"):
            yield from self._show_below_early(operation)
        old_irql = self._irql_for_pre(operation)
        irql = kernel.irql
        visit.instance.busy.enter()
        operation.running += 1
        slot = 0 if kernel.mutant("no-context-slot") else visit.slot
        self.manager.callbacks.entered(operation, visit, Phase.PRE, 0, 0)
        answer = (
            yield Call(visit.callbacks.pre, operation.data, visit.related, slot or visit.related + 0x38)
        ) & 0xFFFF_FFFF
        self.manager.callbacks.returned(operation, visit, Phase.PRE, answer, memory.read_u64(slot) if slot else 0)
        operation.running -= 1
        return (yield from self._answered(operation, visit, answer, irql, slot, old_irql))

    def _answered(
        self, operation: Operation, visit: Visit, answer: int, irql: int, slot: int, old_irql: int | None = None
    ) -> Code:
        """A pre-operation callback that was called at `irql` has returned; whether the operation goes on from here."""
        kernel, memory = self.kernel, self.kernel.memory
        self.manager.leave(visit.instance)
        checks.irql_unchanged(kernel, visit, irql, "pre")
        if old_irql is not None:
            kernel.lower_irql(old_irql)
        if visit.overtaken:
            # The resume has won the race against the return (OQ-15): the operation is elsewhere by now, perhaps in this
            # filter's post-operation callback, or gone.
            if answer != PreopStatus.PENDING:
                kernel.verifier.report(
                    "PRE-PEND-02",
                    visit.instance.filter.name,
                    f"resumed an operation and then answered {answer} from the preoperation callback",
                )
            elif slot:
                checks.pending_context(kernel, operation, visit, memory.read_u64(slot))
            operation.release()
            return STOPPED
        context = memory.read_u64(visit.slot) if slot else 0
        status = checks.pre_answer(kernel, operation, visit, answer, context)
        if status is PreopStatus.PENDING:
            visit.state = VisitState.PENDED
            visit.instance.busy.enter()
            visit.instance.pended.append(operation)
            if kernel.mutant("pended-goes-on"):
                visit.resumed = True
                visit.state = VisitState.RETURNED
                self._unpend(operation, visit)
                return (yield from self._act(operation, visit, PreopStatus.SUCCESS_NO_CALLBACK, 0))
            return STOPPED
        visit.state = VisitState.RETURNED
        return (yield from self._act(operation, visit, status, context))

    def _act(self, operation: Operation, visit: Visit, status: PreopStatus, context: int) -> Code:
        """Do what a pre-operation callback asked for, at once or at its resume; whether the descent goes on here."""
        kernel = self.kernel
        operation.visit = None
        checks.settle_parameters(kernel, operation, visit, status)
        if kernel.mutant("control-not-returned"):
            # The filter keeps the operation for a while although it has handed it back.
            yield Wait((), timeout=10_000_000, reason="a mutant")
        if status is PreopStatus.COMPLETE:
            if kernel.mutant("completed-goes-down"):
                operation.clear_io_status()
                return GO_ON
            if kernel.mutant("completing-filter-gets-its-post") and visit.callbacks.post:
                operation.nodes.append(Node(visit, 0))
            if kernel.mutant("posts-above-skipped-on-complete"):
                operation.nodes.clear()
            yield from self.ascend(operation)
            return STOPPED
        if status in (PreopStatus.DISALLOW_FASTIO, PreopStatus.DISALLOW_FSFILTER_IO):
            if kernel.mutant("disallowed-goes-down"):
                return GO_ON
            operation.set_io_status(NtStatus.FLT_DISALLOW_FAST_IO, 0)
            yield from self.ascend(operation)
            return STOPPED
        if kernel.mutant("passed-on-fast-io-disallowed") and not operation.is_irp:
            operation.set_io_status(NtStatus.FLT_DISALLOW_FAST_IO, 0)
            yield from self.ascend(operation)
            return STOPPED
        operation.clear_io_status()
        if status is PreopStatus.SUCCESS_NO_CALLBACK:
            if kernel.mutant("no-callback-gets-post") and visit.callbacks.post:
                operation.nodes.append(Node(visit, 0))
            return GO_ON
        if kernel.mutant("with-callback-post-skipped"):
            return GO_ON
        return (yield from self._owe_post(operation, visit, status, context))

    def _owe_post(self, operation: Operation, visit: Visit, status: PreopStatus, context: int) -> Code:
        kernel = self.kernel
        if kernel.mutant("completion-context-lost"):
            context = 0
        node = Node(visit, context)
        if kernel.mutant("posts-high-to-low"):
            operation.nodes.insert(0, node)
        else:
            operation.nodes.append(node)
        create = operation.request.major == IrpMajor.CREATE
        synchronize = status is PreopStatus.SYNCHRONIZE and operation.is_irp
        if status is PreopStatus.SYNCHRONIZE and not operation.is_irp and kernel.mutant("fastio-synchronize-ignored"):
            operation.nodes.remove(node)
        if (create and not kernel.mutant("post-create-anywhere")) or (
            synchronize and not kernel.mutant("synchronize-in-completing-thread")
        ):
            return (yield from self._keep_thread(operation, node))
        return GO_ON

    def _keep_thread(self, operation: Operation, node: Node) -> Code:
        """Send the operation on and stay in its post-operation callback's thread until completion has come up here."""
        node.ready = Event(f"completion of {operation.describe()} below {node.instance.filter.name}")
        yield from self._descend(operation)
        yield Wait([node.ready], reason=f"{operation.describe()} to be completed below {node.instance.filter.name}")
        if not node.drained:
            yield from self.ascend(operation, arrived=node)
        return STOPPED

    def _to_file_system(self, operation: Operation) -> Code:
        """All filters of the frame have let it pass: on to the device below."""
        operation.take_back_parameters()
        operation.below = True
        self.trace(operation, "file system", None)
        request, io = operation.request, self.kernel.io
        if request.kind is OperationClass.IRP:
            operation.set_next_location()
            io.irps.set_completion_routine(operation.irp, self._completed, operation.data)
            yield from operation.call_below()
            return
        if operation.pass_on is not None:
            yield from operation.pass_on()
        elif request.kind is OperationClass.FAST_IO:
            if not (yield from fast_io(self.kernel.io, operation.at.below, request)):
                request.status, request.information = int(NtStatus.FLT_DISALLOW_FAST_IO), 0
        else:
            yield from fs_filter(self.kernel.io, operation.at.below, request)
        yield from self._back(operation, request.status, request.information)

    def _irp_completed(self, device: int, irp: int, data: int) -> Code:
        """The completion routine of every IRP that goes below: the way up begins here, in whatever thread this is."""
        del device
        operation = self.manager.operations[data]
        operation.restore_irp()
        yield from self._back(operation, *self.kernel.io.irps.io_status(irp))
        return int(NtStatus.MORE_PROCESSING_REQUIRED)

    def _back(self, operation: Operation, status: int, information: int) -> Code:
        operation.below = False
        if operation.request.major == IrpMajor.CLOSE and operation.request.file is not None:
            operation.request.file.closed = True
        operation.set_io_status(status, information)
        self.trace(operation, f"completed 0x{status:08X}", None)
        yield from self.ascend(operation)

    def _irql_for_pre(self, operation: Operation) -> int | None:
        """The IRQL to go back to, where this callback is deliberately called at another one."""
        kernel = self.kernel
        if kernel.mutant("pre-at-dispatch") and operation.is_irp:
            return kernel.raise_irql(Irql.DISPATCH)
        if operation.is_irp:
            return kernel.raise_irql(Irql.APC) if kernel.mutant("pre-at-apc") and kernel.irql < Irql.APC else None
        if (kernel.policy["fast-io-irql"] == "apc" or kernel.mutant("fast-io-pre-at-apc")) and kernel.irql < Irql.APC:
            return kernel.raise_irql(Irql.APC)
        return None

    def _show_below_early(self, operation: Operation) -> Code:
        """Mutant: the next lower filter is shown the operation while this one still has it."""
        if operation.next < len(operation.instances):
            below = operation.make_visit(operation.next)
            if below.callbacks.pre:
                yield Call(below.callbacks.pre, operation.data, below.related, below.slot)

    # -- pended in pre

    def resume(self, operation: Operation, status: PreopStatus, context: int) -> Code:
        """FltCompletePendedPreOperation: carry on in this thread as if the callback had returned `status` now."""
        visit = operation.visit
        assert visit is not None
        visit.resumed = True
        if visit.state is VisitState.PENDED:
            visit.state = VisitState.RETURNED
            self._unpend(operation, visit)
        elif self.kernel.mutant("early-resume-lost"):
            visit.resumed = False
            return
        visit.overtaken = True
        self.trace(operation, f"resumed {status.name}", visit.instance)
        self.manager.callbacks.resumed(operation, visit, Phase.RESUME_PRE, int(status), context)
        operation.running += 1
        if self.kernel.mutant("resume-context-lost"):
            context = 0
        if self.kernel.mutant("resume-complete-goes-down") and status is PreopStatus.COMPLETE:
            status = PreopStatus.SUCCESS_NO_CALLBACK
        if (yield from self._act(operation, visit, status, context)):
            yield from self._descend(operation)
        operation.running -= 1
        operation.release()

    def _unpend(self, operation: Operation, visit: Visit) -> None:
        visit.instance.pended.remove(operation)
        self.manager.leave(visit.instance)

    # -- up

    def ascend(self, operation: Operation, *, arrived: Node | None = None) -> Code:
        """Call the posts that are owed, low to high, as far as this thread may."""
        if operation.chain is not None:
            self.enter_post()
            stopped = yield from self.manager.chains.call_post(operation)
            self.leave_post()
            if stopped is not None:
                go_on = yield from self._post_answered(operation, *stopped)
                if not go_on:
                    return
        nodes = operation.nodes
        while nodes:
            node = nodes[-1]
            if node.ready is not None and node is not arrived:
                self.kernel.signal(node.ready)
                return
            nodes.pop()
            if not (yield from self._post(operation, node)):
                return
        yield from self._finish(operation)

    def _post(self, operation: Operation, node: Node) -> Code:
        """Make one post-operation callback; whether completion goes on from here."""
        kernel = self.kernel
        visit = node.visit
        visit.state, visit.resumed = VisitState.IN_CALLBACK, False
        if kernel.mutant("original-parameters-lost"):
            pass
        else:
            operation.write_parameters(visit.parameters)
        operation.set_flags(add=_POST_OPERATION, remove=_DIRTY)
        if kernel.mutant("post-above-dispatch"):
            old_irql: int | None = kernel.raise_irql(Irql.DISPATCH + 1)
        elif (kernel.mutant("synchronized-post-at-dispatch") and node.ready is not None) or (
            kernel.mutant("fast-io-post-at-dispatch") and not operation.is_irp
        ):
            old_irql = kernel.raise_irql(Irql.DISPATCH)
        else:
            old_irql = None
        operation.post = visit
        self.trace(operation, "post", visit.instance)
        irql = kernel.irql
        visit.status_before = operation.status
        visit.instance.busy.enter()
        operation.running += 1
        self.enter_post()
        self.manager.callbacks.entered(operation, visit, Phase.POST, node.context, 0)
        answer = (yield Call(visit.callbacks.post, operation.data, visit.related, node.context, 0)) & 0xFFFF_FFFF
        self.manager.callbacks.returned(operation, visit, Phase.POST, answer, node.context)
        self.leave_post()
        operation.running -= 1
        return (yield from self._post_answered(operation, visit, answer, irql, old_irql))

    def _post_answered(
        self, operation: Operation, visit: Visit, answer: int, irql: int, old_irql: int | None = None
    ) -> Code:
        """A post-operation callback that was called at `irql` has returned; whether completion goes on from here."""
        yield from ()
        kernel = self.kernel
        checks.irql_unchanged(kernel, visit, irql, "post")
        if old_irql is not None:
            kernel.lower_irql(old_irql)
        self.manager.leave(visit.instance)
        if visit.resumed:
            operation.release()
            return STOPPED
        verdict = checks.post_answer(kernel, operation, visit, answer)
        if verdict is PostopStatus.MORE_PROCESSING_REQUIRED and not kernel.mutant("pended-completion-goes-on"):
            visit.state = VisitState.PENDED
            visit.instance.busy.enter()
            visit.instance.pended.append(operation)
            return STOPPED
        if verdict is PostopStatus.DISALLOW_FSFILTER_IO:
            operation.set_io_status(NtStatus.FLT_DISALLOW_FAST_IO, 0)
        operation.post = None
        checks.failed_create(kernel, operation, visit)
        if kernel.mutant("finished-ends-completion"):
            operation.nodes.clear()
        return GO_ON

    def resume_post(self, operation: Operation) -> Code:
        """FltCompletePendedPostOperation: go on upwards in this thread."""
        visit = operation.post
        assert visit is not None
        visit.resumed = True
        if visit.state is VisitState.PENDED:
            self._unpend(operation, visit)
        visit.state = VisitState.RETURNED
        operation.post = None
        checks.failed_create(self.kernel, operation, visit)
        self.trace(operation, "post resumed", visit.instance)
        self.manager.callbacks.resumed(operation, visit, Phase.RESUME_POST, int(PostopStatus.FINISHED_PROCESSING), 0)
        operation.running += 1
        yield from self.ascend(operation)
        operation.running -= 1
        operation.release()

    def _finish(self, operation: Operation) -> Code:
        """All posts are done: who is above the frame gets the operation back."""
        request, io = operation.request, self.kernel.io
        status, information = operation.status, operation.information
        if operation.unset_status and status == operation.unset_status:
            information = 0 if information == operation._unset_information else information  # noqa: SLF001
        checks.completed_as_pending(self.kernel, operation, status)
        operation.finish(status)
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

    def enter_post(self) -> None:
        """The current thread (or DPC) enters a post-operation callback."""
        self._posting.append(self.kernel.engine.current_execution)

    def leave_post(self) -> None:
        """It has returned."""
        self._posting.remove(self.kernel.engine.current_execution)

    def in_post(self) -> bool:
        """Whether the current thread runs a post-operation callback."""
        return self.kernel.engine.current_execution in self._posting

    # -- trace

    def trace(self, operation: Operation, what: str, instance: "Instance | None") -> None:
        where = f"{instance.filter.name}@{instance.altitude_text}: " if instance is not None else ""
        self.kernel.probes.happened((operation.data, operation.label, f"{where}{what}"))
