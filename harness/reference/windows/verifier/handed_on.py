"""What drivers hand on: memory that they have never written, where data leave them, and buffers that are too short."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.exceptions import PageFault

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.windows.ntos.ex.pool import Pool
    from harness.reference.windows.ntos.ex.unwritten import Site
    from harness.reference.windows.verifier.blame import Blame
    from harness.reference.windows.verifier.findings import Verifier


class HandedOn:
    """Looks at what leaves the drivers."""

    def __init__(self, memory: "Memory", pool: "Pool", blame: "Blame", verifier: "Verifier") -> None:
        self._memory = memory
        self._pool = pool
        self._unwritten = pool.unwritten
        self._blame = blame
        self._verifier = verifier
        self._told: set[tuple[Site, str]] = set()

    def look_at(self, address: int, length: int, what: str, about: Callable[[], str]) -> None:
        """The same of data in memory, as far as they are there."""
        if not (address and length and self._unwritten.is_known):
            return
        try:
            data = self._memory.read(address, length)
        except PageFault:
            return
        self.look(data, what, about)

    def look(self, data: bytes, what: str, about: Callable[[], str] | None = None) -> None:
        """Report what was never written in data that are `what`; once for each call that allocated such memory."""
        found = self._unwritten.find(data) if self._unwritten.is_known else None
        if found is None or (found.site, what) in self._told:
            return
        self._told.add((found.site, what))
        text = f"{found.count} of {len(data)} bytes {what} were never written, from offset {found.offset} on"
        text = f"{about()}: {text}" if about is not None else text
        chain = self._blame.chain()
        if self._blame.driver_in(chain) != found.site.driver:
            chain = (self._unwritten.place(found.site),)
        self._verifier.report(None, found.site.driver, f"{text} ({self._unwritten.describe(found.site)})", chain=chain)

    def require_room(self, address: int, length: int, export: str) -> None:
        """Report a length given to an export that is more than the pool block of its buffer has."""
        text = self._pool.beyond(address, length)
        if text is not None:
            self._verifier.report(None, None, f"{export} was given a buffer of {text}")
