"""The exports for file names: FltGetFileNameInformation and its kin."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus, nt_success
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.fltmgr.file_names import FORMATS, FROM_CURRENT_PROVIDER, NORMALIZED, OPENED, are_options
from harness.reference.windows.fltmgr.name_providers import DESTINATION
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.io.constants import CreateOption
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.kernel import Kernel


def _is_opened_by_id(operation: Operation) -> bool:
    request = operation.request
    options = int.from_bytes(request.parameters[8:12], "little")
    return request.major == IrpMajor.CREATE and bool(options & CreateOption.OPEN_BY_FILE_ID)


@export(FLTMGR, "FltGetFileNameInformation", max_irql=Irql.APC)
def flt_get_file_name_information(k: "Kernel", data: int, options: U32, out: int) -> Code:
    """FltGetFileNameInformation."""
    k.memory.write_u64(out, 0)
    operation = k.flt.operation_at(data)
    refusal = k.flt.file_names.refusal(operation, options)
    if refusal:
        return int(refusal)
    if k.scarcity.strikes(k.blame.current().driver):
        return int(NtStatus.INSUFFICIENT_RESOURCES)
    file = operation.request.file
    assert file is not None
    names = k.flt.file_names
    by_id = _is_opened_by_id(operation)
    return (
        yield from _tell(k, file, names.query(file, names.asking(operation), data, options, by_id=by_id), options, out)
    )


def _tell(k: "Kernel", file: "FileObject", query: Code, options: int, out: int) -> Code:
    """Make the FLT_FILE_NAME_INFORMATION of a name that is being asked for; NTSTATUS."""
    status, name = yield from query
    if nt_success(status):
        information = k.flt.file_names.make(file.volume, name, options & FORMATS)
        k.memory.write_u64(out, information.address)
        return int(NtStatus.SUCCESS)
    return int(status)


@export(FLTMGR, "FltGetFileNameInformationUnsafe", max_irql=Irql.APC)
def flt_get_file_name_information_unsafe(k: "Kernel", file_object: int, instance: int, options: U32, out: int) -> Code:
    """FltGetFileNameInformationUnsafe: as the filters below the instance call the file, or all filters without one."""
    k.memory.write_u64(out, 0)
    file = k.io.file_at(file_object)
    if file is None or not are_options(options):
        return int(NtStatus.INVALID_PARAMETER)
    asking = k.flt.instance_at(instance) if instance else None
    return (yield from _tell(k, file, k.flt.file_names.query(file, asking, 0, options, by_id=False), options, out))


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
) -> Code:
    """FltGetDestinationFileNameInformation: the name a rename or link would make, as the filters below call it."""
    k.memory.write_u64(out, 0)
    found, file = k.flt.instance_at(instance), k.io.file_at(file_object)
    if file is None or not are_options(options):
        return int(NtStatus.INVALID_PARAMETER)
    name = k.memory.read(name_at, name_length).decode("utf-16-le", "surrogatepass")
    above: FileObject | None = None
    if root:
        handle = k.objects.lookup(root)
        above = k.io.file_at(handle.object.address) if handle is not None else None
        if above is None:
            return int(NtStatus.INVALID_HANDLE)
    return (yield from _tell(k, file, _destination(k, found, file, above, name, options), options, out))


def _destination(
    k: "Kernel", found: "Instance", file: "FileObject", above: "FileObject | None", name: str, options: int
) -> Code:
    """The whole name that a file would get; (NTSTATUS, name)."""
    names, form = k.flt.file_names, options & FORMATS
    provider = names.providers.below(found.on, found, current=bool(options & FROM_CURRENT_PROVIDER))
    if above is not None or not name.startswith("\\"):
        status, base = yield from names.query(above or file, found, 0, options & ~FORMATS | OPENED, by_id=False)
        if not nt_success(status):
            return status, ""
        if name.startswith(":"):  # the file itself gets a stream, or another name for one
            directory, _, final = base.rpartition("\\")
            name = directory + "\\" + final.partition(":")[0] + name
        else:
            name = (base if above is not None else base.rpartition("\\")[0]).rstrip("\\") + "\\" + name
    else:
        elsewhere = k.io.volume_of(name)
        name = found.volume.device_name + (elsewhere[1] if elsewhere is not None else name)
    if form != NORMALIZED:
        return int(NtStatus.SUCCESS), name
    return (yield from names.normalize(provider, file, name, DESTINATION))


@export(FLTMGR, "FltGetTunneledName", max_irql=Irql.APC)
def flt_get_tunneled_name(k: "Kernel", data: int, information: int, out: int) -> int:
    """FltGetTunneledName: there is no tunnelling here, so the name that was taken stands."""
    k.flt.operation_at(data)
    k.flt.file_names.at(information)
    k.memory.write_u64(out, 0)
    return NtStatus.SUCCESS
