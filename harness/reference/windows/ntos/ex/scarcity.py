"""Low resources: allocations of a driver fail by chance, as Driver Verifier's low resources simulation has it.

Whether one fails is a choice of the run, so that the same seed fails the same ones. Nothing is drawn for drivers that
nobody has asked it for.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.machine.choices import Choices


class Scarcity:
    """Which drivers' allocations fail, and how often."""

    def __init__(self, choices: "Choices") -> None:
        self._choices = choices
        self._every: dict[str, int] = {}
        self.failed = 0
        """How many allocations have failed."""

    def ask(self, every: Mapping[str, int]) -> None:
        """From now on one in so many allocations of these drivers fails; 0: none."""
        for driver, number in every.items():
            if number:
                self._every[driver.lower()] = number
            else:
                self._every.pop(driver.lower(), None)

    def strikes(self, driver: str | None) -> bool:
        """Whether an allocation of a driver fails now."""
        every = self._every.get((driver or "").lower()) if self._every else None
        if every is None or not self._choices.chance("allocation fails", 1 / every):
            return False
        self.failed += 1
        return True
