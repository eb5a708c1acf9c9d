"""Contexts: what a filter hangs on volumes, instances, files, streams and stream handles, counted by references.

The memory is the filter manager's, so a context that is never released is reported here and not as a pool leak.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import BugCheck, ContextType, Irql, NtStatus
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr.filters import ContextDefinition, Filter, Instance
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_manager import FilterManager
    from harness.reference.windows.fltmgr.filter_volumes import FilterVolume
    from harness.reference.windows.kernel import Kernel

REPLACE_IF_EXISTS, KEEP_IF_EXISTS = 0, 1
VARIABLE_SIZE = 0xFFFF_FFFF_FFFF_FFFF
_NO_EXACT_SIZE_MATCH = 0x0001
_PAGED_POOL = 1
OVER_RELEASED, REFERENCED_AFTER_FREE = 0x6D, 0x6E
"""Parameter 1 of bug check 0xF5."""
Table = dict[tuple[int, int], "Context"]


@dataclass(eq=False, slots=True)
class Context:
    """An allocated context. `address` is what the filter points to."""

    filter: Filter
    kind: int
    definition: ContextDefinition
    address: int
    size: int
    allocated_at: str | None = None
    """The call that allocated it."""
    references: int = 1
    table: Table | None = None
    """Where it is linked; None if it is not."""
    key: tuple[int, int] = (0, 0)

    def describe(self) -> str:
        return f"the {ContextType(self.kind).name} context at {self.address:#x}"


# -- life


def definition_for(found: Filter, kind: int, size: int) -> ContextDefinition | None:
    """The registered element that an allocation of a type and size uses."""
    fitting = [item for item in found.registration.contexts if item.kind == kind]
    for item in fitting:
        if item.size == VARIABLE_SIZE or item.size == size:
            return item
    larger = [item for item in fitting if item.flags & _NO_EXACT_SIZE_MATCH and item.size >= size]
    return min(larger, key=lambda item: item.size) if larger else None


def allocate(k: "Kernel", found: Filter, kind: int, size: int, pool: int) -> Code:
    """FltAllocateContext; (NTSTATUS, context or None)."""
    item = definition_for(found, kind, size)
    if item is None:
        return int(NtStatus.FLT_CONTEXT_ALLOCATION_NOT_FOUND), None
    paged = pool & 1 == _PAGED_POOL
    if kind == ContextType.VOLUME and paged:
        k.verifier.report("CTX-09", found.name, "allocates a volume context from paged pool")
        return int(NtStatus.FLT_MUST_BE_NONPAGED_POOL), None
    if item.allocate:
        address = yield Call(item.allocate, pool, size, kind)
        if not address:
            return int(NtStatus.INSUFFICIENT_RESOURCES), None
    else:
        address = k.pool.allocate(max(size, 1), "FMct", paged=paged, zero=False)
    context = Context(found, kind, item, address, size, k.blame.current().location)
    k.flt.contexts[address] = context
    found.contexts.append(context)
    return int(NtStatus.SUCCESS), context


def context_at(k: "Kernel", address: int, action: str) -> Context:
    """The context a filter names; a freed one is a bug check (CTX-06)."""
    context = k.flt.contexts.get(address)
    if context is None:
        k.bugcheck(
            BugCheck.FLTMGR_FILE_SYSTEM,
            REFERENCED_AFTER_FREE if action == "referenced" else OVER_RELEASED,
            address,
            message=f"{address:#x} was {action} as a context, which it is not (any more)",
            rule="CTX-06",
        )
    return context


def release(k: "Kernel", context: Context) -> Code:
    """Drop a reference; the last one runs the cleanup callback and frees the memory (CTX-05)."""
    context.references -= 1
    if context.references > 0:
        return
    if context.table is not None:
        k.bugcheck(
            BugCheck.FLTMGR_FILE_SYSTEM,
            OVER_RELEASED,
            context.address,
            message=f"{context.describe()} was released once too often: it is still attached",
            rule="CTX-06",
            driver=context.filter.name,
        )
    if k.irql >= Irql.DISPATCH:
        k.queue_worker(_destroy(k, context))
    else:
        yield from _destroy(k, context)


def _destroy(k: "Kernel", context: Context) -> Code:
    item = context.definition
    if item.cleanup:
        yield Call(item.cleanup, context.address, context.kind)
    del k.flt.contexts[context.address]
    context.filter.contexts.remove(context)
    if item.free:
        yield Call(item.free, context.address, context.kind)
    elif not item.allocate:
        k.pool.free(context.address)


# -- links


def link(k: "Kernel", table: Table, key: tuple[int, int], operation: int, new: Context) -> Code:
    """FltSetXxxContext; (NTSTATUS, the old context, referenced, or None)."""
    if new.table is not None:
        return int(NtStatus.FLT_CONTEXT_ALREADY_LINKED), None
    old = table.get(key)
    if old is not None and operation == KEEP_IF_EXISTS:
        old.references += 1
        return int(NtStatus.FLT_CONTEXT_ALREADY_DEFINED), old
    if old is not None:
        old.table = None  # the link's reference goes to the caller
    table[key] = new
    new.table, new.key = table, key
    new.references += 1
    yield from ()
    return int(NtStatus.SUCCESS), old


def fetch(k: "Kernel", table: Table, key: tuple[int, int], driver: str) -> tuple[int, Context | None]:
    """FltGetXxxContext; (NTSTATUS, the context with a reference for the caller, or None)."""
    check_irql(k, driver)
    context = table.get(key)
    if context is None or k.mutant("contexts-lost"):
        return int(NtStatus.NOT_FOUND), None
    if k.mutant("contexts-refused-in-post") and k.flt.engine.in_post():
        return int(NtStatus.NOT_FOUND), None
    context.references += 1
    return int(NtStatus.SUCCESS), context


def unlink(table: Table, key: tuple[int, int]) -> Context | None:
    """Take a context off its object; the link's reference is the caller's now."""
    context = table.pop(key, None)
    if context is not None:
        context.table = None
    return context


def check_irql(k: "Kernel", driver: str) -> None:
    """Contexts are not to be fetched or set above APC_LEVEL (CTX-01)."""
    if k.irql > Irql.APC:
        k.verifier.report("CTX-01", driver, f"fetched or set a context at IRQL {k.irql}")


# -- when objects go away


def _drop(k: "Kernel", context: Context) -> Code:
    unlink(context.table or {}, context.key)
    context.table = None
    yield from release(k, context)


def delete_instance_contexts(k: "Kernel", instance: Instance) -> Code:
    """An instance is detached: its contexts go with it (CTX-08)."""
    for context in list(instance.contexts.values()):
        yield from _drop(k, context)


def delete_volume_contexts(k: "Kernel", on: "FilterVolume") -> Code:
    """A volume is dismounted: every filter's context on it goes."""
    for context in list(on.contexts.values()):
        yield from _drop(k, context)


def delete_filter_contexts(k: "Kernel", found: Filter) -> Code:
    """A filter unloads: its volume contexts go; what is still referenced then was leaked."""
    for context in list(found.contexts):
        if context.table is not None:
            yield from _drop(k, context)
    for context in list(found.contexts):
        many = f"{context.references} references" if context.references > 1 else "a reference"
        allocated = f", allocated at {context.allocated_at}" if context.allocated_at else ""
        text = f"unloaded with {many} to {context.describe()} not released: FltReleaseContext{allocated}"
        sites = (context.allocated_at,) if context.allocated_at else ()
        k.verifier.report("CTX-06", found.name, text, chain=sites)
        found.contexts.remove(context)
        k.flt.contexts.pop(context.address, None)
        if not context.definition.allocate:
            k.pool.free(context.address)


def object_gone(manager: "FilterManager", identity: int) -> None:
    """A file object or stream is gone: every instance's context on it goes, in a system thread."""
    k = manager.kernel
    for instance in manager.instances.values():
        for context in [context for (_, owner), context in instance.contexts.items() if owner == identity]:
            unlink(instance.contexts, context.key)
            k.queue_worker(release(k, context))
