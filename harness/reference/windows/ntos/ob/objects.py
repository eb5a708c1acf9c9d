"""Objects and handles: what drivers point to by handle or reference.

Handles are multiples of 4. Kernel handles (OBJ_KERNEL_HANDLE) belong to the System process and have their upper half
set, as on Windows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from harness.reference.windows.ntos.ex.worker_threads import DELAYED, WorkerQueues
from harness.reference.windows.ntos.ps.process_table import SYSTEM_PROCESS_ID
from harness.reference.windows.verifier.holdings import Holdings, Kind

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.machine.scheduler.scheduler import Scheduler
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.verifier.blame import Blame
    from harness.reference.windows.verifier.findings import Verifier

REFERENCE = Kind("object reference", "ObDereferenceObject")
KERNEL_HANDLE = 0xFFFF_FFFF_8000_0000
CURRENT_PROCESS, CURRENT_THREAD = 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFE


@dataclass(slots=True, eq=False)
class Object:
    """A referenced object. `body` is what it is to Python; `address` is its guest address, 0 if it has none."""

    type: str
    body: object
    address: int = 0
    references: int = 1
    handles: int = 0
    on_close: Callable[["Object"], None] | None = None
    """Called when the last handle is closed."""
    closing: "Callable[[Object], KernelCode] | None" = None
    """Kernel code that `close_handle` runs once the last handle is closed: a file's cleanup."""
    deleting: "Callable[[Object], KernelCode] | None" = None
    """Kernel code that runs once the last reference is gone: a file's close."""
    on_delete: Callable[["Object"], None] | None = None
    """Called when the last reference is gone."""
    on_stack: bool = False
    """A file object that lives as long as a call, whoever references it."""


@dataclass(slots=True, eq=False)
class Handle:
    """An open handle."""

    value: int
    object: Object
    process: int
    access: int
    opened_by: str | None
    """The driver that opened it."""
    opened_at: str | None = None
    """The call by which it did."""
    owed: bool = False
    """It is in the table of a program's process and the driver's to close: the program knows nothing of it."""


class ObjectManager:
    """Handles of all processes, and reference counts."""

    def __init__(
        self,
        scheduler: "Scheduler",
        workers: "WorkerQueues",
        blame: "Blame",
        holdings: Holdings,
        verifier: "Verifier",
    ) -> None:
        self._scheduler = scheduler
        self._workers = workers
        self._blame = blame
        self._handles: dict[int, Handle] = {}
        self._next_user = count(0x40, 4)
        self._next_kernel = count(KERNEL_HANDLE + 0x100, 4)
        self._by_address: dict[int, Object] = {}
        self._holdings = holdings
        self._verifier = verifier
        self._held: dict[Thread, list[Object]] = {}
        self.on_handle_closed: list[Callable[[int], None]] = []

    def register(self, item: Object) -> Object:
        """Make an object known by its guest address."""
        self._by_address[item.address] = item
        return item

    def at(self, address: int) -> Object | None:
        """The object at a guest address."""
        return self._by_address.get(address)

    def open(self, item: Object, *, kernel: bool = True, access: int = 0, process: int | None = None) -> int:
        """A new handle to an object, which it references."""
        value = next(self._next_kernel if kernel else self._next_user)
        item.handles += 1
        item.references += 1
        if process is None:
            process = SYSTEM_PROCESS_ID if kernel else self._scheduler.current_processor.current.process.id
        where = self._blame.current()
        self._handles[value] = Handle(value, item, process, access, where.driver, where.location)
        return value

    def owe(self, value: int) -> None:
        """A driver has opened a handle for itself, in whatever process it was."""
        self._handles[value].owed = True

    def lookup(self, value: int) -> Handle | None:
        """An open handle."""
        return self._handles.get(value)

    def close(self, value: int) -> bool:
        """Close a handle; False if it is none."""
        handle = self._handles.pop(value, None)
        if handle is None:
            return False
        for function in self.on_handle_closed:
            function(value)
        item = handle.object
        item.handles -= 1
        if item.handles == 0 and item.on_close is not None:
            item.on_close(item)
        self.dereference(item)
        return True

    def close_handle(self, value: int) -> "KernelCode":
        """Close a handle and run what its last close takes; False if it is none."""
        handle = self._handles.get(value)
        if handle is None:
            return False
        item = handle.object
        item.references += 1
        self.close(value)
        if item.handles == 0 and item.closing is not None:
            yield from item.closing(item)
        yield from self.release(item)
        return True

    def close_by_service(self, handle: Handle) -> "KernelCode":
        """ZwClose of a handle whose last close takes more than a count."""
        yield from self.close_handle(handle.value)
        return 0

    def take(self, item: Object) -> int:
        """A driver takes a reference, which it owes back; the new count."""
        self._holdings.take(REFERENCE, item, f"to a {item.type} at {item.address:#x}")
        if item.on_stack:
            text = f"referenced the {item.type} at {item.address:#x} of a query by path, which lives on a stack"
            self._verifier.report("PRE-FIO-09", self._blame.current().driver, text)
        return self.reference(item)

    def give_back(self, item: Object) -> int:
        """A driver drops a reference; the new count."""
        self._holdings.give_back(REFERENCE, item)
        return self.dereference(item)

    @staticmethod
    def reference(item: Object) -> int:
        """Add a reference; the new count."""
        item.references += 1
        return item.references

    def dereference(self, item: Object) -> int:
        """Drop a reference; the new count. What the last one takes is done by a system thread."""
        item.references -= 1
        if item.references == 0:
            self._gone(item)
            if item.deleting is not None:
                self._workers.queue(item.deleting(item), DELAYED)
        return item.references

    def release(self, item: Object) -> "KernelCode":
        """Drop a reference; what the last one takes is done here."""
        item.references -= 1
        if item.references == 0:
            self._gone(item)
            if item.deleting is not None:
                yield from item.deleting(item)

    def _gone(self, item: Object) -> None:
        if item.deleting is None:
            self.forget(item)
        if item.on_delete is not None:
            item.on_delete(item)

    def held(self) -> list[Object]:
        """File objects that the system services the current thread is in have looked up by handle, and reference."""
        return self._held.setdefault(self._scheduler.current_processor.current, [])

    def forget_held(self, thread: "Thread") -> None:
        """A thread is gone; a service that it was ended in has given back nothing."""
        self._held.pop(thread, None)

    def forget(self, item: Object) -> None:
        """No object is at its address any more. One with `deleting` says so itself, when that is over."""
        self._by_address.pop(item.address, None)

    def all_handles(self) -> list[Handle]:
        """Open handles of all processes."""
        return list(self._handles.values())

    def handles_of(self, process: int) -> list[Handle]:
        """Open handles of a process."""
        return [handle for handle in self._handles.values() if handle.process == process]

    def handles_opened_by(self, driver: str) -> list[Handle]:
        """Open handles that a driver opened."""
        return [handle for handle in self._handles.values() if handle.opened_by == driver]
