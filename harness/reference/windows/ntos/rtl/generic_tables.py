"""RTL_GENERIC_TABLE and RTL_AVL_TABLE: sorted tables of elements that drivers compare, allocate and free."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.requests import Call, KernelCode
from harness.reference.windows.ntos.rtl.trees import (
    avl_delete,
    avl_insert,
    child,
    extreme,
    neighbour,
    set_child,
    splay,
    splay_delete,
)

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

EMPTY, FOUND, INSERT_LEFT, INSERT_RIGHT = range(4)
"""TABLE_SEARCH_RESULT."""
_LESS, _GREATER = 0, 1
_NO_MATCH, _NO_MORE_MATCHES = 0xC0000272, 0xC0000273


class SplayTable(Structure):
    """RTL_GENERIC_TABLE."""

    SIZE = 0x48
    root = Field(0x00)
    ordered = Field(0x18)
    which = Field(0x20, "I")
    count = Field(0x24, "I")
    compare = Field(0x28)
    allocate = Field(0x30)
    free = Field(0x38)
    context = Field(0x40)


class AvlTable(Structure):
    """RTL_AVL_TABLE; it begins with the head of its tree."""

    SIZE = 0x68
    root = Field(0x10)
    ordered = Field(0x20)
    which = Field(0x28, "I")
    count = Field(0x2C, "I")
    depth = Field(0x30, "I")
    restart = Field(0x38)
    deleted = Field(0x40, "I")
    compare = Field(0x48)
    allocate = Field(0x50)
    free = Field(0x58)
    context = Field(0x60)


@dataclass(frozen=True, slots=True)
class Kind:
    """What the two kinds differ in."""

    view: type[SplayTable] | type[AvlTable]
    header: int
    """Bytes before the driver's data: links, and in a splay table the entry of the list in order of insertion."""
    avl: bool

    def head(self, table: int) -> int:
        """What the root hangs on; 0 in a splay tree."""
        return table if self.avl else 0


SPLAY, AVL = Kind(SplayTable, 40, False), Kind(AvlTable, 32, True)
_LIST_HEAD, _LIST_ENTRY = 0x08, 0x18


def initialize(k: "Executive", kind: Kind, table: int, routines: tuple[int, int, int], context: int) -> int:
    """Make an empty table."""
    view = kind.view(k.memory, table)
    view.clear()
    view.compare, view.allocate, view.free = routines
    view.context = context
    if kind.avl:
        k.memory.write_u64(table, table)
    else:
        k.memory.write(table + _LIST_HEAD, (table + _LIST_HEAD).to_bytes(8, "little") * 2)
        k.memory.write_u64(table + 0x18, table + _LIST_HEAD)
    return 0


def find(k: "Executive", kind: Kind, table: int, buffer: int) -> Generator[Any, Any, tuple[int, int]]:
    """(TABLE_SEARCH_RESULT, node or parent), by the driver's comparison."""
    view = kind.view(k.memory, table)
    node = view.root
    if not node:
        return EMPTY, 0
    while True:
        answer = (yield Call(view.compare, table, buffer, node + kind.header)) & 0xFFFF_FFFF
        if answer not in (_LESS, _GREATER):
            return FOUND, node
        following = child(k.memory, node, right=answer == _GREATER)
        if not following:
            return INSERT_RIGHT if answer == _GREATER else INSERT_LEFT, node
        node = following


def insert_at(
    k: "Executive", kind: Kind, table: int, element: tuple[int, int], made: int, place: tuple[int, int]
) -> KernelCode:
    """Insert `element` (address, size) at a place that `find` gave; the address of the driver's data, 0 for none."""
    view, memory = kind.view(k.memory, table), k.memory
    result, node = place
    buffer, size = element
    if result != FOUND:
        new = yield Call(view.allocate, table, (kind.header + size) & 0xFFFF_FFFF)
        if not new:
            if made:
                memory.write_u8(made, 0)
            return 0
        memory.write(new, bytes(kind.header))
        if kind.avl:
            avl_insert(memory, new, node or table, right=result != INSERT_LEFT, head=table)
            view.depth = memory.read_u8(view.root + 24)  # type: ignore[union-attr]
        else:
            memory.write_u64(new, new)
            if node:
                set_child(memory, node, new, right=result == INSERT_RIGHT)
            _append(k, table, new)
        view.count += 1
        view.which = view.ordered = 0
        memory.write(new + kind.header, memory.read(buffer, size))
        node = new
    if not kind.avl:
        view.root = splay(memory, node)
    if made:
        memory.write_u8(made, result != FOUND)
    return node + kind.header


def _append(k: "Executive", table: int, node: int) -> None:
    """To the list of a splay table."""
    head, entry = table + _LIST_HEAD, node + _LIST_ENTRY
    last = k.memory.read_u64(head + 8)
    k.memory.write(entry, head.to_bytes(8, "little") + last.to_bytes(8, "little"))
    k.memory.write_u64(last, entry)
    k.memory.write_u64(head + 8, entry)


