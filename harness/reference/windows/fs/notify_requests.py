"""IRP_MN_NOTIFY_CHANGE_DIRECTORY, and telling who watches of what has changed."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs.changes import Action, Change
from harness.reference.windows.fs.inode import Inode
from harness.reference.windows.fs.renames import is_below
from harness.reference.windows.fsrtl.notify import Watch
from harness.reference.windows.fsrtl.oplocks import Does
from harness.reference.windows.io.constants import VALID_NOTIFY, StackFlags
from harness.reference.windows.io.parameters import NOTIFY
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver


def notify(driver: "FileSystemDriver", request: Request) -> Code:
    """Watch a directory."""
    yield from ()
    file = request.file
    if file is None or file.opened is None or not file.opened.stream.directory:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    length, what, _, _, buffer, _ = NOTIFY.unpack_from(request.parameters)
    if not what or what & ~VALID_NOTIFY:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    if file.opened.cleaned_up:
        return int(NtStatus.NOTIFY_CLEANUP), 0
    if request.cancelled:  # while a filter had it
        return int(NtStatus.CANCELLED), 0
    if file.opened.link is not None and (file.opened.link.delete_pending or file.opened.link.removed):
        return int(NtStatus.DELETE_PENDING), 0

    def complete(status: int, data: bytes) -> None:
        driver.kernel.queue_worker(_finish(driver, request, buffer, status, data))

    tree = bool(request.operation_flags & StackFlags.WATCH_TREE)
    waiting = driver.notify.request(file, file.opened.inode, what, tree=tree, length=length, complete=complete)

    def cancel(request: Request) -> Code:
        if driver.notify.cancel(file, waiting):
            driver.io.complete_later(request, NtStatus.CANCELLED, 0)
        yield from ()
        return

    request.set_cancel_routine(cancel)
    driver.notify.settle(file)
    return None


def _finish(driver: "FileSystemDriver", request: Request, buffer: int, status: int, data: bytes) -> Code:
    if data:
        yield from driver.io.views.write(buffer, data)
    driver.io.complete_later(request, status, len(data))


def changed(driver: "FileSystemDriver", change: Change) -> None:
    """Tell who watches the directory of a change, or one above it, and who caches what it lists."""
    state = driver.known_state(change.directory.default_stream)
    if state is not None and state.oplock.holders and change.action <= Action.RENAMED_NEW_NAME:
        by = driver.acting()
        state.oplock.check(Does.CHANGE_ENTRIES, None, by.parent_oplock_key if by is not None else None)
    for owner, watch in list(driver.notify.watches.items()):
        name = _name_for(watch, change)
        if name is not None:
            driver.notify.report(watch, int(change.action), change.what, name)
            driver.notify.settle(owner)


def _name_for(watch: Watch, change: Change) -> str | None:
    """What a change is called to a watch; None if it is none of its business."""
    directory = watch.directory
    assert isinstance(directory, Inode)
    if change.directory is directory:
        return change.name
    if not watch.tree or not is_below(change.directory, directory):
        return None
    below = change.directory.path()[len(directory.path()) :].lstrip("\\")
    return f"{below}\\{change.name}"
