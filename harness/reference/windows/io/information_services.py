"""Queries by name, and NtQueryInformationFile, NtSetInformationFile and their kin for volumes."""

from dataclasses import replace
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass, nt_success
from harness.reference.machine.loader.exports import U32, Length
from harness.reference.windows.io import information_rules as rules
from harness.reference.windows.io import rename_targets
from harness.reference.windows.io.completion_ports import associate, notify_modes
from harness.reference.windows.io.constants import (
    SECTOR_SIZE,
    USER_MODE,
    FileInformationClass,
    FileObjectFlags,
    IrpFlags,
)
from harness.reference.windows.io.create import OpenParameters, open_file
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.object_names import ObjectName, name_of, resolve
from harness.reference.windows.io.parameters import INFORMATION, NETWORK_QUERY_OPEN, QUERY_OPEN, SET_INFORMATION
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.system_services import Caller, file_of, probe, service
from harness.reference.windows.structures.irp import Irp

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_BUFFERED = int(IrpFlags.SYNCHRONOUS_API | IrpFlags.BUFFERED_IO | IrpFlags.DEALLOCATE_BUFFER)
_BUFFERED_INPUT = _BUFFERED | int(IrpFlags.INPUT_OPERATION)
_FAST_CLASSES = frozenset(
    {FileInformationClass.BASIC, FileInformationClass.STANDARD, FileInformationClass.NETWORK_OPEN}
)
_MOST_INFORMATION = 0x10000
_COMPLETION = Struct("<QQ")
"""FILE_COMPLETION_INFORMATION: Port, Key."""
_FLAGS = Struct("<I")


# -- queries by name


@service("QueryFullAttributesFile")
def query_full_attributes_file(k: "Kernel", mode: int, attributes: int, out: int) -> Code:
    """NtQueryFullAttributesFile: without opening where the stack lets it (PRE-FIO-08, PRE-FIO-09)."""
    probe(mode, out, 56)
    status, data = yield from _query_by_name(k, mode, name_of(k, attributes), FileInformationClass.NETWORK_OPEN, 56)
    if nt_success(status):
        k.memory.write(out, data)
    return status


@service("QueryAttributesFile")
def query_attributes_file(k: "Kernel", mode: int, attributes: int, out: int) -> Code:
    """NtQueryAttributesFile."""
    probe(mode, out, 40)
    status, data = yield from _query_by_name(k, mode, name_of(k, attributes), FileInformationClass.NETWORK_OPEN, 56)
    if nt_success(status):
        k.memory.write(out, data[:32] + data[48:52] + bytes(4))
    return status


@service("QueryInformationByName")
def query_information_by_name(
    k: "Kernel", mode: int, attributes: int, iosb: int, out: int, length: Length, kind: U32
) -> Code:
    """NtQueryInformationByName."""
    probe(mode, out, length)
    status, data = yield from _query_by_name(k, mode, name_of(k, attributes), kind, length, query_open=True)
    if nt_success(status):
        k.memory.write(out, data)
    Caller(k, mode, None, iosb).report(status, len(data))
    return status


def _query_by_name(
    k: "Kernel", mode: int, name: ObjectName, kind: int, length: int, *, query_open: bool = False
) -> Code:
    """(NTSTATUS, bytes)."""
    rules.check_query(kind, length)
    resolve(k.io, name)
    way = "query-open" if query_open else k.policy["attribute-query"]
    if way != "open":
        answer = yield from _ask_without_opening(k, mode, name, way, kind, length)
        if answer is not None:
            return answer
    options = OpenParameters(access=0x0010_0080, options=0x0020_0000 | 0x20, mode=mode)
    if not query_open:
        options = replace(options, options=0x20)
    status, _, file = yield from open_file(k.io, name, options)
    if file is None:
        return status, b""
    status, data = yield from _query(k, mode, file, kind, length)
    yield from k.io.cleanup(file)
    yield from k.objects.release(file.object)
    return status, data


