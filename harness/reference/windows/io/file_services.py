"""NtCreateFile, NtOpenFile and NtDeleteFile."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import U32
from harness.reference.windows.io.captured import read_descriptor
from harness.reference.windows.io.create import CreateArguments, OpenParameters, make_handle, open_file
from harness.reference.windows.io.object_names import ObjectName, name_of
from harness.reference.windows.io.request import Code
from harness.reference.windows.io.system_services import service
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, IoStatusBlock, ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_NOT_THERE = (NtStatus.OBJECT_NAME_NOT_FOUND, NtStatus.OBJECT_PATH_NOT_FOUND)
_DELETE, _SHARE_ALL, _DELETE_ON_CLOSE = 0x0001_0000, 7, 0x1000


@service("CreateFile")
def create_file(
    k: "Kernel",
    mode: int,
    handle_out: int,
    create: CreateArguments,
) -> Code:
    """NtCreateFile."""
    name = name_of(k, create.attributes)
    view = ObjectAttributes(k.memory, create.attributes)
    parameters = OpenParameters(
        access=create.access,
        share=create.share,
        disposition=create.disposition,
        options=create.options,
        attributes=create.file_attributes,
        allocation=k.memory.read_i64(create.allocation_at) if create.allocation_at else 0,
        mode=mode,
        eas=(yield from k.io.views.read(create.ea, create.ea_length)) if create.ea and create.ea_length else b"",
        descriptor=read_descriptor(k.memory, view.security_descriptor),
        object_attributes=view.attributes,
    )
    kernel_handle = mode == 0 and bool(view.attributes & OBJ_KERNEL_HANDLE)
    return (yield from _open(k, name, parameters, handle_out, create.iosb, kernel=kernel_handle))


@service("OpenFile")
def open_file_service(
    k: "Kernel", mode: int, handle_out: int, access: U32, attributes: int, iosb: int, share: U32, options: U32
) -> Code:
    """NtOpenFile."""
    name = name_of(k, attributes)
    flags = ObjectAttributes(k.memory, attributes).attributes
    parameters = OpenParameters(
        access=access, share=share, disposition=1, options=options, mode=mode, object_attributes=flags
    )
    kernel_handle = mode == 0 and bool(flags & OBJ_KERNEL_HANDLE)
    return (yield from _open(k, name, parameters, handle_out, iosb, kernel=kernel_handle))


def _open(
    k: "Kernel", name: ObjectName, parameters: OpenParameters, handle_out: int, iosb: int, *, kernel: bool
) -> Code:
    status, information, file = yield from open_file(k.io, name, parameters)
    if status in _NOT_THERE and not parameters.mode:
        k.io.missed_file = name.path
    if file is not None:
        k.memory.write_u64(handle_out, make_handle(k.io, file, kernel=kernel, access=file.access))
        block = IoStatusBlock(k.memory, iosb)
        block.status, block.information = status, information
    return status


@service("DeleteFile")
def delete_file(k: "Kernel", mode: int, attributes: int) -> Code:
    """NtDeleteFile: an open that deletes on close, and its close."""
    parameters = OpenParameters(access=_DELETE, share=_SHARE_ALL, options=_DELETE_ON_CLOSE, mode=mode)
    status, _, file = yield from open_file(k.io, name_of(k, attributes), parameters)
    if file is not None:
        yield from k.io.cleanup(file)
        yield from k.objects.release(file.object)
    return status
