"""NtCreateFile and its kin: opening, queries by name, information, directories, control codes, cancelling."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass, nt_success
from harness.reference.machine.loader.exports import U8, U32
from harness.reference.windows.fs.security import map_access
from harness.reference.windows.io.constants import FileInformationClass, IrpFlags, Minor, StackFlags
from harness.reference.windows.io.create import OpenParameters, make_handle, open_file
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.parameters import (
    DIRECTORY,
    INFORMATION,
    NETWORK_QUERY_OPEN,
    NOTIFY,
    QUERY_OPEN,
    SET_INFORMATION,
)
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.system_services import Caller, event_of_handle, file_of, probe, send_irp, service
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, IoStatusBlock, ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel

_BUFFERED = int(IrpFlags.SYNCHRONOUS_API | IrpFlags.BUFFERED_IO | IrpFlags.DEALLOCATE_BUFFER)
_BUFFERED_INPUT = _BUFFERED | int(IrpFlags.INPUT_OPERATION)
_FAST_CLASSES = frozenset(
    {FileInformationClass.BASIC, FileInformationClass.STANDARD, FileInformationClass.NETWORK_OPEN}
)
_MOST_INFORMATION = 0x10000


def path_of(k: "Kernel", attributes: int) -> str:
    """The absolute path that OBJECT_ATTRIBUTES name."""
    view = ObjectAttributes(k.memory, attributes)
    name = k.memory.read_unicode_string(view.object_name)
    if not view.root_directory:
        return name
    root = file_of(k, view.root_directory)
    return root.volume.device_name + (root.name.rstrip("\\") + "\\" + name if name else root.name)


@service("CreateFile")
def create_file(
    k: "Kernel",
    mode: int,
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
) -> Code:
    """NtCreateFile."""
    del ea, ea_length
    path = path_of(k, attributes)
    parameters = OpenParameters(
        access=access,
        share=share,
        disposition=disposition,
        options=options,
        attributes=file_attributes,
        allocation=k.memory.read_i64(allocation_at) if allocation_at else 0,
        mode=mode,
    )
    kernel_handle = mode == 0 and bool(ObjectAttributes(k.memory, attributes).attributes & OBJ_KERNEL_HANDLE)
    return (yield from _open(k, path, parameters, handle_out, iosb, kernel=kernel_handle))


@service("OpenFile")
def open_file_service(
    k: "Kernel", mode: int, handle_out: int, access: U32, attributes: int, iosb: int, share: U32, options: U32
) -> Code:
    """NtOpenFile."""
    path = path_of(k, attributes)
    parameters = OpenParameters(access=access, share=share, disposition=1, options=options, mode=mode)
    kernel_handle = mode == 0 and bool(ObjectAttributes(k.memory, attributes).attributes & OBJ_KERNEL_HANDLE)
    return (yield from _open(k, path, parameters, handle_out, iosb, kernel=kernel_handle))


def _open(k: "Kernel", path: str, parameters: OpenParameters, handle_out: int, iosb: int, *, kernel: bool) -> Code:
    status, information, file = yield from open_file(k, path, parameters)
    if file is not None:
        k.memory.write_u64(handle_out, make_handle(k, file, kernel=kernel, access=map_access(parameters.access)))
        block = IoStatusBlock(k.memory, iosb)
        block.status, block.information = status, information
    return status


# -- queries by name


@service("QueryFullAttributesFile")
def query_full_attributes_file(k: "Kernel", mode: int, attributes: int, out: int) -> Code:
    """NtQueryFullAttributesFile: without opening where the stack lets it (PRE-FIO-08, PRE-FIO-09)."""
    probe(mode, out, 56)
    status, data = yield from _query_by_name(k, mode, path_of(k, attributes), FileInformationClass.NETWORK_OPEN, 56)
    if nt_success(status):
        k.memory.write(out, data)
    return status


@service("QueryAttributesFile")
def query_attributes_file(k: "Kernel", mode: int, attributes: int, out: int) -> Code:
    """NtQueryAttributesFile."""
    probe(mode, out, 40)
    status, data = yield from _query_by_name(k, mode, path_of(k, attributes), FileInformationClass.NETWORK_OPEN, 56)
    if nt_success(status):
        k.memory.write(out, data[:32] + data[48:52] + bytes(4))
    return status


@service("QueryInformationByName")
def query_information_by_name(
    k: "Kernel", mode: int, attributes: int, iosb: int, out: int, length: U32, kind: U32
) -> Code:
    """NtQueryInformationByName."""
    probe(mode, out, length)
    status, data = yield from _query_by_name(k, mode, path_of(k, attributes), kind, length, query_open=True)
    if nt_success(status):
        k.memory.write(out, data)
    Caller(k, mode, None, iosb).report(status, len(data))
    return status


def _query_by_name(k: "Kernel", mode: int, path: str, kind: int, length: int, *, query_open: bool = False) -> Code:
    """(NTSTATUS, bytes)."""
    found = k.io.volume_of(path)
    if found is None:
        return int(NtStatus.OBJECT_PATH_NOT_FOUND), b""
    way = "query-open" if query_open else k.policy["attribute-query"]
    if way != "open":
        answer = yield from _ask_without_opening(k, mode, *found, way, kind, length)
        if answer is not None:
            return answer
    options = OpenParameters(access=0x0010_0080, options=0x0020_0000 | 0x20, mode=mode)
    status, _, file = yield from open_file(k, path, options)
    if file is None:
        return status, b""
    status, data = yield from _query(k, mode, file, kind, length)
    yield from k.io.cleanup(file)
    yield from k.objects.release(file.object)
    return status, data


def _ask_without_opening(k: "Kernel", mode: int, volume: "Volume", name: str, way: str, kind: int, length: int) -> Code:
    """NetworkQueryOpen or QueryOpen; None if it was refused and the file must be opened."""
    file = k.io.make_file_object(volume, name, 0)
    buffer, size_at = k.io.heap.allocate(length), k.io.heap.allocate(4)
    k.memory.write_u32(size_at, length)
    if way == "network-query-open":
        request = Request(
            OperationClass.FAST_IO,
            IrpMajor.NETWORK_QUERY_OPEN,
            file,
            k.current,
            parameters=NETWORK_QUERY_OPEN.pack(0, buffer),
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
    data = k.memory.read(buffer, length)
    k.io.heap.free(buffer)
    k.io.heap.free(size_at)
    k.objects.dereference(file.object)
    return None if request.disallowed else (request.status, data)


# -- information


@service("QueryInformationFile")
def query_information_file(k: "Kernel", mode: int, handle: int, iosb: int, out: int, length: U32, kind: U32) -> Code:
    """NtQueryInformationFile."""
    if handle in k.io.streams:
        return int(NtStatus.INVALID_PARAMETER)
    file = file_of(k, handle)
    probe(mode, out, length)
    status, data = yield from _query(k, mode, file, kind, length)
    if nt_success(status) or status == NtStatus.BUFFER_OVERFLOW:
        yield from k.io.views.write(out, data)
        Caller(k, mode, None, iosb).report(status, len(data))
    return status


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
def set_information_file(k: "Kernel", mode: int, handle: int, iosb: int, source: int, length: U32, kind: U32) -> Code:
    """NtSetInformationFile."""
    file = file_of(k, handle)
    probe(mode, source, length)
    if length > _MOST_INFORMATION:
        return int(NtStatus.INVALID_PARAMETER)
    data = yield from k.io.views.read(source, length)
    status = yield from set_information(k, mode, file, kind, data)
    Caller(k, mode, None, iosb).report(status, 0)
    return status


def set_information(k: "Kernel", mode: int, file: FileObject, kind: int, data: bytes) -> Code:
    """IRP_MJ_SET_INFORMATION with a system buffer; NTSTATUS."""
    if kind == FileInformationClass.POSITION:
        file.view.current_byte_offset = int.from_bytes(data[:8], "little", signed=True)
        return int(NtStatus.SUCCESS)
    buffer = k.io.heap.allocate(len(data))
    k.memory.write(buffer, data)
    replace = data[0] if data and kind in (FileInformationClass.RENAME, FileInformationClass.LINK) else 0
    request = Request(
        OperationClass.IRP,
        IrpMajor.SET_INFORMATION,
        file,
        k.current,
        parameters=SET_INFORMATION.pack(len(data), kind, 0, replace, buffer),
        irp_flags=_BUFFERED,
        mode=mode,
    )
    request.system_buffer = True
    status: int = yield from k.io.issue(request)
    k.io.heap.free(buffer)
    return status


@service("QueryVolumeInformationFile")
def query_volume_information_file(
    k: "Kernel", mode: int, handle: int, iosb: int, out: int, length: U32, kind: U32
) -> Code:
    """NtQueryVolumeInformationFile."""
    file = file_of(k, handle)
    probe(mode, out, length)
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


# -- directories


@service("QueryDirectoryFile")
def query_directory_file(
    k: "Kernel",
    mode: int,
    handle: int,
    event: int,
    apc: int,
    apc_context: int,
    iosb: int,
    buffer: int,
    length: U32,
    kind: U32,
    single: U8,
    pattern: int,
    restart: U8,
) -> Code:
    """NtQueryDirectoryFile."""
    del apc, apc_context
    file = file_of(k, handle, 0x1)
    probe(mode, buffer, length)
    flags = (StackFlags.RESTART_SCAN if restart else 0) | (StackFlags.RETURN_SINGLE_ENTRY if single else 0)
    request = Request(
        OperationClass.IRP,
        IrpMajor.DIRECTORY_CONTROL,
        file,
        k.current,
        minor=Minor.QUERY_DIRECTORY,
        parameters=DIRECTORY.pack(length, pattern, kind, 0, buffer, 0),
        operation_flags=int(flags),
        mode=mode,
        synchronous=file.synchronous,
    )
    return (yield from send_irp(Caller(k, mode, event_of_handle(k, event), iosb), file, request))


@service("NotifyChangeDirectoryFile")
def notify_change_directory_file(
    k: "Kernel",
    mode: int,
    handle: int,
    event: int,
    apc: int,
    apc_context: int,
    iosb: int,
    buffer: int,
    length: U32,
    what: U32,
    tree: U8,
) -> Code:
    """NtNotifyChangeDirectoryFile."""
    del apc, apc_context
    file = file_of(k, handle, 0x1)
    probe(mode, buffer, length)
    request = Request(
        OperationClass.IRP,
        IrpMajor.DIRECTORY_CONTROL,
        file,
        k.current,
        minor=Minor.NOTIFY_CHANGE_DIRECTORY,
        parameters=NOTIFY.pack(length, what, 0, 0, buffer, 0),
        operation_flags=int(StackFlags.WATCH_TREE) if tree else 0,
        mode=mode,
        synchronous=file.synchronous,
    )
    return (yield from send_irp(Caller(k, mode, event_of_handle(k, event), iosb), file, request))
