"""References to filters, instances and volumes, and what else a minifilter owes the filter manager by its end."""

from typing import TYPE_CHECKING, Union

from harness.reference.windows.verifier.holdings import Holdings, Kind

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filters import Filter, FilterVolume, Instance

Referenced = Union["Filter", "Instance", "FilterVolume"]

REFERENCE = Kind("reference", "FltObjectDereference", "UNL-04")
FILE_NAME = Kind("file name information", "FltReleaseFileNameInformation", "NAME-02")
DEFERRED_ITEM = Kind("deferred work item", "FltFreeDeferredIoWorkItem", "PEND-WI-06")
GENERIC_ITEM = Kind("generic work item", "FltFreeGenericWorkItem", "PEND-WI-06")
OWN_DATA = Kind("callback data structure", "FltFreeCallbackData")
_AT_UNREGISTER = (REFERENCE, FILE_NAME, DEFERRED_ITEM, GENERIC_ITEM, OWN_DATA)


class References:
    """Counts by driver and object; a driver is called by its service's name, which is its filter's."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings

    def take(self, item: "Referenced") -> None:
        """The calling driver takes a reference."""
        self._holdings.take(REFERENCE, item, f"to the {item.describe()}")

    def give_back(self, item: "Referenced") -> bool:
        """The calling driver drops one, perhaps one that another has taken; False if nobody has any."""
        return self._holdings.give_back(REFERENCE, item)

    def held(self, item: "Referenced") -> bool:
        """Whether any driver has a reference to it."""
        return self._holdings.count(REFERENCE, item) > 0

    def settle(self, found: "Filter") -> None:
        """A filter unregisters: what it holds is reported, and the references to it that others hold."""
        self._holdings.report(found.name, "unregistered", _AT_UNREGISTER, also=lambda key: key is found)
