"""Directory notification of drivers: the notify list that a filter or a file system keeps for a volume, by its address.

Directories are known by their full names there, which come as STRINGs of bytes or of UTF-16, as the first one says.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fsrtl.notify import Complete, NotifyList, Watch
from harness.reference.windows.io.parameters import NOTIFY

if TYPE_CHECKING:
    from harness.reference.windows.io.request import Code, Request
    from harness.reference.windows.ntos.executive import Executive


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What a driver is asked before one of its watches is told of a change; 0 for nothing."""

    traverse: int = 0
    subject: int = 0
    filter: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """What has changed: its full name, cut before the last component, and what the callbacks are told of it."""

    parent: str
    name: str
    what: int
    action: int
    traverse_context: int = 0
    filter_context: int = 0


class DriverNotify:
    """The notify lists of drivers."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self._lists: dict[int, NotifyList] = {}
        self._callbacks: dict[Watch, Callbacks] = {}
        self._wide: dict[int, bool] = {}

    def at(self, address: int) -> NotifyList:
        """The list behind a LIST_ENTRY."""
        return self._lists.setdefault(address, NotifyList())

    def read_name(self, list_at: int, string: int, *, directory: bool = False) -> str:
        """A STRING: its bytes, or UTF-16 where the directories of the list are."""
        memory = self._kernel.memory
        length, buffer = memory.read_u16(string), memory.read_u64(string + 8)
        data = memory.read(buffer, length) if length else b""
        if directory:
            self._wide[list_at] = length > 1 and data[1:2] == b"\0"
        wide = self._wide.get(list_at, True)
        return data.decode("utf-16-le", "surrogatepass") if wide else data.decode("latin-1")

    def keep(
        self, list_at: int, owner: int, directory: int, what: int, request: "Request", complete: Complete,
        callbacks: Callbacks, *, tree: bool,
    ) -> None:  # fmt: skip
        """A request waits for a change below a directory, until it is told of one, cancelled, or its handle is gone."""
        name = self.read_name(list_at, directory, directory=True)
        found = self.at(list_at)
        length = NOTIFY.unpack_from(request.parameters)[0]
        waiting = found.request(owner, name, what, tree=tree, length=length, complete=complete)
        self._callbacks[found.watches[owner]] = callbacks

        def cancel(_: "Request") -> "Code":
            if found.cancel(owner, waiting):
                complete(int(NtStatus.CANCELLED), b"")
            yield from ()

        request.set_cancel_routine(cancel)
        found.settle(owner)

    def report(self, list_at: int, target: Target) -> "Code":
        """Tell the watches that a change concerns."""
        found = self.at(list_at)
        for owner, watch in list(found.watches.items()):
            name = _name_for(watch, target)
            if name is not None and (yield from self._admits(watch, target)):
                found.report(watch, target.action, target.what, name)
                found.settle(owner)

    def _admits(self, watch: Watch, target: Target) -> "Code":
        """Whether the driver has nothing against telling a watch."""
        asked = self._callbacks.get(watch, Callbacks())
        below = _fold(target.parent) != _fold(str(watch.directory))
        if asked.traverse and below and target.traverse_context:
            allowed = yield Call(asked.traverse, _address(watch), target.traverse_context, asked.subject)
            if allowed & 0x8000_0000:  # an NTSTATUS
                return False
        if asked.filter:
            return bool((yield Call(asked.filter, _address(watch), target.filter_context)) & 0xFF)
        return True

    def directory_goes(self, list_at: int, owner: int) -> None:
        """FsRtlNotifyFullChangeDirectory without an IRP: what waits on a directory ends, since that is deleted."""
        watch = self.at(list_at).watches.get(owner)
        if watch is not None:
            self.at(list_at).directory_goes(watch.directory)

    def cleanup(self, list_at: int, owner: int | None) -> None:
        """The handle `owner` is gone; all of the list for None."""
        found = self.at(list_at)
        for item in [owner] if owner is not None else list(found.watches):
            watch = found.watches.get(item)
            if watch is not None:
                self._callbacks.pop(watch, None)
            found.cleanup(item)


def _fold(name: str) -> str:
    return name.rstrip("\\").lower()


def _address(watch: Watch) -> int:
    assert isinstance(watch.owner, int)
    return watch.owner


def _name_for(watch: Watch, target: Target) -> str | None:
    """What a change is called to a watch; None if it is none of its business."""
    directory, parent = _fold(str(watch.directory)), _fold(target.parent)
    if parent == directory:
        return target.name
    if not watch.tree or not parent.startswith(directory + "\\"):
        return None
    return target.parent.rstrip("\\")[len(directory) + 1 :] + "\\" + target.name
