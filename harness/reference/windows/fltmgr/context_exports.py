"""The exports for contexts: Flt{Allocate,Reference,Release,Delete,Get,Set}...Context."""

from typing import TYPE_CHECKING

from harness.nt import ContextType, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U16, U32, export
from harness.reference.windows.fltmgr.filters import Context, ContextTable
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

Place = tuple[ContextTable, tuple[int, int], str]
"""The table, the key in it, and the filter's name."""


@export(FLTMGR, "FltAllocateContext", max_irql=Irql.APC)
def flt_allocate_context(k: "Kernel", filter_: int, kind: U16, size: int, pool: U32, out: int) -> Code:
    """FltAllocateContext."""
    k.memory.write_u64(out, 0)
    status, context = yield from k.flt.contexts.allocate(k.flt.filter_at(filter_), kind, size, pool)
    if context is not None:
        k.memory.write_u64(out, context.address)
    return status


@export(FLTMGR, "FltReferenceContext", max_irql=Irql.DISPATCH)
def flt_reference_context(k: "Kernel", context: int) -> None:
    """FltReferenceContext."""
    found = k.flt.contexts.at(context, "referenced")
    found.references += 1
    k.flt.contexts.taken(found)


@export(FLTMGR, "FltReleaseContext", max_irql=Irql.DISPATCH)
def flt_release_context(k: "Kernel", context: int) -> Code:
    """FltReleaseContext."""
    yield from k.flt.contexts.give_back(k.flt.contexts.at(context, "released"))


@export(FLTMGR, "FltDeleteContext", max_irql=Irql.APC)
def flt_delete_context(k: "Kernel", context: int) -> Code:
    """FltDeleteContext: takes the context off its object; the caller's own reference stays."""
    found = k.flt.contexts.at(context, "deleted")
    if found.kind == ContextType.SECTION and found.table is not None:
        text = "FltDeleteContext was called for the section context of a scan, which FltCloseSectionForDataScan ends"
        k.verifier.report(None, k.blame.current().driver, text)
    if found.table is not None:
        k.flt.contexts.unlink(found.table, found.key)
        yield from k.flt.contexts.release(found)


# -- where contexts are


def _instance_place(k: "Kernel", instance: int) -> Place:
    found = k.flt.instance_at(instance)
    return found.contexts, (int(ContextType.INSTANCE), id(found)), found.filter.name


def _volume_place(k: "Kernel", filter_: int, volume: int) -> Place:
    found, on = k.flt.filter_at(filter_), k.flt.volume_at(volume)
    return on.contexts, (int(ContextType.VOLUME), id(found)), found.name


def _settable(k: "Kernel", instance: int, place: Place | int) -> Place | int:
    """The place of a context that is set; nothing is set on an instance that is being torn down."""
    return place if k.flt.instance_at(instance).attached_or_setup else int(NtStatus.FLT_DELETING_OBJECT)


def _file_place(k: "Kernel", instance: int, file_object: int, kind: ContextType) -> Place | int:
    """The place of a context on a file object, stream or file; or the NTSTATUS that says why there is none (CTX-04)."""
    found = k.flt.instance_at(instance)
    file = k.io.file_at(file_object)
    if file is None or file.closed:
        return int(NtStatus.NOT_SUPPORTED)
    if file.opened is None:
        stream = k.flt.contexts.stream_before_open(file)
        if not stream or kind in (ContextType.FILE, ContextType.SECTION):
            return int(NtStatus.NOT_SUPPORTED)
        owner = id(file) if kind is ContextType.STREAM_HANDLE else stream
        return found.contexts, (int(kind), owner), found.filter.name
    if kind is ContextType.SECTION and file.opened.stream.directory:
        return int(NtStatus.NOT_SUPPORTED)
    of_file = {ContextType.STREAM_HANDLE: id(file), ContextType.FILE: id(file.opened.inode)}
    owner = of_file.get(kind, id(file.opened.stream))
    return found.contexts, (int(kind), owner), found.filter.name


# -- set, get, delete