def _ask_without_opening(k: "Kernel", mode: int, name: ObjectName, way: str, kind: int, length: int) -> Code:
    """NetworkQueryOpen or QueryOpen; None if it was refused, or led elsewhere, and the file must be opened."""
    volume, rest = resolve(k.io, name)
    file = k.io.make_file_object(volume, rest, 0)
    file.object.on_stack = True
    if name.root is not None:
        file.view.related_file_object = name.root.address
    buffer, size_at = k.io.heap.allocate(length), k.io.heap.allocate(4)
    k.memory.write_u32(size_at, length)
    irp = 0
    if way == "network-query-open":
        irp = _query_open_irp(k, file, mode)
        request = Request(
            OperationClass.FAST_IO,
            IrpMajor.NETWORK_QUERY_OPEN,
            file,
            k.current,
            parameters=NETWORK_QUERY_OPEN.pack(irp, buffer),
            mode=mode,
        )
    else:
        request = Request(
            OperationClass.FS_FILTER,
            IrpMajor.QUERY_OPEN,
            file,
            k.current,
            parameters=QUERY_OPEN.pack(0, buffer, size_at, kind),
            mode=mode,
        )
    yield from k.io.issue(request)
    if irp:
        k.io.irps.free(irp)
    data = k.memory.read(buffer, length)
    k.io.heap.free(buffer)
    k.io.heap.free(size_at)
    k.objects.dereference(file.object)
    return None if request.disallowed or request.status == NtStatus.REPARSE else (request.status, data)


def _query_open_irp(k: "Kernel", file: FileObject, mode: int) -> int:
    """The IRP of a create that FastIoQueryOpen finds the file's name by, and that nobody sends."""
    irps = k.io.irps
    irp = irps.allocate(1)
    view = Irp(k.memory, irp)
    view.requestor_mode, view.thread = mode, k.current.kthread
    irps.write_location(irps.next(irp), IrpMajor.CREATE, 0, 0, b"", k.io.device_of(file), file.address)
    irps.advance(irp)
    return irp


# -- information


@service("QueryInformationFile")
def query_information_file(k: "Kernel", mode: int, handle: int, iosb: int, out: int, length: Length, kind: U32) -> Code:
    """NtQueryInformationFile."""
    if handle in k.io.streams:
        return int(NtStatus.INVALID_PARAMETER)
    access = rules.check_query(kind, length)
    probe(mode, out, length)
    file = file_of(k, handle, access if mode == USER_MODE else 0)
    own = _own_answer(file, kind)
    if own is not None:
        status, data = int(NtStatus.SUCCESS), own
    else:
        status, data = yield from _query(k, mode, file, kind, length)
    if nt_success(status) or status == NtStatus.BUFFER_OVERFLOW:
        yield from k.io.views.write(out, data)
        Caller(k, mode, None, iosb).report(status, len(data))
    return status


def _own_answer(file: FileObject, kind: int) -> bytes | None:
    """What the I/O manager answers without asking a driver; None for what it does not."""
    if kind == FileInformationClass.ACCESS:
        return file.access.to_bytes(4, "little")
    if kind == FileInformationClass.MODE:
        return file.mode.to_bytes(4, "little")
    if kind == FileInformationClass.ALIGNMENT:
        return bytes(4)
    if kind == FileInformationClass.POSITION and file.synchronous:
        return Struct("<q").pack(file.position)
    return None


def _query(k: "Kernel", mode: int, file: FileObject, kind: int, length: int) -> Code:
    """(NTSTATUS, bytes): by fast I/O where there is a routine for the class, else by IRP with a system buffer."""
    length = min(length, _MOST_INFORMATION)
    buffer = k.io.heap.allocate(length)
    parameters = INFORMATION.pack(length, kind, buffer)
    request: Request | None = None
    if kind in _FAST_CLASSES:
        request = Request(
            OperationClass.FAST_IO, IrpMajor.QUERY_INFORMATION, file, k.current, parameters=parameters, mode=mode
        )
        yield from k.io.issue(request)
    if request is None or request.disallowed:
        request = Request(
            OperationClass.IRP,
            IrpMajor.QUERY_INFORMATION,
            file,
            k.current,
            parameters=parameters,
            irp_flags=_BUFFERED_INPUT,
            mode=mode,
        )
        request.system_buffer = True
        yield from k.io.issue(request)
    data = k.memory.read(buffer, min(request.information, length))
    k.io.heap.free(buffer)
    return request.status, data


