"""Mutants of the way up: in what order, thread and IRQL post-operation callbacks are called, and with what."""

from harness.nt import IrpMajor, Irql, PostopStatus, PreopStatus
from harness.reference.windows.fltmgr.checks import Checks
from harness.reference.windows.fltmgr.draining import Draining
from harness.reference.windows.fltmgr.operation import Node, Operation, Visit
from harness.reference.windows.fltmgr.passage import PassageEngine
from harness.reference.windows.fltmgr.safe_completion import SafeCompletion
from harness.reference.windows.io.request import Code
from harness.reference.windows.mutants import mutant

# -- order and thread


@mutant("posts-high-to-low")
class PostsHighToLow(PassageEngine):
    """Post callbacks are called from the highest altitude down."""

    def to_file_system(self, operation: Operation) -> Code:
        operation.nodes.reverse()
        yield from super().to_file_system(operation)


@mutant("post-create-anywhere")
class PostCreateAnywhere(PassageEngine):
    """The post callback of a create is called in whatever thread completes it."""

    def keeps_thread(self, operation: Operation, status: PreopStatus) -> bool:
        return status is PreopStatus.SYNCHRONIZE and operation.is_irp


@mutant("synchronize-in-completing-thread")
class SynchronizeInCompletingThread(PassageEngine):
    """A synchronized post callback is called in the thread that completes the operation."""

    def keeps_thread(self, operation: Operation, status: PreopStatus) -> bool:
        return operation.request.major == IrpMajor.CREATE


# -- IRQL


class PostAtRaisedIrql(PassageEngine):
    """Calls the post-operation callbacks that `raises` names at another IRQL."""

    RAISED = int(Irql.DISPATCH)

    def raises(self, operation: Operation, node: Node) -> bool:
        raise NotImplementedError

    def call_post(self, operation: Operation, node: Node) -> Code:
        if not self.raises(operation, node):
            return (yield from super().call_post(operation, node))
        old_irql = self.kernel.raise_irql(self.RAISED)
        go_on = yield from super().call_post(operation, node)
        self.kernel.lower_irql(old_irql)
        return go_on


@mutant("post-above-dispatch")
class PostAboveDispatch(PostAtRaisedIrql):
    """Post callbacks are called above DISPATCH_LEVEL."""

    RAISED = int(Irql.DISPATCH) + 1

    def raises(self, operation: Operation, node: Node) -> bool:
        return True


@mutant("synchronized-post-at-dispatch")
class SynchronizedPostAtDispatch(PostAtRaisedIrql):
    """A synchronized post callback is called at DISPATCH_LEVEL."""

    def raises(self, operation: Operation, node: Node) -> bool:
        return node.ready is not None


@mutant("fast-io-post-at-dispatch")
class FastIoPostAtDispatch(PostAtRaisedIrql):
    """The post callbacks of fast I/O and FSFilter operations are called at DISPATCH_LEVEL."""

    def raises(self, operation: Operation, node: Node) -> bool:
        return not operation.is_irp


@mutant("safe-callback-always-posted")
class SafeCallbackAlwaysPosted(SafeCompletion):
    """FltDoCompletionProcessingWhenSafe posts the callback to a worker also below DISPATCH_LEVEL."""

    def is_safe(self) -> bool:
        return False


@mutant("safe-callback-at-dispatch")
class SafeCallbackAtDispatch(SafeCompletion):
    """FltDoCompletionProcessingWhenSafe calls the safe callback at DISPATCH_LEVEL."""

    def is_safe(self) -> bool:
        return True


# -- what a callback is given, and what it has answered


@mutant("original-parameters-lost")
class OriginalParametersLost(PassageEngine):
    """A post callback sees the parameters of the filters below instead of those its pre was given."""

    def call_post(self, operation: Operation, node: Node) -> Code:
        node.visit.parameters = operation.read_parameters()
        return (yield from super().call_post(operation, node))


@mutant("pended-completion-goes-on")
class PendedCompletionGoesOn(Checks):
    """The completion of an operation goes on up although a post callback has pended it."""

    def post_answer(self, operation: Operation, visit: Visit, answer: int) -> PostopStatus:
        verdict = super().post_answer(operation, visit, answer)
        pended = verdict is PostopStatus.MORE_PROCESSING_REQUIRED
        return PostopStatus.FINISHED_PROCESSING if pended else verdict


@mutant("finished-ends-completion")
class FinishedEndsCompletion(PassageEngine):
    """The filters above one that has finished its post callback get no post callback."""

    def call_post(self, operation: Operation, node: Node) -> Code:
        go_on = yield from super().call_post(operation, node)
        if go_on:
            operation.nodes.clear()
        return go_on


@mutant("swapped-buffers-drained")
class SwappedBuffersDrained(Draining):
    """An operation is drained although the filter has put a buffer of its own in."""

    def can_be_drained(self, node: Node) -> bool:
        return True


@mutant("not-drained")
class NotDrained(Draining):
    """An instance is torn down without a post callback for the operations still under way."""

    def call_post(self, operation: Operation, node: Node, data: int) -> Code:
        yield from ()
