"""FltCreateFile and its kin: files that a minifilter opens below itself."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.fltmgr.callback_data import IO_STATUS
from harness.reference.windows.io.create import OpenParameters, make_handle, open_file
from harness.reference.windows.io.object_names import name_of
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.refusals import VolumeError

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


# -- create and close


def _create(
    k: "Kernel",
    filter_: int,
    instance: int,
    handle_out: int,
    object_out: int,
    access: int,
    attributes: int,
    iosb: int,
    allocation_at: int,
    file_attributes: int,
    share: int,
    disposition: int,
    options: int,
    ea: int,
    ea_length: int,
    flags: int,
    context: int = 0,
) -> Code:
    """FltCreateFile and FltCreateFileEx: below an instance, or from the top of the stack (IO-03)."""
    k.flt.filter_at(filter_)
    send = partial(k.flt.frames.send_below, k.flt.instance_at(instance)) if instance else None
    parameters = OpenParameters.of_driver(
        k.memory, access, attributes, allocation_at, file_attributes, share, disposition, options, ea, ea_length, flags,
        context,
    )  # fmt: skip
    try:
        name = name_of(k, attributes)
    except VolumeError as error:
        return int(error.status)
    status, information, file = yield from open_file(k, name, parameters, send)
    k.memory.write(iosb, IO_STATUS.pack(status, information))
    if object_out:
        k.memory.write_u64(object_out, 0)
    if file is None:
        return status
    if object_out:
        k.objects.reference(file.object)
        k.memory.write_u64(object_out, file.address)
    k.memory.write_u64(handle_out, make_handle(k, file, kernel=True, access=file.access))
    return status


@export(FLTMGR, "FltCreateFile", max_irql=Irql.PASSIVE)
def flt_create_file(
    k: "Kernel",
    filter_: int,
    instance: int,
    handle_out: int,
    access: U32,
    attributes: int,
    iosb: int,
    allocation_at: int,
    file_attributes: U32,
    share: U32,
    disposition: U32,
    options: U32,
    ea: int,
    ea_length: U32,
    flags: U32,
) -> Code:
    """FltCreateFile."""
    return _create(
        k, filter_, instance, handle_out, 0, access, attributes, iosb, allocation_at, file_attributes, share,
        disposition, options, ea, ea_length, flags,
    )  # fmt: skip


@export(FLTMGR, "FltCreateFileEx", max_irql=Irql.PASSIVE)
def flt_create_file_ex(
    k: "Kernel",
    filter_: int,
    instance: int,
    handle_out: int,
    object_out: int,
    access: U32,
    attributes: int,
    iosb: int,
    allocation_at: int,
    file_attributes: U32,
    share: U32,
    disposition: U32,
    options: U32,
    ea: int,
    ea_length: U32,
    flags: U32,
) -> Code:
    """FltCreateFileEx."""
    return _create(
        k, filter_, instance, handle_out, object_out, access, attributes, iosb, allocation_at, file_attributes, share,
        disposition, options, ea, ea_length, flags,
    )  # fmt: skip


@export(FLTMGR, "FltCreateFileEx2", max_irql=Irql.PASSIVE)
def flt_create_file_ex2(
    k: "Kernel",
    filter_: int,
    instance: int,
    handle_out: int,
    object_out: int,
    access: U32,
    attributes: int,
    iosb: int,
    allocation_at: int,
    file_attributes: U32,
    share: U32,
    disposition: U32,
    options: U32,
    ea: int,
    ea_length: U32,
    flags: U32,
    context: int,
) -> Code:
    """FltCreateFileEx2: of the driver create context the extra create parameters are used."""
    return _create(
        k, filter_, instance, handle_out, object_out, access, attributes, iosb, allocation_at, file_attributes, share,
        disposition, options, ea, ea_length, flags, context,
    )  # fmt: skip


@export(FLTMGR, "FltClose", max_irql=Irql.PASSIVE)
def flt_close(k: "Kernel", handle: int) -> Code:
    """FltClose."""
    closed = yield from k.objects.close_handle(handle)
    return int(NtStatus.SUCCESS if closed else NtStatus.INVALID_HANDLE)
