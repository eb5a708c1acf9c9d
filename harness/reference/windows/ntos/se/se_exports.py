"""SeExports: the LUIDs of privileges and the well-known SIDs that drivers read out of a structure."""

from typing import TYPE_CHECKING

from harness.reference.windows.ntos.se.sids import sid_bytes

if TYPE_CHECKING:
    from harness.reference.machine.memory.heap import SystemHeap
    from harness.reference.machine.memory.memory import Memory

_PRIVILEGES = (2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 14, 11, 12, 13, 16, 17, 18, 19, 20, 21, 22, 23, 24)
_SIDS = (
    (0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (5,), (5, 1), (5, 2), (5, 3), (5, 4), (5, 18), (5, 32, 544), (5, 32, 545),
    (5, 32, 546), (5, 32, 547), (5, 32, 548), (5, 32, 549), (5, 32, 550), (5, 32, 551), (5, 11), (5, 12), (5, 7),
)  # fmt: skip
_MORE_PRIVILEGES, _SERVICES = (25, 26, 27), ((5, 19), (5, 20))
_LAST_PRIVILEGES = (28, 29, 30, 31, 32, 33, 34, 35)
_LAST_SIDS = ((5, 17), (16, 0), (16, 0x1000), (16, 0x2000), (16, 0x3000), (16, 0x4000), (3, 4))


def fill_se_exports(memory: "Memory", heap: "SystemHeap") -> int:
    """The address of an SE_EXPORTS."""

    def sid(parts: tuple[int, ...]) -> int:
        data = sid_bytes(*parts)
        at = heap.allocate(len(data))
        memory.write(at, data)
        return at

    words = [*_PRIVILEGES, *map(sid, _SIDS), *_MORE_PRIVILEGES, *map(sid, _SERVICES), *_LAST_PRIVILEGES]
    words += map(sid, _LAST_SIDS)
    address = heap.allocate(8 * len(words))
    memory.write(address, b"".join(word.to_bytes(8, "little") for word in words))
    return address
