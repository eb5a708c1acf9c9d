"""Mutants of what is around the passage: who is shown what, attaching and detaching, contexts, a filter's own I/O."""

from dataclasses import replace

from harness.nt import IrpMajor, OperationClass
from harness.reference.windows.fltmgr.altitude import Altitude
from harness.reference.windows.fltmgr.attachment import Attachments
from harness.reference.windows.fltmgr.contexts import REPLACE_IF_EXISTS, Contexts
from harness.reference.windows.fltmgr.file_names import FileNames
from harness.reference.windows.fltmgr.filter_services import FilterServices
from harness.reference.windows.fltmgr.filters import (
    Callbacks,
    Context,
    ContextTable,
    Filter,
    FrameDevice,
    Instance,
)
from harness.reference.windows.fltmgr.frames import Frames
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.fltmgr.selection import Selection, Shown
from harness.reference.windows.io.io_manager import IoManager
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.mutants import mutant

# -- who is shown a request


@mutant("unregistered-shown")
class UnregisteredShown(Selection):
    """IRPs are shown to filters that have not registered for them."""

    def callbacks(self, instance: Instance, request: Request) -> Callbacks | None:
        registered = super().callbacks(instance, request)
        if registered is None and request.is_irp:
            return next(iter(instance.filter.registration.operations.values()), None)
        return registered


@mutant("wrong-pre-called")
class WrongPreCalled(Selection):
    """Every operation gets the pre callback of the filter's first registration."""

    def callbacks(self, instance: Instance, request: Request) -> Callbacks | None:
        registered = super().callbacks(instance, request)
        wrong = registered is not None and registered.pre and request.major == IrpMajor.WRITE
        return None if wrong else registered


@mutant("skip-flags-ignored")
class SkipFlagsIgnored(Selection):
    """The SKIP flags of a registration are ignored."""

    def callbacks(self, instance: Instance, request: Request) -> Callbacks | None:
        registered = super().callbacks(instance, request)
        return replace(registered, flags=0) if registered is not None else None


@mutant("pre-low-to-high")
class PreLowToHigh(Selection):
    """Pre callbacks are called from the lowest altitude up."""

    def interested(self, at: FrameDevice, request: Request, below: Instance | None = None) -> Shown:
        return super().interested(at, request, below)[::-1]


@mutant("own-io-shown-to-initiator")
class OwnIoShownToInitiator(Selection):
    """I/O that a filter starts itself is shown to that filter."""

    def candidates(self, at: FrameDevice, below: Instance | None) -> list[Instance]:
        candidates = super().candidates(at, below)
        return candidates if below is None else [below, *candidates]


@mutant("fast-io-not-shown")
class FastIoNotShown(Selection):
    """What comes by fast I/O is shown to no filter."""

    def callbacks(self, instance: Instance, request: Request) -> Callbacks | None:
        hidden = request.kind is OperationClass.FAST_IO
        return None if hidden else super().callbacks(instance, request)


# -- attaching, detaching, unloading


@mutant("setup-veto-ignored")
class SetupVetoIgnored(Attachments):
    """An instance is attached although its setup callback has refused."""

    def refuses(self, answer: int) -> bool:
        return False


@mutant("teardown-does-not-wait")
class TeardownDoesNotWait(Attachments):
    """Teardown is complete although operations are pended."""

    def wait_until_idle(self, instance: Instance) -> Code:
        yield from ()


@mutant("shown-while-torn-down")
class ShownWhileTornDown(Attachments):
    """An instance that is being torn down is shown new operations."""

    def hide(self, instance: Instance) -> None:
        pass


@mutant("stays-attached")
class StaysAttached(Attachments):
    """An instance that is detached goes on being called."""

    def tear_down(self, instance: Instance, reason: int) -> Code:
        yield from ()


@mutant("altitudes-compared-as-text")
class AltitudesComparedAsText(Attachments):
    """Instances stand in the order of their altitudes' texts."""

    def rank(self, instance: Instance) -> Altitude:
        return Altitude("", str(instance.altitude))


@mutant("teardown-veto-ignored")
class TeardownVetoIgnored(Attachments):
    """An instance is detached although its query-teardown callback has refused."""

    def vetoes(self, answer: int) -> bool:
        return False


@mutant("collisions-ignored")
class CollisionsIgnored(Attachments):
    """Instances of one name, or of one altitude, are attached to one volume."""

    def collision(self, there: list[Instance], found: Filter, name: str, place: Altitude) -> int:
        return 0


@mutant("started-again")
class StartedAgain(FilterServices):
    """FltStartFiltering may be called again and again."""

    def is_started(self, found: Filter) -> bool:
        return False


@mutant("work-not-waited-for")
class WorkNotWaitedFor(FilterServices):
    """FltUnregisterFilter returns while work items of the filter are queued."""

    def wait_for_work(self, found: Filter) -> Code:
        yield from ()


@mutant("unload-veto-ignored")
class UnloadVetoIgnored(FilterServices):
    """A filter is unloaded although its unload callback has refused."""

    def vetoes(self, answer: int) -> bool:
        return False


# -- contexts


@mutant("contexts-lost")
class ContextsLost(Contexts):
    """Contexts that were set cannot be fetched again."""

    def find(self, table: ContextTable, key: tuple[int, int]) -> Context | None:
        return None


@mutant("contexts-refused-in-post")
class ContextsRefusedInPost(Contexts):
    """Contexts cannot be fetched in a post callback."""

    def find(self, table: ContextTable, key: tuple[int, int]) -> Context | None:
        in_post = any(operation.post is not None for operation in self.objects.operations.values())
        return None if in_post else super().find(table, key)


@mutant("context-not-cleaned-up")
class ContextNotCleanedUp(Contexts):
    """The cleanup callback of a context is not called."""

    def destroy(self, context: Context) -> Code:
        context.definition = replace(context.definition, cleanup=0)
        yield from super().destroy(context)


@mutant("keep-replaces")
class KeepReplaces(Contexts):
    """A context that is set with KEEP_IF_EXISTS takes the place of the one that is there."""

    def link(
        self, table: ContextTable, key: tuple[int, int], operation: int, new: Context
    ) -> tuple[int, Context | None]:
        return super().link(table, key, REPLACE_IF_EXISTS, new)


@mutant("contexts-outlive-files")
class ContextsOutliveFiles(Contexts):
    """Contexts stay when their file object or stream goes away."""

    def object_gone(self, identity: int) -> None:
        pass


@mutant("names-queried-anywhere")
class NamesQueriedAnywhere(FileNames):
    """File names are queried also where that is not safe."""

    def refusal(self, operation: Operation, options: int) -> int:
        return 0


# -- a filter's own I/O, and the I/O manager's


@mutant("own-io-unmarked")
class OwnIoUnmarked(Frames):
    """I/O that a filter starts itself is not marked as generated."""

    def send_below(self, instance: Instance, request: Request) -> Code:
        request.generated = False
        yield from super().send_below(instance, request)


@mutant("disallowed-fast-io-fails")
class DisallowedFastIoFails(IoManager):
    """Disallowed fast I/O fails instead of being sent again as an IRP."""

    def sends_again(self, request: Request) -> bool:
        return False
