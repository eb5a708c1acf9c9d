"""Map control blocks (MCBs): runs of virtual block numbers, each at a logical block number or a hole.

The runs are an array of pairs in pool, as the kit describes it: where the next run begins, and where this one lies. A
block that is in no run lies at -1, and behind the last run there is nothing.
"""

from struct import iter_unpack, pack
from typing import TYPE_CHECKING

from harness.reference.machine.memory.structure import Field, Structure

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

HOLE = -1
_FIRST_PAIRS = 15
_TAG = "FSmb"

Run = tuple[int, int, int]
"""First VBN, first LBN or HOLE, count."""


class BaseMcb(Structure):
    """BASE_MCB."""

    SIZE = 0x18
    maximum_pairs = Field(0x00, "I")
    pairs = Field(0x04, "I")
    pool_type = Field(0x08, "H")
    flags = Field(0x0A, "H")
    mapping = Field(0x10)


class Mcb:
    """The runs of one BASE_MCB; every change is stored at once."""

    def __init__(self, kernel: "Executive", address: int) -> None:
        self._kernel = kernel
        self._view = BaseMcb(kernel.memory, address)

    def initialize(self, pool_type: int) -> None:
        """No runs."""
        view = self._view
        view.clear()
        view.pool_type = pool_type
        self._allocate(_FIRST_PAIRS)

    def uninitialize(self) -> None:
        """The array goes."""
        if self._view.mapping:
            self._kernel.pool.free(self._view.mapping)
            self._view.mapping = 0

    def _allocate(self, pairs: int) -> None:
        where = self._kernel.blame.current()
        self._view.maximum_pairs = pairs
        self._view.mapping = self._kernel.pool.allocate(
            16 * pairs, _TAG, paged=bool(self._view.pool_type & 1), owner=where.driver, allocated_by=where.address
        )

    @property
    def runs(self) -> list[Run]:
        """Holes included, from 0 on."""
        data = self._kernel.memory.read(self._view.mapping, 16 * self._view.pairs)
        found, begin = [], 0
        for end, lbn in iter_unpack("<qq", data):
            found.append((begin, lbn, end - begin))
            begin = end
        return found

    def _store(self, runs: list[Run]) -> None:
        merged: list[Run] = []
        for vbn, lbn, count in runs:
            if count <= 0:
                continue
            if merged:
                before, at, length = merged[-1]
                if (lbn == HOLE and at == HOLE) or (HOLE not in (lbn, at) and at + length == lbn):
                    merged[-1] = (before, at, length + count)
                    continue
            merged.append((vbn, lbn, count))
        while merged and merged[-1][1] == HOLE:
            merged.pop()
        if len(merged) > self._view.maximum_pairs:
            self._kernel.pool.free(self._view.mapping)
            self._allocate(max(len(merged), 2 * self._view.maximum_pairs))
        self._view.pairs = len(merged)
        pairs = b"".join(pack("<qq", vbn + count, lbn) for vbn, lbn, count in merged)
        if pairs:
            self._kernel.memory.write(self._view.mapping, pairs)

    # -- changing

    def truncate(self, vbn: int) -> None:
        """Nothing from here on."""
        self._store([(at, lbn, min(count, vbn - at)) for at, lbn, count in self.runs])

    def add(self, vbn: int, lbn: int, count: int) -> bool:
        """A run; False if it is mapped elsewhere already. What it says again may stay."""
        if count <= 0 or vbn < 0:
            return False
        for at, there, length in self.runs:
            low, high = max(at, vbn), min(at + length, vbn + count)
            if low < high and there != HOLE and there + low - at != lbn + low - vbn:
                return False
        self._put(vbn, lbn, count)
        return True

    def remove(self, vbn: int, count: int) -> None:
        """A hole where these were."""
        self._put(vbn, HOLE, count)

    def _put(self, vbn: int, lbn: int, count: int) -> None:
        kept: list[Run] = []
        end = 0
        for at, there, length in self.runs:
            end = at + length
            kept.append((at, there, min(length, vbn - at)))
            cut = max(at, vbn + count)
            kept.append((cut, there + cut - at if there != HOLE else HOLE, at + length - cut))
        if end < vbn:
            kept.append((end, HOLE, vbn - end))
        self._store(sorted((*(run for run in kept if run[2] > 0), (vbn, lbn, count))))

    def split(self, vbn: int, amount: int) -> bool:
        """A hole of some length comes in between."""
        moved: list[Run] = []
        for at, lbn, count in self.runs:
            first = min(max(vbn - at, 0), count)
            moved.append((at, lbn, first))
            if first < count:
                moved.append((max(at, vbn) + amount, lbn + first if lbn != HOLE else HOLE, count - first))
        filled: list[Run] = []
        for run in sorted(item for item in moved if item[2] > 0):
            end = filled[-1][0] + filled[-1][2] if filled else 0
            if end < run[0]:
                filled.append((end, HOLE, run[0] - end))
            filled.append(run)
        self._store(filled)
        return True

    # -- looking

    def find(self, vbn: int) -> tuple[int, Run] | None:
        """The run, hole or not, that a block is in, and which it is."""
        for index, run in enumerate(self.runs):
            if run[0] <= vbn < run[0] + run[2]:
                return index, run
        return None
