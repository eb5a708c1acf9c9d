"""Mutants of the way down: what a filter is shown, and what becomes of a pre-operation callback's answer."""

from harness.nt import Irql, OperationClass, PreopStatus
from harness.reference.machine.scheduler.requests import Call, Wait
from harness.reference.windows.fltmgr.checks import Checks
from harness.reference.windows.fltmgr.filters import FrameDevice
from harness.reference.windows.fltmgr.operation import Node, Operation, Visit, VisitState
from harness.reference.windows.fltmgr.passage import GO_ON, PassageEngine
from harness.reference.windows.fltmgr.selection import Shown
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.mutants import mutant

_A_WHILE = 150_000_000
"""100 ns."""

# -- callbacks that are made


@mutant("pre-not-called")
class PreNotCalled(PassageEngine):
    """The pre callback of a registered operation is not called."""

    def call_pre(self, operation: Operation, visit: Visit) -> Code:
        yield from ()
        return GO_ON


@mutant("pre-only-registration-ignored")
class PreOnlyRegistrationIgnored(PassageEngine):
    """A filter that registers a pre without a post callback is passed by."""

    def call_pre(self, operation: Operation, visit: Visit) -> Code:
        return (yield from super().call_pre(operation, visit)) if visit.callbacks.post else GO_ON


@mutant("post-only-registration-ignored")
class PostOnlyRegistrationIgnored(PassageEngine):
    """A filter that registers a post without a pre callback gets no post."""

    def pass_without_pre(self, operation: Operation, visit: Visit) -> Code:
        yield from ()
        return GO_ON


@mutant("shown-below-during-pre")
class ShownBelowDuringPre(PassageEngine):
    """The filters below are shown an operation while the pre callback above still works on it."""

    def call_pre(self, operation: Operation, visit: Visit) -> Code:
        if operation.next < len(operation.instances):
            below = operation.make_visit(operation.next)
            if below.callbacks.pre:
                yield Call(below.callbacks.pre, operation.data, below.related, below.slot)
        return (yield from super().call_pre(operation, visit))


@mutant("pre-at-dispatch")
class PreAtDispatch(PassageEngine):
    """The pre callbacks of IRPs are called at DISPATCH_LEVEL."""

    def raise_for_pre(self, operation: Operation) -> int | None:
        return self.kernel.raise_irql(Irql.DISPATCH) if operation.is_irp else super().raise_for_pre(operation)


@mutant("pre-at-apc")
class PreAtApc(PassageEngine):
    """The pre callbacks of IRPs are called at APC_LEVEL."""

    def raise_for_pre(self, operation: Operation) -> int | None:
        raised = operation.is_irp and self.kernel.irql < Irql.APC
        return self.kernel.raise_irql(Irql.APC) if raised else super().raise_for_pre(operation)


@mutant("fast-io-pre-at-apc")
class FastIoPreAtApc(PassageEngine):
    """The pre callbacks of fast I/O and FSFilter operations are called at APC_LEVEL."""

    def raise_for_pre(self, operation: Operation) -> int | None:
        raised = not operation.is_irp and self.kernel.irql < Irql.APC
        return self.kernel.raise_irql(Irql.APC) if raised else super().raise_for_pre(operation)


@mutant("two-classes-at-once")
class TwoClassesAtOnce(PassageEngine):
    """Operations carry the flags of an IRP and of fast I/O at the same time."""

    def begin(self, request: Request, instances: Shown, at: FrameDevice) -> Operation:
        operation = super().begin(request, instances, at)
        operation.set_flags(add=int(OperationClass.IRP | OperationClass.FAST_IO))
        return operation


# -- what a callback has answered


@mutant("no-context-slot")
class NoContextSlot(PassageEngine):
    """A pre callback gets no slot for its completion context."""

    def context_left(self, visit: Visit) -> int:
        return 0


@mutant("control-not-returned")
class ControlNotReturned(PassageEngine):
    """An operation stays with a filter for a while after its pre callback has returned."""

    def act(self, operation: Operation, visit: Visit, status: PreopStatus, context: int) -> Code:
        yield Wait((), timeout=_A_WHILE, reason="a mutant")
        return (yield from super().act(operation, visit, status, context))


@mutant("pended-goes-on")
class PendedGoesOn(Checks):
    """An operation goes on down although a pre callback has pended it."""

    def pre_answer(self, operation: Operation, visit: Visit, answer: int, context: int) -> PreopStatus:
        status = super().pre_answer(operation, visit, answer, context)
        if status is PreopStatus.PENDING:
            visit.resumed = True
            return PreopStatus.SUCCESS_NO_CALLBACK
        return status


