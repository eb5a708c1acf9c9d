"""Sections for scanning data: a minifilter maps the file that it looks at, and hears when that is in the way."""

from typing import TYPE_CHECKING

from harness.nt import ContextType, Irql, NtStatus, nt_success
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.cc.sections import create_section
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filters import Context, Instance
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.kernel import Kernel

_SECTION = int(ContextType.SECTION)
_KEEP_IF_EXISTS = 1
_SECTION_OBJECT_SIZE = 0x40


def _key(file: "FileObject") -> tuple[int, int]:
    assert file.opened is not None
    return _SECTION, id(file.opened.stream)


def _place(k: "Kernel", instance: int, file_object: int) -> "tuple[Instance, FileObject] | None":
    found, file = k.flt.instance_at(instance), k.io.file_at(file_object)
    if file is None or file.opened is None or file.opened.stream.directory:
        return None
    return found, file


@export(FLTMGR, "FltRegisterForDataScan", max_irql=Irql.PASSIVE)
def flt_register_for_data_scan(k: "Kernel", instance: int) -> int:
    """FltRegisterForDataScan: in the instance's setup callback, for FltCreateSectionForDataScan."""
    k.flt.instance_at(instance).scans_data = True
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltCreateSectionForDataScan", max_irql=Irql.PASSIVE)
def flt_create_section_for_data_scan(
    k: "Kernel",
    instance: int,
    file_object: int,
    context: int,
    access: U32,
    attributes: int,
    maximum_at: int,
    protection: U32,
    allocation: U32,
    flags: U32,
    handle_out: int,
    object_out: int,
    size_out: int,
) -> Code:
    """FltCreateSectionForDataScan: NOT_SUPPORTED without FltRegisterForDataScan; one section context for a stream."""
    pair = _place(k, instance, file_object)
    if pair is None or flags:
        return int(NtStatus.INVALID_PARAMETER)
    found, file = pair
    if not found.scans_data:
        return int(NtStatus.NOT_SUPPORTED)
    made = k.flt.contexts.at(context, "set")
    if made.kind != _SECTION:
        return int(NtStatus.INVALID_PARAMETER)
    status, old = k.flt.contexts.link(found.contexts, _key(file), _KEEP_IF_EXISTS, made)
    if old is not None:
        yield from k.flt.contexts.release(old)
    if not nt_success(status):
        return int(status)
    size = k.memory.read_u64(maximum_at) if maximum_at else 0
    stream = k.local_file_systems.stream_of(file)
    status, item = yield from create_section(k, k.io, stream, file, size, protection, image=bool(allocation >> 24 & 1))
    if item is None:
        yield from _unlink(k, found, made)
        return int(status)
    item.address = k.heap.allocate(_SECTION_OBJECT_SIZE)
    k.objects.register(item)
    closed = item.on_delete

    def gone(section: object) -> None:
        k.heap.free(item.address)
        if closed is not None:
            closed(item)
        del section

    item.on_delete = gone
    kernel = not attributes or bool(ObjectAttributes(k.memory, attributes).attributes & OBJ_KERNEL_HANDLE)
    k.memory.write_u64(handle_out, k.objects.open(item, kernel=kernel, access=access))
    k.objects.take(item)
    k.memory.write_u64(object_out, item.address)
    k.objects.dereference(item)
    if size_out:
        k.memory.write_u64(size_out, stream.size() if stream is not None else 0)
    return int(NtStatus.SUCCESS)


def _unlink(k: "Kernel", found: "Instance", context: "Context") -> Code:
    k.flt.contexts.unlink(found.contexts, context.key)
    yield from k.flt.contexts.release(context)


@export(FLTMGR, "FltCloseSectionForDataScan", max_irql=Irql.PASSIVE)
def flt_close_section_for_data_scan(k: "Kernel", context: int) -> Code:
    """FltCloseSectionForDataScan: the scan is over; handle and object are the filter's to close and dereference."""
    found = k.flt.contexts.at(context, "closed")
    if found.kind != _SECTION or found.table is None:
        return int(NtStatus.INVALID_PARAMETER)
    k.flt.contexts.unlink(found.table, found.key)
    yield from k.flt.contexts.release(found)
    return int(NtStatus.SUCCESS)
