"""The exports that ask about an operation's file and requestor, and about I/O priority, activity and redirection."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U16, U32, export
from harness.reference.windows.fltmgr.own_requests import query
from harness.reference.windows.io.constants import FileInformationClass
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_STANDARD_SIZE, _DIRECTORY = 24, 21
"""FILE_STANDARD_INFORMATION, and the offset of Directory in it."""
_NORMAL, _PRIORITIES = 2, 5
_PARSED = Struct("<HHI")


@export(FLTMGR, "FltIsDirectory", max_irql=Irql.APC)
def flt_is_directory(k: "Kernel", file_object: int, instance: int, out: int) -> Code:
    """FltIsDirectory: asked of the file system, below the instance."""
    buffer = k.flt.heap.allocate(_STANDARD_SIZE)
    status = yield from query_standard(k, instance, file_object, buffer)
    if not status & 0x8000_0000:
        k.memory.write_u8(out, k.memory.read_u8(buffer + _DIRECTORY))
    k.flt.heap.free(buffer)
    return status


def query_standard(k: "Kernel", instance: int, file_object: int, buffer: int) -> Code:
    """FileStandardInformation of a file, below an instance."""
    kind = int(FileInformationClass.STANDARD)
    return (yield from query(k.flt, IrpMajor.QUERY_INFORMATION, instance, file_object, buffer, _STANDARD_SIZE, kind, 0))


@export(FLTMGR, "FltIs32bitProcess", max_irql=Irql.DISPATCH)
def flt_is_32bit_process(k: "Kernel", data: int) -> bool:
    """FltIs32bitProcess: there are none."""
    if data:
        k.memory.read(data, 1)
    return False


@export(FLTMGR, "FltGetRequestorSessionId", max_irql=Irql.DISPATCH)
def flt_get_requestor_session_id(k: "Kernel", data: int, out: int) -> int:
    """FltGetRequestorSessionId: programs run in session 1, the system in session 0."""
    thread = k.processes.threads.get(k.memory.read_u64(data + 8))
    system = thread is None or thread.process is k.processes.system
    k.memory.write_u32(out, 0 if system else 1)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltIsVolumeSnapshot", max_irql=Irql.APC)
def flt_is_volume_snapshot(k: "Kernel", flt_object: int, out: int) -> int:
    """FltIsVolumeSnapshot: no volume is one."""
    if flt_object not in k.flt.instances:
        k.flt.volume_at(flt_object)
    k.memory.write_u8(out, 0)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltGetNewSystemBufferAddress", max_irql=Irql.DISPATCH)
def flt_get_new_system_buffer_address(k: "Kernel", data: int) -> int:
    """FltGetNewSystemBufferAddress: nothing replaces system buffers here, so there never is a new one."""
    k.flt.operation_at(data)
    return 0


@export(FLTMGR, "FltGetFsZeroingOffset", max_irql=Irql.APC)
def flt_get_fs_zeroing_offset(k: "Kernel", data: int, out: int) -> int:
    """FltGetFsZeroingOffset: only for writes that ask for zeroing, which nobody sends."""
    k.flt.operation_at(data)
    k.memory.read(out, 4)
    return int(NtStatus.INVALID_PARAMETER)


@export(FLTMGR, "FltSetFsZeroingOffset", "FltSetFsZeroingOffsetRequired", max_irql=Irql.APC)
def flt_set_fs_zeroing_offset(k: "Kernel", data: int, offset: U32) -> int:
    """FltSetFsZeroingOffset: as above."""
    del offset
    k.flt.operation_at(data)
    return int(NtStatus.INVALID_PARAMETER)


# -- I/O priority and activity ids of an operation


@export(FLTMGR, "FltGetIoPriorityHint", "FltGetIoPriorityHintFromCallbackData", max_irql=Irql.DISPATCH)
def flt_get_io_priority_hint(k: "Kernel", data: int) -> int:
    """FltGetIoPriorityHint: the operation's, else its file's, else its thread's."""
    request = k.flt.operation_at(data).request
    if request.priority != _NORMAL:
        return request.priority
    file = request.file.address if request.file is not None else 0
    return k.io.priorities.get(file, k.io.priorities.get(request.thread.kthread, _NORMAL))


