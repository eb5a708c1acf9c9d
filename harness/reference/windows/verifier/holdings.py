"""What drivers have taken and owe back: who, what, by which call. What is left when a driver goes is a finding."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.windows.verifier.blame import Blame, Location
    from harness.reference.windows.verifier.findings import Verifier


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of what is taken: what it is called, what gives it back, and the rule that says so."""

    name: str
    back: str
    rule: str | None = None
    plural: str = ""

    def count(self, number: int) -> str:
        """`a reference`, `2 references`."""
        if number > 1:
            return f"{number} {self.plural or f'{self.name}s'}"
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"


@dataclass(slots=True)
class _Holding:
    driver: str
    what: str
    """To whom it is: words behind the kind's name."""
    site: "Location"


class Holdings:
    """The holdings of all drivers."""

    def __init__(self, blame: "Blame", verifier: "Verifier") -> None:
        self._blame = blame
        self._verifier = verifier
        self._held: dict[tuple[Kind, Hashable], list[_Holding]] = {}

    def take(self, kind: Kind, key: Hashable, what: str = "", driver: str | None = None) -> None:
        """The calling driver takes something; the kernel itself may take what it likes. `driver`: for whom."""
        site = self._blame.current()
        owner = driver or site.driver
        if owner is not None:
            self._held.setdefault((kind, key), []).append(_Holding(owner, what, site))

    def give_back(self, kind: Kind, key: Hashable) -> bool:
        """The calling driver gives one back, perhaps one that another has taken; False if nobody has any."""
        held = self._held.get((kind, key))
        if not held:
            return False
        driver = self._blame.current().driver
        own = (place for place in range(len(held) - 1, -1, -1) if held[place].driver == driver)
        del held[next(own, -1)]
        if not held:
            del self._held[kind, key]
        return True

    def count(self, kind: Kind, key: Hashable) -> int:
        """How many of it are held."""
        return len(self._held.get((kind, key), ()))

    def held_by(self, driver: str, kind: Kind) -> list[Hashable]:
        """What of a kind a driver holds."""
        mine = (item for item in self._held.items() if item[0][0] is kind)
        return [key for (_, key), held in mine if any(holding.driver == driver for holding in held)]

    def newest(self, kind: Kind, key: Hashable, number: int) -> "list[Location]":
        """The calls that have taken the newest of them, which are forgotten."""
        held = self._held.get((kind, key), [])
        taken = held[len(held) - max(number, 0) :] if number > 0 else []
        for _ in taken:
            held.pop()
        if not held:
            self._held.pop((kind, key), None)
        return [item.site for item in taken]

    def forget(self, key: Hashable) -> None:
        """What the key stands for is gone, and with it what was held of it."""
        for held in [item for item in self._held if item[1] == key]:
            del self._held[held]

    def report(
        self,
        driver: str,
        how: str,
        kinds: Iterable[Kind] | None = None,
        also: "Callable[[Hashable], bool] | None" = None,
    ) -> None:
        """A driver goes, `how`: what it holds is reported, of these kinds, and forgotten; and what others hold of it.

        `also` says of a key that it goes with the driver.
        """
        wanted = set(kinds) if kinds is not None else None
        groups: dict[tuple[Kind, str, str], list[_Holding]] = defaultdict(list)
        for (kind, key), held in list(self._held.items()):
            if wanted is not None and kind not in wanted:
                continue
            gone = also is not None and also(key)
            left = [item for item in held if item.driver == driver or gone]
            for item in left:
                groups[kind, item.what, item.driver].append(item)
            self._held[kind, key] = [item for item in held if item not in left]
            if not self._held[kind, key]:
                del self._held[kind, key]
        for (kind, what, holder), left in groups.items():
            self._report(driver, how, kind, what, holder, left)

    def _report(self, driver: str, how: str, kind: Kind, what: str, holder: str, left: list[_Holding]) -> None:
        sites = tuple(dict.fromkeys(item.site.location for item in left if item.site.location))
        by = "" if holder == driver else f" by {holder}"
        verb = f"{how} with {kind.count(len(left))}{f' {what}' if what else ''} held{by} and not given back"
        taken = f", taken at {', '.join(sites)}" if sites else ""
        self._verifier.report(kind.rule, driver, f"{verb}: {kind.back}{taken}", chain=sites)
