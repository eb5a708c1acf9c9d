"""SIDs that are made of a name: those of services, S-1-5-80-..., and of virtual accounts."""

from hashlib import sha1
from struct import unpack
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.ntos.rtl.text import encode, upcase
from harness.reference.windows.ntos.se.sids import sid_bytes

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_NT_AUTHORITY, _SERVICES = 5, 80


@export(NTOSKRNL, "RtlCreateServiceSid", max_irql=Irql.PASSIVE)
def rtl_create_service_sid(k: "Kernel", name: int, sid: int, length: int) -> int:
    return rtl_create_virtual_account_sid(k, name, _SERVICES, sid, length)


@export(NTOSKRNL, "RtlCreateVirtualAccountSid", max_irql=Irql.PASSIVE)
def rtl_create_virtual_account_sid(k: "Kernel", name: int, base: U32, sid: int, length: int) -> int:
    """The SHA-1 of the name in capitals; BUFFER_TOO_SMALL, and how long it is, where there is no room."""
    if not name or not length:
        return int(NtStatus.INVALID_PARAMETER)
    digest = sha1(encode(upcase(k.memory.read_unicode_string(name))), usedforsecurity=False).digest()
    data = sid_bytes(_NT_AUTHORITY, base, *unpack("<5I", digest))
    room = k.memory.read_u32(length)
    k.memory.write_u32(length, len(data))
    if room < len(data) or not sid:
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(sid, data)
    return 0
