"""What drivers have acquired of rundown protection."""

from typing import TYPE_CHECKING

from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

PROTECTION = Kind("rundown protection", "ExReleaseRundownProtection", plural="acquisitions of rundown protection")
"""Held under the address of the EX_RUNDOWN_REF."""


def forget(k: "Executive", rundown: int) -> None:
    """It begins anew."""
    k.holdings.newest(PROTECTION, rundown, k.holdings.count(PROTECTION, rundown))


def forget_freed(k: "Executive", driver: str) -> None:
    """A driver goes: what it protected in memory that it has freed is gone, too."""
    for rundown in k.holdings.held_by(driver, PROTECTION):
        assert isinstance(rundown, int)
        if not k.memory.is_mapped(rundown, 8):
            forget(k, rundown)
