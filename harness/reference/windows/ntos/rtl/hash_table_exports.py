"""The exports of dynamic hash tables. A driver synchronizes them itself."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.ntos.rtl.hash_tables import HashTables

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "RtlCreateHashTable", max_irql=Irql.DISPATCH)
def rtl_create_hash_table(k: "Kernel", pointer: int, shift: U32, flags: U32) -> bool:
    """RtlCreateHashTable: FALSE for flags, of which there are none."""
    return not flags and HashTables(k).create(pointer, shift)


@export(NTOSKRNL, "RtlDeleteHashTable", max_irql=Irql.DISPATCH)
def rtl_delete_hash_table(k: "Kernel", table: int) -> None:
    """RtlDeleteHashTable."""
    HashTables(k).delete(table)


@export(NTOSKRNL, "RtlInsertEntryHashTable", max_irql=Irql.DISPATCH)
def rtl_insert_entry_hash_table(k: "Kernel", table: int, entry: int, signature: int, context: int) -> bool:
    """RtlInsertEntryHashTable."""
    return HashTables(k).insert(table, entry, signature, context)


@export(NTOSKRNL, "RtlRemoveEntryHashTable", max_irql=Irql.DISPATCH)
def rtl_remove_entry_hash_table(k: "Kernel", table: int, entry: int, context: int) -> bool:
    """RtlRemoveEntryHashTable."""
    return HashTables(k).remove(table, entry, context)


@export(NTOSKRNL, "RtlLookupEntryHashTable", max_irql=Irql.DISPATCH)
def rtl_lookup_entry_hash_table(k: "Kernel", table: int, signature: int, context: int) -> int:
    """RtlLookupEntryHashTable."""
    return HashTables(k).lookup(table, signature, context)


@export(NTOSKRNL, "RtlGetNextEntryHashTable", max_irql=Irql.DISPATCH)
def rtl_get_next_entry_hash_table(k: "Kernel", table: int, context: int) -> int:
    """RtlGetNextEntryHashTable."""
    del table
    return HashTables(k).following(context)


@export(NTOSKRNL, "RtlInitEnumerationHashTable", "RtlInitWeakEnumerationHashTable", max_irql=Irql.DISPATCH)
def rtl_init_enumeration_hash_table(k: "Kernel", table: int, enumerator: int) -> bool:
    """RtlInitEnumerationHashTable; the weak form is for whoever looks on while others change the table."""
    return HashTables(k).begin(table, enumerator)


@export(NTOSKRNL, "RtlEnumerateEntryHashTable", "RtlWeaklyEnumerateEntryHashTable", max_irql=Irql.DISPATCH)
def rtl_enumerate_entry_hash_table(k: "Kernel", table: int, enumerator: int) -> int:
    """RtlEnumerateEntryHashTable."""
    return HashTables(k).advance(table, enumerator)


@export(NTOSKRNL, "RtlEndEnumerationHashTable", "RtlEndWeakEnumerationHashTable", max_irql=Irql.DISPATCH)
def rtl_end_enumeration_hash_table(k: "Kernel", table: int, enumerator: int) -> None:
    """RtlEndEnumerationHashTable."""
    HashTables(k).end(table, enumerator)


@export(NTOSKRNL, "RtlExpandHashTable", max_irql=Irql.DISPATCH)
def rtl_expand_hash_table(k: "Kernel", table: int) -> bool:
    """RtlExpandHashTable."""
    return HashTables(k).expand(table)


@export(NTOSKRNL, "RtlContractHashTable", max_irql=Irql.DISPATCH)
def rtl_contract_hash_table(k: "Kernel", table: int) -> bool:
    """RtlContractHashTable."""
    return HashTables(k).contract(table)
