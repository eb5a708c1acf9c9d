"""Work items: deferred ones for an operation, generic ones for a filter or an instance."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Never

from harness.nt import BugCheck
from harness.reference.windows.fltmgr.filters import Filter
from harness.reference.windows.fltmgr.references import DEFERRED_ITEM, GENERIC_ITEM
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects


_KINDS = {False: DEFERRED_ITEM, True: GENERIC_ITEM}


@dataclass(eq=False, slots=True)
class WorkItem:
    """A work item; `address` is what the filter points to."""

    address: int
    generic: bool
    queued: bool = False


class WorkItems:
    """All work items that are allocated."""

    def __init__(self, objects: "FilterObjects") -> None:
        self._objects = objects
        self.kernel = objects.kernel
        self._allocated: dict[int, WorkItem] = {}
        """By address."""

    def allocate(self, *, generic: bool) -> int:
        """A work item for the calling driver; its address."""
        item = WorkItem(self._objects.allocate_object("a work item", 0x58), generic)
        self._allocated[item.address] = item
        self.kernel.holdings.take(_KINDS[generic], item.address)
        return item.address

    def at(self, address: int, *, generic: bool) -> WorkItem:
        """The work item a driver names; a wrong pointer is a bug check."""
        item = self._allocated.get(address)
        if item is None or item.generic is not generic:
            kind = "generic" if generic else "deferred"
            self._misused(address, f"{address:#x} was used as a {kind} work item, which it is not")
        return item

    def free(self, address: int, *, generic: bool) -> None:
        """Free a work item, which must not be queued."""
        if self.at(address, generic=generic).queued:
            self._misused(address, "a work item was freed while it was queued")
        del self._allocated[address]
        self._objects.free_object(address)
        self.kernel.holdings.give_back(_KINDS[generic], address)

    def queue(self, item: WorkItem, found: Filter, queue: int, routine: int, subject: int, context: int) -> None:
        """Have a system thread call the routine; the filter does not unload before it has returned (UNL-04)."""
        item.queued = True
        found.work.enter()  # a deferred item's routine still runs when it has resumed what holds the instance
        self.kernel.queue_worker(self.run(item, found, routine, subject, context), queue=queue)

    def run(self, item: WorkItem, found: Filter, routine: int, subject: int, context: int) -> Code:
        """The work routine, in a system thread at PASSIVE_LEVEL (PEND-WI-01, PEND-WI-07)."""
        item.queued = False
        yield from self.kernel.kept.call("its work item", routine, item.address, subject, context)
        found.work.count -= 1
        if found.work.count == 0:
            self.kernel.signal(found.work.idle)

    def _misused(self, address: int, message: str) -> Never:
        self.kernel.bugcheck(BugCheck.FLTMGR_FILE_SYSTEM, 0, address, message=message)
