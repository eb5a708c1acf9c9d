"""FsRtl's contexts on streams and files, for legacy filters: what is on a stream, and what is on all of a file."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fsrtl import filter_contexts
from harness.reference.windows.io.request import Code
from harness.reference.windows.structures.file_objects import FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS, AdvancedFcbHeader

if TYPE_CHECKING:
    from harness.reference.windows.fsrtl.filter_contexts import FilterContext
    from harness.reference.windows.kernel import Kernel


def _head(k: "Kernel", header: int) -> int:
    """The head of a stream's list; 0 where the file system keeps none."""
    if not header or not AdvancedFcbHeader(k.memory, header).flags2 & FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS:
        return 0
    return header + AdvancedFcbHeader.filter_contexts.offset


def _find(k: "Kernel", head: int, owner: int, instance: int) -> "FilterContext | None":
    return filter_contexts.find(k.memory, head, owner, instance) if head else None


def _take(k: "Kernel", head: int, owner: int, instance: int) -> int:
    found = _find(k, head, owner, instance)
    if found is None:
        return 0
    filter_contexts.remove(found)
    return found.address


@export(NTOSKRNL, "FsRtlInsertPerStreamContext", max_irql=Irql.APC)
def fs_rtl_insert_per_stream_context(k: "Kernel", header: int, context: int) -> int:
    """FsRtlInsertPerStreamContext: STATUS_INVALID_DEVICE_REQUEST where the file system keeps none."""
    head = _head(k, header)
    if not head:
        return int(NtStatus.INVALID_DEVICE_REQUEST)
    filter_contexts.insert(k.memory, head, context)
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "FsRtlLookupPerStreamContextInternal", max_irql=Irql.APC)
def fs_rtl_lookup_per_stream_context(k: "Kernel", header: int, owner: int, instance: int) -> int:
    """FsRtlLookupPerStreamContextInternal."""
    found = _find(k, _head(k, header), owner, instance)
    return found.address if found is not None else 0


@export(NTOSKRNL, "FsRtlRemovePerStreamContext", max_irql=Irql.APC)
def fs_rtl_remove_per_stream_context(k: "Kernel", header: int, owner: int, instance: int) -> int:
    """FsRtlRemovePerStreamContext: the caller frees it."""
    return _take(k, _head(k, header), owner, instance)


@export(NTOSKRNL, "FsRtlTeardownPerStreamContexts", max_irql=Irql.APC)
def fs_rtl_teardown_per_stream_contexts(k: "Kernel", header: int) -> Code:
    """FsRtlTeardownPerStreamContexts: the stream goes; every owner frees its context."""
    for context in filter_contexts.listed(k.memory, header + AdvancedFcbHeader.filter_contexts.offset):
        filter_contexts.remove(context)
        yield Call(context.free_callback, context.address)
    k.flt.contexts.object_gone(header)  # the filter manager keeps its contexts there too


# -- of files: `pointer` is PerFileContextPointer, which FsRtlGetPerFileContextPointer gives


@export(NTOSKRNL, "FsRtlInsertPerFileContext", max_irql=Irql.APC)
def fs_rtl_insert_per_file_context(k: "Kernel", pointer: int, context: int) -> int:
    """FsRtlInsertPerFileContext: STATUS_INVALID_DEVICE_REQUEST where the file system keeps none."""
    if not pointer:
        return int(NtStatus.INVALID_DEVICE_REQUEST)
    filter_contexts.insert(k.memory, filter_contexts.make_file_list(k.memory, k.heap, pointer), context)
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "FsRtlLookupPerFileContext", max_irql=Irql.APC)
def fs_rtl_lookup_per_file_context(k: "Kernel", pointer: int, owner: int, instance: int) -> int:
    """FsRtlLookupPerFileContext."""
    found = _find(k, filter_contexts.file_list(k.memory, pointer) if pointer else 0, owner, instance)
    return found.address if found is not None else 0


@export(NTOSKRNL, "FsRtlRemovePerFileContext", max_irql=Irql.APC)
def fs_rtl_remove_per_file_context(k: "Kernel", pointer: int, owner: int, instance: int) -> int:
    """FsRtlRemovePerFileContext: the caller frees it."""
    return _take(k, filter_contexts.file_list(k.memory, pointer) if pointer else 0, owner, instance)


@export(NTOSKRNL, "FsRtlTeardownPerFileContexts", max_irql=Irql.APC)
def fs_rtl_teardown_per_file_contexts(k: "Kernel", pointer: int) -> Code:
    """FsRtlTeardownPerFileContexts: the file goes; every owner frees its context."""
    for context in filter_contexts.take_file_contexts(k.memory, k.heap, pointer):
        yield Call(context.free_callback, context.address)