@export(FLTMGR, "FltSetIoPriorityHintIntoCallbackData", max_irql=Irql.DISPATCH)
def flt_set_io_priority_hint_into_callback_data(k: "Kernel", data: int, priority: U32) -> int:
    """FltSetIoPriorityHintIntoCallbackData."""
    if priority >= _PRIORITIES:
        return int(NtStatus.INVALID_PARAMETER)
    k.flt.operation_at(data).request.priority = priority
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltGetActivityIdCallbackData", max_irql=Irql.DISPATCH)
def flt_get_activity_id_callback_data(k: "Kernel", data: int, out: int) -> int:
    """FltGetActivityIdCallbackData: NOT_FOUND unless one was set."""
    activity = k.flt.operation_at(data).request.activity
    if activity is None:
        return int(NtStatus.NOT_FOUND)
    k.memory.write(out, activity)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltSetActivityIdCallbackData", max_irql=Irql.DISPATCH)
def flt_set_activity_id_callback_data(k: "Kernel", data: int, guid: int) -> int:
    """FltSetActivityIdCallbackData: NULL takes it away."""
    k.flt.operation_at(data).request.activity = k.memory.read(guid, 16) if guid else None
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltIsIoRedirectionAllowed", max_irql=Irql.APC)
def flt_is_io_redirection_allowed(k: "Kernel", source: int, target: int, out: int) -> int:
    """FltIsIoRedirectionAllowed: between volumes of one kind, which all here are."""
    k.flt.instance_at(source)
    k.flt.instance_at(target)
    k.memory.write_u8(out, 1)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltIsIoRedirectionAllowedForOperation", max_irql=Irql.APC)
def flt_is_io_redirection_allowed_for_operation(
    k: "Kernel", data: int, target: int, file_out: int, all_out: int
) -> int:
    """FltIsIoRedirectionAllowedForOperation."""
    k.flt.operation_at(data)
    k.flt.instance_at(target)
    for out in (file_out, all_out):
        if out:
            k.memory.write_u8(out, 1)
    return int(NtStatus.SUCCESS)


# -- names and services


@export(FLTMGR, "FltParseFileName", max_irql=Irql.APC)
def flt_parse_file_name(k: "Kernel", name: int, extension: int, stream: int, final: int) -> int:
    """FltParseFileName: parts of a name, pointing into it."""
    text, buffer = k.memory.read_unicode_string(name), k.memory.read_u64(name + 8)
    start = text.rfind("\\") + 1
    colon = text.find(":", start)
    end = colon if colon >= 0 else len(text)
    dot = text.rfind(".", start, end)
    parts = ((extension, dot + 1 if dot >= 0 else end, end), (stream, colon if colon >= 0 else end, len(text)))
    for out, begin, stop in (*parts, (final, start, len(text))):
        if out:
            size = 2 * max(stop - begin, 0)
            k.memory.write_unicode_string(out, buffer + 2 * begin if size else 0, size, size)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltCheckAndGrowNameControl", max_irql=Irql.APC)
def flt_check_and_grow_name_control(k: "Kernel", control: int, new_size: U16) -> int:
    """FltCheckAndGrowNameControl: a larger buffer with what was in the old one."""
    if new_size > 0xFFFE:
        return int(NtStatus.INSUFFICIENT_RESOURCES)
    length, maximum, _ = _PARSED.unpack(k.memory.read(control, 8))
    if maximum >= new_size:
        return int(NtStatus.SUCCESS)
    old = k.memory.read_u64(control + 8)
    content = k.memory.read(old, length) if length else b""
    buffer = k.flt.heap.allocate(new_size)
    k.memory.write(buffer, content)
    k.flt.file_names.providers.replace_buffer(control, buffer)
    k.memory.write_unicode_string(control, buffer, length, new_size)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltPurgeFileNameInformationCache", max_irql=Irql.APC)
def flt_purge_file_name_information_cache(k: "Kernel", instance: int, file_object: int) -> int:
    """FltPurgeFileNameInformationCache: what an instance and those above it called one file, or all of its volume."""
    found, file = k.flt.instance_at(instance), k.io.file_at(file_object) if file_object else None
    if file_object and file is None:
        return int(NtStatus.INVALID_PARAMETER)
    k.flt.file_names.cache.purge(found, file)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltLoadFilter", max_irql=Irql.PASSIVE)
def flt_load_filter(k: "Kernel", name: int) -> Code:
    """FltLoadFilter: the service of this name; needs SeLoadDriverPrivilege, which kernel code has."""
    status, _ = yield from k.filter_services.load(k.memory.read_unicode_string(name))
    return int(status)


@export(FLTMGR, "FltUnloadFilter", max_irql=Irql.PASSIVE)
def flt_unload_filter(k: "Kernel", name: int) -> Code:
    """FltUnloadFilter."""
    return (yield from k.filter_services.unload(k.memory.read_unicode_string(name), mandatory=False))
