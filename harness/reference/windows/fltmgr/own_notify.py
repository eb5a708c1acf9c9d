"""Directory notification of minifilters: requests that a filter keeps in a notify list of its own."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import FLTMGR, U8, U32, export
from harness.reference.windows.fltmgr.kept_operations import end_pended
from harness.reference.windows.fsrtl.driver_notify import Callbacks
from harness.reference.windows.io.parameters import NOTIFY
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(FLTMGR, "FltNotifyFilterChangeDirectory", max_irql=Irql.APC)
def flt_notify_filter_change_directory(
    k: "Kernel", sync: int, list_at: int, owner: int, directory: int, tree: U8, ignore_buffer: U8, what: U32, data: int,
    traverse: int, subject: int, filter_: int,
) -> None:  # fmt: skip
    """FltNotifyFilterChangeDirectory: keeps the callback data, for which the caller answers FLT_PREOP_PENDING."""
    del sync, ignore_buffer
    if not data:
        k.driver_notify.directory_goes(list_at, owner)
        return
    operation = k.flt.operation_at(data)
    request = operation.request

    def complete(status: int, answer: bytes) -> None:
        k.queue_worker(give(status, answer))

    def give(status: int, answer: bytes) -> Code:
        if answer:
            yield from k.io.views.write(NOTIFY.unpack_from(request.parameters)[4], answer)
        yield from end_pended(k.flt, operation, status, len(answer))

    callbacks = Callbacks(traverse, subject, filter_)
    k.driver_notify.keep(list_at, owner, directory, what, request, complete, callbacks, tree=bool(tree))
