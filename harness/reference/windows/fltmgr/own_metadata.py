"""I/O of a minifilter's own on extended attributes, security, reparse tags and volume information: below itself."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U8, U16, U32, Length, export
from harness.reference.windows.fltmgr.own_requests import (
    SYNCHRONOUS,
    TransferArguments,
    below,
    check_transfer_irql,
    control,
    own_request,
    parties,
    query_directory,
    transfer,
)
from harness.reference.windows.io.constants import StackFlags
from harness.reference.windows.io.parameters import (
    QUERY_EA,
    QUERY_SECURITY,
    SET_EA,
    SET_SECURITY,
)
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_FSCTL_SET_REPARSE_POINT, _FSCTL_DELETE_REPARSE_POINT = 0x000900A4, 0x000900AC
_FSCTL_SET_REPARSE_POINT_EX = 0x0009040C
_REPARSE_EX_HEADER = Struct("<II16sQ")
"""REPARSE_DATA_BUFFER_EX before the reparse data: flags, tag and GUID of what is there, reserved."""
_REPARSE_GUID_HEADER = Struct("<IHH16s")
_REPARSE_HEADER = Struct("<IHH")


@export(FLTMGR, "FltQueryEaFile", max_irql=Irql.PASSIVE)
def flt_query_ea_file(
    k: "Kernel",
    instance: int,
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
    """FltQueryEaFile."""
    found = parties(k.flt, instance, file_object)
    if found is None:
        return int(NtStatus.INVALID_PARAMETER)
    index = k.memory.read_u32(index_at) if index_at else 0
    packed = QUERY_EA.pack(length, names, names_length, index, out, 0)
    request = own_request(k.flt, IrpMajor.QUERY_EA, found[1], packed, irp_flags=SYNCHRONOUS)
    request.operation_flags = StackFlags.of_scan(restart, single, index_at)
    yield from k.io.issue(request, below(k.flt, found[0]))
    if returned:
        k.memory.write_u32(returned, request.information)
    return request.status


@export(FLTMGR, "FltSetEaFile", max_irql=Irql.PASSIVE)
def flt_set_ea_file(k: "Kernel", instance: int, file_object: int, source: int, length: Length) -> Code:
    """FltSetEaFile."""
    return _set(k, IrpMajor.SET_EA, instance, file_object, SET_EA.pack(length, source, 0))


def _set(k: "Kernel", major: IrpMajor, instance: int, file_object: int, packed: bytes) -> Code:
    found = parties(k.flt, instance, file_object)
    if found is None:
        return int(NtStatus.INVALID_PARAMETER)
    request = own_request(k.flt, major, found[1], packed, irp_flags=SYNCHRONOUS)
    yield from k.io.issue(request, below(k.flt, found[0]))
    return request.status


@export(FLTMGR, "FltQuerySecurityObject", max_irql=Irql.PASSIVE)
def flt_query_security_object(
    k: "Kernel", instance: int, file_object: int, wanted: U32, out: int, length: Length, needed: int
) -> Code:
    """FltQuerySecurityObject: STATUS_BUFFER_TOO_SMALL and how much is needed, where that is more."""
    found = parties(k.flt, instance, file_object)
    if found is None:
        return int(NtStatus.INVALID_PARAMETER)
    packed = QUERY_SECURITY.pack(wanted, length, out, 0)
    request = own_request(k.flt, IrpMajor.QUERY_SECURITY, found[1], packed, irp_flags=SYNCHRONOUS)
    yield from k.io.issue(request, below(k.flt, found[0]))
    if needed:
        k.memory.write_u32(needed, request.information)
    overflow = request.status == NtStatus.BUFFER_OVERFLOW
    return int(NtStatus.BUFFER_TOO_SMALL) if overflow else request.status


@export(FLTMGR, "FltSetSecurityObject", max_irql=Irql.PASSIVE)
def flt_set_security_object(k: "Kernel", instance: int, file_object: int, wanted: U32, descriptor: int) -> Code:
    """FltSetSecurityObject."""
    return _set(k, IrpMajor.SET_SECURITY, instance, file_object, SET_SECURITY.pack(wanted, descriptor))


@export(FLTMGR, "FltFlushBuffers2", max_irql=Irql.PASSIVE)
def flt_flush_buffers2(k: "Kernel", instance: int, file_object: int, kind: U32, data: int) -> Code:
    """FltFlushBuffers2: `kind` is a FLT_FLUSH_TYPE, which is the minor function of the flush."""
    del data
    found = parties(k.flt, instance, file_object)
    if found is None:
        return int(NtStatus.INVALID_PARAMETER)
    request = own_request(k.flt, IrpMajor.FLUSH_BUFFERS, found[1], b"", minor=kind & 0xFF, irp_flags=SYNCHRONOUS)
    yield from k.io.issue(request, below(k.flt, found[0]))
    return request.status


@export(FLTMGR, "FltReadFileEx", max_irql=Irql.APC)
def flt_read_file_ex(
    k: "Kernel",
    asked: TransferArguments,
    key: int,
    mdl: int,
) -> Code:
    """FltReadFileEx: with a key and an MDL in the place of the buffer."""
    check_transfer_irql(k, "FltReadFileEx", asked.flags)
    return transfer(k.flt, IrpMajor.READ, asked, key=k.memory.read_u32(key) if key else 0, mdl=mdl)


@export(FLTMGR, "FltWriteFileEx", max_irql=Irql.APC)
def flt_write_file_ex(
    k: "Kernel",
    asked: TransferArguments,
    key: int,
    mdl: int,
) -> Code:
    """FltWriteFileEx."""
    check_transfer_irql(k, "FltWriteFileEx", asked.flags)
    return transfer(k.flt, IrpMajor.WRITE, asked, key=k.memory.read_u32(key) if key else 0, mdl=mdl)


@export(FLTMGR, "FltQueryDirectoryFileEx", max_irql=Irql.PASSIVE)
def flt_query_directory_file_ex(
    k: "Kernel",
    instance: int,
    file_object: int,
    out: int,
    length: Length,
    kind: U32,
    flags: U32,
    pattern: int,
    returned: int,
) -> Code:
    """FltQueryDirectoryFileEx: `flags` are the SL_ flags of the request."""
    return query_directory(k.flt, instance, file_object, out, length, kind, flags & 0xFF, pattern, returned)


# -- tags


@export(FLTMGR, "FltTagFile", max_irql=Irql.PASSIVE)
def flt_tag_file(k: "Kernel", instance: int, file_object: int, tag: U32, guid: int, data: int, length: U16) -> Code:
    """FltTagFile: sets a reparse point, with a GUID where the tag is not Microsoft's."""
    return (yield from _tag(k, instance, file_object, _FSCTL_SET_REPARSE_POINT, tag, guid, k.memory.read(data, length)))


