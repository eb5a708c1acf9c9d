"""What a kind of file system refuses of what the store could do: asked before an operation is done."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus
from harness.reference.windows.fs.kinds import Kind, Limits
from harness.reference.windows.fs.opens import CreateOptions
from harness.reference.windows.io.constants import FileInformationClass, Minor
from harness.reference.windows.io.parameters import DIRECTORY, INFORMATION, SET_INFORMATION, Control, Create
from harness.reference.windows.io.request import Request
from harness.reference.windows.io.stack_parameters import is_control

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_EAS = frozenset({IrpMajor.QUERY_EA, IrpMajor.SET_EA})
_SECURITY = frozenset({IrpMajor.QUERY_SECURITY, IrpMajor.SET_SECURITY})
_LINKS = frozenset({FileInformationClass.LINK, FileInformationClass.LINK_EX})


def refusal(k: "Executive", kind: Kind, request: Request) -> int:
    """The NTSTATUS with which a kind of file system refuses a request; 0 if it does not."""
    limits, major = kind.limits, request.major
    if limits is None:
        return 0
    if major == IrpMajor.CREATE:
        return _of_create(k, kind, limits, request)
    if major in _EAS:
        return limits.no_eas
    if major in _SECURITY:
        return int(NtStatus.INVALID_DEVICE_REQUEST) if kind.plain else 0
    if major == IrpMajor.FILE_SYSTEM_CONTROL and is_control(major, request.minor):
        code = Control.unpack(request.parameters).code
        refused = code in limits.no_controls if limits.controls is None else code not in limits.controls
        return int(NtStatus.INVALID_DEVICE_REQUEST) if refused else 0
    return _of_information(limits, request)


def _of_create(k: "Executive", kind: Kind, limits: Limits, request: Request) -> int:
    parameters = Create.unpack(request.parameters)
    if parameters.ea_length:
        return limits.no_eas
    if not kind.plain:
        return 0
    if parameters.options & CreateOptions.OPEN_BY_FILE_ID:
        return int(NtStatus.NOT_IMPLEMENTED)
    assert request.file is not None
    name = k.memory.read_unicode_string(request.file.address + 0x58)
    return int(NtStatus.OBJECT_NAME_INVALID) if ":" in name else 0


def _of_information(limits: Limits, request: Request) -> int:
    major = request.major
    if major == IrpMajor.QUERY_INFORMATION:
        known = INFORMATION.unpack_from(request.parameters)[1] in limits.query
    elif major == IrpMajor.QUERY_VOLUME_INFORMATION:
        known = INFORMATION.unpack_from(request.parameters)[1] in limits.volume
    elif major == IrpMajor.SET_INFORMATION:
        chosen = SET_INFORMATION.unpack_from(request.parameters)[1]
        if chosen in _LINKS and chosen not in limits.set:
            return int(NtStatus.INVALID_DEVICE_REQUEST)
        known = chosen in limits.set
    elif major == IrpMajor.DIRECTORY_CONTROL and request.minor == Minor.QUERY_DIRECTORY:
        known = DIRECTORY.unpack_from(request.parameters)[2] in limits.directory
        return 0 if known else int(NtStatus.INVALID_INFO_CLASS)
    else:
        return 0
    return 0 if known else limits.unknown_class