def _set(k: "Kernel", place: Place | int, operation: int, new: int, old_out: int) -> Code:
    if old_out:
        k.memory.write_u64(old_out, 0)
    if isinstance(place, int):
        return place
    table, key, driver = place
    k.flt.contexts.check_irql(driver)
    context = k.flt.contexts.at(new, "set")
    if context.kind != key[0]:
        return int(NtStatus.INVALID_PARAMETER)
    status, old = k.flt.contexts.link(table, key, operation, context)
    return (yield from _give_old(k, status, old, old_out))


def _give_old(k: "Kernel", status: int, old: Context | None, old_out: int) -> Code:
    if old is not None:
        if old_out:
            k.memory.write_u64(old_out, old.address)
            k.flt.contexts.taken(old)
        else:
            yield from k.flt.contexts.release(old)
    return status


def _get(k: "Kernel", place: Place | int, out: int) -> int:
    k.memory.write_u64(out, 0)
    if isinstance(place, int):
        return place
    status, context = k.flt.contexts.fetch(*place)
    if context is not None:
        k.memory.write_u64(out, context.address)
    return status


def _delete(k: "Kernel", place: Place | int, old_out: int) -> Code:
    if old_out:
        k.memory.write_u64(old_out, 0)
    if isinstance(place, int):
        return place
    table, key, driver = place
    k.flt.contexts.check_irql(driver)
    old = k.flt.contexts.unlink(table, key)
    status = int(NtStatus.SUCCESS if old is not None else NtStatus.NOT_FOUND)
    return (yield from _give_old(k, status, old, old_out))


@export(FLTMGR, "FltSetInstanceContext")
def flt_set_instance_context(k: "Kernel", instance: int, operation: U32, new: int, old: int) -> Code:
    """FltSetInstanceContext."""
    return _set(k, _settable(k, instance, _instance_place(k, instance)), operation, new, old)


@export(FLTMGR, "FltGetInstanceContext")
def flt_get_instance_context(k: "Kernel", instance: int, out: int) -> int:
    """FltGetInstanceContext."""
    return _get(k, _instance_place(k, instance), out)


@export(FLTMGR, "FltDeleteInstanceContext")
def flt_delete_instance_context(k: "Kernel", instance: int, old: int) -> Code:
    """FltDeleteInstanceContext."""
    return _delete(k, _instance_place(k, instance), old)


@export(FLTMGR, "FltSetVolumeContext")
def flt_set_volume_context(k: "Kernel", volume: int, operation: U32, new: int, old: int) -> Code:
    """FltSetVolumeContext: the filter is the new context's."""
    found = k.flt.contexts.at(new, "set").filter
    return _set(k, _volume_place(k, found.address, volume), operation, new, old)


@export(FLTMGR, "FltGetVolumeContext")
def flt_get_volume_context(k: "Kernel", filter_: int, volume: int, out: int) -> int:
    """FltGetVolumeContext."""
    return _get(k, _volume_place(k, filter_, volume), out)


@export(FLTMGR, "FltDeleteVolumeContext")
def flt_delete_volume_context(k: "Kernel", filter_: int, volume: int, old: int) -> Code:
    """FltDeleteVolumeContext."""
    return _delete(k, _volume_place(k, filter_, volume), old)


def _export_file_kind(name: str, kind: ContextType) -> None:
    """The three exports of one type of context that is found by file object."""

    @export(FLTMGR, f"FltSet{name}Context")
    def set_(k: "Kernel", instance: int, file_object: int, operation: U32, new: int, old: int) -> Code:
        return _set(k, _settable(k, instance, _file_place(k, instance, file_object, kind)), operation, new, old)

    @export(FLTMGR, f"FltGet{name}Context")
    def get(k: "Kernel", instance: int, file_object: int, out: int) -> int:
        return _get(k, _file_place(k, instance, file_object, kind), out)

    @export(FLTMGR, f"FltDelete{name}Context")
    def delete(k: "Kernel", instance: int, file_object: int, old: int) -> Code:
        return _delete(k, _file_place(k, instance, file_object, kind), old)

    @export(FLTMGR, f"FltSupports{name}Contexts")
    def supports(k: "Kernel", file_object: int) -> bool:
        file = k.io.file_at(file_object)
        if file is None or file.closed:
            return False
        return file.opened is not None or (
            kind is not ContextType.FILE and bool(k.flt.contexts.stream_before_open(file))
        )


