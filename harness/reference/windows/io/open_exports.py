"""Opening and asking files, as drivers do by pointer: IoCreateFile, IoQueryFileInformation, generic rights."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, Length, LengthOfNext, export
from harness.reference.windows.io.blocks import give_block
from harness.reference.windows.io.create import CreateArguments, OpenParameters, make_handle, open_file
from harness.reference.windows.io.file_queries import query
from harness.reference.windows.io.information_rules import check_query
from harness.reference.windows.io.object_names import name_of
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, IoStatusBlock, ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_DEVICE_HINT = 16
"""Offset of DeviceObjectHint in IO_DRIVER_CREATE_CONTEXT."""
_OPEN_REPARSE_POINT, _SYNCHRONOUS, _READ_ATTRIBUTES = 0x0020_0000, 0x20, 0x0010_0080


def _create(
    k: "Kernel",
    handle_out: int,
    create: CreateArguments,
    kind: int,
    flags: int,
    device: int = 0,
    context: int = 0,
) -> Code:
    view = ObjectAttributes(k.memory, create.attributes)
    if kind:  # CreateFileTypeNone: there are no named pipes and mailslots here
        return int(NtStatus.NOT_SUPPORTED)
    parameters = OpenParameters.of_driver(k.memory, create, flags, context)
    try:
        name = name_of(k, create.attributes)
    except StatusError as error:
        return int(error.status)
    send = partial(k.io.send_to, device) if device else None
    status, information, file = yield from open_file(k.io, name, parameters, send)
    block = IoStatusBlock(k.memory, create.iosb)
    block.status, block.information = status, information
    if file is not None:
        kernel = bool(view.attributes & OBJ_KERNEL_HANDLE)
        k.memory.write_u64(handle_out, make_handle(k.io, file, kernel=kernel, access=file.access))
    return status


@export(NTOSKRNL, "IoCreateFile", max_irql=Irql.PASSIVE)
def io_create_file(
    k: "Kernel",
    handle_out: int,
    create: CreateArguments,
    kind: U32,
    extra: int,
    flags: U32,
) -> Code:
    """Of CreateFileTypeNone: there are no named pipes and mailslots here."""
    del extra
    return _create(k, handle_out, create, kind, flags)


@export(NTOSKRNL, "IoCreateFileEx", max_irql=Irql.PASSIVE)
def io_create_file_ex(
    k: "Kernel",
    handle_out: int,
    create: CreateArguments,
    kind: U32,
    extra: int,
    flags: U32,
    context: int,
) -> Code:
    """With a driver create context: extra create parameters, and the device that the create begins at."""
    del extra
    device = k.memory.read_u64(context + _DEVICE_HINT) if context else 0
    return _create(k, handle_out, create, kind, flags, device, context)


@export(NTOSKRNL, "IoCreateFileSpecifyDeviceObjectHint", max_irql=Irql.PASSIVE)
def io_create_file_specify_device_object_hint(
    k: "Kernel",
    handle_out: int,
    create: CreateArguments,
    kind: U32,
    extra: int,
    flags: U32,
    device: int,
) -> Code:
    """The create goes to the device and what is below it."""
    del extra
    return _create(k, handle_out, create, kind, flags, device)


@export(NTOSKRNL, "IoQueryFileInformation", max_irql=Irql.PASSIVE)
def io_query_file_information(k: "Kernel", file: int, kind: U32, length: LengthOfNext, out: int, returned: int) -> Code:
    """From the top of the file's device stack."""
    return query(k, IrpMajor.QUERY_INFORMATION, file, kind, length, out, returned)


@export(NTOSKRNL, "FsRtlQueryInformationFile", max_irql=Irql.PASSIVE)
def fsrtl_query_information_file(k: "Kernel", file: int, out: int, length: Length, kind: U32, returned: int) -> Code:
    """The same."""
    return query(k, IrpMajor.QUERY_INFORMATION, file, kind, length, out, returned)


@export(NTOSKRNL, "IoQueryInformationByName", max_irql=Irql.PASSIVE)
def io_query_information_by_name(
    k: "Kernel", attributes: int, iosb: int, out: int, length: Length, kind: U32, options: U32, context: int
) -> Code:
    """Opens the file, asks, and closes it; of the options only FILE_OPEN_REPARSE_POINT means anything."""
    if options & ~_OPEN_REPARSE_POINT:
        return int(NtStatus.INVALID_PARAMETER)
    device = k.memory.read_u64(context + _DEVICE_HINT) if context else 0
    try:
        check_query(kind, length)
        name = name_of(k, attributes)
    except StatusError as error:
        return int(error.status)
    parameters = OpenParameters(access=_READ_ATTRIBUTES, options=options | _SYNCHRONOUS)
    send = partial(k.io.send_to, device) if device else None
    status, _, file = yield from open_file(k.io, name, parameters, send)
    if file is not None:
        block = IoStatusBlock(k.memory, iosb)
        block.information = 0
        status = yield from query(
            k, IrpMajor.QUERY_INFORMATION, file.address, kind, length, out, block.address_of(IoStatusBlock.information)
        )
        yield from k.io.cleanup(file)
        yield from k.objects.release(file.object)
        block.status = status
    return status


