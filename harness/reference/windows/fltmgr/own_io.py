"""I/O that a filter starts itself: it goes only to the instances below the initiating one (IO-01 to IO-04)."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus, OperationClass
from harness.reference.machine.loader.exports import FLTMGR, U8, U32, export
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr.callback_data import CALLBACK_DATA, IO_STATUS, PARAMETER_BLOCK
from harness.reference.windows.fltmgr.filters import Instance
from harness.reference.windows.io.constants import IrpFlags, Minor
from harness.reference.windows.io.create import OpenParameters, open_file
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.io_manager import Send
from harness.reference.windows.io.object_names import ObjectName
from harness.reference.windows.io.parameters import DIRECTORY, INFORMATION, SET_INFORMATION, Control, Transfer
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_NON_CACHED, _PAGING, _KEEP_OFFSET, _SYNCHRONOUS_PAGING = 1, 2, 4, 8
_SYNCHRONOUS = int(IrpFlags.SYNCHRONOUS_API)


def _own_request(
    k: "Kernel", major: IrpMajor, file: FileObject, parameters: bytes, *, minor: int = 0, irp_flags: int = 0
) -> Request:
    request = Request(
        OperationClass.IRP, major, file, k.current, parameters=parameters, minor=minor, irp_flags=irp_flags
    )
    request.generated = not k.mutant("own-io-unmarked")
    return request


def _parties(k: "Kernel", instance: int, file_object: int) -> tuple[Instance, FileObject] | None:
    file = k.io.file_at(file_object)
    return (k.flt.instance_at(instance), file) if file is not None else None


def _below(k: "Kernel", found: Instance) -> Send:
    """Sends to what is below an instance."""
    return partial(k.flt.frames.send_below, found)


def _buffered(k: "Kernel", found: Instance, file: FileObject, request: Request) -> Code:
    request.system_buffer = True
    yield from k.io.issue(request, _below(k, found))
    return request


# -- read and write


def _transfer(
    k: "Kernel",
    major: IrpMajor,
    instance: int,
    file_object: int,
    offset_at: int,
    length: int,
    buffer: int,
    flags: int,
    count_out: int,
    callback: int,
    context: int,
) -> Code:
    parties = _parties(k, instance, file_object)
    if parties is None:
        return int(NtStatus.INVALID_PARAMETER)
    found, file = parties
    offset = k.memory.read_i64(offset_at) if offset_at else file.view.current_byte_offset
    operation = IrpFlags.READ_OPERATION if major is IrpMajor.READ else IrpFlags.WRITE_OPERATION
    irp_flags = int(operation) | (0 if callback else _SYNCHRONOUS)
    if flags & _NON_CACHED:
        irp_flags |= IrpFlags.NOCACHE
    if flags & _PAGING:
        irp_flags |= IrpFlags.PAGING_IO | IrpFlags.NOCACHE
    if flags & _SYNCHRONOUS_PAGING:
        irp_flags |= IrpFlags.SYNCHRONOUS_PAGING_IO
    request = _own_request(k, major, file, Transfer(length, 0, offset, buffer, 0).pack(), irp_flags=irp_flags)
    position = file.view.current_byte_offset

    def restore(done: Request) -> None:
        del done
        file.view.current_byte_offset = position

    if flags & _KEEP_OFFSET:
        request.completions.append(restore)
    if not callback:
        status: int = yield from k.io.issue(request, _below(k, found))
        if count_out:
            k.memory.write_u32(count_out, request.information)
        return status
    request.synchronous = False
    request.completions.append(lambda done: _call_back_later(k, done, callback, context))
    yield from _below(k, found)(request)
    return int(NtStatus.PENDING)


def _call_back_later(k: "Kernel", request: Request, callback: int, context: int) -> None:
    """The completed-asynchronous-I/O callback, with callback data of its own, in an arbitrary thread."""

    def code() -> Code:
        data, iopb = k.flt.heap.allocate(CALLBACK_DATA.size), k.flt.heap.allocate(PARAMETER_BLOCK.size)
        file = request.file.address if request.file is not None else 0
        k.memory.write(
            data,
            CALLBACK_DATA.pack(
                int(request.kind) | 0x0009_0000, request.thread.kthread, iopb, request.status, request.information, 0, 0
            ),
        )
        k.memory.write(
            iopb,
            PARAMETER_BLOCK.pack(request.irp_flags, request.major, request.minor, 0, 0, file, 0, request.parameters),
        )
        yield Call(callback, data, context)
        k.flt.heap.free(iopb)
        k.flt.heap.free(data)

    if k.choices.chance("own-completion-in-dpc", 0.5):
        k.queue_dpc(code)
    else:
        k.queue_worker(code())


@export(FLTMGR, "FltReadFile", max_irql=Irql.PASSIVE)
def flt_read_file(
    k: "Kernel",
    instance: int,
    file_object: int,
    offset_at: int,
    length: U32,
    buffer: int,
    flags: U32,
    count_out: int,
    callback: int,
    context: int,
) -> Code:
    """FltReadFile: synchronous without a callback, whatever the file object (IO-04)."""
    return _transfer(
        k, IrpMajor.READ, instance, file_object, offset_at, length, buffer, flags, count_out, callback, context
    )


@export(FLTMGR, "FltWriteFile", max_irql=Irql.PASSIVE)
def flt_write_file(
    k: "Kernel",
    instance: int,
    file_object: int,
    offset_at: int,
    length: U32,
    buffer: int,
    flags: U32,
    count_out: int,
    callback: int,
    context: int,
) -> Code:
    """FltWriteFile."""
    return _transfer(
        k, IrpMajor.WRITE, instance, file_object, offset_at, length, buffer, flags, count_out, callback, context
    )


@export(FLTMGR, "FltFlushBuffers", max_irql=Irql.PASSIVE)
def flt_flush_buffers(k: "Kernel", instance: int, file_object: int) -> Code:
    """FltFlushBuffers."""
    parties = _parties(k, instance, file_object)
    if parties is None:
        return int(NtStatus.INVALID_PARAMETER)
    found, file = parties
    return (
        yield from k.io.issue(
            _own_request(k, IrpMajor.FLUSH_BUFFERS, file, b"", irp_flags=_SYNCHRONOUS), _below(k, found)
        )
    )


# -- information, directories, control


@export(FLTMGR, "FltQueryInformationFile", max_irql=Irql.PASSIVE)
def flt_query_information_file(
    k: "Kernel", instance: int, file_object: int, out: int, length: U32, kind: U32, returned: int
) -> Code:
    """FltQueryInformationFile."""
    return (yield from _query(k, IrpMajor.QUERY_INFORMATION, instance, file_object, out, length, kind, returned))


@export(FLTMGR, "FltQueryVolumeInformationFile", max_irql=Irql.PASSIVE)
def flt_query_volume_information_file(
    k: "Kernel", instance: int, file_object: int, out: int, length: U32, kind: U32, returned: int
) -> Code:
    """FltQueryVolumeInformationFile."""
    return (yield from _query(k, IrpMajor.QUERY_VOLUME_INFORMATION, instance, file_object, out, length, kind, returned))


def _query(
    k: "Kernel", major: IrpMajor, instance: int, file_object: int, out: int, length: int, kind: int, returned: int
) -> Code:
    parties = _parties(k, instance, file_object)
    if parties is None:
        return int(NtStatus.INVALID_PARAMETER)
    packed = INFORMATION.pack(length, kind, out)
    request = _own_request(k, major, parties[1], packed, irp_flags=_SYNCHRONOUS)
    yield from _buffered(k, *parties, request)
    if returned:
        k.memory.write_u32(returned, request.information)
    return request.status


@export(FLTMGR, "FltQueryVolumeInformation", max_irql=Irql.PASSIVE)
def flt_query_volume_information(k: "Kernel", instance: int, iosb: int, out: int, length: U32, kind: U32) -> Code:
    """FltQueryVolumeInformation: by a handle to the volume, opened below the caller."""
    found = k.flt.instance_at(instance)
    options = OpenParameters(access=0x0010_0080, options=0x20)
    status, _, file = yield from open_file(k, ObjectName(found.volume.device_name), options, _below(k, found))
    if file is None:
        return status
    packed = INFORMATION.pack(length, kind, out)
    request = _own_request(k, IrpMajor.QUERY_VOLUME_INFORMATION, file, packed, irp_flags=_SYNCHRONOUS)
    yield from _buffered(k, found, file, request)
    yield from k.io.cleanup(file)
    yield from k.objects.release(file.object)
    k.memory.write(iosb, IO_STATUS.pack(request.status, request.information))
    return request.status


@export(FLTMGR, "FltSetInformationFile", max_irql=Irql.PASSIVE)
def flt_set_information_file(k: "Kernel", instance: int, file_object: int, source: int, length: U32, kind: U32) -> Code:
    """FltSetInformationFile."""
    parties = _parties(k, instance, file_object)
    if parties is None:
        return int(NtStatus.INVALID_PARAMETER)
    packed = SET_INFORMATION.pack(length, kind, 0, 0, source)
    request = _own_request(k, IrpMajor.SET_INFORMATION, parties[1], packed, irp_flags=_SYNCHRONOUS)
    yield from _buffered(k, *parties, request)
    return request.status


@export(FLTMGR, "FltQueryDirectoryFile", max_irql=Irql.PASSIVE)
def flt_query_directory_file(
    k: "Kernel",
    instance: int,
    file_object: int,
    out: int,
    length: U32,
    kind: U32,
    single: U8,
    pattern: int,
    restart: U8,
    returned: int,
) -> Code:
    """FltQueryDirectoryFile."""
    parties = _parties(k, instance, file_object)
    if parties is None:
        return int(NtStatus.INVALID_PARAMETER)
    packed = DIRECTORY.pack(length, pattern, kind, 0, out, 0)
    request = _own_request(
        k,
        IrpMajor.DIRECTORY_CONTROL,
        parties[1],
        packed,
        minor=Minor.QUERY_DIRECTORY,
        irp_flags=_SYNCHRONOUS,
    )
    request.operation_flags = (1 if restart else 0) | (2 if single else 0)
    yield from k.io.issue(request, _below(k, parties[0]))
    if returned:
        k.memory.write_u32(returned, request.information)
    return request.status


def _control(
    k: "Kernel",
    major: IrpMajor,
    instance: int,
    file_object: int,
    code: int,
    source: int,
    source_length: int,
    target: int,
    target_length: int,
    returned: int,
) -> Code:
    parties = _parties(k, instance, file_object)
    if parties is None:
        return int(NtStatus.INVALID_PARAMETER)
    buffered = code & 3 == 0
    first, system_buffer = source, 0
    if buffered:
        first = system_buffer = k.flt.heap.allocate(max(source_length, target_length, 1))
        if source_length:
            k.memory.write(system_buffer, k.memory.read(source, source_length))
    packed = Control(target_length, source_length, code, first, 0 if buffered else target, 0).pack()
    request = _own_request(k, major, parties[1], packed, irp_flags=_SYNCHRONOUS)
    request.system_buffer = buffered
    yield from k.io.issue(request, _below(k, parties[0]))
    if buffered:
        if target and request.status >> 30 != 3:
            k.memory.write(target, k.memory.read(system_buffer, min(request.information, target_length)))
        k.flt.heap.free(system_buffer)
    if returned:
        k.memory.write_u32(returned, request.information)
    return request.status


def _export_control(name: str, major: IrpMajor) -> Callable[..., Code]:
    @export(FLTMGR, name, max_irql=Irql.PASSIVE)
    def control(
        k: "Kernel",
        instance: int,
        file_object: int,
        code: U32,
        source: int,
        source_length: U32,
        target: int,
        target_length: U32,
        returned: int,
    ) -> Code:
        return _control(k, major, instance, file_object, code, source, source_length, target, target_length, returned)

    return control


flt_fs_control_file = _export_control("FltFsControlFile", IrpMajor.FILE_SYSTEM_CONTROL)
flt_device_io_control_file = _export_control("FltDeviceIoControlFile", IrpMajor.DEVICE_CONTROL)
