"""Contexts: what a filter hangs on volumes, instances, files, streams and stream handles, counted by references.

The memory is the filter manager's, so a context that is never released is reported here and not as a pool leak.
"""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, ContextType, Irql, NtStatus
from harness.reference.windows.fltmgr.filters import (
    Context,
    ContextDefinition,
    ContextTable,
    Filter,
    FilterVolume,
    Instance,
)
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.ex.pool import PoolError
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.io.file_object import FileObject

REPLACE_IF_EXISTS, KEEP_IF_EXISTS = 0, 1
VARIABLE_SIZE = 0xFFFF_FFFF_FFFF_FFFF
_NO_EXACT_SIZE_MATCH = 0x0001
_PAGED_POOL = 1
_CONTEXT = Kind("reference", "FltReleaseContext", "CTX-06")
_SUPPORTS_FILTER_CONTEXTS = 0x02
"""FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS."""
OVER_RELEASED, REFERENCED_AFTER_FREE = 0x6D, 0x6E
"""Parameter 1 of bug check 0xF5."""


class Contexts:
    """All contexts that are allocated."""

    def __init__(self, objects: "FilterObjects") -> None:
        self.objects = objects
        self._kernel = objects.kernel
        self._allocated: dict[int, Context] = {}
        """By address."""

    # -- life

    def allocate(self, found: Filter, kind: int, size: int, pool: int) -> Code:
        """FltAllocateContext; (NTSTATUS, context or None)."""
        k = self._kernel
        item = _definition_for(found, kind, size)
        if item is None:
            return int(NtStatus.FLT_CONTEXT_ALLOCATION_NOT_FOUND), None
        paged = pool & 1 == _PAGED_POOL
        if kind == ContextType.VOLUME and paged:
            k.verifier.report("CTX-09", found.name, "allocates a volume context from paged pool")
            return int(NtStatus.FLT_MUST_BE_NONPAGED_POOL), None
        if item.allocate:
            address = yield from k.kept.call("its ContextAllocate callback", item.allocate, pool, size, kind)
            if not address:
                return int(NtStatus.INSUFFICIENT_RESOURCES), None
        elif k.scarcity.strikes(found.name):
            return int(NtStatus.INSUFFICIENT_RESOURCES), None
        else:
            where = k.blame.current()
            fill = k.pool.unwritten.fill(where.driver, where.address, "a context")
            address = k.pool.allocate(max(size, 1), "FMct", paged=paged, fill=fill)
        context = Context(found, kind, item, address, size)
        k.holdings.take(_CONTEXT, address)
        self._allocated[address] = context
        found.contexts.append(context)
        return int(NtStatus.SUCCESS), context

    def at(self, address: int, action: str) -> Context:
        """The context a filter names; a freed one is a bug check (CTX-06)."""
        context = self._allocated.get(address)
        if context is None:
            self._kernel.bugcheck(
                BugCheck.FLTMGR_FILE_SYSTEM,
                REFERENCED_AFTER_FREE if action == "referenced" else OVER_RELEASED,
                address,
                message=f"{address:#x} was {action} as a context, which it is not (any more)",
                rule="CTX-06",
            )
        return context

    def taken(self, context: Context) -> None:
        """The calling driver has got a reference, which it owes back."""
        self._kernel.holdings.take(_CONTEXT, context.address)

    def give_back(self, context: Context) -> Code:
        """The calling driver drops one of its references."""
        self._kernel.holdings.give_back(_CONTEXT, context.address)
        yield from self.release(context)

    def release(self, context: Context) -> Code:
        """Drop a reference; the last one runs the cleanup callback and frees the memory (CTX-05)."""
        context.references -= 1
        if context.references > 0:
            return
        if context.table is not None:
            self._kernel.bugcheck(
                BugCheck.FLTMGR_FILE_SYSTEM,
                OVER_RELEASED,
                context.address,
                message=f"{context.describe()} was released once too often: it is still attached",
                rule="CTX-06",
                driver=context.filter.name,
            )
        if self._kernel.irql >= Irql.DISPATCH:
            self._kernel.queue_worker(self.destroy(context))
        else:
            yield from self.destroy(context)

    def destroy(self, context: Context) -> Code:
        """Call the cleanup callback, and free the memory."""
        item = context.definition
        if item.cleanup:
            yield from self._kernel.kept.call(
                "its ContextCleanup callback", item.cleanup, context.address, context.kind
            )
        self._held(context)
        del self._allocated[context.address]
        context.filter.contexts.remove(context)
        if item.free:
            yield from self._kernel.kept.call("its ContextFree callback", item.free, context.address, context.kind)
        elif not item.allocate:
            self._free(context)

    def _held(self, context: Context) -> tuple[str, ...]:
        """The calls that have got the references which drivers still hold: they are forgotten."""
        holdings = self._kernel.holdings
        held = holdings.newest(_CONTEXT, context.address, holdings.count(_CONTEXT, context.address))
        return tuple(dict.fromkeys(site.location for site in held if site.location))

    def _free(self, context: Context) -> None:
        try:
            self._kernel.pool.free(context.address)
        except PoolError as problem:
            driver = context.filter.name
            self._kernel.bugcheck(BugCheck.BAD_POOL_HEADER, 7, context.address, message=str(problem), driver=driver)

    # -- links

    def link(
        self, table: ContextTable, key: tuple[int, int], operation: int, new: Context
    ) -> tuple[int, Context | None]:
        """FltSetXxxContext; (NTSTATUS, the old context, referenced, or None)."""
        if new.table is not None:
            return int(NtStatus.FLT_CONTEXT_ALREADY_LINKED), None
        if new.filter.unloading and not new.filter.instances:
            return int(NtStatus.FLT_DELETING_OBJECT), None
        old = table.get(key)
        if old is not None and operation == KEEP_IF_EXISTS:
            old.references += 1
            return int(NtStatus.FLT_CONTEXT_ALREADY_DEFINED), old
        if old is not None:
            old.table = None  # the link's reference goes to the caller
        table[key] = new
        new.table, new.key = table, key
        new.references += 1
        return int(NtStatus.SUCCESS), old

    def stream_before_open(self, file: "FileObject") -> int:
        """What contexts of a stream hang on that none of our file systems has open; 0 for nothing (CTX-04).

        A file system that is loaded as a driver keeps them in its FCB's advanced header.
        """
        header, memory = file.view.fs_context, self._kernel.memory
        return header if header and memory.read_u8(header + 6) & _SUPPORTS_FILTER_CONTEXTS else 0

    def fetch(self, table: ContextTable, key: tuple[int, int], driver: str) -> tuple[int, Context | None]:
        """FltGetXxxContext; (NTSTATUS, the context with a reference for the caller, or None)."""
        self.check_irql(driver)
        context = self.find(table, key)
        if context is None:
            return int(NtStatus.NOT_FOUND), None
        context.references += 1
        self.taken(context)
        return int(NtStatus.SUCCESS), context

    def find(self, table: ContextTable, key: tuple[int, int]) -> Context | None:
        """The context that is linked there."""
        return table.get(key)

    def unlink(self, table: ContextTable, key: tuple[int, int]) -> Context | None:
        """Take a context off its object; the link's reference is the caller's now."""
        context = table.pop(key, None)
        if context is not None:
            context.table = None
        return context

    def check_irql(self, driver: str) -> None:
        """Contexts are not to be fetched or set above APC_LEVEL (CTX-01)."""
        if self._kernel.irql > Irql.APC:
            self._kernel.verifier.report("CTX-01", driver, f"fetched or set a context at IRQL {self._kernel.irql}")

    # -- when objects go away

    def _drop(self, context: Context) -> Code:
        self.unlink(context.table or {}, context.key)
        context.table = None
        yield from self.release(context)

    def instance_gone(self, instance: Instance) -> Code:
        """An instance is detached: its contexts go with it (CTX-08)."""
        for context in list(instance.contexts.values()):
            yield from self._drop(context)

    def volume_gone(self, on: FilterVolume) -> Code:
        """A volume is dismounted: every filter's context on it goes."""
        for context in list(on.contexts.values()):
            yield from self._drop(context)

    def filter_gone(self, found: Filter) -> Code:
        """A filter unloads: its volume contexts go; what is still referenced then was leaked."""
        for context in list(found.contexts):
            if context.table is not None:
                yield from self._drop(context)
        for context in list(found.contexts):
            many = f"{context.references} references" if context.references > 1 else "a reference"
            sites = self._held(context)
            taken = f", taken at {', '.join(sites)}" if sites else ""
            text = f"unloaded with {many} to {context.describe()} not released: FltReleaseContext{taken}"
            self._kernel.verifier.report("CTX-06", found.name, text, chain=sites)
            found.contexts.remove(context)
            self._allocated.pop(context.address, None)
            if not context.definition.allocate:
                self._kernel.pool.free(context.address)

    def object_gone(self, identity: int) -> None:
        """A file object or stream is gone: every instance's context on it goes, in a system thread."""
        for instance in self.objects.instances.values():
            for context in [context for (_, owner), context in instance.contexts.items() if owner == identity]:
                self.unlink(instance.contexts, context.key)
                self._kernel.queue_worker(self.release(context))


def _definition_for(found: Filter, kind: int, size: int) -> ContextDefinition | None:
    """The registered element that an allocation of a type and size uses."""
    fitting = [item for item in found.registration.contexts if item.kind == kind]
    for item in fitting:
        if item.size == VARIABLE_SIZE or item.size == size:
            return item
    larger = [item for item in fitting if item.flags & _NO_EXACT_SIZE_MATCH and item.size >= size]
    return min(larger, key=lambda item: item.size) if larger else None
