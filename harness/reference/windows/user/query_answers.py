"""What the services share that are asked about a process, thread or token by handle."""

from struct import pack
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.ntos.ob.handle_lookup import object_by_handle
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive


def body_of(k: "Executive", handle: int, kind: type) -> object:
    """What a handle refers to, of one kind; raises INVALID_HANDLE or OBJECT_TYPE_MISMATCH."""
    item = object_by_handle(k, handle)
    if item is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    if not isinstance(item.body, kind):
        raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)
    return item.body


def answer(k: "Executive", data: bytes, buffer: int, length: int, returned: int, *, exact: bool = True) -> int:
    """Store what was asked for. `exact`: a buffer of any other length is refused."""
    if returned:
        k.memory.write_u32(returned, len(data))
    if length < len(data) or (exact and length != len(data)):
        return int(NtStatus.INFO_LENGTH_MISMATCH)
    k.memory.write(buffer, data)
    return 0


def counted_name(text: str, buffer: int) -> bytes:
    """A UNICODE_STRING for a buffer, with its characters and a NUL behind it."""
    data = text.encode("utf-16-le")
    return pack("<HHIQ", len(data), len(data) + 2, 0, buffer + 16) + data + b"\0\0"
