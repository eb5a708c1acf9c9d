"""NtNotifyChangeKey: being told of the next change of a registry key, or of any below it."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, find_export
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.io.constants import KERNEL_MODE
from harness.reference.windows.io.request import Code
from harness.reference.windows.io.system_services import Caller, ReportArguments, probe, service
from harness.reference.windows.ntos.cm.key_handles import key_of
from harness.reference.windows.ntos.cm.key_watches import KeyChange

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_THREAD_AGNOSTIC = 0x1000_0000


@service("NotifyChangeKey")
def notify_change_key(
    k: "Kernel",
    mode: int,
    handle: int,
    report: ReportArguments,
    what: U32,
    tree: U8,
    buffer: int,
    length: U32,
    asynchronous: U8,
) -> Code:
    """NtNotifyChangeKey: NOTIFY_ENUM_DIR after the change, by return or in the status block.

    A driver's ApcRoutine is a WORK_QUEUE_ITEM, its ApcContext the queue that it goes to. Nothing is ever told by the
    buffer.
    """
    probe(mode, buffer, length)
    key = key_of(k, handle)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    asked = what & ~_THREAD_AGNOSTIC
    if not asked or asked & ~int(~KeyChange(0)):
        return int(NtStatus.INVALID_PARAMETER)
    caller = Caller.of(k, mode, report)
    if caller.event is not None:
        caller.event.header.signal_state = 0
    done = Event("a registry key to change")
    ended: list[int] = []

    def told(status: int) -> None:
        ended.append(status)
        caller.report(status, 0)
        if report.apc and mode == KERNEL_MODE:
            queue = find_export(NTOSKRNL, "ExQueueWorkItem")
            assert queue is not None
            queue.function(k, report.apc, report.apc_context)
        done.state = True
        k.signal(done)

    k.key_watches.wait(handle, key, KeyChange(asked), told, tree=bool(tree))
    if asynchronous:
        return int(NtStatus.PENDING)
    yield Wait([done], reason=done.name)
    return ended[0]
