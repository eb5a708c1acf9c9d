"""Operations that the system has kept for a minifilter: oplocks that are held, directories that are watched.

The minifilter has answered FLT_PREOP_PENDING, and does not resume them itself.
"""

from typing import TYPE_CHECKING

from harness.nt import PreopStatus

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_manager import FilterManager
    from harness.reference.windows.fltmgr.operation import Operation
    from harness.reference.windows.io.request import Code


def end_pended(flt: "FilterManager", operation: "Operation", status: int, information: int) -> "Code":
    """Complete one of them; nothing if its minifilter has done so."""
    if flt.operations.get(operation.data) is not operation:
        return
    operation.request.set_cancel_routine(None)
    operation.set_io_status(status, information)
    yield from flt.engine.resume(operation, PreopStatus.COMPLETE, 0)
