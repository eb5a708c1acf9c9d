"""The tunnel cache: names that were removed from a directory, for whoever makes one of them again soon."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

LIFETIME = 150_000_000
"""15 seconds, in 100 ns."""
_MOST = 256
TUNNEL = Kind("tunnel cache", "FsRtlDeleteTunnelCache")


@dataclass(frozen=True, slots=True)
class Tunnelled:
    """What was removed: by which of its names it is found again, and what its owner kept of it."""

    directory: int
    short: str
    long: str
    by_short: bool
    data: bytes
    removed: int

    @property
    def name(self) -> str:
        return (self.short if self.by_short else self.long).upper()


@dataclass(slots=True)
class TunnelCache:
    """One TUNNEL."""

    entries: list[Tunnelled] = field(default_factory=list)

    def add(self, entry: Tunnelled) -> None:
        """In the place of one with the same name."""
        self.entries = [item for item in self.entries if not _same(item, entry.directory, entry.name)][1 - _MOST :]
        self.entries.append(entry)

    def take(self, directory: int, name: str, now: int) -> Tunnelled | None:
        """Find a name that was removed lately; what is too old goes."""
        self.entries = [item for item in self.entries if now - item.removed <= LIFETIME]
        return next((item for item in self.entries if _same(item, directory, name.upper())), None)

    def forget(self, directory: int) -> None:
        """A directory is gone."""
        self.entries = [item for item in self.entries if item.directory != directory]


def _same(item: Tunnelled, directory: int, name: str) -> bool:
    return item.directory == directory and item.name == name


class TunnelCaches:
    """The TUNNELs that drivers have initialized."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self._caches: dict[int, TunnelCache] = {}

    def make(self, address: int) -> None:
        """FsRtlInitializeTunnelCache."""
        self._caches[address] = TunnelCache()
        self._kernel.holdings.take(TUNNEL, address)

    def at(self, address: int) -> TunnelCache:
        """A cache; one that was never initialized is a finding, and empty."""
        if address not in self._caches:
            text = f"the TUNNEL at {address:#x} is used, and was never initialized (FsRtlInitializeTunnelCache)"
            self._kernel.verifier.report(None, self._kernel.blame.current().driver, text)
            return TunnelCache()
        return self._caches[address]

    def remove(self, address: int) -> None:
        """FsRtlDeleteTunnelCache."""
        if self._caches.pop(address, None) is not None:
            self._kernel.holdings.give_back(TUNNEL, address)
