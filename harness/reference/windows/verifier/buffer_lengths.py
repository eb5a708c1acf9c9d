"""Lengths that drivers give with their buffers, to exports that say which is which (machine/loader/exports.py)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.machine.cpu.traps import Traps
    from harness.reference.windows.ntos.ex.pool import Pool
    from harness.reference.windows.verifier.findings import Verifier


class BufferLengths:
    """Holds them against the pool blocks that the buffers are in."""

    def __init__(self, pool: "Pool", traps: "Traps", verifier: "Verifier") -> None:
        self._pool = pool
        self._traps = traps
        self._verifier = verifier

    def require(self, address: int, length: int) -> None:
        """Report a length that is more than what is left of the block."""
        text = self._pool.beyond(address, length)
        if text is not None:
            called = self._traps.export.name if self._traps.export is not None else "an export"
            self._verifier.report(None, None, f"{called} was given a buffer of {text}")
