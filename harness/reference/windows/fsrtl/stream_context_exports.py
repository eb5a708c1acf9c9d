"""FsRtl's per-stream contexts: a list in the advanced FCB header that FsContext points to, for legacy filters."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_SUPPORTS_FILTER_CONTEXTS = 0x2


class AdvancedFcbHeader(Structure):
    """FSRTL_ADVANCED_FCB_HEADER."""

    SIZE = 0x58
    flags2 = Field(0x06, "B")
    filter_contexts = Field(0x38)


class PerStreamContext(Structure):
    """FSRTL_PER_STREAM_CONTEXT."""

    SIZE = 0x28
    flink = Field(0x00)
    blink = Field(0x08)
    owner = Field(0x10)
    instance = Field(0x18)
    free_callback = Field(0x20)


def _listed(k: "Kernel", header: int) -> list[PerStreamContext]:
    """The contexts of a stream, the last inserted first."""
    head = header + AdvancedFcbHeader.filter_contexts.offset
    found: list[PerStreamContext] = []
    at = k.memory.read_u64(head)
    while at and at != head:
        found.append(PerStreamContext(k.memory, at))
        at = found[-1].flink
    return found


def _remove(k: "Kernel", context: PerStreamContext) -> None:
    k.memory.write_u64(context.blink, context.flink)
    k.memory.write_u64(context.flink + 8, context.blink)


def _find(k: "Kernel", header: int, owner: int, instance: int) -> PerStreamContext | None:
    if not header or not AdvancedFcbHeader(k.memory, header).flags2 & _SUPPORTS_FILTER_CONTEXTS:
        return None
    for context in _listed(k, header):
        if (not owner or context.owner == owner) and (not instance or context.instance == instance):
            return context
    return None


@export(NTOSKRNL, "FsRtlInsertPerStreamContext", max_irql=Irql.APC)
def fs_rtl_insert_per_stream_context(k: "Kernel", header: int, context: int) -> int:
    """FsRtlInsertPerStreamContext: STATUS_INVALID_DEVICE_REQUEST where the file system keeps none."""
    if not header or not AdvancedFcbHeader(k.memory, header).flags2 & _SUPPORTS_FILTER_CONTEXTS:
        return int(NtStatus.INVALID_DEVICE_REQUEST)
    head, added = header + AdvancedFcbHeader.filter_contexts.offset, PerStreamContext(k.memory, context)
    first = k.memory.read_u64(head)
    added.flink, added.blink = first, head
    k.memory.write_u64(first + 8, context)
    k.memory.write_u64(head, context)
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "FsRtlLookupPerStreamContextInternal", max_irql=Irql.APC)
def fs_rtl_lookup_per_stream_context(k: "Kernel", header: int, owner: int, instance: int) -> int:
    """FsRtlLookupPerStreamContextInternal."""
    found = _find(k, header, owner, instance)
    return found.address if found is not None else 0


@export(NTOSKRNL, "FsRtlRemovePerStreamContext", max_irql=Irql.APC)
def fs_rtl_remove_per_stream_context(k: "Kernel", header: int, owner: int, instance: int) -> int:
    """FsRtlRemovePerStreamContext: the caller frees it."""
    found = _find(k, header, owner, instance)
    if found is None:
        return 0
    _remove(k, found)
    return found.address


@export(NTOSKRNL, "FsRtlTeardownPerStreamContexts", max_irql=Irql.APC)
def fs_rtl_teardown_per_stream_contexts(k: "Kernel", header: int) -> Code:
    """FsRtlTeardownPerStreamContexts: the stream goes; every owner frees its context."""
    for context in _listed(k, header):
        _remove(k, context)
        yield Call(context.free_callback, context.address)
    k.flt.contexts.object_gone(header)  # the filter manager keeps its contexts there too
