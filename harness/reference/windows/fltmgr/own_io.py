"""FltReadFile, FltQueryInformationFile and their kin: I/O of a minifilter's own."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U8, U32, Length, export
from harness.reference.windows.fltmgr.callback_data import IO_STATUS
from harness.reference.windows.fltmgr.own_requests import (
    SYNCHRONOUS,
    TransferArguments,
    below,
    buffered,
    check_transfer_irql,
    control,
    own_request,
    parties,
    query,
    query_directory,
    transfer,
)
from harness.reference.windows.io.constants import StackFlags
from harness.reference.windows.io.create import OpenParameters, open_file
from harness.reference.windows.io.object_names import ObjectName
from harness.reference.windows.io.parameters import INFORMATION, SET_INFORMATION
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

# -- read and write


@export(FLTMGR, "FltReadFile", max_irql=Irql.APC)
def flt_read_file(
    k: "Kernel",
    asked: TransferArguments,
) -> Code:
    """FltReadFile: synchronous without a callback, whatever the file object (IO-04)."""
    check_transfer_irql(k, "FltReadFile", asked.flags)
    return transfer(k.flt, IrpMajor.READ, asked)


@export(FLTMGR, "FltWriteFile", max_irql=Irql.APC)
def flt_write_file(
    k: "Kernel",
    asked: TransferArguments,
) -> Code:
    """FltWriteFile."""
    check_transfer_irql(k, "FltWriteFile", asked.flags)
    return transfer(k.flt, IrpMajor.WRITE, asked)


@export(FLTMGR, "FltFlushBuffers", max_irql=Irql.PASSIVE)
def flt_flush_buffers(k: "Kernel", instance: int, file_object: int) -> Code:
    """FltFlushBuffers."""
    pair = parties(k.flt, instance, file_object)
    if pair is None:
        return int(NtStatus.INVALID_PARAMETER)
    found, file = pair
    request = own_request(k.flt, IrpMajor.FLUSH_BUFFERS, file, b"", irp_flags=SYNCHRONOUS)
    return (yield from k.io.issue(request, below(k.flt, found)))


# -- information, directories, control


@export(FLTMGR, "FltQueryInformationFile", max_irql=Irql.PASSIVE)
def flt_query_information_file(
    k: "Kernel", instance: int, file_object: int, out: int, length: Length, kind: U32, returned: int
) -> Code:
    """FltQueryInformationFile."""
    return (yield from query(k.flt, IrpMajor.QUERY_INFORMATION, instance, file_object, out, length, kind, returned))


@export(FLTMGR, "FltQueryVolumeInformationFile", max_irql=Irql.PASSIVE)
def flt_query_volume_information_file(
    k: "Kernel", instance: int, file_object: int, out: int, length: Length, kind: U32, returned: int
) -> Code:
    """FltQueryVolumeInformationFile."""
    return (
        yield from query(k.flt, IrpMajor.QUERY_VOLUME_INFORMATION, instance, file_object, out, length, kind, returned)
    )


@export(FLTMGR, "FltQueryVolumeInformation", max_irql=Irql.PASSIVE)
def flt_query_volume_information(k: "Kernel", instance: int, iosb: int, out: int, length: Length, kind: U32) -> Code:
    """FltQueryVolumeInformation: by a handle to the volume, opened below the caller."""
    found = k.flt.instance_at(instance)
    options = OpenParameters(access=0x0010_0080, options=0x20)
    status, _, file = yield from open_file(k.io, ObjectName(found.volume.device_name), options, below(k.flt, found))
    if file is None:
        return status
    packed = INFORMATION.pack(length, kind, out)
    request = own_request(k.flt, IrpMajor.QUERY_VOLUME_INFORMATION, file, packed, irp_flags=SYNCHRONOUS)
    yield from buffered(k.flt, found, file, request)
    yield from k.io.cleanup(file)
    yield from k.objects.release(file.object)
    k.memory.write(iosb, IO_STATUS.pack(request.status, request.information))
    return request.status


@export(FLTMGR, "FltSetInformationFile", max_irql=Irql.PASSIVE)
def flt_set_information_file(
    k: "Kernel", instance: int, file_object: int, source: int, length: Length, kind: U32
) -> Code:
    """FltSetInformationFile."""
    pair = parties(k.flt, instance, file_object)
    if pair is None:
        return int(NtStatus.INVALID_PARAMETER)
    packed = SET_INFORMATION.pack(length, kind, 0, 0, source)
    request = own_request(k.flt, IrpMajor.SET_INFORMATION, pair[1], packed, irp_flags=SYNCHRONOUS)
    yield from buffered(k.flt, *pair, request)
    return request.status


@export(FLTMGR, "FltQueryDirectoryFile", max_irql=Irql.PASSIVE)
def flt_query_directory_file(
    k: "Kernel",
    instance: int,
    file_object: int,
    out: int,
    length: Length,
    kind: U32,
    single: U8,
    pattern: int,
    restart: U8,
    returned: int,
) -> Code:
    """FltQueryDirectoryFile."""
    flags = StackFlags.of_scan(restart, single)
    return query_directory(k.flt, instance, file_object, out, length, kind, flags, pattern, returned)


def _export_control(name: str, major: IrpMajor) -> Callable[..., Code]:
    @export(FLTMGR, name, max_irql=Irql.PASSIVE)
    def export_control(
        k: "Kernel",
        instance: int,
        file_object: int,
        code: U32,
        source: int,
        source_length: Length,
        target: int,
        target_length: Length,
        returned: int,
    ) -> Code:
        return control(
            k.flt, major, instance, file_object, code, source, source_length, target, target_length, returned
        )

    return export_control


flt_fs_control_file = _export_control("FltFsControlFile", IrpMajor.FILE_SYSTEM_CONTROL)
flt_device_io_control_file = _export_control("FltDeviceIoControlFile", IrpMajor.DEVICE_CONTROL)
