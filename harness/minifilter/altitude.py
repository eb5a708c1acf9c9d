"""Altitudes: decimal numbers of unlimited precision in string form, compared by value.

Never compared as text, as a double or as an integer: `99999.9` is below `100000`, `325000.10` equals `325000.1`.
Source: rule ORD-04 and ifs/load-order-groups-and-altitudes-for-minifilter-drivers.md.
"""

import re
from dataclasses import dataclass, field
from functools import total_ordering

from harness.errors import ConfigurationError

_SHAPE = re.compile(r"\d+(\.\d+)?")


@total_ordering
@dataclass(frozen=True, eq=False)
class Altitude:
    """One altitude. `text` is as it was written; equality and order are those of its value."""

    text: str
    _whole: str = field(init=False, repr=False)
    _fraction: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.text.isascii() or _SHAPE.fullmatch(self.text) is None:
            raise ConfigurationError(
                f"{self.text!r} is no altitude", hint='digits and at most one point between digits, such as "370030.5"'
            )
        whole, _, fraction = self.text.partition(".")
        object.__setattr__(self, "_whole", whole.lstrip("0"))
        object.__setattr__(self, "_fraction", fraction.rstrip("0"))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Altitude):
            return NotImplemented
        return (self._whole, self._fraction) == (other._whole, other._fraction)

    def __lt__(self, other: "Altitude") -> bool:
        # More digits before the point are more; with as many, digits compare one by one, before and after the point.
        return (len(self._whole), self._whole, self._fraction) < (len(other._whole), other._whole, other._fraction)

    def __hash__(self) -> int:
        return hash((self._whole, self._fraction))

    def __str__(self) -> str:
        return self.text
