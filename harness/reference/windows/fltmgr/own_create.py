"""FltCreateFile and its kin: files that a minifilter opens below itself."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.fltmgr.callback_data import IO_STATUS
from harness.reference.windows.io.create import CreateArguments, OpenParameters, make_handle, open_file
from harness.reference.windows.io.object_names import name_of
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


# -- create and close


def _create(
    k: "Kernel",
    filter_: int,
    instance: int,
    handle_out: int,
    object_out: int,
    create: CreateArguments,
    flags: int,
    context: int = 0,
) -> Code:
    """FltCreateFile and FltCreateFileEx: below an instance, or from the top of the stack (IO-03).

    Without OBJ_KERNEL_HANDLE the handle is one of the process in which it is called, to be closed there.
    """
    k.flt.filter_at(filter_)
    send = partial(k.flt.frames.send_below, k.flt.instance_at(instance)) if instance else None
    parameters = OpenParameters.of_driver(k.memory, create, flags, context)
    try:
        name = name_of(k, create.attributes)
    except StatusError as error:
        return int(error.status)
    status, information, file = yield from open_file(k.io, name, parameters, send)
    k.memory.write(create.iosb, IO_STATUS.pack(status, information))
    if object_out:
        k.memory.write_u64(object_out, 0)
    if file is None:
        return status
    if object_out:
        k.objects.take(file.object)
        k.memory.write_u64(object_out, file.address)
    kernel = bool(ObjectAttributes(k.memory, create.attributes).attributes & OBJ_KERNEL_HANDLE)
    handle = make_handle(k.io, file, kernel=kernel or k.current.process is k.processes.system, access=file.access)
    k.objects.owe(handle)
    k.memory.write_u64(handle_out, handle)
    return status


@export(FLTMGR, "FltCreateFile", max_irql=Irql.PASSIVE)
def flt_create_file(
    k: "Kernel",
    filter_: int,
    instance: int,
    handle_out: int,
    create: CreateArguments,
    flags: U32,
) -> Code:
    """FltCreateFile."""
    return _create(k, filter_, instance, handle_out, 0, create, flags)


@export(FLTMGR, "FltCreateFileEx", max_irql=Irql.PASSIVE)
def flt_create_file_ex(
    k: "Kernel",
    filter_: int,
    instance: int,
    handle_out: int,
    object_out: int,
    create: CreateArguments,
    flags: U32,
) -> Code:
    """FltCreateFileEx."""
    return _create(k, filter_, instance, handle_out, object_out, create, flags)


@export(FLTMGR, "FltCreateFileEx2", max_irql=Irql.PASSIVE)
def flt_create_file_ex2(
    k: "Kernel",
    filter_: int,
    instance: int,
    handle_out: int,
    object_out: int,
    create: CreateArguments,
    flags: U32,
    context: int,
) -> Code:
    """FltCreateFileEx2: of the driver create context the extra create parameters are used."""
    return _create(k, filter_, instance, handle_out, object_out, create, flags, context)


@export(FLTMGR, "FltClose", max_irql=Irql.PASSIVE)
def flt_close(k: "Kernel", handle: int) -> Code:
    """FltClose."""
    closed = yield from k.objects.close_handle(handle)
    return int(NtStatus.SUCCESS if closed else NtStatus.INVALID_HANDLE)
