"""The exports of generic tables, of both kinds."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.rtl import generic_tables as tables
from harness.reference.windows.ntos.rtl.generic_tables import AVL, SPLAY, AvlTable, SplayTable
from harness.reference.windows.ntos.rtl.trees import child, extreme, neighbour, splay, splay_delete

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_MOST_ELEMENTS = 1 << 18
"""How far a table is followed."""


@export(NTOSKRNL, "RtlInitializeGenericTable")
def rtl_initialize_generic_table(k: "Kernel", table: int, compare: int, allocate: int, free: int, context: int) -> int:
    return tables.initialize(k, SPLAY, table, (compare, allocate, free), context)


@export(NTOSKRNL, "RtlInitializeGenericTableAvl")
def rtl_initialize_generic_table_avl(
    k: "Kernel", table: int, compare: int, allocate: int, free: int, context: int
) -> int:
    return tables.initialize(k, AVL, table, (compare, allocate, free), context)


@export(NTOSKRNL, "RtlInsertElementGenericTable")
def rtl_insert_element_generic_table(k: "Kernel", table: int, buffer: int, size: U32, made: int) -> KernelCode:
    return tables.insert(k, SPLAY, table, (buffer, size), made)


@export(NTOSKRNL, "RtlInsertElementGenericTableAvl")
def rtl_insert_element_generic_table_avl(k: "Kernel", table: int, buffer: int, size: U32, made: int) -> KernelCode:
    return tables.insert(k, AVL, table, (buffer, size), made)


@export(NTOSKRNL, "RtlInsertElementGenericTableFull")
def rtl_insert_element_generic_table_full(
    k: "Kernel", table: int, buffer: int, size: U32, made: int, place: int, result: U32
) -> KernelCode:
    return tables.insert_at(k, SPLAY, table, (buffer, size), made, (result, place))


@export(NTOSKRNL, "RtlInsertElementGenericTableFullAvl")
def rtl_insert_element_generic_table_full_avl(
    k: "Kernel", table: int, buffer: int, size: U32, made: int, place: int, result: U32
) -> KernelCode:
    return tables.insert_at(k, AVL, table, (buffer, size), made, (result, place))


@export(NTOSKRNL, "RtlLookupElementGenericTable")
def rtl_lookup_element_generic_table(k: "Kernel", table: int, buffer: int) -> KernelCode:
    return tables.lookup(k, SPLAY, table, buffer)


@export(NTOSKRNL, "RtlLookupElementGenericTableAvl")
def rtl_lookup_element_generic_table_avl(k: "Kernel", table: int, buffer: int) -> KernelCode:
    return tables.lookup(k, AVL, table, buffer)


@export(NTOSKRNL, "RtlLookupElementGenericTableFull")
def rtl_lookup_element_generic_table_full(k: "Kernel", table: int, buffer: int, place: int, found: int) -> KernelCode:
    return tables.lookup_full(k, SPLAY, table, buffer, place, found)


@export(NTOSKRNL, "RtlLookupElementGenericTableFullAvl")
def rtl_lookup_element_generic_table_full_avl(
    k: "Kernel", table: int, buffer: int, place: int, found: int
) -> KernelCode:
    return tables.lookup_full(k, AVL, table, buffer, place, found)


@export(NTOSKRNL, "RtlLookupFirstMatchingElementGenericTableAvl")
def rtl_lookup_first_matching_element_generic_table_avl(
    k: "Kernel", table: int, buffer: int, restart: int
) -> KernelCode:
    return tables.matching(k, table, buffer, restart)


@export(NTOSKRNL, "RtlDeleteElementGenericTable")
def rtl_delete_element_generic_table(k: "Kernel", table: int, buffer: int) -> KernelCode:
    return tables.delete(k, SPLAY, table, buffer)


@export(NTOSKRNL, "RtlDeleteElementGenericTableAvl")
def rtl_delete_element_generic_table_avl(k: "Kernel", table: int, buffer: int) -> KernelCode:
    return tables.delete(k, AVL, table, buffer)


@export(NTOSKRNL, "RtlNumberGenericTableElements")
def rtl_number_generic_table_elements(k: "Kernel", table: int) -> int:
    return SplayTable(k.memory, table).count


@export(NTOSKRNL, "RtlNumberGenericTableElementsAvl")
def rtl_number_generic_table_elements_avl(k: "Kernel", table: int) -> int:
    return AvlTable(k.memory, table).count


@export(NTOSKRNL, "RtlIsGenericTableEmpty")
def rtl_is_generic_table_empty(k: "Kernel", table: int) -> bool:
    return SplayTable(k.memory, table).root == 0


@export(NTOSKRNL, "RtlIsGenericTableEmptyAvl")
def rtl_is_generic_table_empty_avl(k: "Kernel", table: int) -> bool:
    return AvlTable(k.memory, table).count == 0


@export(NTOSKRNL, "RtlEnumerateGenericTable")
def rtl_enumerate_generic_table(k: "Kernel", table: int, restart: U8) -> int:
    """The root is the element that was given last: the next one becomes it."""
    view = SplayTable(k.memory, table)
    node = tables.first(k, SPLAY, table) if restart else neighbour(k.memory, view.root, right=True) if view.root else 0
    if not node:
        return 0
    view.root = splay(k.memory, node)
    return node + SPLAY.header


@export(NTOSKRNL, "RtlEnumerateGenericTableAvl")
def rtl_enumerate_generic_table_avl(k: "Kernel", table: int, restart: U8) -> int:
    view = AvlTable(k.memory, table)
    if restart:
        view.restart = 0
    return tables.enumerate_by_key(k, AVL, table, view.address_of(AvlTable.restart))


@export(NTOSKRNL, "RtlEnumerateGenericTableWithoutSplaying")
def rtl_enumerate_generic_table_without_splaying(k: "Kernel", table: int, restart: int) -> int:
    return tables.enumerate_by_key(k, SPLAY, table, restart)


@export(NTOSKRNL, "RtlEnumerateGenericTableWithoutSplayingAvl")
def rtl_enumerate_generic_table_without_splaying_avl(k: "Kernel", table: int, restart: int) -> int:
    return tables.enumerate_by_key(k, AVL, table, restart)


@export(NTOSKRNL, "RtlEnumerateGenericTableLikeADirectory")
def rtl_enumerate_generic_table_like_a_directory(
    k: "Kernel", table: int, match: int, data: int, skip: U32, restart: int, deleted: int, buffer: int
) -> KernelCode:
    return tables.like_a_directory(k, table, (match, data), bool(skip), (restart, deleted), buffer)


@export(NTOSKRNL, "RtlGetElementGenericTable")
def rtl_get_element_generic_table(k: "Kernel", table: int, index: U32) -> int:
    """The element that was inserted so many before it."""
    if index >= SplayTable(k.memory, table).count:
        return 0
    entry = k.memory.read_u64(table + 8)
    for _ in range(index):
        entry = k.memory.read_u64(entry)
    return entry + 16


@export(NTOSKRNL, "RtlGetElementGenericTableAvl")
def rtl_get_element_generic_table_avl(k: "Kernel", table: int, index: U32) -> int:
    """The element that so many are less than."""
    if index >= AvlTable(k.memory, table).count:
        return 0
    node = tables.first(k, AVL, table)
    for step in range(index):
        if step > _MOST_ELEMENTS:
            message = f"the table at {table:#x} has a circle: RtlGetElementGenericTableAvl comes to no end"
            k.bugcheck(BugCheck.KERNEL_SECURITY_CHECK_FAILURE, 3, table, message=message)
        node = tables.following(k, AVL, table, node)
    return node + AVL.header


# -- splay links without a table


@export(NTOSKRNL, "RtlSplay")
def rtl_splay(k: "Kernel", links: int) -> int:
    return splay(k.memory, links)


@export(NTOSKRNL, "RtlDelete")
def rtl_delete(k: "Kernel", links: int) -> int:
    return splay_delete(k.memory, links)


@export(NTOSKRNL, "RtlDeleteNoSplay")
def rtl_delete_no_splay(k: "Kernel", links: int, root: int) -> int:
    """The tree stays the same but for the node; that it is the tree that splaying leaves is as good."""
    k.memory.write_u64(root, splay_delete(k.memory, links))
    return 0


@export(NTOSKRNL, "RtlRealSuccessor")
def rtl_real_successor(k: "Kernel", links: int) -> int:
    return neighbour(k.memory, links, right=True)


@export(NTOSKRNL, "RtlRealPredecessor")
def rtl_real_predecessor(k: "Kernel", links: int) -> int:
    return neighbour(k.memory, links, right=False)


@export(NTOSKRNL, "RtlSubtreeSuccessor")
def rtl_subtree_successor(k: "Kernel", links: int) -> int:
    below = child(k.memory, links, right=True)
    return extreme(k.memory, below, right=False) if below else 0


@export(NTOSKRNL, "RtlSubtreePredecessor")
def rtl_subtree_predecessor(k: "Kernel", links: int) -> int:
    below = child(k.memory, links, right=False)
    return extreme(k.memory, below, right=True) if below else 0
