"""HRESULTs and Win32 error codes as fltmc, sc and reg print them, with Windows' own words for them.

Sources: fltwinerror.h and winerror.h as documented (System Error Codes; ifs/fltmgr HRESULTs); the twin of a filter
manager NTSTATUS 0xC01C00xx is 0x801F00xx.
"""

from types import MappingProxyType

from harness.nt.status import NtStatus

WIN32_MESSAGES = MappingProxyType(
    {
        0: "The operation completed successfully.",
        1: "Incorrect function.",
        2: "The system cannot find the file specified.",
        3: "The system cannot find the path specified.",
        5: "Access is denied.",
        6: "The handle is invalid.",
        8: "Not enough memory resources are available to process this command.",
        21: "The device is not ready.",
        31: "A device attached to the system is not functioning.",
        32: "The process cannot access the file because it is being used by another process.",
        50: "The request is not supported.",
        87: "The parameter is incorrect.",
        122: "The data area passed to a system call is too small.",
        234: "More data is available.",
        998: "Invalid access to memory location.",
        1238: (
            "A connection to the server could not be made because the limit on the number of concurrent connections "
            "for this account has been reached."
        ),
        112: "There is not enough space on the disk.",
        123: "The filename, directory name, or volume label syntax is incorrect.",
        126: "The specified module could not be found.",
        127: "The specified procedure could not be found.",
        145: "The directory is not empty.",
        170: "The requested resource is in use.",
        183: "Cannot create a file when that file already exists.",
        193: "%1 is not a valid Win32 application.",
        267: "The directory name is invalid.",
        577: (
            "Windows cannot verify the digital signature for this file. A recent hardware or software change might "
            "have installed a file that is signed incorrectly or damaged, or that might be malicious software from an "
            "unknown source."
        ),
        995: "The I/O operation has been aborted because of either a thread exit or an application request.",
        1052: "The requested control is not valid for this service.",
        1053: "The service did not respond to the start or control request in a timely fashion.",
        1056: "An instance of the service is already running.",
        1058: (
            "The service cannot be started, either because it is disabled or because it has no enabled devices "
            "associated with it."
        ),
        1060: "The specified service does not exist as an installed service.",
        1062: "The service has not been started.",
        1072: "The specified service has been marked for deletion.",
        1073: "The specified service already exists.",
        1077: "No attempts to start the service have been made since the last boot.",
        1168: "Element not found.",
        1223: "The operation was canceled by the user.",
        1275: "This driver has been blocked from loading.",
        1314: "A required privilege is not held by the client.",
        1450: "Insufficient system resources exist to complete the requested service.",
        1639: "Invalid command line argument.",
        4551: "An Application Control policy has blocked this file.",
    }
)

TRUST_MESSAGES = MappingProxyType(
    {
        0x800B0100: "No signature was present in the subject.",
        0x800B0101: "A required certificate is not within its validity period.",
        0x800B0109: "A certificate chain processed, but terminated in a root certificate which is not trusted.",
        0x800B010A: "A certificate chain could not be built to a trusted root authority.",
        0x800B010C: "A certificate was explicitly revoked by its issuer.",
        0x800B0110: "The certificate is not valid for the requested usage.",
        0x80096010: "The digital signature of the object did not verify.",
        0x80096019: "A certificate's basic constraint extension has not been observed.",
    }
)

FILTER_MESSAGES = MappingProxyType(
    {
        0x801F0001: "A handler was not defined by the filter for this operation.",
        0x801F0002: "A context is already defined for this object.",
        0x801F0003: "Asynchronous requests are not valid for this operation.",
        0x801F0008: "The filter is not ready for attachment to volumes because it has not finished initializing.",
        0x801F0009: "Cleanup of the operation is required.",
        0x801F000A: "The Filter Manager has an internal error from which it cannot recover.",
        0x801F000B: "The object specified for this action is in the process of being deleted.",
        0x801F000C: "Non-paged pool must be used for this type of context.",
        0x801F000D: "A duplicate handler definition has been provided for an operation.",
        0x801F000E: "The callback data queue has been disabled.",
        0x801F000F: "Do not attach the filter to the volume at this time.",
        0x801F0010: "Do not detach the filter from the volume at this time.",
        0x801F0011: "An instance already exists at this altitude on the volume specified.",
        0x801F0012: "An instance already exists with this name on the volume specified.",
        0x801F0013: "The system could not find the filter specified.",
        0x801F0014: "The system could not find the volume specified.",
        0x801F0015: "The system could not find the instance specified.",
        0x801F0016: "No registered context allocation definition was found for the given request.",
        0x801F0017: "An invalid parameter was specified during context registration.",
        0x801F0019: "A device object does not exist.",
        0x801F0020: "No waiter is present for the filter's reply to this message.",
    }
)

