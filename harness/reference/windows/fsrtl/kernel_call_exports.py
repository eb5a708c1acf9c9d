"""Requests to a file's own stack that only the kernel can make: their minor function is IRP_MN_KERNEL_CALL.

"Kernel Extended Attributes" of the driver documentation says what they are for.
"""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus, OperationClass
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, Length, export
from harness.reference.windows.io.constants import KERNEL_MODE, IrpFlags, Minor, StackFlags
from harness.reference.windows.io.control_requests import send_control
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.parameters import QUERY_EA, SET_EA, Control
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.system_services import Caller
from harness.reference.windows.ntos.structures import IoStatusBlock

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "FsRtlKernelFsControlFile", max_irql=Irql.PASSIVE)
def fs_rtl_kernel_fs_control_file(
    k: "Kernel",
    file_object: int,
    code: U32,
    source: int,
    source_length: Length,
    target: int,
    target_length: Length,
    returned: int,
) -> Code:
    """FsRtlKernelFsControlFile: from the top of the file's stack, and waited for; how long the output is."""
    file = k.io.file_at(file_object)
    if file is None:
        return int(NtStatus.INVALID_PARAMETER)
    iosb = k.io.heap.allocate(IoStatusBlock.SIZE)
    control = Control(target_length, source_length, code, source, target, 0)
    status: int = yield from send_control(
        Caller(k, KERNEL_MODE, None, iosb),
        file,
        IrpMajor.FILE_SYSTEM_CONTROL,
        control,
        minor=int(Minor.KERNEL_CALL),
        synchronous=True,
    )
    if returned:
        k.memory.write_u32(returned, IoStatusBlock(k.memory, iosb).information)
    k.io.heap.free(iosb)
    return status


def _request(k: "Kernel", file: FileObject, major: IrpMajor, parameters: bytes, operation_flags: int = 0) -> Request:
    return Request(
        OperationClass.IRP,
        major,
        file,
        k.current,
        parameters=parameters,
        minor=int(Minor.KERNEL_CALL),
        irp_flags=int(IrpFlags.SYNCHRONOUS_API),
        operation_flags=operation_flags,
        mode=KERNEL_MODE,
    )


@export(NTOSKRNL, "FsRtlQueryKernelEaFile", max_irql=Irql.PASSIVE)
def fs_rtl_query_kernel_ea_file(
    k: "Kernel",
    file_object: int,
    out: int,
    length: Length,
    single: U8,
    names: int,
    names_length: Length,
    index_at: int,
    restart: U8,
    returned: int,
) -> Code:
    """FsRtlQueryKernelEaFile: as ZwQueryEaFile, of a file object and with the kernel's own attributes."""
    file = k.io.file_at(file_object)
    if file is None:
        return int(NtStatus.INVALID_PARAMETER)
    index = k.memory.read_u32(index_at) if index_at else 0
    packed = QUERY_EA.pack(length, names, names_length, index, out, 0)
    request = _request(k, file, IrpMajor.QUERY_EA, packed, StackFlags.of_scan(restart, single, index_at))
    yield from k.io.issue(request)
    if returned:
        k.memory.write_u32(returned, request.information)
    return request.status


@export(NTOSKRNL, "FsRtlSetKernelEaFile", max_irql=Irql.PASSIVE)
def fs_rtl_set_kernel_ea_file(k: "Kernel", file_object: int, source: int, length: Length) -> Code:
    """FsRtlSetKernelEaFile: the way to set attributes whose names begin with $Kernel."""
    file = k.io.file_at(file_object)
    if file is None:
        return int(NtStatus.INVALID_PARAMETER)
    request = _request(k, file, IrpMajor.SET_EA, SET_EA.pack(length, source, 0))
    yield from k.io.issue(request)
    return request.status
