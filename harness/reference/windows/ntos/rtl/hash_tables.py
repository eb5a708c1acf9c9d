"""RTL_DYNAMIC_HASH_TABLE: entries of drivers in chains by signature, with linear hashing.

The table's fields and the entries' links are where drivers and the kit's inline functions look. A chain is sorted by
signature; whoever enumerates has an entry with a reserved signature of its own in it, so that others may insert and
remove meanwhile.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.reference.machine.memory.structure import Field, Structure

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

RESERVED, _INSTEAD = 0, 1
"""The signature of enumerators, and what stands for it when a driver uses it."""
_FIRST_BUCKETS = 128
_MOST_BUCKETS = 1 << 16
_SEGMENT = 128
"""Chain heads in one block."""
_DIRECTORY_SIZE = 8 * (_MOST_BUCKETS // _SEGMENT)
_HEAD_SIZE = 16
_ALLOCATED_HEADER = 1
_TAG = "HTab"
_MOST_ENTRIES = 1 << 18
"""How far a chain is followed."""


class HashTable(Structure):
    """RTL_DYNAMIC_HASH_TABLE."""

    SIZE = 0x28
    flags = Field(0x00, "I")
    shift = Field(0x04, "I")
    buckets = Field(0x08, "I")
    pivot = Field(0x0C, "I")
    mask = Field(0x10, "I")
    entries = Field(0x14, "I")
    occupied = Field(0x18, "I")
    enumerators = Field(0x1C, "I")
    directory = Field(0x20)


class Entry(Structure):
    """RTL_DYNAMIC_HASH_TABLE_ENTRY."""

    SIZE = 0x18
    next = Field(0x00)
    previous = Field(0x08)
    signature = Field(0x10)


class Context(Structure):
    """RTL_DYNAMIC_HASH_TABLE_CONTEXT: where a signature is, or would be."""

    SIZE = 0x18
    head = Field(0x00)
    previous = Field(0x08)
    signature = Field(0x10)


class Enumerator(Entry):
    """RTL_DYNAMIC_HASH_TABLE_ENUMERATOR."""

    SIZE = 0x28
    head = Field(0x18)
    bucket = Field(0x20, "I")


class HashTables:
    """The tables of drivers; what is in them is only in guest memory."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self._memory = kernel.memory

    # -- making

    def create(self, pointer: int, shift: int) -> bool:
        """RtlCreateHashTable: with a header of its own where `*pointer` is NULL."""
        address = self._memory.read_u64(pointer)
        flags = 0
        if not address:
            address, flags = self._allocate(HashTable.SIZE), _ALLOCATED_HEADER
            self._memory.write_u64(pointer, address)
        view = HashTable(self._memory, address)
        view.clear()
        view.flags, view.shift = flags, shift
        view.directory = self._allocate(_DIRECTORY_SIZE)
        self._add_segment(view, 0)
        view.buckets, view.mask = _FIRST_BUCKETS, _FIRST_BUCKETS - 1
        return True

    def delete(self, address: int) -> None:
        """RtlDeleteHashTable: what is still in it is the driver's."""
        view = HashTable(self._memory, address)
        for index in range(-(-view.buckets // _SEGMENT)):
            self._free(self._memory.read_u64(view.directory + 8 * index))
        self._free(view.directory)
        view.directory = 0
        if view.flags & _ALLOCATED_HEADER:
            self._free(address)

    def _allocate(self, size: int) -> int:
        where = self._kernel.blame.current()
        return self._kernel.pool.allocate(size, _TAG, owner=where.driver, allocated_by=where.address)

    def _free(self, address: int) -> None:
        self._kernel.pool.free(address)

    def _add_segment(self, view: HashTable, index: int) -> None:
        segment = self._allocate(_HEAD_SIZE * _SEGMENT)
        self._memory.write_u64(view.directory + 8 * index, segment)
        for at in range(segment, segment + _HEAD_SIZE * _SEGMENT, _HEAD_SIZE):
            self._memory.write(at, at.to_bytes(8, "little") * 2)

    # -- chains

    def _head(self, view: HashTable, bucket: int) -> int:
        segment = self._memory.read_u64(view.directory + 8 * (bucket // _SEGMENT))
        return segment + _HEAD_SIZE * (bucket % _SEGMENT)

    def _bucket(self, view: HashTable, signature: int) -> int:
        value = signature >> view.shift
        bucket = value & view.mask
        return bucket if bucket >= view.pivot else value & (view.mask << 1 | 1)

    def _chain(self, head: int) -> Iterator[Entry]:
        at = self._memory.read_u64(head)
        for _ in range(_MOST_ENTRIES):
            if at == head:
                return
            entry = Entry(self._memory, at)
            at = entry.next
            yield entry

    def _link(self, entry: int, behind: int) -> None:
        following = self._memory.read_u64(behind)
        self._memory.write_u64(entry, following)
        self._memory.write_u64(entry + 8, behind)
        self._memory.write_u64(behind, entry)
        self._memory.write_u64(following + 8, entry)

    def _unlink(self, entry: int) -> None:
        following, previous = self._memory.read_u64(entry), self._memory.read_u64(entry + 8)
        self._memory.write_u64(previous, following)
        self._memory.write_u64(following + 8, previous)

    def _is_occupied(self, head: int) -> bool:
        return any(entry.signature != RESERVED for entry in self._chain(head))

    def _place(self, view: HashTable, signature: int) -> tuple[int, int]:
        """The head of a signature's chain, and what it would come behind."""
        head = self._head(view, self._bucket(view, signature))
        behind = head
        for entry in self._chain(head):
            if entry.signature >= signature and entry.signature != RESERVED:
                break
            behind = entry.address
        return head, behind

    # -- entries

    def insert(self, address: int, entry: int, signature: int, context: int) -> bool:
        """RtlInsertEntryHashTable."""
        view = HashTable(self._memory, address)
        signature = signature if signature != RESERVED else _INSTEAD
        head, behind = self._found(view, signature, context)
        if not self._is_occupied(head):
            view.occupied += 1
        Entry(self._memory, entry).signature = signature
        self._link(entry, behind)
        view.entries += 1
        return True

    def _found(self, view: HashTable, signature: int, context: int) -> tuple[int, int]:
        """The place of a signature, from a context that has it already or is filled in."""
        if not context:
            return self._place(view, signature)
        given = Context(self._memory, context)
        if not given.head or given.signature != signature:
            given.head, given.previous = self._place(view, signature)
            given.signature = signature
        return given.head, given.previous

    def remove(self, address: int, entry: int, context: int) -> bool:
        """RtlRemoveEntryHashTable."""
        view = HashTable(self._memory, address)
        signature = Entry(self._memory, entry).signature
        head = self._head(view, self._bucket(view, signature))
        self._unlink(entry)
        view.entries -= 1
        if not self._is_occupied(head):
            view.occupied -= 1
        if context:
            given = Context(self._memory, context)
            given.head, given.previous = self._place(view, signature)
            given.signature = signature
        return True

    def lookup(self, address: int, signature: int, context: int) -> int:
        """RtlLookupEntryHashTable: the first entry with a signature, or 0."""
        view = HashTable(self._memory, address)
        signature = signature if signature != RESERVED else _INSTEAD
        head, behind = self._place(view, signature)
        if context:
            given = Context(self._memory, context)
            given.head, given.previous, given.signature = head, behind, signature
        return self._same(head, behind, signature)

    def following(self, context: int) -> int:
        """RtlGetNextEntryHashTable: the next one with the same signature, or 0."""
        given = Context(self._memory, context)
        found = self._same(given.head, given.previous, given.signature)
        if not found:
            return 0
        given.previous = found
        return self._same(given.head, found, given.signature)

    def _same(self, head: int, behind: int, signature: int) -> int:
        at = self._memory.read_u64(behind)
        for _ in range(_MOST_ENTRIES):
            if at == head:
                return 0
            entry = Entry(self._memory, at)
            if entry.signature != RESERVED:
                return at if entry.signature == signature else 0
            at = entry.next
        return 0

    # -- enumerating

    def begin(self, address: int, enumerator: int) -> bool:
        """RtlInitEnumerationHashTable: the enumerator is at the head of the first chain."""
        view, item = HashTable(self._memory, address), Enumerator(self._memory, enumerator)
        item.clear()
        item.head = self._head(view, 0)
        item.signature = RESERVED
        self._link(enumerator, item.head)
        view.enumerators += 1
        return True

    def advance(self, address: int, enumerator: int) -> int:
        """RtlEnumerateEntryHashTable: the next entry, or 0."""
        view, item = HashTable(self._memory, address), Enumerator(self._memory, enumerator)
        at = item.next
        for bucket in range(item.bucket, view.buckets):
            head = self._head(view, bucket)
            if bucket != item.bucket:
                at = self._memory.read_u64(head)
            while at != head:
                entry = Entry(self._memory, at)
                if entry.signature != RESERVED:
                    self._unlink(enumerator)
                    item.bucket, item.head = bucket, head
                    self._link(enumerator, at)
                    return at
                at = entry.next
        return 0

    def end(self, address: int, enumerator: int) -> None:
        """RtlEndEnumerationHashTable."""
        self._unlink(enumerator)
        Enumerator(self._memory, enumerator).head = 0
        HashTable(self._memory, address).enumerators -= 1

    # -- growing

    def expand(self, address: int) -> bool:
        """RtlExpandHashTable: one more bucket; FALSE while somebody enumerates, and at the most there may be."""
        view = HashTable(self._memory, address)
        if view.enumerators or view.buckets >= _MOST_BUCKETS:
            return False
        if view.buckets % _SEGMENT == 0:
            self._add_segment(view, view.buckets // _SEGMENT)
        split = view.pivot
        view.buckets += 1
        view.pivot += 1
        if view.pivot > view.mask:
            view.pivot, view.mask = 0, view.mask << 1 | 1
        self._spread(view, self._head(view, split))
        return True

    def contract(self, address: int) -> bool:
        """RtlContractHashTable: one bucket less; FALSE while somebody enumerates, and at the least there may be."""
        view = HashTable(self._memory, address)
        if view.enumerators or view.buckets <= _FIRST_BUCKETS:
            return False
        last = self._head(view, view.buckets - 1)
        if view.pivot == 0:
            view.mask >>= 1
            view.pivot = view.mask + 1
        view.pivot -= 1
        view.buckets -= 1
        self._spread(view, last)
        if view.buckets % _SEGMENT == 0:
            segment = view.directory + 8 * (view.buckets // _SEGMENT)
            self._free(self._memory.read_u64(segment))
            self._memory.write_u64(segment, 0)
        return True

    def _spread(self, view: HashTable, head: int) -> None:
        """Put the entries of a chain where they belong now."""
        entries = list(self._chain(head))
        view.occupied -= bool(entries)
        self._memory.write(head, head.to_bytes(8, "little") * 2)
        for entry in entries:
            target, behind = self._place(view, entry.signature)
            view.occupied += not self._is_occupied(target)
            self._link(entry.address, behind)