_WIN32_OF_STATUS = MappingProxyType(
    {
        NtStatus.SUCCESS: 0,
        NtStatus.UNSUCCESSFUL: 31,
        NtStatus.NOT_IMPLEMENTED: 1,
        NtStatus.INVALID_PARAMETER: 87,
        NtStatus.NO_SUCH_FILE: 2,
        NtStatus.INVALID_DEVICE_REQUEST: 1,
        NtStatus.NO_MEMORY: 8,
        NtStatus.ACCESS_DENIED: 5,
        NtStatus.OBJECT_NAME_INVALID: 123,
        NtStatus.OBJECT_NAME_NOT_FOUND: 2,
        NtStatus.OBJECT_NAME_COLLISION: 183,
        NtStatus.OBJECT_PATH_NOT_FOUND: 3,
        NtStatus.SHARING_VIOLATION: 32,
        NtStatus.PRIVILEGE_NOT_HELD: 1314,
        NtStatus.DISK_FULL: 112,
        NtStatus.INVALID_IMAGE_FORMAT: 193,
        NtStatus.INSUFFICIENT_RESOURCES: 1450,
        NtStatus.DEVICE_NOT_READY: 21,
        NtStatus.NOT_SUPPORTED: 50,
        NtStatus.DIRECTORY_NOT_EMPTY: 145,
        NtStatus.NOT_A_DIRECTORY: 267,
        NtStatus.CANCELLED: 995,
        NtStatus.INVALID_HANDLE: 6,
        NtStatus.PORT_DISCONNECTED: 6,
        NtStatus.BUFFER_OVERFLOW: 234,
        NtStatus.BUFFER_TOO_SMALL: 122,
        NtStatus.NO_MORE_ENTRIES: 259,
        NtStatus.CONNECTION_COUNT_LIMIT: 1238,
        NtStatus.ACCESS_VIOLATION: 998,
        NtStatus.IMAGE_ALREADY_LOADED: 1056,
        NtStatus.DEVICE_BUSY: 170,
        NtStatus.NOT_FOUND: 1168,
        NtStatus.PROCEDURE_NOT_FOUND: 127,
        NtStatus.DRIVER_ENTRYPOINT_NOT_FOUND: 127,
        NtStatus.DRIVER_UNABLE_TO_LOAD: 31,
        NtStatus.INVALID_IMAGE_HASH: 577,
    }
)

_MORE_WIN32_OF_STATUS = MappingProxyType(
    {
        NtStatus.PENDING: 997,
        NtStatus.TIMEOUT: 1460,
        NtStatus.BUFFER_OVERFLOW: 234,
        NtStatus.NO_MORE_FILES: 18,
        NtStatus.NO_MORE_ENTRIES: 259,
        NtStatus.INVALID_INFO_CLASS: 87,
        NtStatus.INFO_LENGTH_MISMATCH: 24,
        NtStatus.ACCESS_VIOLATION: 998,
        NtStatus.INVALID_HANDLE: 6,
        NtStatus.END_OF_FILE: 38,
        NtStatus.BUFFER_TOO_SMALL: 122,
        NtStatus.OBJECT_TYPE_MISMATCH: 6,
        NtStatus.OBJECT_PATH_SYNTAX_BAD: 161,
        NtStatus.DELETE_PENDING: 5,
        NtStatus.FILE_LOCK_CONFLICT: 33,
        NtStatus.RANGE_NOT_LOCKED: 158,
        NtStatus.FILE_IS_A_DIRECTORY: 5,
        NtStatus.NOT_SAME_DEVICE: 17,
        NtStatus.NAME_TOO_LONG: 206,
        NtStatus.CANNOT_DELETE: 5,
        NtStatus.FILE_DELETED: 5,
        NtStatus.FILE_CLOSED: 5,
        NtStatus.MEDIA_WRITE_PROTECTED: 19,
        NtStatus.IO_DEVICE_ERROR: 1117,
        NtStatus.USER_MAPPED_FILE: 1224,
        NtStatus.NO_TOKEN: 1008,
        NtStatus.OBJECT_NAME_EXISTS: 183,
    }
)
_UNKNOWN_STATUS = 317
"""ERROR_MR_MID_NOT_FOUND."""


def win32_of_status(status: int) -> int:
    """RtlNtStatusToDosError, as far as the table goes."""
    known = {**_WIN32_OF_STATUS, **_MORE_WIN32_OF_STATUS}
    value = status & 0xFFFF_FFFF
    if value >> 16 in (0x8007, 0xC007):
        return value & 0xFFFF
    return known.get(value, _UNKNOWN_STATUS)  # type: ignore[call-overload, no-any-return]


FACILITY_WIN32 = 0x80070000
FACILITY_NT = 0x10000000


def hresult_of_win32(code: int) -> int:
    """HRESULT_FROM_WIN32."""
    return FACILITY_WIN32 | code if code else 0


def hresult_of_status(status: int) -> int:
    """The HRESULT that fltlib gives for an NTSTATUS; HRESULT_FROM_NT where no Win32 code is known for it."""
    value = status & 0xFFFFFFFF
    if value >> 16 == 0xC01C:
        return 0x801F0000 | (value & 0xFFFF)
    code = _WIN32_OF_STATUS.get(value)  # type: ignore[call-overload]  # an IntEnum's key is found by its number
    return hresult_of_win32(code) if code is not None else value | FACILITY_NT


def win32_of_hresult(hresult: int) -> int | None:
    """The Win32 code inside an HRESULT, if there is one."""
    return hresult & 0xFFFF if hresult & 0xFFFF0000 == FACILITY_WIN32 else None


def message_of(hresult: int) -> str | None:
    """Windows' words for an HRESULT, None where we know none."""
    code = win32_of_hresult(hresult)
    return WIN32_MESSAGES.get(code) if code is not None else {**FILTER_MESSAGES, **TRUST_MESSAGES}.get(hresult)


def explain(code: int) -> str:
    """An HRESULT, Win32 code or NTSTATUS with its meaning, for messages: `0x80070002: The system cannot find ...`."""
    value = code & 0xFFFFFFFF
    if value < 0x10000:
        return f"{value}: {WIN32_MESSAGES.get(value, 'a Win32 error we have no words for')}"
    words = message_of(value)
    if words is None:
        try:
            words = f"STATUS_{NtStatus(value & ~FACILITY_NT).name}"
        except ValueError:
            words = "a code we have no words for"
    return f"0x{value:08x}: {words}"
