"""The access check: what a token may do by a security descriptor."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.ntos.se.descriptors import SE_DACL_PRESENT, aces, part, sid_length
from harness.reference.windows.ntos.se.token_objects import SECURITY_PRIVILEGE, TAKE_OWNERSHIP_PRIVILEGE

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive
    from harness.reference.windows.ntos.se.token_objects import Token

MAXIMUM_ALLOWED, ACCESS_SYSTEM_SECURITY = 0x0200_0000, 0x0100_0000
_READ_CONTROL, _WRITE_DAC, _WRITE_OWNER = 0x2_0000, 0x4_0000, 0x8_0000
_GENERIC_ALL = 0x1000_0000
_INHERIT_ONLY = 8
_ALLOWED, _DENIED = 0, 1


def map_generic(mapping: tuple[int, int, int, int], mask: int) -> int:
    """RtlMapGenericMask: read, write, execute, all."""
    for bit, specific in zip((31, 30, 29, 28), mapping, strict=True):
        if mask >> bit & 1:
            mask |= specific
    return mask & 0x0FFF_FFFF


def check_access(
    k: "Executive", descriptor: int, token: "Token", desired: int, mapping: tuple[int, int, int, int]
) -> tuple[int, int]:
    """(NTSTATUS, granted access) for a security descriptor at a guest address and a token, as SeAccessCheck decides."""
    wanted = map_generic(mapping, desired & ~MAXIMUM_ALLOWED)
    granted = 0
    if wanted & ACCESS_SYSTEM_SECURITY:
        if not token.enabled(SECURITY_PRIVILEGE):
            return int(NtStatus.PRIVILEGE_NOT_HELD), 0
        granted |= ACCESS_SYSTEM_SECURITY
    if wanted & _WRITE_OWNER and token.enabled(TAKE_OWNERSHIP_PRIVILEGE):
        granted |= _WRITE_OWNER
    allowed = _by_dacl(k, descriptor, token, mapping, restricted=False)
    if token.restricted:
        second = _by_dacl(k, descriptor, token, mapping, restricted=True)
        kept = mapping[1] & ~(mapping[0] | mapping[2]) if token.write_restricted else 0xFFFF_FFFF
        allowed = allowed & (second | ~kept)
    if desired & MAXIMUM_ALLOWED:
        granted |= allowed
    granted |= allowed & wanted
    if wanted & ~granted or not granted:
        return int(NtStatus.ACCESS_DENIED), 0
    return 0, granted


def _by_dacl(
    k: "Executive", descriptor: int, token: "Token", mapping: tuple[int, int, int, int], *, restricted: bool
) -> int:
    """All rights that the DACL gives; each bit is decided by the first entry that names it."""
    control = k.memory.read_u16(descriptor + 2)
    acl = part(k, descriptor, "dacl") if control & SE_DACL_PRESENT else 0
    if not acl:
        return mapping[3]
    allowed = denied = 0
    owner = part(k, descriptor, "owner")
    if owner and not restricted and token.holds(k.memory.read(owner, sid_length(k, owner))):
        allowed |= _READ_CONTROL | _WRITE_DAC
    for ace in aces(k, acl)[:-1]:
        kind, flags = k.memory.read(ace, 2)
        if flags & _INHERIT_ONLY or kind not in (_ALLOWED, _DENIED):
            continue
        sid = k.memory.read(ace + 8, sid_length(k, ace + 8))
        counts = sid in token.restricted if restricted else token.holds(sid, deny=kind == _DENIED)
        if not counts:
            continue
        mask = map_generic(mapping, k.memory.read_u32(ace + 4))
        if kind == _ALLOWED:
            allowed |= mask & ~denied
        else:
            denied |= mask & ~allowed
    return allowed