@service("SetInformationFile")
def set_information_file(
    k: "Kernel", mode: int, handle: int, iosb: int, source: int, length: Length, kind: U32
) -> Code:
    """NtSetInformationFile."""
    if kind in (FileInformationClass.COMPLETION, FileInformationClass.IO_COMPLETION_NOTIFICATION):
        status = _set_completion(k, handle, (yield from k.io.views.read(source, length)), kind)
        Caller(k, mode, None, iosb).report(status, 0)
        return status
    access = rules.check_set(kind, length)
    probe(mode, source, length)
    file = file_of(k, handle, access if mode == USER_MODE else 0)
    if length > _MOST_INFORMATION:
        return int(NtStatus.INVALID_PARAMETER)
    data = yield from k.io.views.read(source, length)
    if kind in (FileInformationClass.POSITION, FileInformationClass.MODE):
        status, information = int(_set_own(file, kind, data)), 0
    else:
        status, information = yield from _set_information(k, mode, file, kind, data)
    Caller(k, mode, None, iosb).report(status, information)
    return status


def _set_completion(k: "Kernel", handle: int, data: bytes, kind: int) -> int:
    """What becomes of the handle's requests when they are over: for every kind of handle that has such."""
    if kind == FileInformationClass.COMPLETION and len(data) >= _COMPLETION.size:
        return associate(k, handle, *_COMPLETION.unpack_from(data))
    if kind == FileInformationClass.IO_COMPLETION_NOTIFICATION and len(data) >= _FLAGS.size:
        return notify_modes(k, handle, *_FLAGS.unpack_from(data))
    return int(NtStatus.INFO_LENGTH_MISMATCH)


_SETTABLE_MODES = (
    (FileObjectFlags.WRITE_THROUGH, 0x02),
    (FileObjectFlags.SEQUENTIAL_ONLY, 0x04),
    (FileObjectFlags.ALERTABLE_IO, 0x10),
)


def _set_own(file: FileObject, kind: int, data: bytes) -> NtStatus:
    """What the I/O manager keeps itself: the position, and the modes that may change."""
    if kind == FileInformationClass.POSITION:
        position = int.from_bytes(data[:8], "little", signed=True)
        if position < 0 or (file.non_cached and position % SECTOR_SIZE):
            return NtStatus.INVALID_PARAMETER
        file.position = position
        return NtStatus.SUCCESS
    mode = int.from_bytes(data[:4], "little")
    synchronous = mode & 0x30
    if mode & ~0x3E or (bool(synchronous) is not file.synchronous) or synchronous == 0x30:
        return NtStatus.INVALID_PARAMETER
    flags = file.view.flags
    for flag, bit in _SETTABLE_MODES:
        flags = flags | flag if mode & bit else flags & ~flag
    file.view.flags = flags
    return NtStatus.SUCCESS


def _set_information(k: "Kernel", mode: int, file: FileObject, kind: int, data: bytes) -> Code:
    """IRP_MJ_SET_INFORMATION with a system buffer; NTSTATUS and Information."""
    target: FileObject | None = None
    if kind in rename_targets.CLASSES:
        target = yield from rename_targets.open_target(k.io, mode, file, kind, data)
    buffer = k.io.heap.allocate(len(data))
    k.memory.write(buffer, data)
    replacing = data[0] if kind in rename_targets.CLASSES else 0
    parent = target.address if target is not None else 0
    request = Request(
        OperationClass.IRP,
        IrpMajor.SET_INFORMATION,
        file,
        k.current,
        parameters=SET_INFORMATION.pack(len(data), kind, parent, replacing, buffer),
        irp_flags=_BUFFERED,
        mode=mode,
    )
    request.system_buffer = True
    yield from k.io.issue(request)
    k.io.heap.free(buffer)
    yield from rename_targets.close_target(k.io, target)
    return request.status, request.information


@service("QueryVolumeInformationFile")
def query_volume_information_file(
    k: "Kernel", mode: int, handle: int, iosb: int, out: int, length: Length, kind: U32
) -> Code:
    """NtQueryVolumeInformationFile."""
    access = rules.check_query_volume(kind, length)
    probe(mode, out, length)
    file = file_of(k, handle, access if mode == USER_MODE else 0)
    length = min(length, _MOST_INFORMATION)
    buffer = k.io.heap.allocate(length)
    request = Request(
        OperationClass.IRP,
        IrpMajor.QUERY_VOLUME_INFORMATION,
        file,
        k.current,
        parameters=INFORMATION.pack(length, kind, buffer),
        irp_flags=_BUFFERED_INPUT,
        mode=mode,
    )
    request.system_buffer = True
    status: int = yield from k.io.issue(request)
    data = k.memory.read(buffer, min(request.information, length))
    k.io.heap.free(buffer)
    if nt_success(status) or status == NtStatus.BUFFER_OVERFLOW:
        yield from k.io.views.write(out, data)
        Caller(k, mode, None, iosb).report(status, len(data))
    return status
