"""FLT_PARAMETERS, and the same in an IRP: the parameters of a stack location, and the buffers beside it.

The parameters of a stack location are the beginning of FLT_PARAMETERS; buffer and MDL, which an IRP has for itself,
follow at the offsets below.
"""

from dataclasses import dataclass
from enum import Enum
from struct import Struct

from harness.nt import IrpMajor
from harness.reference.windows.io.constants import Minor

_U64 = Struct("<Q")
SIZE = 48
_WHOLE = 32


class Buffer(Enum):
    """Which member of the IRP has the buffer."""

    NONE = 0
    USER = 1
    SYSTEM = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a major function's parameters end, and where in FLT_PARAMETERS buffer and MDL are (0: nowhere)."""

    size: int = _WHOLE
    kind: Buffer = Buffer.NONE
    buffer: int = 0
    mdl: int = 0


_NONE = Place()
_INFORMATION = Place(16, Buffer.SYSTEM, 16)
_TRANSFER = Place(24, Buffer.USER, 24, 32)
_PLACES: dict[int, Place] = {
    IrpMajor.READ: _TRANSFER,
    IrpMajor.WRITE: _TRANSFER,
    IrpMajor.QUERY_INFORMATION: _INFORMATION,
    IrpMajor.SET_INFORMATION: Place(32, Buffer.SYSTEM, 32),
    IrpMajor.QUERY_EA: Place(32, Buffer.USER, 32, 40),
    IrpMajor.SET_EA: Place(8, Buffer.USER, 8, 16),
    IrpMajor.QUERY_VOLUME_INFORMATION: _INFORMATION,
    IrpMajor.SET_VOLUME_INFORMATION: _INFORMATION,
    IrpMajor.DIRECTORY_CONTROL: Place(32, Buffer.USER, 32, 40),
    IrpMajor.QUERY_SECURITY: Place(16, Buffer.USER, 16, 24),
    IrpMajor.SET_SECURITY: Place(16),
    IrpMajor.LOCK_CONTROL: Place(24),
    IrpMajor.QUERY_QUOTA: Place(32, Buffer.USER, 32, 40),
    IrpMajor.SET_QUOTA: Place(8, Buffer.USER, 8, 16),
    IrpMajor.CREATE: Place(32, Buffer.SYSTEM, 32),
}
_CONTROLS = frozenset({IrpMajor.FILE_SYSTEM_CONTROL, IrpMajor.DEVICE_CONTROL, IrpMajor.INTERNAL_DEVICE_CONTROL})
_USER_REQUESTS = frozenset({int(Minor.USER_FS_REQUEST), int(Minor.KERNEL_CALL)})
_BUFFERED, _NEITHER = 0, 3
_LOCK_TAIL = Struct("<QBB")
ALLOCATION_SIZE = 40
"""Offset of AllocationSize in Parameters.Create of FLT_PARAMETERS."""


@dataclass(frozen=True, slots=True)
class Buffers:
    """What an IRP has beside its stack locations."""

    user: int = 0
    system: int = 0
    mdl: int = 0
    allocation: int = 0


def is_control(major: int, minor: int) -> bool:
    """Whether a request has control parameters, whose buffers go by the method of the control code."""
    return major in _CONTROLS and (major != IrpMajor.FILE_SYSTEM_CONTROL or minor in _USER_REQUESTS)


def pack(major: int, minor: int, location: bytes, buffers: Buffers, *, flags: int = 0, process: int = 0) -> bytes:
    """FLT_PARAMETERS of a stack location's 32 bytes of parameters and the IRP's buffers."""
    if is_control(major, minor):
        return _pack_control(location, buffers)
    place = _PLACES.get(major, _NONE)
    packed = bytearray(location[: place.size].ljust(SIZE, b"\0"))
    if place.kind is Buffer.USER:
        _U64.pack_into(packed, place.buffer, buffers.user)
    elif place.kind is Buffer.SYSTEM:
        _U64.pack_into(packed, place.buffer, buffers.system)
    if place.mdl:
        _U64.pack_into(packed, place.mdl, buffers.mdl)
    if major == IrpMajor.CREATE:
        _U64.pack_into(packed, ALLOCATION_SIZE, buffers.allocation & 0xFFFF_FFFF_FFFF_FFFF)
    elif major == IrpMajor.LOCK_CONTROL:
        _LOCK_TAIL.pack_into(packed, place.size, process, flags & 1, flags >> 1 & 1)
    return bytes(packed)


def _pack_control(location: bytes, buffers: Buffers) -> bytes:
    packed = bytearray(location.ljust(SIZE, b"\0"))
    method = packed[16] & 3
    if method != _NEITHER:
        _U64.pack_into(packed, 24, buffers.system)
    if method != _BUFFERED:
        _U64.pack_into(packed, 32, buffers.user)
        _U64.pack_into(packed, 40, buffers.mdl)
    return bytes(packed)


def unpack(major: int, minor: int, parameters: bytes, old: Buffers) -> tuple[bytes, Buffers]:
    """A stack location's parameters and the IRP's buffers, of FLT_PARAMETERS; what it does not name is as in `old`."""
    if is_control(major, minor):
        return _unpack_control(parameters, old)
    place = _PLACES.get(major, _NONE)
    user, system, mdl, allocation = old.user, old.system, old.mdl, old.allocation
    if place.kind is Buffer.USER:
        user = _U64.unpack_from(parameters, place.buffer)[0]
    elif place.kind is Buffer.SYSTEM:
        system = _U64.unpack_from(parameters, place.buffer)[0]
    if place.mdl:
        mdl = _U64.unpack_from(parameters, place.mdl)[0]
    if major == IrpMajor.CREATE:
        allocation = _U64.unpack_from(parameters, ALLOCATION_SIZE)[0]
    return parameters[: place.size].ljust(_WHOLE, b"\0"), Buffers(user, system, mdl, allocation)


def _unpack_control(parameters: bytes, old: Buffers) -> tuple[bytes, Buffers]:
    method = parameters[16] & 3
    user, system, mdl = old.user, old.system, old.mdl
    if method != _NEITHER:
        system = _U64.unpack_from(parameters, 24)[0]
    if method != _BUFFERED:
        user, mdl = _U64.unpack_from(parameters, 32)[0], _U64.unpack_from(parameters, 40)[0]
    head = parameters[:_WHOLE] if method == _NEITHER else parameters[:24].ljust(_WHOLE, b"\0")
    return head, Buffers(user, system, mdl, old.allocation)
