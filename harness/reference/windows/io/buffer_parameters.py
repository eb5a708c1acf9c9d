"""Where the parameters of a request say which buffer it is about, and how long that is."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import IrpMajor
from harness.reference.windows.io.constants import Minor

if TYPE_CHECKING:
    from harness.reference.windows.io.request import Request

_U32, _U64 = Struct("<I"), Struct("<Q")
BUFFERS: dict[tuple[int, int | None], tuple[int, int, int]] = {
    (IrpMajor.READ, None): (24, 32, 0),
    (IrpMajor.WRITE, None): (24, 32, 0),
    (IrpMajor.DIRECTORY_CONTROL, int(Minor.QUERY_DIRECTORY)): (32, 40, 0),
    (IrpMajor.DIRECTORY_CONTROL, int(Minor.NOTIFY_CHANGE_DIRECTORY)): (32, 40, 0),
    (IrpMajor.QUERY_EA, None): (32, 40, 0),
    (IrpMajor.SET_EA, None): (8, 16, 0),
    (IrpMajor.QUERY_QUOTA, None): (32, 40, 0),
    (IrpMajor.SET_QUOTA, None): (8, 16, 0),
    (IrpMajor.QUERY_SECURITY, None): (16, 24, 8),
    (IrpMajor.FILE_SYSTEM_CONTROL, None): (32, 40, 0),
    (IrpMajor.DEVICE_CONTROL, None): (32, 40, 0),
}
"""Offsets in Parameters of buffer, MDL and length, by major and minor function."""
WITHOUT_MDL: dict[int, tuple[int, int | None]] = {
    IrpMajor.QUERY_INFORMATION: (16, 0),
    IrpMajor.SET_INFORMATION: (32, 0),
    IrpMajor.QUERY_VOLUME_INFORMATION: (16, 0),
    IrpMajor.SET_VOLUME_INFORMATION: (16, 0),
    IrpMajor.SET_SECURITY: (8, None),
}
"""Offsets of buffer and length of those that have no MDL."""
OF_BUFFERED_CONTROL = 24, 0
"""The same of a control whose code says METHOD_BUFFERED: its one buffer is the system's, for what comes and goes."""
TAKES = frozenset(
    {
        IrpMajor.WRITE, IrpMajor.SET_INFORMATION, IrpMajor.SET_EA, IrpMajor.SET_VOLUME_INFORMATION,
        IrpMajor.SET_SECURITY, IrpMajor.SET_QUOTA,
    }
)  # fmt: skip
"""Operations whose buffer says what is to be done: a filter may only look at it."""

_CONTROL = frozenset({IrpMajor.FILE_SYSTEM_CONTROL, IrpMajor.DEVICE_CONTROL})
_BUFFERED = 3
"""The bits of a control code that are 0 for METHOD_BUFFERED."""


def is_buffered_control(request: "Request") -> bool:
    """Whether it is a control whose code says METHOD_BUFFERED: the I/O manager has copied what it takes."""
    return request.major in _CONTROL and not request.parameters[16] & _BUFFERED


def buffer_of(request: "Request") -> tuple[int, int]:
    """Address and length of the buffer that a request fills or takes; of a control the output. Zeros for none."""
    major = request.major
    found = BUFFERS.get((major, None)) or BUFFERS.get((major, request.minor))
    if found is None:
        buffer, length = WITHOUT_MDL.get(major, (0, None))
    elif is_buffered_control(request):
        buffer, length = OF_BUFFERED_CONTROL
    else:
        buffer, _, length = found
    if length is None:
        return 0, 0
    return _U64.unpack_from(request.parameters, buffer)[0], _U32.unpack_from(request.parameters, length)[0]


def input_of(request: "Request") -> tuple[int, int]:
    """The same of what a request takes: zeros if it only fills a buffer."""
    if request.major in _CONTROL:
        return _U64.unpack_from(request.parameters, 24)[0], _U32.unpack_from(request.parameters, 8)[0]
    return buffer_of(request) if request.major in TAKES else (0, 0)
