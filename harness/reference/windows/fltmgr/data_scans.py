"""Sections for scanning data: a minifilter maps the file that it looks at, and hears when that is in the way."""

from typing import TYPE_CHECKING

from harness.nt import ContextType, Irql, NtStatus, nt_success
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.cc.scan_sections import ScanSection
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filters import Context, Instance
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.kernel import Kernel

_SECTION = int(ContextType.SECTION)
_KEEP_IF_EXISTS = 1


def _key(file: "FileObject") -> tuple[int, int]:
    assert file.opened is not None
    return _SECTION, id(file.opened.stream)


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
    found, file = k.flt.instance_at(instance), k.io.file_at(file_object)
    if file is None or file.opened is None or flags:
        return int(NtStatus.INVALID_PARAMETER)
    if file.opened.stream.directory:
        return int(NtStatus.FILE_IS_A_DIRECTORY)
    if not found.scans_data:
        return int(NtStatus.NOT_SUPPORTED)
    made = k.flt.contexts.at(context, "set")
    if made.kind != _SECTION:
        return int(NtStatus.INVALID_PARAMETER)
    wanted = ScanSection(access, attributes, maximum_at, protection, allocation, handle_out, object_out, size_out)
    refused = wanted.refusal()
    if refused is not None:
        return int(refused)
    linked, old = k.flt.contexts.link(found.contexts, _key(file), _KEEP_IF_EXISTS, made)
    if old is not None:
        yield from k.flt.contexts.release(old)
    if not nt_success(linked):
        return int(linked)
    status: int = yield from wanted.make(k, k.io, k.local_file_systems.stream_of(file), file)
    if not nt_success(status):
        yield from _unlink(k, found, made)
    return status


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
