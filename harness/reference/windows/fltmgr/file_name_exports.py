"""The exports for file names: FltGetFileNameInformation and its kin."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.fltmgr.file_names import CACHE_ONLY, FORMATS, METHODS, NORMALIZED, OPENED, spelling
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.io.constants import CreateOption

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def _is_opened_by_id(operation: Operation) -> bool:
    request = operation.request
    options = int.from_bytes(request.parameters[8:12], "little")
    return request.major == IrpMajor.CREATE and bool(options & CreateOption.OPEN_BY_FILE_ID)


@export(FLTMGR, "FltGetFileNameInformation", max_irql=Irql.APC)
def flt_get_file_name_information(k: "Kernel", data: int, options: U32, out: int) -> int:
    """FltGetFileNameInformation."""
    k.memory.write_u64(out, 0)
    operation = k.flt.operation_at(data)
    refusal = k.flt.file_names.refusal(operation, options)
    if refusal:
        return refusal
    if k.scarcity.strikes(k.blame.current().driver):
        return NtStatus.INSUFFICIENT_RESOURCES
    file = operation.request.file
    assert file is not None
    form = options & FORMATS
    if options & METHODS == CACHE_ONLY and not file.name_cached:
        return NtStatus.FLT_NAME_CACHE_MISS
    file.name_cached = True
    if file.opened is None and _is_opened_by_id(operation):
        return NtStatus.NOT_SUPPORTED
    name = k.flt.file_names.name_of(file, form)
    information = k.flt.file_names.make(file.volume, name, form)
    k.memory.write_u64(out, information.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetFileNameInformationUnsafe", max_irql=Irql.APC)
def flt_get_file_name_information_unsafe(k: "Kernel", file_object: int, instance: int, options: U32, out: int) -> int:
    """FltGetFileNameInformationUnsafe."""
    del instance
    k.memory.write_u64(out, 0)
    file = k.io.file_at(file_object)
    if file is None:
        return NtStatus.INVALID_PARAMETER
    form = options & FORMATS
    if options & METHODS == CACHE_ONLY and not file.name_cached:
        return NtStatus.FLT_NAME_CACHE_MISS
    file.name_cached = True
    information = k.flt.file_names.make(file.volume, k.flt.file_names.name_of(file, form), form)
    k.memory.write_u64(out, information.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltReferenceFileNameInformation", max_irql=Irql.APC)
def flt_reference_file_name_information(k: "Kernel", information: int) -> None:
    """FltReferenceFileNameInformation."""
    k.flt.file_names.reference(k.flt.file_names.at(information))


@export(FLTMGR, "FltReleaseFileNameInformation", max_irql=Irql.APC)
def flt_release_file_name_information(k: "Kernel", information: int) -> None:
    """FltReleaseFileNameInformation."""
    k.flt.file_names.release(k.flt.file_names.at(information))


@export(FLTMGR, "FltParseFileNameInformation", max_irql=Irql.APC)
def flt_parse_file_name_information(k: "Kernel", information: int) -> int:
    """FltParseFileNameInformation: fills in the parts of the name."""
    k.flt.file_names.parse(k.flt.file_names.at(information))
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetDestinationFileNameInformation", max_irql=Irql.PASSIVE)
def flt_get_destination_file_name_information(
    k: "Kernel",
    instance: int,
    file_object: int,
    root: int,
    name_at: int,
    name_length: U32,
    options: U32,
    out: int,
) -> int:
    """FltGetDestinationFileNameInformation: the name a rename or link would make."""
    k.memory.write_u64(out, 0)
    found, file = k.flt.instance_at(instance), k.io.file_at(file_object)
    if file is None:
        return NtStatus.INVALID_PARAMETER
    name = k.memory.read(name_at, name_length).decode("utf-16-le", "surrogatepass")
    if root:
        handle = k.objects.lookup(root)
        above = k.io.file_at(handle.object.address) if handle is not None else None
        if above is None:
            return NtStatus.INVALID_HANDLE
        name = k.flt.file_names.name_of(above, OPENED).rstrip("\\") + "\\" + name
    elif "\\" not in name:
        name = k.flt.file_names.name_of(file, OPENED).rpartition("\\")[0] + "\\" + name
    else:
        elsewhere = k.io.volume_of(name)
        if elsewhere is not None:
            name = elsewhere[1]
    form = options & FORMATS
    if form == NORMALIZED:
        name = spelling(found.volume, name)
    information = k.flt.file_names.make(found.volume, name, form)
    k.memory.write_u64(out, information.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetTunneledName", max_irql=Irql.APC)
def flt_get_tunneled_name(k: "Kernel", data: int, information: int, out: int) -> int:
    """FltGetTunneledName: there is no tunnelling here, so the name that was taken stands."""
    k.flt.operation_at(data)
    k.flt.file_names.at(information)
    k.memory.write_u64(out, 0)
    return NtStatus.SUCCESS