@export(FLTMGR, "FltTagFileEx", max_irql=Irql.PASSIVE)
def flt_tag_file_ex(
    k: "Kernel",
    instance: int,
    file_object: int,
    tag: U32,
    guid: int,
    data: int,
    length: U16,
    existing_tag: U32,
    existing_guid: int,
    flags: U32,
) -> Code:
    """FltTagFileEx: in the place of an existing tag, which the file system compares."""
    guid_there = k.memory.read(existing_guid, 16) if existing_guid else bytes(16)
    head = _REPARSE_EX_HEADER.pack(flags, existing_tag, guid_there, 0)
    content = k.memory.read(data, length)
    return (yield from _tag(k, instance, file_object, _FSCTL_SET_REPARSE_POINT_EX, tag, guid, content, head))


@export(FLTMGR, "FltUntagFile", max_irql=Irql.PASSIVE)
def flt_untag_file(k: "Kernel", instance: int, file_object: int, tag: U32, guid: int) -> Code:
    """FltUntagFile: removes the reparse point of this tag."""
    return (yield from _tag(k, instance, file_object, _FSCTL_DELETE_REPARSE_POINT, tag, guid, b""))


def _tag(
    k: "Kernel", instance: int, file_object: int, code: int, tag: int, guid: int, data: bytes, head: bytes = b""
) -> Code:
    if not tag & 0x8000_0000 and not guid:
        return int(NtStatus.INVALID_PARAMETER)  # a tag that is not Microsoft's has a GUID
    if tag & 0x8000_0000:
        content = _REPARSE_HEADER.pack(tag, len(data), 0) + data
    else:
        content = _REPARSE_GUID_HEADER.pack(tag, len(data), 0, k.memory.read(guid, 16)) + data
    content = head + content
    buffer = k.flt.heap.allocate(len(content))
    k.memory.write(buffer, content)
    status: int = yield from control(
        k.flt, IrpMajor.FILE_SYSTEM_CONTROL, instance, file_object, code, buffer, len(content), 0, 0, 0
    )
    k.flt.heap.free(buffer)
    return status


@export(FLTMGR, "FltQueryQuotaInformationFile", max_irql=Irql.PASSIVE)
def flt_query_quota_information_file(k: "Kernel", instance: int, file_object: int) -> Code:
    """FltQueryQuotaInformationFile: the volume keeps no quotas, as NTFS where they are not enabled."""
    yield from ()
    return int(
        NtStatus.INVALID_PARAMETER if parties(k.flt, instance, file_object) is None else NtStatus.INVALID_DEVICE_REQUEST
    )


@export(FLTMGR, "FltSetQuotaInformationFile", max_irql=Irql.PASSIVE)
def flt_set_quota_information_file(k: "Kernel", instance: int, file_object: int) -> Code:
    """FltSetQuotaInformationFile: as above."""
    return (yield from flt_query_quota_information_file(k, instance, file_object))
