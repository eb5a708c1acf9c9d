"""Pool for drivers: who allocated it, and what they must not do with it."""

from functools import cache
from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql, NtStatus
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.memory.pagetables import OutOfMemoryError
from harness.reference.windows.ntos.ex.pool import ZEROS, PoolError

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive


KERNEL_RESERVE = 16 << 20
"""Bytes of RAM that no driver gets as pool: the kernel itself goes on when drivers have taken all the rest."""


@cache
def tag_text(tag: int) -> str:
    """A pool tag as text."""
    return (tag & 0x7FFF_FFFF).to_bytes(4, "little").decode("latin-1")


def allocate(k: "Executive", size: int, tag: int, *, paged: bool, zero: bool, raise_on_failure: bool) -> int:
    """Allocate for the calling driver; 0 if there is no memory, or the low-resources policy says so."""
    where = k.blame.current()
    if paged and k.irql > Irql.APC:
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, 1, k.irql, 1, size,
            message=f"paged pool is allocated at IRQL {k.irql}",
        )  # fmt: skip
    text = tag_text(tag)
    fill = ZEROS if zero else k.pool.unwritten.fill(where.driver, where.address, f"pool, tag '{text}'")
    try:
        _leave_a_reserve(k, size, where.driver)
        return k.pool.allocate(
            size,
            text,
            paged=paged,
            fill=fill,
            owner=where.driver,
            allocated_by=where.address,
        )
    except OutOfMemoryError:
        if raise_on_failure:
            raise GuestException(NtStatus.INSUFFICIENT_RESOURCES) from None
        return 0


def _leave_a_reserve(k: "Executive", size: int, driver: str | None) -> None:
    if k.scarcity.strikes(driver):
        raise OutOfMemoryError("low resources are simulated")
    left = k.memory.tables.available - KERNEL_RESERVE
    if size > left:
        raise OutOfMemoryError(f"{size:#x} bytes are wanted, and {left:#x} are left")


def free(k: "Executive", address: int, tag: str | None) -> None:
    """Free a block for the calling driver."""
    where = k.blame.current()
    found = k.pool.block_starting_at(address)
    if tag is not None and found is not None and found.tag != tag:
        k.verifier.report(None, where.driver, f"{found} is freed with tag '{tag}'")
        tag = None
    try:
        block = k.pool.free(address, tag, freed_by=where.address)
    except PoolError as problem:
        code = BugCheck.BAD_POOL_HEADER if problem.corrupted else BugCheck.BAD_POOL_CALLER
        k.bugcheck(code, 7, address, message=str(problem))
    if block.paged and k.irql > Irql.APC:
        k.bugcheck(BugCheck.BAD_POOL_CALLER, 9, 1, k.irql, address, message=f"{block} is freed at IRQL {k.irql}")
    for key in k.scheduler.waited_keys_in(address, block.size):
        k.verifier.report(None, where.driver, f"{block} is freed while a thread waits for the object at {key:#x} in it")
