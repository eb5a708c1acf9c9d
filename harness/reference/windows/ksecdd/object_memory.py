"""The memory that callers may give for hash and key objects, and where BCrypt's functions are exported."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import CNG, KSECDD

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

BCRYPT = (KSECDD, CNG)
AES_OBJECT, HASH_OBJECT = 654, 326
"""ObjectLength, in bytes."""


def object_room(k: "Executive", buffer: int, room: int, needed: int) -> int:
    """Whether the caller's memory for an object will do: none at all, or enough; NTSTATUS."""
    if not buffer:
        return 0 if not room else int(NtStatus.INVALID_PARAMETER)
    if room < needed:
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(buffer, bytes(needed))
    return 0


def hash_object(k: "Executive", buffer: int, room: int) -> int:
    """The same for a hash."""
    return object_room(k, buffer, room, HASH_OBJECT)


def key_object(k: "Executive", buffer: int, room: int) -> int:
    """The same for a key."""
    return object_room(k, buffer, room, AES_OBJECT)
