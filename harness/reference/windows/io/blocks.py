"""Pool that the I/O manager gives a driver, which frees it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def give_block(k: "Kernel", data: bytes, tag: str) -> int:
    """A paged block of the calling driver's, with `data` in it; its address."""
    where = k.blame.current()
    block = k.pool.allocate(len(data), tag, paged=True, owner=where.driver, allocated_by=where.address)
    k.memory.write(block, data)
    return block
