"""FsRtlNotify*: directory notification for file systems and filters that keep a notify list of their own."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U16, U32, export
from harness.reference.windows.fsrtl.driver_notify import Callbacks, Target
from harness.reference.windows.io.parameters import NOTIFY
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_SYNC_SIZE = 0x40
_SYNC = Kind("NOTIFY_SYNC", "FsRtlNotifyUninitializeSync")


@export(NTOSKRNL, "FsRtlNotifyInitializeSync", max_irql=Irql.APC)
def fs_rtl_notify_initialize_sync(k: "Kernel", out: int) -> None:
    """FsRtlNotifyInitializeSync: what is in a NOTIFY_SYNC is ours."""
    sync = k.heap.allocate(_SYNC_SIZE)
    k.holdings.take(_SYNC, sync)
    k.memory.write_u64(out, sync)


@export(NTOSKRNL, "FsRtlNotifyUninitializeSync", max_irql=Irql.APC)
def fs_rtl_notify_uninitialize_sync(k: "Kernel", sync_at: int) -> None:
    """FsRtlNotifyUninitializeSync."""
    sync = k.memory.read_u64(sync_at)
    if sync:
        k.holdings.give_back(_SYNC, sync)
        k.heap.free(sync)
        k.memory.write_u64(sync_at, 0)


def _watch_by_irp(
    k: "Kernel", list_at: int, owner: int, directory: int, tree: int, what: int, irp: int, callbacks: Callbacks
) -> Code:
    yield from ()
    if not irp:
        k.driver_notify.directory_goes(list_at, owner)
        return
    request = k.io.irps.request_of(irp)

    def complete(status: int, data: bytes) -> None:
        k.queue_worker(_complete_irp(k, request, irp, status, data))

    k.io.irps.mark_pending(irp)
    k.driver_notify.keep(list_at, owner, directory, what, request, complete, callbacks, tree=bool(tree))


def _complete_irp(k: "Kernel", request: Request, irp: int, status: int, data: bytes) -> Code:
    if data:
        yield from k.io.views.write(NOTIFY.unpack_from(request.parameters)[4], data)
    request.set_cancel_routine(None)
    yield from k.io.complete(irp, status, len(data))


@export(NTOSKRNL, "FsRtlNotifyFullChangeDirectory", max_irql=Irql.APC)
def fs_rtl_notify_full_change_directory(
    k: "Kernel", sync: int, list_at: int, owner: int, directory: int, tree: U8, ignore_buffer: U8, what: U32, irp: int,
    traverse: int, subject: int,
) -> Code:  # fmt: skip
    """FsRtlNotifyFullChangeDirectory: keeps the IRP until something changes; without one the directory is deleted."""
    del sync, ignore_buffer
    return _watch_by_irp(k, list_at, owner, directory, tree, what, irp, Callbacks(traverse, subject))


@export(NTOSKRNL, "FsRtlNotifyFilterChangeDirectory", max_irql=Irql.APC)
def fs_rtl_notify_filter_change_directory(
    k: "Kernel", sync: int, list_at: int, owner: int, directory: int, tree: U8, ignore_buffer: U8, what: U32, irp: int,
    traverse: int, subject: int, filter_: int,
) -> Code:  # fmt: skip
    """FsRtlNotifyFilterChangeDirectory: `filter_` is asked before a change is told."""
    del sync, ignore_buffer
    return _watch_by_irp(k, list_at, owner, directory, tree, what, irp, Callbacks(traverse, subject, filter_))


def _target(
    k: "Kernel", list_at: int, full: int, offset: int, stream: int, what: int, action: int, contexts: tuple[int, int]
) -> Target:
    """The last component begins at `offset`, in bytes of the full name."""
    text = k.driver_notify.read_name(list_at, full)
    size = k.memory.read_u16(full) // max(len(text), 1)
    at = offset // max(size, 1)
    name = text[at:]
    if stream:
        name += ":" + k.driver_notify.read_name(list_at, stream)
    return Target(text[:at], name, what, action, *contexts)


@export(NTOSKRNL, "FsRtlNotifyFullReportChange", max_irql=Irql.APC)
def fs_rtl_notify_full_report_change(
    k: "Kernel", sync: int, list_at: int, full: int, offset: U16, stream: int, parent: int, what: U32, action: U32,
    context: int,
) -> Code:  # fmt: skip
    """FsRtlNotifyFullReportChange."""
    del sync, parent
    return k.driver_notify.report(list_at, _target(k, list_at, full, offset, stream, what, action, (context, 0)))


@export(NTOSKRNL, "FsRtlNotifyFilterReportChange", max_irql=Irql.APC)
def fs_rtl_notify_filter_report_change(
    k: "Kernel", sync: int, list_at: int, full: int, offset: U16, stream: int, parent: int, what: U32, action: U32,
    context: int, filter_context: int,
) -> Code:  # fmt: skip
    """FsRtlNotifyFilterReportChange."""
    del sync, parent
    contexts = (context, filter_context)
    return k.driver_notify.report(list_at, _target(k, list_at, full, offset, stream, what, action, contexts))


@export(NTOSKRNL, "FsRtlNotifyCleanup", max_irql=Irql.APC)
def fs_rtl_notify_cleanup(k: "Kernel", sync: int, list_at: int, owner: int) -> None:
    """FsRtlNotifyCleanup: the handle with this context is gone; what waits ends with STATUS_NOTIFY_CLEANUP."""
    del sync
    k.driver_notify.cleanup(list_at, owner)


@export(NTOSKRNL, "FsRtlNotifyCleanupAll", max_irql=Irql.APC)
def fs_rtl_notify_cleanup_all(k: "Kernel", sync: int, list_at: int) -> None:
    """FsRtlNotifyCleanupAll."""
    del sync
    k.driver_notify.cleanup(list_at, None)