@mutant("completed-goes-down")
class CompletedGoesDown(PassageEngine):
    """An operation goes on down although a pre callback has completed it."""

    def complete(self, operation: Operation, visit: Visit) -> Code:
        yield from ()
        operation.clear_io_status()
        return GO_ON


@mutant("completing-filter-gets-its-post")
class CompletingFilterGetsItsPost(PassageEngine):
    """The filter that completes an operation gets its own post callback."""

    def complete(self, operation: Operation, visit: Visit) -> Code:
        if visit.callbacks.post:
            operation.nodes.append(Node(visit, 0))
        return (yield from super().complete(operation, visit))


@mutant("posts-above-skipped-on-complete")
class PostsAboveSkippedOnComplete(PassageEngine):
    """The filters above get no post callback for an operation that was completed below them."""

    def complete(self, operation: Operation, visit: Visit) -> Code:
        operation.nodes.clear()
        return (yield from super().complete(operation, visit))


@mutant("disallowed-goes-down")
class DisallowedGoesDown(PassageEngine):
    """Fast I/O goes on down although a pre callback has disallowed it."""

    def disallow(self, operation: Operation) -> Code:
        yield from ()
        return GO_ON


@mutant("passed-on-fast-io-disallowed")
class PassedOnFastIoDisallowed(PassageEngine):
    """Fast I/O and FSFilter operations that a filter passes on are taken for disallowed."""

    def act(self, operation: Operation, visit: Visit, status: PreopStatus, context: int) -> Code:
        if not operation.is_irp and status is not PreopStatus.COMPLETE:
            status = PreopStatus.DISALLOW_FASTIO
        return (yield from super().act(operation, visit, status, context))


@mutant("no-callback-gets-post")
class NoCallbackGetsPost(PassageEngine):
    """A filter gets a post callback although its pre callback wanted none."""

    def act(self, operation: Operation, visit: Visit, status: PreopStatus, context: int) -> Code:
        go_on = yield from super().act(operation, visit, status, context)
        if status is PreopStatus.SUCCESS_NO_CALLBACK and visit.callbacks.post:
            operation.nodes.append(Node(visit, 0))
        return go_on


@mutant("with-callback-post-skipped")
class WithCallbackPostSkipped(PassageEngine):
    """A filter gets no post callback although its pre callback wanted one."""

    def owe_post(self, operation: Operation, visit: Visit, status: PreopStatus, context: int) -> Code:
        yield from ()
        return GO_ON


@mutant("completion-context-lost")
class CompletionContextLost(PassageEngine):
    """A post callback gets no completion context."""

    def owe_post(self, operation: Operation, visit: Visit, status: PreopStatus, context: int) -> Code:
        return (yield from super().owe_post(operation, visit, status, 0))


@mutant("fastio-synchronize-ignored")
class FastIoSynchronizeIgnored(PassageEngine):
    """A filter that synchronizes fast I/O gets no post callback."""

    def owe_post(self, operation: Operation, visit: Visit, status: PreopStatus, context: int) -> Code:
        if status is PreopStatus.SYNCHRONIZE and not operation.is_irp:
            return GO_ON
        return (yield from super().owe_post(operation, visit, status, context))


@mutant("dirty-parameters-ignored")
class DirtyParametersIgnored(Checks):
    """Parameters that a pre callback has changed and marked dirty are put back."""

    def settle_parameters(self, operation: Operation, visit: Visit, status: PreopStatus) -> None:
        super().settle_parameters(operation, visit, status)
        operation.write_parameters(visit.parameters)


# -- pended operations that are resumed


@mutant("early-resume-lost")
class EarlyResumeLost(PassageEngine):
    """An operation that is resumed before its pre callback has returned PENDING is never resumed."""

    def resume(self, operation: Operation, status: PreopStatus, context: int) -> Code:
        if operation.visit is not None and operation.visit.state is VisitState.PENDED:
            yield from super().resume(operation, status, context)


@mutant("resume-context-lost")
class ResumeContextLost(PassageEngine):
    """The context given when a pended operation is resumed does not reach the post callback."""

    def resume(self, operation: Operation, status: PreopStatus, context: int) -> Code:
        yield from super().resume(operation, status, 0)


@mutant("resume-complete-goes-down")
class ResumeCompleteGoesDown(PassageEngine):
    """An operation resumed with COMPLETE goes on down."""

    def resume(self, operation: Operation, status: PreopStatus, context: int) -> Code:
        if status is PreopStatus.COMPLETE:
            status = PreopStatus.SUCCESS_NO_CALLBACK
        yield from super().resume(operation, status, context)
