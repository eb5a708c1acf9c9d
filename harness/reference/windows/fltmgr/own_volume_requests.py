"""A minifilter's own requests to its volume: opening it, its information, its system folder, files by name."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, Length, export
from harness.reference.windows.fltmgr.callback_data import IO_STATUS
from harness.reference.windows.fltmgr.own_requests import SYNCHRONOUS, below, buffered, own_request
from harness.reference.windows.io.create import OpenParameters, make_handle, open_file
from harness.reference.windows.io.object_names import ObjectName, name_of
from harness.reference.windows.io.parameters import INFORMATION
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.kernel import Kernel

_VOLUME_ACCESS, _SYNCHRONOUS_OPTION = 0x0010_0080, 0x20
_OPEN_REPARSE_POINT = 0x0020_0000
_INVALID_DEVICE_OBJECT_PARAMETER = 0xC0000369
_HIDDEN_SYSTEM, _OPEN_IF, _DIRECTORY = 0x6, 3, 0x1


def _close(k: "Kernel", file: "FileObject") -> Code:
    yield from k.io.cleanup(file)
    yield from k.objects.release(file.object)


@export(FLTMGR, "FltOpenVolume", max_irql=Irql.PASSIVE)
def flt_open_volume(k: "Kernel", instance: int, handle_out: int, object_out: int) -> Code:
    """FltOpenVolume: a handle, and a reference to the file object if it is asked for; below the instance."""
    found = k.flt.instance_at(instance)
    options = OpenParameters(access=0x0010_0003, options=_SYNCHRONOUS_OPTION)
    status, _, file = yield from open_file(k.io, ObjectName(found.volume.device_name), options, below(k.flt, found))
    if file is None:
        return status
    if object_out:
        k.objects.take(file.object)
        k.memory.write_u64(object_out, file.address)
    k.memory.write_u64(handle_out, make_handle(k.io, file, kernel=True, access=file.access))
    return status


@export(FLTMGR, "FltSetVolumeInformation", max_irql=Irql.PASSIVE)
def flt_set_volume_information(k: "Kernel", instance: int, iosb: int, source: int, length: Length, kind: U32) -> Code:
    """FltSetVolumeInformation: by a handle to the volume, opened below the caller."""
    found = k.flt.instance_at(instance)
    options = OpenParameters(access=_VOLUME_ACCESS | 0x2, options=_SYNCHRONOUS_OPTION)
    status, _, file = yield from open_file(k.io, ObjectName(found.volume.device_name), options, below(k.flt, found))
    if file is None:
        return status
    packed = INFORMATION.pack(length, kind, source)
    request = own_request(k.flt, IrpMajor.SET_VOLUME_INFORMATION, file, packed, irp_flags=SYNCHRONOUS)
    yield from buffered(k.flt, found, file, request)
    yield from _close(k, file)
    k.memory.write(iosb, IO_STATUS.pack(request.status, request.information))
    return request.status


@export(FLTMGR, "FltQueryInformationByName", max_irql=Irql.PASSIVE)
def flt_query_information_by_name(
    k: "Kernel",
    filter_: int,
    instance: int,
    attributes: int,
    iosb: int,
    out: int,
    length: Length,
    kind: U32,
    context: int,
) -> Code:
    """FltQueryInformationByName: of a reparse point itself; the file is opened and closed below the instance."""
    del context
    k.flt.filter_at(filter_)
    found = k.flt.instance_at(instance)
    options = OpenParameters(access=_VOLUME_ACCESS, options=_OPEN_REPARSE_POINT | _SYNCHRONOUS_OPTION)
    try:
        name = name_of(k, attributes)
    except StatusError as error:
        return int(error.status)
    status, _, file = yield from open_file(k.io, name, options, below(k.flt, found))
    if file is None:
        return status
    packed = INFORMATION.pack(length, kind, out)
    request = own_request(k.flt, IrpMajor.QUERY_INFORMATION, file, packed, irp_flags=SYNCHRONOUS)
    yield from buffered(k.flt, found, file, request)
    yield from _close(k, file)
    k.memory.write(iosb, IO_STATUS.pack(request.status, request.information))
    return request.status


@export(FLTMGR, "FltCreateSystemVolumeInformationFolder", max_irql=Irql.PASSIVE)
def flt_create_system_volume_information_folder(k: "Kernel", instance: int) -> Code:
    r"""FltCreateSystemVolumeInformationFolder: \System Volume Information, hidden, unless it is there."""
    found = k.flt.instance_at(instance)
    options = OpenParameters(
        access=_VOLUME_ACCESS,
        disposition=_OPEN_IF,
        options=_DIRECTORY | _SYNCHRONOUS_OPTION,
        attributes=_HIDDEN_SYSTEM,
    )
    name = ObjectName(found.volume.device_name + "\\System Volume Information")
    status, _, file = yield from open_file(k.io, name, options, below(k.flt, found))
    if file is not None:
        yield from _close(k, file)
    return status


@export(FLTMGR, "FltCreateNamedPipeFile", "FltCreateMailslotFile", max_irql=Irql.PASSIVE)
def flt_create_named_pipe_file(k: "Kernel", filter_: int, instance: int) -> int:
    """FltCreateNamedPipeFile and -MailslotFile: for instances on the volumes of those file systems; none is here."""
    k.flt.filter_at(filter_)
    k.flt.instance_at(instance)
    return _INVALID_DEVICE_OBJECT_PARAMETER


@export(FLTMGR, "FltFastIoMdlRead", "FltFastIoPrepareMdlWrite", max_irql=Irql.APC)
def flt_fast_io_mdl(
    k: "Kernel", instance: int, file_object: int, offset: int, length: U32, key: U32, chain: int, iosb: int
) -> bool:
    """FltFastIoMdlRead and -PrepareMdlWrite: no file system here has MDLs of its cache to give, which is FALSE."""
    del file_object, offset, length, key
    k.flt.instance_at(instance)
    k.memory.write_u64(chain, 0)
    k.memory.write(iosb, IO_STATUS.pack(int(NtStatus.INVALID_DEVICE_REQUEST), 0))
    return False


@export(FLTMGR, "FltFastIoMdlReadComplete", max_irql=Irql.APC)
def flt_fast_io_mdl_read_complete(k: "Kernel", instance: int, file_object: int, chain: int) -> bool:
    """FltFastIoMdlReadComplete: there is no such chain."""
    del file_object, chain
    k.flt.instance_at(instance)
    return False


@export(FLTMGR, "FltFastIoMdlWriteComplete", max_irql=Irql.APC)
def flt_fast_io_mdl_write_complete(k: "Kernel", instance: int, file_object: int, offset: int, chain: int) -> bool:
    """FltFastIoMdlWriteComplete: there is no such chain."""
    del file_object, offset, chain
    k.flt.instance_at(instance)
    return False
