"""A stack of minifilters, from top to bottom: `observer@above, completion, observer@below#370010.5`.

An entry is `driver[@label][#altitude]`; the label is the driver's name where none is given. Altitudes that are not
given are chosen: descending, in the range of the activity monitors, with a fraction, so that they collide with none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from harness.errors import ConfigurationError
from harness.minifilter.altitude import Altitude

SERVICE_PREFIX = "fltlab-"
# FSFilter Activity Monitor: 360000-389999 (ifs/load-order-groups-and-altitudes-for-minifilter-drivers.md).
BASE = Fraction("370000.5")
STEP = 10

# A driver's name is that of its package (harness/minifilter/package.py).
_ENTRY = re.compile(
    r"(?P<driver>[A-Za-z][A-Za-z0-9_.-]{0,80})(@(?P<label>[A-Za-z][A-Za-z0-9_-]{0,40}))?(#(?P<altitude>.+))?"
)


@dataclass(frozen=True)
class StackEntry:
    """One minifilter of a stack; `altitude` is None where the deployment chooses it."""

    driver: str
    label: str
    altitude: Altitude | None = None

    def __str__(self) -> str:
        label = f"@{self.label}" if self.label != self.driver else ""
        return f"{self.driver}{label}{f'#{self.altitude}' if self.altitude else ''}"


@dataclass(frozen=True)
class PlacedEntry:
    """An entry with its altitude, and the names that follow from its label."""

    driver: str
    label: str
    altitude: Altitude

    @property
    def service(self) -> str:
        """The service, which is also the name of the filter and of its control port."""
        return SERVICE_PREFIX + self.label

    @property
    def instance(self) -> str:
        """The name of its instance."""
        return SERVICE_PREFIX + self.label

    @property
    def image(self) -> str:
        """Where its image is in the guest."""
        return rf"C:\Windows\System32\drivers\{self.service}.sys"


@dataclass(frozen=True)
class NamedEntry(PlacedEntry):
    """An entry whose service and instance have names of their own, as its author or its INF has chosen them."""

    service_name: str = ""
    instance_name: str = ""
    attaches_by_itself: bool = False

    @property
    def service(self) -> str:
        return self.service_name

    @property
    def instance(self) -> str:
        return self.instance_name


def parse_entry(text: str) -> StackEntry:
    """Read one entry."""
    match = _ENTRY.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            f"{text!r} is no minifilter of a stack", hint="driver[@label][#altitude], such as observer@above#370100.5"
        )
    altitude = Altitude(match["altitude"]) if match["altitude"] else None
    return StackEntry(match["driver"], match["label"] or match["driver"], altitude)


def parse_stack(entries: str | Sequence[str]) -> list[StackEntry]:
    """Read a stack, from top to bottom: a sequence of entries, or one text with commas between them."""
    texts = entries.split(",") if isinstance(entries, str) else list(entries)
    stack = [parse_entry(text) for text in texts if text.strip()]
    labels = [entry.label.casefold() for entry in stack]
    for entry in stack:
        if labels.count(entry.label.casefold()) > 1:
            raise ConfigurationError(
                f"two minifilters of the stack are called {entry.label!r}", hint="give each a label: driver@label"
            )
    return stack


def at_their_own(stack: Sequence[StackEntry], own: Mapping[str, Altitude]) -> list[StackEntry]:
    """The stack, with the altitudes that its drivers have of themselves where it gives none.

    `own` is by label. The order of the stack is the last word: an altitude that does not fit in it is not taken.
    """
    placed: list[StackEntry] = []
    for index, entry in enumerate(stack):
        altitude = entry.altitude or own.get(entry.label)
        if entry.altitude is None and altitude is not None:
            above = next((one.altitude for one in reversed(placed) if one.altitude), None)
            below = next((one.altitude for one in stack[index + 1 :] if one.altitude), None)
            if (above is not None and not altitude < above) or (below is not None and not below < altitude):
                altitude = None
        placed.append(StackEntry(entry.driver, entry.label, altitude))
    return placed


def place(stack: Sequence[StackEntry]) -> list[PlacedEntry]:
    """Choose the altitudes that are not given; ConfigurationError if those given do not descend."""
    given = [(index, entry.altitude) for index, entry in enumerate(stack) if entry.altitude is not None]
    for (_, upper), (below, lower) in pairwise(given):
        if not lower < upper:
            raise ConfigurationError(
                f"altitude {lower} of {stack[below].label!r} is not below {upper}, which stands above it in the stack",
                details=(f"stack, top to bottom: {', '.join(map(str, stack))}",),
            )
    return [
        PlacedEntry(entry.driver, entry.label, entry.altitude or _between(stack, index))
        for index, entry in enumerate(stack)
    ]


def _between(stack: Sequence[StackEntry], index: int) -> Altitude:
    """The altitude of an entry without one: a step from its only neighbour, or evenly between two."""
    above = next((i for i in range(index - 1, -1, -1) if stack[i].altitude), None)
    below = next((i for i in range(index + 1, len(stack)) if stack[i].altitude), None)
    if above is None and below is None:
        return _altitude(BASE + STEP * (len(stack) - index))
    if above is None:
        assert below is not None
        return _altitude(_value(stack[below]) + STEP * (below - index))
    upper = _value(stack[above])
    if below is None:
        # Towards zero, but never reaching it: half of what is left where ten steps are too many.
        step = min(Fraction(STEP), upper / (len(stack) - above))
        return _altitude(upper - step * (index - above))
    return _altitude(upper - (upper - _value(stack[below])) * (index - above) / (below - above))


def _value(entry: StackEntry) -> Fraction:
    assert entry.altitude is not None
    return Fraction(entry.altitude.text)


def _altitude(value: Fraction) -> Altitude:
    """A decimal near enough to a fraction to keep the order: its digits end where they tell neighbours apart."""
    whole = value.numerator // value.denominator
    digits, rest = "", value - whole
    while rest and len(digits) < 40:
        rest *= 10
        digit = rest.numerator // rest.denominator
        digits, rest = digits + str(digit), rest - digit
    return Altitude(f"{whole}.{digits}" if digits else str(whole))
