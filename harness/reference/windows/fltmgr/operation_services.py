"""What the filter manager does for a filter that asks about an operation it has, or takes a create of its back."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import CallbackDataFlags, IrpMajor, OperationClass
from harness.reference.windows.io.buffer_parameters import is_buffered_control
from harness.reference.windows.io.constants import FileObjectFlags, IrpFlags
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.fltmgr.frames import Frames
    from harness.reference.windows.fltmgr.operation import Operation
    from harness.reference.windows.io.file_object import FileObject


class OperationServices:
    """Answers about operations, and what is done to them on a filter's behalf."""

    def __init__(self, objects: "FilterObjects", frames: "Frames") -> None:
        self._kernel = objects.kernel
        self._io = objects.io
        self._frames = frames

    def is_synchronous(self, operation: "Operation") -> bool:
        """FltIsOperationSynchronous (IO-06)."""
        request = operation.request
        if not request.is_irp:
            return True
        if request.irp_flags & IrpFlags.PAGING_IO:
            return bool(request.irp_flags & IrpFlags.SYNCHRONOUS_PAGING_IO)
        if request.irp_flags & IrpFlags.SYNCHRONOUS_API or is_buffered_control(request):
            return True
        return request.file is not None and request.file.synchronous

    def user_buffer_locked(self, operation: "Operation", mdl_at: int, mdl: int) -> None:
        """FltLockUserBuffer has made an MDL: into the parameters, which are dirty with it on the way down (BUF-04)."""
        self._kernel.memory.write_u64(mdl_at, mdl)
        if operation.visit is not None:
            operation.set_flags(add=int(CallbackDataFlags.DIRTY))

    def send_own(self, instance: "Instance", request: Request, *, wait: bool) -> Code:
        """Send a filter's own read or write to what is below it; without a callback it is waited for (IO-04)."""
        send = partial(self._frames.send_below, instance)
        yield from self._io.issue(request, send) if wait else send(request)

    def close_below(self, instance: "Instance", file: "FileObject") -> Code:
        """What a filter has taken back of a create is cleaned up and closed below it (POST-FAIL-02)."""
        flags = int(IrpFlags.CLOSE_OPERATION | IrpFlags.SYNCHRONOUS_API)
        for major in (IrpMajor.CLEANUP, IrpMajor.CLOSE):
            request = Request(OperationClass.IRP, major, file, self._kernel.current, irp_flags=flags)
            request.generated = True
            yield from self._io.issue(request, partial(self._frames.send_below, instance))
            if major is IrpMajor.CLEANUP:
                file.cleaned_up = True
                file.add_flags(int(FileObjectFlags.CLEANUP_COMPLETE))
