"""Extended attributes, security descriptors, quotas and the volume's label, as services."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass, nt_success
from harness.reference.machine.loader.exports import U8, U32, Length
from harness.reference.windows.io import information_rules as rules
from harness.reference.windows.io.captured import read_descriptor
from harness.reference.windows.io.constants import USER_MODE, IrpFlags, StackFlags
from harness.reference.windows.io.device_security import descriptor_of, set_descriptor
from harness.reference.windows.io.devices import Device
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.parameters import (
    INFORMATION,
    QUERY_EA,
    QUERY_QUOTA,
    QUERY_SECURITY,
    SET_EA,
    SET_QUOTA,
    SET_SECURITY,
)
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.system_services import Caller, file_of, probe, service
from harness.reference.windows.ntos.se.security import WORLD_DESCRIPTOR, selected
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.reference.windows.kernel import Kernel

_BUFFERED = int(IrpFlags.SYNCHRONOUS_API | IrpFlags.BUFFERED_IO | IrpFlags.DEALLOCATE_BUFFER)
_WRITE_DATA, _READ_EA, _WRITE_EA = 0x2, 0x8, 0x10
_READ_CONTROL, _WRITE_DAC, _WRITE_OWNER, _SYSTEM_SECURITY = 0x2_0000, 0x4_0000, 0x8_0000, 0x0100_0000
_OWNER, _GROUP, _DACL, _SACL = 1, 2, 4, 8


def _send(k: "Kernel", file: FileObject, mode: int, major: IrpMajor, parameters: bytes, flags: int = 0) -> Code:
    """An IRP that the caller waits for; the request."""
    request = Request(
        OperationClass.IRP,
        major,
        file,
        k.current,
        parameters=parameters,
        irp_flags=_BUFFERED,
        operation_flags=flags,
        mode=mode,
    )
    request.system_buffer = True
    yield from k.io.issue(request)
    return request


def _set(
    k: "Kernel",
    file: FileObject,
    mode: int,
    iosb: int,
    source: int,
    length: int,
    major: IrpMajor,
    pack: "Callable[[int], bytes]",
) -> Code:
    """Hand over what a program has given, in a buffer that `pack` makes the parameters of; the status."""
    data = (yield from k.io.views.read(source, length)) if length else b""
    buffer = k.io.heap.allocate(max(length, 1))
    k.memory.write(buffer, data)
    request = yield from _send(k, file, mode, major, pack(buffer))
    k.io.heap.free(buffer)
    Caller(k, mode, None, iosb).report(request.status, request.information)
    return request.status


def _answer(
    k: "Kernel", mode: int, iosb: int, request: Request, out: int, length: int, buffer: int, *lists: int
) -> Code:
    """Give a program what a query has brought into `buffer`, and free that and the lists it was asked with."""
    data = k.memory.read(buffer, min(request.information, length))
    for address in (buffer, *lists):
        k.io.heap.free(address)
    if nt_success(request.status) or request.status == NtStatus.BUFFER_OVERFLOW:
        yield from k.io.views.write(out, data)
    Caller(k, mode, None, iosb).report(request.status, request.information)
    return request.status


@service("SetVolumeInformationFile")
def set_volume_information_file(
    k: "Kernel", mode: int, handle: int, iosb: int, source: int, length: Length, kind: U32
) -> Code:
    """NtSetVolumeInformationFile."""
    access = rules.check_set_volume(kind, length)
    probe(mode, source, length)
    file = file_of(k, handle, access if mode == USER_MODE else 0)
    return (
        yield from _set(
            k, file, mode, iosb, source, length, IrpMajor.SET_VOLUME_INFORMATION,
            lambda buffer: INFORMATION.pack(length, kind, buffer),
        )
    )  # fmt: skip


@service("QueryEaFile")
def query_ea_file(
    k: "Kernel",
    mode: int,
    handle: int,
    iosb: int,
    out: int,
    length: Length,
    single: U8,
    names: int,
    names_length: Length,
    index_at: int,
    restart: U8,
) -> Code:
    """NtQueryEaFile."""
    probe(mode, out, length)
    file = file_of(k, handle, _READ_EA if mode == USER_MODE else 0)
    wanted = (yield from k.io.views.read(names, names_length)) if names and names_length else b""
    buffer, list_at = k.io.heap.allocate(max(length, 1)), k.io.heap.allocate(max(len(wanted), 1))
    k.memory.write(list_at, wanted)
    index = k.memory.read_u32(index_at) if index_at else 0
    packed = QUERY_EA.pack(length, list_at if wanted else 0, len(wanted), index, buffer, 0)
    flags = StackFlags.of_scan(restart, single, index_at)
    request = yield from _send(k, file, mode, IrpMajor.QUERY_EA, packed, flags)
    return (yield from _answer(k, mode, iosb, request, out, length, buffer, list_at))


@service("SetEaFile")
def set_ea_file(k: "Kernel", mode: int, handle: int, iosb: int, source: int, length: Length) -> Code:
    """NtSetEaFile."""
    probe(mode, source, length)
    file = file_of(k, handle, _WRITE_EA if mode == USER_MODE else 0)
    return (
        yield from _set(
            k, file, mode, iosb, source, length, IrpMajor.SET_EA, lambda buffer: SET_EA.pack(length, buffer, 0)
        )
    )  # fmt: skip


def _check_rights(k: "Kernel", mode: int, handle: int, rights: int) -> FileObject:
    """The file of a handle that has all of some rights."""
    file = file_of(k, handle)
    found = k.objects.lookup(handle)
    if mode == USER_MODE and found is not None and rights & ~found.access:
        raise StatusError(NtStatus.ACCESS_DENIED)
    return file


def _device_of(k: "Kernel", handle: int) -> Device | None:
    """The device that a handle of ObOpenObjectByPointer leads to; None for a handle of a file."""
    found = k.objects.lookup(handle)
    return found.object.body if found is not None and isinstance(found.object.body, Device) else None


@service("QuerySecurityObject")
def query_security_object(
    k: "Kernel", mode: int, handle: int, what: U32, out: int, length: Length, needed: int
) -> Code:
    """NtQuerySecurityObject of a file or device."""
    device = _device_of(k, handle)
    if device is not None:
        data = descriptor_of(device, what)
        k.memory.write_u32(needed, len(data))
        if length < len(data):
            return int(NtStatus.BUFFER_TOO_SMALL)
        yield from k.io.views.write(out, data)
        return int(NtStatus.SUCCESS)
    rights = (_READ_CONTROL if what & (_OWNER | _GROUP | _DACL) else 0) | (_SYSTEM_SECURITY if what & _SACL else 0)
    probe(mode, out, length)
    file = _check_rights(k, mode, handle, rights)
    buffer = k.io.heap.allocate(max(length, 1))
    packed = QUERY_SECURITY.pack(what, length, buffer, 0)
    request = yield from _send(k, file, mode, IrpMajor.QUERY_SECURITY, packed)
    data = k.memory.read(buffer, min(request.information, length))
    k.io.heap.free(buffer)
    k.memory.write_u32(needed, request.information)
    if request.status == NtStatus.INVALID_DEVICE_REQUEST:  # a file system without security: anybody may do anything
        data = selected(WORLD_DESCRIPTOR, what)
        k.memory.write_u32(needed, len(data))
        if length < len(data):
            return int(NtStatus.BUFFER_TOO_SMALL)
        yield from k.io.views.write(out, data)
        return int(NtStatus.SUCCESS)
    if request.status == NtStatus.BUFFER_OVERFLOW:
        return int(NtStatus.BUFFER_TOO_SMALL)
    if nt_success(request.status):
        yield from k.io.views.write(out, data)
    return request.status


@service("SetSecurityObject")
def set_security_object(k: "Kernel", mode: int, handle: int, what: U32, descriptor: int) -> Code:
    """NtSetSecurityObject of a file or device."""
    device = _device_of(k, handle)
    if device is not None:
        set_descriptor(k, device, what, read_descriptor(k.memory, descriptor))
        return int(NtStatus.SUCCESS)
    rights = (
        (_WRITE_OWNER if what & (_OWNER | _GROUP) else 0)
        | (_WRITE_DAC if what & _DACL else 0)
        | (_SYSTEM_SECURITY if what & _SACL else 0)
    )
    file = _check_rights(k, mode, handle, rights)
    data = read_descriptor(k.memory, descriptor)
    if not data:
        return int(NtStatus.ACCESS_VIOLATION)
    buffer = k.io.heap.allocate(len(data))
    k.memory.write(buffer, data)
    request = yield from _send(k, file, mode, IrpMajor.SET_SECURITY, SET_SECURITY.pack(what, buffer))
    k.io.heap.free(buffer)
    if request.status == NtStatus.INVALID_DEVICE_REQUEST:
        return int(NtStatus.SUCCESS)
    return request.status


@service("QueryQuotaInformationFile")
def query_quota_information_file(
    k: "Kernel",
    mode: int,
    handle: int,
    iosb: int,
    out: int,
    length: Length,
    single: U8,
    sids: int,
    sids_length: Length,
    start: int,
    restart: U8,
) -> Code:
    """NtQueryQuotaInformationFile; a file system that keeps none says INVALID_DEVICE_REQUEST."""
    probe(mode, out, length)
    file = file_of(k, handle)
    wanted = (yield from k.io.views.read(sids, sids_length)) if sids and sids_length else b""
    first = (yield from k.io.views.read(start, 8 + 4 * k.memory.read_u8(start + 1))) if start else b""
    buffer, list_at = k.io.heap.allocate(max(length, 1)), k.io.heap.allocate(max(len(wanted), 1))
    start_at = k.io.heap.allocate(max(len(first), 1))
    k.memory.write(list_at, wanted)
    k.memory.write(start_at, first)
    packed = QUERY_QUOTA.pack(length, start_at if first else 0, list_at if wanted else 0, len(wanted), buffer, 0)
    flags = StackFlags.of_scan(restart, single, start)
    request = yield from _send(k, file, mode, IrpMajor.QUERY_QUOTA, packed, flags)
    return (yield from _answer(k, mode, iosb, request, out, length, buffer, list_at, start_at))


@service("SetQuotaInformationFile")
def set_quota_information_file(k: "Kernel", mode: int, handle: int, iosb: int, source: int, length: Length) -> Code:
    """NtSetQuotaInformationFile."""
    probe(mode, source, length)
    file = file_of(k, handle, _WRITE_DATA if mode == USER_MODE else 0)
    return (
        yield from _set(
            k, file, mode, iosb, source, length, IrpMajor.SET_QUOTA, lambda buffer: SET_QUOTA.pack(length, buffer, 0)
        )
    )  # fmt: skip
