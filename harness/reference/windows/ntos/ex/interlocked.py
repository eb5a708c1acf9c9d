"""Interlocked lists and numbers under a spin lock: an export runs as one, so the lock is only looked at."""

from typing import TYPE_CHECKING

from harness.reference.machine.loader.exports import NTOSKRNL, U32, export

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def _insert(k: "Kernel", head: int, entry: int, lock: int, *, at_head: bool) -> int:
    """The entry that was there before; null of an empty list."""
    k.memory.read_u64(lock)
    other = k.memory.read_u64(head if at_head else head + 8)
    first, last = (head, other) if at_head else (other, head)
    k.memory.write(entry, last.to_bytes(8, "little") + first.to_bytes(8, "little"))
    k.memory.write_u64(first, entry)
    k.memory.write_u64(last + 8, entry)
    return 0 if other == head else other


@export(NTOSKRNL, "ExInterlockedInsertHeadList")
def ex_interlocked_insert_head_list(k: "Kernel", head: int, entry: int, lock: int) -> int:
    return _insert(k, head, entry, lock, at_head=True)


@export(NTOSKRNL, "ExInterlockedInsertTailList")
def ex_interlocked_insert_tail_list(k: "Kernel", head: int, entry: int, lock: int) -> int:
    return _insert(k, head, entry, lock, at_head=False)


@export(NTOSKRNL, "ExInterlockedRemoveHeadList")
def ex_interlocked_remove_head_list(k: "Kernel", head: int, lock: int) -> int:
    k.memory.read_u64(lock)
    entry = k.memory.read_u64(head)
    if entry == head:
        return 0
    following = k.memory.read_u64(entry)
    k.memory.write_u64(head, following)
    k.memory.write_u64(following + 8, head)
    return entry


@export(NTOSKRNL, "ExInterlockedPopEntryList")
def ex_interlocked_pop_entry_list(k: "Kernel", head: int, lock: int) -> int:
    k.memory.read_u64(lock)
    entry = k.memory.read_u64(head)
    if entry:
        k.memory.write_u64(head, k.memory.read_u64(entry))
    return entry


@export(NTOSKRNL, "ExInterlockedPushEntryList")
def ex_interlocked_push_entry_list(k: "Kernel", head: int, entry: int, lock: int) -> int:
    k.memory.read_u64(lock)
    before = k.memory.read_u64(head)
    k.memory.write_u64(entry, before)
    k.memory.write_u64(head, entry)
    return before


@export(NTOSKRNL, "ExInterlockedAddLargeInteger")
def ex_interlocked_add_large_integer(k: "Kernel", addend: int, increment: int, lock: int) -> int:
    k.memory.read_u64(lock)
    before = k.memory.read_u64(addend)
    k.memory.write_u64(addend, (before + increment) & (1 << 64) - 1)
    return before


@export(NTOSKRNL, "ExInterlockedAddUlong")
def ex_interlocked_add_ulong(k: "Kernel", addend: int, increment: U32, lock: int) -> int:
    k.memory.read_u64(lock)
    before = k.memory.read_u32(addend)
    k.memory.write_u32(addend, (before + increment) & 0xFFFF_FFFF)
    return before