def _unlink(k: "Executive", node: int) -> None:
    following, before = (k.memory.read_u64(node + _LIST_ENTRY + at) for at in (0, 8))
    k.memory.write_u64(before, following)
    k.memory.write_u64(following + 8, before)


def insert(k: "Executive", kind: Kind, table: int, element: tuple[int, int], made: int) -> KernelCode:
    """RtlInsertElementGenericTable."""
    place = yield from find(k, kind, table, element[0])
    return (yield from insert_at(k, kind, table, element, made, place))


def lookup(k: "Executive", kind: Kind, table: int, buffer: int) -> KernelCode:
    """RtlLookupElementGenericTable."""
    result, node = yield from find(k, kind, table, buffer)
    if not kind.avl and node:
        kind.view(k.memory, table).root = splay(k.memory, node)
    return node + kind.header if result == FOUND else 0


def lookup_full(k: "Executive", kind: Kind, table: int, buffer: int, place: int, found: int) -> KernelCode:
    """RtlLookupElementGenericTableFull: where it is, or would be."""
    result, node = yield from find(k, kind, table, buffer)
    k.memory.write_u64(place, node)
    k.memory.write_u32(found, result)
    return node + kind.header if result == FOUND else 0


def delete(k: "Executive", kind: Kind, table: int, buffer: int) -> KernelCode:
    """RtlDeleteElementGenericTable: whether there was such an element."""
    result, node = yield from find(k, kind, table, buffer)
    if result != FOUND:
        return 0
    view, memory = kind.view(k.memory, table), k.memory
    if isinstance(view, AvlTable):
        if view.restart == node:
            view.restart = neighbour(memory, node, right=False, top=table)
        avl_delete(memory, node, table)
        view.depth = memory.read_u8(view.root + 24) if view.root else 0
        view.deleted += 1
    else:
        view.root = splay_delete(memory, node)
        _unlink(k, node)
    view.count -= 1
    view.which = view.ordered = 0
    yield Call(view.free, table, node)
    return 1


def first(k: "Executive", kind: Kind, table: int) -> int:
    """The least node, or 0."""
    root = kind.view(k.memory, table).root
    return extreme(k.memory, root, right=False) if root else 0


def following(k: "Executive", kind: Kind, table: int, node: int) -> int:
    """The node after another, or the first after none; 0 at the end."""
    if not node:
        return first(k, kind, table)
    return neighbour(k.memory, node, right=True, top=kind.head(table))


def enumerate_by_key(k: "Executive", kind: Kind, table: int, restart: int) -> int:
    """RtlEnumerateGenericTableWithoutSplaying: `restart` keeps the last node, null to begin."""
    node = following(k, kind, table, k.memory.read_u64(restart))
    if node:
        k.memory.write_u64(restart, node)
    return node + kind.header if node else 0


def matching(k: "Executive", table: int, buffer: int, restart: int) -> KernelCode:
    """RtlLookupFirstMatchingElementGenericTableAvl: of elements that compare as equal, the first in order."""
    result, node = yield from find(k, AVL, table, buffer)
    if result != FOUND:
        return 0
    compare = AvlTable(k.memory, table).compare
    while before := neighbour(k.memory, node, right=False, top=table):
        if ((yield Call(compare, table, buffer, before + AVL.header)) & 0xFFFF_FFFF) in (_LESS, _GREATER):
            break
        node = before
    k.memory.write_u64(restart, node)
    return node + AVL.header


def like_a_directory(
    k: "Executive", table: int, match: tuple[int, int], skip: bool, keys: tuple[int, int], buffer: int
) -> KernelCode:
    """RtlEnumerateGenericTableLikeADirectory: goes on behind `buffer` if what the keys name is no longer there."""
    restart, deleted = keys
    view, memory = AvlTable(k.memory, table), k.memory
    node = memory.read_u64(restart)
    if not node or memory.read_u32(deleted) != view.deleted:
        result, node = yield from find(k, AVL, table, buffer)
        if result == EMPTY:
            return 0
        if result == INSERT_RIGHT or (result == FOUND and skip):
            node = neighbour(memory, node, right=True, top=table)
    elif skip:
        node = neighbour(memory, node, right=True, top=table)
    memory.write_u32(deleted, view.deleted)
    while node:
        answer = 0
        if match[0]:
            answer = (yield Call(match[0], table, node + AVL.header, match[1])) & 0xFFFF_FFFF
        if answer == _NO_MORE_MATCHES:
            return 0
        if answer != _NO_MATCH:
            memory.write_u64(restart, node)
            return node + AVL.header
        node = neighbour(memory, node, right=True, top=table)
    return 0
