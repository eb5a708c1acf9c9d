"""Altitudes: decimal numbers of unlimited precision, compared by value (ORD-04).

The same rules as harness/minifilter/altitude.py; this room is shipped into the guest without it.
"""

from dataclasses import dataclass
from functools import total_ordering


@total_ordering
@dataclass(frozen=True, slots=True)
class Altitude:
    """An altitude as its significant digits before and after the point."""

    whole: str
    fraction: str

    @classmethod
    def parse(cls, text: str) -> "Altitude":
        """Raises ValueError for what is no altitude."""
        whole, point, fraction = text.partition(".")
        if not (whole or fraction) or (point and not fraction):
            raise ValueError(f"{text!r} is no altitude")
        if not (whole + fraction).isascii() or not (whole + fraction).isdigit():
            raise ValueError(f"{text!r} is no altitude: only digits and one point are allowed")
        return cls(whole.lstrip("0"), fraction.rstrip("0"))

    def __lt__(self, other: "Altitude") -> bool:
        return (len(self.whole), self.whole, self.fraction) < (len(other.whole), other.whole, other.fraction)

    def __str__(self) -> str:
        return (self.whole or "0") + ("." + self.fraction if self.fraction else "")
