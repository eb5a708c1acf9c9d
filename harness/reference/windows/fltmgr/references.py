"""References to filters, instances and volumes: who has taken how many, and owes them back."""

from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_volumes import FilterVolume
    from harness.reference.windows.fltmgr.filters import Filter, Instance
    from harness.reference.windows.verifier.blame import Blame

Referenced = Union["Filter", "Instance", "FilterVolume"]


class References:
    """Counts by driver and object; a driver is called by its service's name, which is its filter's."""

    def __init__(self, blame: "Blame") -> None:
        self._blame = blame
        self._owed: dict[tuple[str | None, Referenced], int] = {}

    def take(self, item: "Referenced") -> None:
        """The calling driver takes a reference."""
        key = (self._blame.current().driver, item)
        self._owed[key] = self._owed.get(key, 0) + 1

    def give_back(self, item: "Referenced") -> bool:
        """The calling driver drops one, perhaps one that another has taken; False if nobody has any."""
        driver = self._blame.current().driver
        holders = [key for key in self._owed if key[1] is item]
        if not holders:
            return False
        key = (driver, item) if (driver, item) in self._owed else holders[0]
        self._owed[key] -= 1
        if not self._owed[key]:
            del self._owed[key]
        return True

    def held(self, item: "Referenced") -> bool:
        """Whether any driver has a reference to it."""
        return any(key[1] is item for key in self._owed)

    def settle(self, found: "Filter") -> list[str]:
        """A filter unregisters: in words, the references that it holds and those to it. They are forgotten."""
        told = []
        for (driver, item), count in list(self._owed.items()):
            if driver == found.name or item is found:
                holder = "" if driver == found.name else f" by {driver}"
                what = f"{count} reference{'s' if count > 1 else ''} to {item!r}"
                told.append(f"unregistered with {what} held{holder} and not released: FltObjectDereference")
                del self._owed[driver, item]
        return told
