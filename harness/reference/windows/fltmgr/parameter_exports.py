"""The exports that change callback data, its buffers, and what they say about it."""

from typing import TYPE_CHECKING

from harness.nt import CallbackDataFlags, Irql, NtStatus
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.exports import FLTMGR, export
from harness.reference.machine.memory.layout import is_user
from harness.reference.windows.fltmgr.buffers import buffer_fields, fields_without_mdl
from harness.reference.windows.fltmgr.callback_data import CallbackData
from harness.reference.windows.io.buffer_parameters import TAKES
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.mm.mdl import MDL_PAGES_LOCKED, Mdl, make_mdl, map_pages, unmap_pages

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(FLTMGR, "FltSetCallbackDataDirty", max_irql=Irql.DISPATCH)
def flt_set_callback_data_dirty(k: "Kernel", data: int) -> None:
    """FltSetCallbackDataDirty."""
    CallbackData(k.memory, data).flags |= CallbackDataFlags.DIRTY


@export(FLTMGR, "FltClearCallbackDataDirty", max_irql=Irql.DISPATCH)
def flt_clear_callback_data_dirty(k: "Kernel", data: int) -> None:
    """FltClearCallbackDataDirty."""
    CallbackData(k.memory, data).flags &= ~CallbackDataFlags.DIRTY


@export(FLTMGR, "FltIsCallbackDataDirty", max_irql=Irql.DISPATCH)
def flt_is_callback_data_dirty(k: "Kernel", data: int) -> bool:
    """FltIsCallbackDataDirty."""
    return bool(CallbackData(k.memory, data).flags & CallbackDataFlags.DIRTY)


_READ_ACCESS, _WRITE_ACCESS = 0, 1
"""LOCK_OPERATION."""


@export(FLTMGR, "FltDecodeParameters", max_irql=Irql.DISPATCH)
def flt_decode_parameters(
    k: "Kernel", data: int, mdl_out: int, buffer_out: int, length_out: int, access_out: int
) -> int:
    """FltDecodeParameters: where the buffer parameters are; NULL for an MDL or a length that an operation has not."""
    operation = k.flt.operation_at(data)
    fields = buffer_fields(operation) or fields_without_mdl(operation)
    if fields is None:
        return NtStatus.INVALID_PARAMETER
    buffer, mdl, length = fields
    for out, value in ((mdl_out, mdl), (buffer_out, buffer), (length_out, length)):
        if out:
            k.memory.write_u64(out, value)
    if access_out:
        k.memory.write_u32(access_out, _READ_ACCESS if operation.request.major in TAKES else _WRITE_ACCESS)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltLockUserBuffer", max_irql=Irql.APC)
def flt_lock_user_buffer(k: "Kernel", data: int) -> Code:
    """FltLockUserBuffer: an MDL in the parameters, and the data dirty if it had to be made (BUF-04).

    A system buffer gets one, too. What has no room for an MDL is refused: controls that the I/O manager buffers have
    none either.
    """
    operation = k.flt.operation_at(data)
    fields = buffer_fields(operation)
    if fields is None:
        return int(NtStatus.INVALID_PARAMETER)
    buffer_at, mdl_at, length_at = fields
    if k.memory.read_u64(mdl_at):
        return int(NtStatus.SUCCESS)
    buffer, length = k.memory.read_u64(buffer_at), k.memory.read_u32(length_at)
    if not length:
        return int(NtStatus.SUCCESS)
    try:
        yield from k.io.views.touch(buffer, length)
        mdl = _lock_and_map(k, buffer, length)
    except GuestException as exception:
        return exception.status
    operation.request.completions.append(lambda _: _release(k, mdl))
    k.flt.operation_services.user_buffer_locked(operation, mdl_at, mdl)
    return int(NtStatus.SUCCESS)


def _lock_and_map(k: "Kernel", buffer: int, length: int) -> int:
    """An MDL of a buffer's pages, mapped into system space: it is used in any process, and at DISPATCH_LEVEL."""
    mdl = make_mdl(k, k.io.heap, buffer, length)
    if is_user(buffer):
        Mdl(k.memory, mdl).mdl_flags = MDL_PAGES_LOCKED
        map_pages(k, mdl)
    return mdl


def _release(k: "Kernel", mdl: int) -> None:
    address = Mdl(k.memory, mdl).mapped_system_va
    if Mdl(k.memory, mdl).virtual_address != address:
        unmap_pages(k, address, mdl)
    k.io.heap.free(mdl)


@export(FLTMGR, "FltGetSwappedBufferMdlAddress", max_irql=Irql.DISPATCH)
def flt_get_swapped_buffer_mdl_address(k: "Kernel", data: int) -> int:
    """FltGetSwappedBufferMdlAddress: the MDL this filter put in, in its post-operation callback."""
    operation = k.flt.operation_at(data)
    return operation.post.swapped_mdl if operation.post is not None else 0


@export(FLTMGR, "FltRetainSwappedBufferMdlAddress", max_irql=Irql.DISPATCH)
def flt_retain_swapped_buffer_mdl_address(k: "Kernel", data: int) -> None:
    """FltRetainSwappedBufferMdlAddress: the filter frees that MDL itself."""
    operation = k.flt.operation_at(data)
    if operation.post is not None:
        operation.post.retain_mdl = True
