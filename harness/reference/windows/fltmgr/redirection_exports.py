"""Redirection, open reparse lists, file information with a create, bypass I/O: what the file systems here have not."""

from struct import pack
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.io.parameters import Control

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_STACK_SIZE = 0x4C
"""Offset of StackSize in DEVICE_OBJECT."""
_FSCTL_MANAGE_BYPASS_IO = 0x0009_0448
_BPIO_OUTPUT_SIZE, _BPIO_STATUS, _BPIO_NAMES = 0x158, 0x20, 0x24
_LONGEST_DRIVER, _LONGEST_REASON = 32, 128


@export(FLTMGR, "FltAdjustDeviceStackSizeForIoRedirection", max_irql=Irql.APC)
def flt_adjust_device_stack_size_for_io_redirection(k: "Kernel", source: int, target: int, changed: int) -> int:
    """FltAdjustDeviceStackSizeForIoRedirection: the source's device gets as many stack locations as the target's."""
    ours, theirs = (k.flt.frames.device_of(k.flt.instance_at(item)).address for item in (source, target))
    has, needs = (k.memory.read_u8(address + _STACK_SIZE) for address in (ours, theirs))
    if needs > has:
        k.memory.write_u8(ours + _STACK_SIZE, needs)
    if changed:
        k.memory.write_u8(changed, needs > has)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltAddOpenReparseEntry", "FltCopyOpenReparseList", max_irql=Irql.APC)
def flt_add_open_reparse_entry(k: "Kernel", filter_: int, data: int, entry: int) -> int:
    """FltAddOpenReparseEntry: no file system here looks at such a list while it parses a name, and it says so."""
    del entry
    k.flt.filter_at(filter_)
    k.flt.operation_at(data)
    return int(NtStatus.NOT_SUPPORTED)


@export(FLTMGR, "FltRemoveOpenReparseEntry", max_irql=Irql.APC)
def flt_remove_open_reparse_entry(k: "Kernel", filter_: int, data: int, entry: int) -> None:
    """FltRemoveOpenReparseEntry: nothing was ever added."""
    del entry
    k.flt.filter_at(filter_)
    k.flt.operation_at(data)


@export(FLTMGR, "FltFreeOpenReparseList", max_irql=Irql.APC)
def flt_free_open_reparse_list(k: "Kernel", filter_: int, ecp_list: int) -> None:
    """FltFreeOpenReparseList: nothing was ever copied."""
    del ecp_list
    k.flt.filter_at(filter_)


@export(FLTMGR, "FltRequestFileInfoOnCreateCompletion", max_irql=Irql.APC)
def flt_request_file_info_on_create_completion(k: "Kernel", filter_: int, data: int, classes: U32) -> int:
    """FltRequestFileInfoOnCreateCompletion: only of a create; no file system here answers it."""
    del classes
    k.flt.filter_at(filter_)
    major = k.flt.operation_at(data).request.major
    return int(NtStatus.NOT_SUPPORTED if major == IrpMajor.CREATE else NtStatus.INVALID_PARAMETER)


@export(FLTMGR, "FltRetrieveFileInfoOnCreateCompletion", max_irql=Irql.APC)
def flt_retrieve_file_info_on_create_completion(k: "Kernel", filter_: int, data: int, kind: U32, size: int) -> int:
    """FltRetrieveFileInfoOnCreateCompletion: NULL, as where the file system has given none."""
    del kind
    k.flt.filter_at(filter_)
    k.flt.operation_at(data)
    k.memory.write_u32(size, 0)
    return 0


@export(FLTMGR, "FltRetrieveFileInfoOnCreateCompletionEx", max_irql=Irql.APC)
def flt_retrieve_file_info_on_create_completion_ex(
    k: "Kernel", filter_: int, data: int, kind: U32, size: int, buffer: int
) -> int:
    """FltRetrieveFileInfoOnCreateCompletionEx: NOT_FOUND, as where the file system has given none."""
    del kind
    k.flt.filter_at(filter_)
    k.flt.operation_at(data)
    k.memory.write_u32(size, 0)
    k.memory.write_u64(buffer, 0)
    return int(NtStatus.NOT_FOUND)


@export(FLTMGR, "FltVetoBypassIo", max_irql=Irql.PASSIVE)
def flt_veto_bypass_io(k: "Kernel", data: int, objects: int, status: U32, reason: int) -> int:
    """FltVetoBypassIo: of an FSCTL_MANAGE_BYPASS_IO; who has vetoed, and why, is in its output."""
    request = k.flt.operation_at(data).request
    if request.major != IrpMajor.FILE_SYSTEM_CONTROL or not reason or not status >> 31:
        return int(NtStatus.INVALID_PARAMETER)
    control = Control.unpack(request.parameters)
    if control.code != _FSCTL_MANAGE_BYPASS_IO or control.output_length < _BPIO_OUTPUT_SIZE:
        return int(NtStatus.INVALID_PARAMETER)
    name = k.flt.filter_at(k.memory.read_u64(objects + 8)).name[: _LONGEST_DRIVER - 1]
    text = k.memory.read_unicode_string(reason)[: _LONGEST_REASON - 1]
    words = pack("<H", len(name)) + name.encode("utf-16-le").ljust(2 * _LONGEST_DRIVER, b"\0")
    words += pack("<H", len(text)) + text.encode("utf-16-le").ljust(2 * _LONGEST_REASON, b"\0")
    k.memory.write(control.second, bytes(_BPIO_OUTPUT_SIZE))
    k.memory.write_u32(control.second + _BPIO_STATUS, status)
    k.memory.write(control.second + _BPIO_NAMES, words)
    return status


@export(FLTMGR, "FltGetIoAttributionHandleFromCallbackData", max_irql=Irql.DISPATCH)
def flt_get_io_attribution_handle_from_callback_data(k: "Kernel", data: int) -> int:
    """FltGetIoAttributionHandleFromCallbackData: NULL, as of I/O that is nobody's to account for."""
    k.flt.operation_at(data)
    return 0
