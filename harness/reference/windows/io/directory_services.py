"""NtQueryDirectoryFile, its Ex, and NtNotifyChangeDirectoryFile."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.machine.loader.exports import U8, U32, Length
from harness.reference.windows.io.constants import VALID_NOTIFY, Minor, StackFlags
from harness.reference.windows.io.parameters import DIRECTORY, NOTIFY
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.system_services import Caller, ReportArguments, file_of, probe, send_irp, service
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


_QUERY_DIRECTORY_MASK = 0x1B
"""SL_QUERY_DIRECTORY_MASK: restart, single entry, only what is on the disk, no cursor update."""


@service("QueryDirectoryFile")
def query_directory_file(
    k: "Kernel",
    mode: int,
    handle: int,
    report: ReportArguments,
    buffer: int,
    length: Length,
    kind: U32,
    single: U8,
    pattern: int,
    restart: U8,
) -> Code:
    """NtQueryDirectoryFile."""
    flags = StackFlags.of_scan(restart, single)
    return _query_directory(k, mode, handle, report, DIRECTORY.pack(length, pattern, kind, 0, buffer, 0), flags)


@service("QueryDirectoryFileEx")
def query_directory_file_ex(
    k: "Kernel",
    mode: int,
    handle: int,
    report: ReportArguments,
    buffer: int,
    length: Length,
    kind: U32,
    flags: U32,
    pattern: int,
) -> Code:
    """NtQueryDirectoryFileEx: the flags of the request, SL_*, where the other has BOOLEANs."""
    if flags & ~_QUERY_DIRECTORY_MASK:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    return _query_directory(k, mode, handle, report, DIRECTORY.pack(length, pattern, kind, 0, buffer, 0), flags)


def _query_directory(
    k: "Kernel", mode: int, handle: int, report: ReportArguments, parameters: bytes, flags: int
) -> Code:
    file = file_of(k, handle, 0x1)
    length, _, _, _, buffer, _ = DIRECTORY.unpack(parameters)
    probe(mode, buffer, length)
    request = Request(
        OperationClass.IRP,
        IrpMajor.DIRECTORY_CONTROL,
        file,
        k.current,
        minor=Minor.QUERY_DIRECTORY,
        parameters=parameters,
        operation_flags=flags,
        mode=mode,
        synchronous=file.synchronous,
    )
    return (yield from send_irp(Caller.of(k, mode, report), file, request))


@service("NotifyChangeDirectoryFile")
def notify_change_directory_file(
    k: "Kernel",
    mode: int,
    handle: int,
    report: ReportArguments,
    buffer: int,
    length: Length,
    what: U32,
    tree: U8,
) -> Code:
    """NtNotifyChangeDirectoryFile."""
    if not what or what & ~VALID_NOTIFY:
        return int(NtStatus.INVALID_PARAMETER)
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
    return (yield from send_irp(Caller.of(k, mode, report), file, request))