@export(NTOSKRNL, "IoQueryVolumeInformation", max_irql=Irql.PASSIVE)
def io_query_volume_information(
    k: "Kernel", file: int, kind: U32, length: LengthOfNext, out: int, returned: int
) -> Code:
    return query(k, IrpMajor.QUERY_VOLUME_INFORMATION, file, kind, length, out, returned)


@export(NTOSKRNL, "IoQueryFileDosDeviceName", max_irql=Irql.PASSIVE)
def io_query_file_dos_device_name(k: "Kernel", address: int, out: int) -> int:
    r"""V:\dir\file, in a block that the caller frees."""
    file = k.io.file_at(address)
    if file is None:
        return int(NtStatus.INVALID_PARAMETER)
    data = (file.volume.dos_name + file.name).encode("utf-16-le")
    block = give_block(k, bytes(16) + data + b"\0\0", "IoDn")
    k.memory.write_unicode_string(block, block + 16, len(data), len(data) + 2)
    k.memory.write_u64(out, block)
    return 0


@export(NTOSKRNL, "IoGetFileObjectGenericMapping")
def io_get_file_object_generic_mapping(k: "Kernel") -> int:
    """FILE_GENERIC_READ, -WRITE, -EXECUTE, FILE_ALL_ACCESS."""
    if not k.file_mapping:
        k.file_mapping = k.heap.allocate(16)
        words = (0x12_0089, 0x12_0116, 0x12_00A0, 0x1F_01FF)
        k.memory.write(k.file_mapping, b"".join(word.to_bytes(4, "little") for word in words))
    return k.file_mapping


@export(NTOSKRNL, "IoCheckDesiredAccess", max_irql=Irql.PASSIVE)
def io_check_desired_access(k: "Kernel", desired: int, granted: U32) -> int:
    """The generic rights that are wanted become a file's; ACCESS_DENIED if any is not granted."""
    wanted = k.memory.read_u32(desired)
    for bit, specific in zip((31, 30, 29, 28), (0x12_0089, 0x12_0116, 0x12_00A0, 0x1F_01FF), strict=True):
        if wanted >> bit & 1:
            wanted = wanted & ~(1 << bit) | specific
    k.memory.write_u32(desired, wanted)
    return int(NtStatus.ACCESS_DENIED) if wanted & ~granted else 0


@export(NTOSKRNL, "IoCheckEaBufferValidity", max_irql=Irql.PASSIVE)
def io_check_ea_buffer_validity(k: "Kernel", buffer: int, length: Length, wrong_at: int) -> int:
    """Whether a list of FILE_FULL_EA_INFORMATION holds together; the offset of what does not."""
    at = 0
    while True:
        if at + 8 > length:
            break
        following, _, name, value = (
            k.memory.read_u32(buffer + at),
            k.memory.read_u8(buffer + at + 4),
            k.memory.read_u8(buffer + at + 5),
            k.memory.read_u16(buffer + at + 6),
        )
        size = 8 + name + 1 + value
        if at + size > length or k.memory.read_u8(buffer + at + 8 + name):
            break
        if not following:
            return 0
        if following & 3 or following < size:
            break
        at += following
    k.memory.write_u32(wrong_at, at)
    return 0x80000014  # STATUS_EA_LIST_INCONSISTENT


@export(NTOSKRNL, "IoIsFileOriginRemote", max_irql=Irql.APC)
def io_is_file_origin_remote(k: "Kernel", address: int) -> bool:
    """FO_REMOTE_ORIGIN."""
    file = k.io.file_at(address)
    return file is not None and bool(file.flags & 0x0100_0000)


@export(NTOSKRNL, "IoSetFileOrigin", max_irql=Irql.APC)
def io_set_file_origin(k: "Kernel", address: int, remote: U8) -> int:
    file = k.io.file_at(address)
    if file is None:
        return int(NtStatus.INVALID_PARAMETER)
    file.view.flags = file.flags & ~0x0100_0000 | (0x0100_0000 if remote else 0)
    return 0
