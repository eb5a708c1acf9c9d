"""Mutants of what the filter manager answers and does for a filter about its operations and its own I/O."""

from harness.nt import IrpMajor
from harness.reference.windows.fltmgr.contexts import Contexts
from harness.reference.windows.fltmgr.filter_services import FilterServices
from harness.reference.windows.fltmgr.filters import Instance
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.fltmgr.operation_services import OperationServices
from harness.reference.windows.fltmgr.passage import PassageEngine
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.mutants import mutant

_PARAMETERS, _PARAMETERS_SIZE = 0x08, 0x20
"""In IO_STACK_LOCATION."""


@mutant("always-synchronous")
class AlwaysSynchronous(OperationServices):
    """FltIsOperationSynchronous says of every operation that it is synchronous."""

    def is_synchronous(self, operation: Operation) -> bool:
        return True


@mutant("locked-buffer-unmarked")
class LockedBufferUnmarked(OperationServices):
    """FltLockUserBuffer makes an MDL and does not mark the callback data dirty."""

    def user_buffer_locked(self, operation: Operation, mdl_at: int, mdl: int) -> None:
        self._kernel.memory.write_u64(mdl_at, mdl)


@mutant("own-read-not-waited-for")
class OwnReadNotWaitedFor(OperationServices):
    """FltReadFile without a callback returns before the read is finished."""

    def send_own(self, instance: Instance, request: Request, *, wait: bool) -> Code:
        yield from super().send_own(instance, request, wait=False)


@mutant("cancelled-open-stays-below")
class CancelledOpenStaysBelow(OperationServices):
    """FltCancelFileOpen leaves the file open below the filter that calls it."""

    def close_below(self, instance: Instance, file: FileObject) -> Code:
        yield from ()


@mutant("contexts-before-create")
class ContextsBeforeCreate(Contexts):
    """A stream handle has contexts before its create is finished."""

    def stream_before_open(self, file: FileObject) -> int:
        return id(file)


@mutant("service-stop-vetoed")
class ServiceStopVetoed(FilterServices):
    """Stopping a minifilter's service is an unload that it may refuse."""

    def unload(self, service: str, *, mandatory: bool) -> Code:
        return (yield from super().unload(service, mandatory=False))


@mutant("post-before-file-system")
class PostBeforeFileSystem(PassageEngine):
    """The post callback of the lowest filter is called before the file system has a read."""

    def to_file_system(self, operation: Operation) -> Code:
        if operation.nodes and operation.request.major == IrpMajor.READ:
            yield from self.call_post(operation, operation.nodes.pop())
        yield from super().to_file_system(operation)


@mutant("parameters-left-behind")
class ParametersLeftBehind(PassageEngine):
    """The next stack location of a read is filled without its parameters."""

    def fill_next_location(self, operation: Operation) -> None:
        super().fill_next_location(operation)
        if operation.request.major == IrpMajor.READ:
            location = self.io.irps.next(operation.irp)
            self.kernel.memory.write(location + _PARAMETERS, bytes(_PARAMETERS_SIZE))
