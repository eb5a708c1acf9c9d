"""The buffer parameters of an operation: where they are, and buffers that filters put in their place (BUF-01)."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import CallbackDataFlags, IrpMajor, PreopStatus
from harness.reference.machine.memory.layout import is_user
from harness.reference.windows.io.buffer_parameters import (
    BUFFERS,
    OF_BUFFERED_CONTROL,
    WITHOUT_MDL,
    is_buffered_control,
)
from harness.reference.windows.io.constants import SECTOR_SIZE, IrpFlags, Minor
from harness.reference.windows.ntos.mm.mdl import release_mdl
from harness.reference.windows.structures.mdl_layout import MdlView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.reference.windows.fltmgr.operation import Operation, Visit
    from harness.reference.windows.io.request import Request
    from harness.reference.windows.ntos.executive import Executive

_U32, _U64 = Struct("<I"), Struct("<Q")
_PARAMETERS = 24
"""Parameters in FLT_IO_PARAMETER_BLOCK."""


def buffer_fields(operation: "Operation") -> tuple[int, int, int] | None:
    """Guest addresses of the operation's buffer, MDL and length parameters; None where it has no place for an MDL."""
    request = operation.request
    if is_buffered_control(request):
        return None
    found = BUFFERS.get((request.major, request.minor)) or BUFFERS.get((request.major, None))
    if found is None:
        return None
    base = operation.iopb + _PARAMETERS
    return base + found[0], base + found[1], base + found[2]


def fields_without_mdl(operation: "Operation") -> tuple[int, int, int] | None:
    """The same of an operation whose buffer never has an MDL; 0 for what it has not."""
    request = operation.request
    found = OF_BUFFERED_CONTROL if is_buffered_control(request) else WITHOUT_MDL.get(request.major)
    if found is None:
        return None
    base = operation.iopb + _PARAMETERS
    return base + found[0], 0, base + found[1] if found[1] is not None else 0


_USERS_CONTROLS = (Minor.USER_FS_REQUEST, Minor.KERNEL_CALL)
"""Those with a code; what IRP_MJ_DEVICE_CONTROL has is 0, too."""
OPLOCK_CODES = frozenset({0x90000, 0x90004, 0x90008, 0x9000C, 0x90010, 0x90014, 0x90050, 0x9005C, 0x90240})
"""What comes of a request for an oplock is told in Information."""
_LENGTH_FIRST = frozenset(
    {
        IrpMajor.QUERY_INFORMATION,
        IrpMajor.QUERY_VOLUME_INFORMATION,
        IrpMajor.DIRECTORY_CONTROL,
        IrpMajor.QUERY_EA,
        IrpMajor.QUERY_QUOTA,
    }
)


def control_code(request: "Request") -> int:
    """The code of a control."""
    code: int = _U32.unpack_from(request.parameters, 16)[0]
    return code


def length_at(operation: "Operation") -> int | None:
    """Guest address of the length that IoStatus.Information may reach; None where it counts something else."""
    request = operation.request
    if request.major in (IrpMajor.READ, IrpMajor.WRITE) or request.major in _LENGTH_FIRST:
        return operation.iopb + _PARAMETERS
    if is_buffered_control(request) and request.minor in _USERS_CONTROLS:
        oplock = request.major == IrpMajor.FILE_SYSTEM_CONTROL and control_code(request) in OPLOCK_CODES
        return None if oplock else operation.iopb + _PARAMETERS
    return None


def _describe_swap(k: "Executive", operation: "Operation", visit: "Visit", mdl: int) -> str:
    """What is wrong with a buffer and an MDL that a filter has put in together, or "" (BUF-01)."""
    was = _U64.unpack_from(visit.parameters, mdl)[0]
    now = _U64.unpack_from(operation.read_parameters(), mdl)[0]
    if operation.view.flags & CallbackDataFlags.SYSTEM_BUFFER or not operation.is_irp:
        return "put its buffer in with an MDL, which goes with no system buffer and no fast I/O" if now else ""
    if not now:
        return "put its buffer in and no MDL, in an IRP-based operation without a system buffer"
    if now != was and not k.memory.is_mapped(now, MdlView.SIZE):
        return f"put its buffer in with an MDL at {now:#x}, where none is (any more)"
    return "put its buffer in and left the MDL of the old one" if now == was else ""


def swap_faults(
    k: "Executive", operation: "Operation", visit: "Visit", status: PreopStatus
) -> "Iterator[tuple[str, str]]":
    """What is wrong with the buffer that a filter has put in: rule and text."""
    fields = buffer_fields(operation)
    if fields is None or not visit.swapped:
        return
    buffer_at, mdl_at, length_at = fields
    buffer, length = k.memory.read_u64(buffer_at), k.memory.read_u32(length_at)
    there = is_user(buffer) or k.memory.is_pageable(buffer) or k.memory.is_mapped(buffer, length)
    if length and not there:
        yield "BUF-03", f"put a buffer in that is not there: {length} bytes at {k.describe_address(buffer)}"
        return
    text = _describe_swap(k, operation, visit, mdl_at - operation.iopb)
    if text:
        yield "BUF-01", text
    if status is PreopStatus.SUCCESS_NO_CALLBACK:
        yield "BUF-02", "put its buffer in and wants no postoperation callback to free it in"
    request = operation.request
    transfers = request.major in (IrpMajor.READ, IrpMajor.WRITE) and request.is_irp
    irp_flags = _U32.unpack_from(operation.read_parameters(), 0)[0]
    if transfers and irp_flags & IrpFlags.NOCACHE:
        block = k.pool.block_at(buffer)
        room = block.address + block.size - buffer if block is not None else None
        needed = (length + SECTOR_SIZE - 1) // SECTOR_SIZE * SECTOR_SIZE
        if room is not None and room < needed:
            yield "BUF-03", f"put a buffer of {room} bytes in, and file systems round {length} up to {needed}"


def note_swap(operation: "Operation", visit: "Visit") -> None:
    """Whether a filter has put another buffer in, and which MDL: that one is the filter manager's to free."""
    fields = buffer_fields(operation) or fields_without_mdl(operation)
    if fields is None:
        return
    now, at = operation.read_parameters(), operation.iopb
    buffer, mdl = fields[0] - at, fields[1] - at
    if now[buffer : buffer + 8] == visit.parameters[buffer : buffer + 8]:
        return
    visit.swapped = True
    if fields[1] and now[mdl : mdl + 8] != visit.parameters[mdl : mdl + 8]:
        visit.swapped_mdl = _U64.unpack_from(now, mdl)[0]
    operation.swapped.append(visit)
    visit.instance.busy.enter()  # what is below uses the buffer: the operation is not drained, but waited for


def release_swapped(k: "Executive", operation: "Operation") -> None:
    """The operation is over: the MDLs that filters have put in, and not retained, are freed."""
    for visit in operation.swapped:
        operation.objects.leave(visit.instance)
        if visit.swapped_mdl and not visit.retain_mdl and k.pool.block_at(visit.swapped_mdl) is not None:
            release_mdl(k, visit.swapped_mdl)
    operation.swapped.clear()