@export(FLTMGR, "FltSupportsFileContextsEx")
def flt_supports_file_contexts_ex(k: "Kernel", file_object: int, instance: int) -> bool:
    """FltSupportsFileContextsEx: the instance, which may be left out, is of no account here."""
    file = k.io.file_at(file_object)
    if instance:
        k.flt.instance_at(instance)
    return file is not None and not file.closed and file.opened is not None


_export_file_kind("File", ContextType.FILE)
_export_file_kind("Stream", ContextType.STREAM)
_export_file_kind("StreamHandle", ContextType.STREAM_HANDLE)


@export(FLTMGR, "FltGetSectionContext", max_irql=Irql.APC)
def flt_get_section_context(k: "Kernel", instance: int, file_object: int, out: int) -> int:
    """FltGetSectionContext: NOT_FOUND while nothing is scanned (data_scans.py)."""
    return _get(k, _file_place(k, instance, file_object, ContextType.SECTION), out)


@export(FLTMGR, "FltGetTransactionContext")
def flt_get_transaction_context(k: "Kernel", instance: int, transaction: int, out: int) -> int:
    """FltGetTransactionContext: there are no transactions."""
    del instance, transaction
    k.memory.write_u64(out, 0)
    return NtStatus.NOT_FOUND


_RELATED = (
    (ContextType.VOLUME, 0),
    (ContextType.INSTANCE, 8),
    (ContextType.FILE, 16),
    (ContextType.STREAM, 24),
    (ContextType.STREAM_HANDLE, 32),
)
"""Offsets in FLT_RELATED_CONTEXTS."""
_RELATED_SIZE = 48


@export(FLTMGR, "FltGetContexts")
def flt_get_contexts(k: "Kernel", objects: int, wanted: U16, out: int) -> None:
    """FltGetContexts: all wanted contexts at once; those that are not there are NULL."""
    memory = k.memory
    memory.write(out, bytes(_RELATED_SIZE))
    filter_, volume, instance, file = (memory.read_u64(objects + offset) for offset in (8, 16, 24, 32))
    for kind, offset in _RELATED:
        if not wanted & kind:
            continue
        if kind is ContextType.VOLUME:
            _get(k, _volume_place(k, filter_, volume), out + offset)
        elif kind is ContextType.INSTANCE:
            _get(k, _instance_place(k, instance), out + offset)
        else:
            _get(k, _file_place(k, instance, file, kind), out + offset)


@export(FLTMGR, "FltReleaseContexts")
def flt_release_contexts(k: "Kernel", contexts_at: int) -> Code:
    """FltReleaseContexts."""
    for _, offset in _RELATED:
        address = k.memory.read_u64(contexts_at + offset)
        if address:
            yield from k.flt.contexts.give_back(k.flt.contexts.at(address, "released"))
            k.memory.write_u64(contexts_at + offset, 0)


_EX_SIZE, _SECTION_OFFSET = 56, 48
"""FLT_RELATED_CONTEXTS_EX: the section context comes behind those of FLT_RELATED_CONTEXTS."""


@export(FLTMGR, "FltGetContextsEx", max_irql=Irql.APC)
def flt_get_contexts_ex(k: "Kernel", objects: int, wanted: U16, size: int, out: int) -> int:
    """FltGetContextsEx: FLT_RELATED_CONTEXTS_EX, those that are not there NULL."""
    if size != _EX_SIZE:
        return int(NtStatus.INVALID_PARAMETER)
    flt_get_contexts(k, objects, wanted, out)
    k.memory.write_u64(out + _SECTION_OFFSET, 0)
    if wanted & ContextType.SECTION:
        instance, file = k.memory.read_u64(objects + 24), k.memory.read_u64(objects + 32)
        flt_get_section_context(k, instance, file, out + _SECTION_OFFSET)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltReleaseContextsEx", max_irql=Irql.APC)
def flt_release_contexts_ex(k: "Kernel", size: int, contexts_at: int) -> Code:
    """FltReleaseContextsEx."""
    yield from flt_release_contexts(k, contexts_at)
    section = k.memory.read_u64(contexts_at + _SECTION_OFFSET) if size >= _EX_SIZE else 0
    if section:
        yield from k.flt.contexts.give_back(k.flt.contexts.at(section, "released"))
        k.memory.write_u64(contexts_at + _SECTION_OFFSET, 0)
