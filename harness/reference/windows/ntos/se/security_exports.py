"""Security identifiers, access lists and descriptors: the Rtl functions that build and read them."""

from struct import pack
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U16, U32, export
from harness.reference.windows.ntos.se.descriptors import (
    SE_DACL_DEFAULTED,
    SE_DACL_PRESENT,
    SE_SELF_RELATIVE,
    Acl,
    SecurityDescriptor,
    aces,
    part,
    present_parts,
    sid_length,
)
from harness.reference.windows.ntos.se.sids import _REVISION, sid_text

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_ACL_REVISION = 2
_OWNER_DEFAULTED, _GROUP_DEFAULTED = 0x0001, 0x0002
_MAXIMUM_SUB_AUTHORITIES = 15
_CONTROL = 0x3FC0
"""SE_DACL_UNTRUSTED, SE_SERVER_SECURITY, and SE_DACL_ and SE_SACL_ AUTO_INHERIT_REQ, AUTO_INHERITED and PROTECTED."""
STATUS_ALLOTTED_SPACE_EXCEEDED = 0xC0000099
STATUS_UNKNOWN_REVISION = 0xC0000058
STATUS_INVALID_SID = 0xC0000078


@export(NTOSKRNL, "RtlLengthRequiredSid")
def rtl_length_required_sid(k: "Kernel", count: U32) -> int:
    del k
    return 8 + 4 * count


@export(NTOSKRNL, "RtlInitializeSid")
def rtl_initialize_sid(k: "Kernel", sid: int, authority: int, count: U8) -> int:
    if count > _MAXIMUM_SUB_AUTHORITIES:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write(sid, bytes((_REVISION, count)) + k.memory.read(authority, 6))
    return 0


@export(NTOSKRNL, "RtlSubAuthoritySid")
def rtl_sub_authority_sid(k: "Kernel", sid: int, index: U32) -> int:
    del k
    return sid + 8 + 4 * index


@export(NTOSKRNL, "RtlSubAuthorityCountSid")
def rtl_sub_authority_count_sid(k: "Kernel", sid: int) -> int:
    del k
    return sid + 1


@export(NTOSKRNL, "RtlLengthSid")
def rtl_length_sid(k: "Kernel", sid: int) -> int:
    return sid_length(k, sid)


@export(NTOSKRNL, "RtlValidSid")
def rtl_valid_sid(k: "Kernel", sid: int) -> bool:
    if not sid:
        return False
    revision, count = k.memory.read(sid, 2)
    return revision & 0xF == _REVISION and count <= _MAXIMUM_SUB_AUTHORITIES


@export(NTOSKRNL, "RtlEqualSid", max_irql=Irql.APC)
def rtl_equal_sid(k: "Kernel", first: int, second: int) -> bool:
    return k.memory.read(first, sid_length(k, first)) == k.memory.read(second, sid_length(k, second))


@export(NTOSKRNL, "RtlCopySid")
def rtl_copy_sid(k: "Kernel", room: U32, target: int, source: int) -> int:
    length = sid_length(k, source)
    if length > room:
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(target, k.memory.read(source, length))
    return 0


@export(NTOSKRNL, "RtlConvertSidToUnicodeString", max_irql=Irql.APC)
def rtl_convert_sid_to_unicode_string(k: "Kernel", target: int, sid: int, allocate: bool) -> int:
    data = sid_text(k.memory.read(sid, sid_length(k, sid))).encode("utf-16-le")
    if allocate:
        where = k.blame.current()
        buffer = k.pool.allocate(len(data) + 2, "Strg", paged=True, owner=where.driver, allocated_by=where.address)
        k.memory.write_unicode_string(target, buffer, len(data), len(data) + 2)
    elif k.memory.read_u16(target + 2) < len(data):
        return int(NtStatus.BUFFER_OVERFLOW)
    else:
        buffer = k.memory.read_u64(target + 8)
        k.memory.write_u16(target, len(data))
    k.memory.write(buffer, data)
    return 0


# -- access control lists


@export(NTOSKRNL, "RtlCreateAcl")
def rtl_create_acl(k: "Kernel", acl: int, size: U32, revision: U32) -> int:
    if size < Acl.SIZE:
        return int(NtStatus.BUFFER_TOO_SMALL)
    if revision not in (2, 3, 4) or size > 0xFFFF:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write(acl, pack("<BBHHH", revision, 0, size & ~3, 0, 0))
    return 0


def _add_ace(k: "Kernel", acl: int, kind: int, flags: int, mask: int, sid: int) -> int:
    view = Acl(k.memory, acl)
    length = sid_length(k, sid)
    at = aces(k, acl)[-1]
    if at + 8 + length > acl + view.size:
        return STATUS_ALLOTTED_SPACE_EXCEEDED
    k.memory.write(at, pack("<BBHI", kind, flags, 8 + length, mask) + k.memory.read(sid, length))
    view.count += 1
    return 0


@export(NTOSKRNL, "RtlAddAccessAllowedAce")
def rtl_add_access_allowed_ace(k: "Kernel", acl: int, revision: U32, mask: U32, sid: int) -> int:
    del revision
    return _add_ace(k, acl, 0, 0, mask, sid)


@export(NTOSKRNL, "RtlAddAccessAllowedAceEx")
def rtl_add_access_allowed_ace_ex(k: "Kernel", acl: int, revision: U32, flags: U32, mask: U32, sid: int) -> int:
    del revision
    return _add_ace(k, acl, 0, flags & 0xFF, mask, sid)


@export(NTOSKRNL, "RtlAddAccessDeniedAce")
def rtl_add_access_denied_ace(k: "Kernel", acl: int, revision: U32, mask: U32, sid: int) -> int:
    del revision
    return _add_ace(k, acl, 1, 0, mask, sid)


@export(NTOSKRNL, "RtlGetAce")
def rtl_get_ace(k: "Kernel", acl: int, index: U32, ace_pointer: int) -> int:
    if index >= Acl(k.memory, acl).count:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write_u64(ace_pointer, aces(k, acl)[index])
    return 0


# -- security descriptors


@export(NTOSKRNL, "RtlCreateSecurityDescriptor")
def rtl_create_security_descriptor(k: "Kernel", descriptor: int, revision: U32) -> int:
    if revision != _REVISION:
        return STATUS_UNKNOWN_REVISION
    view = SecurityDescriptor(k.memory, descriptor)
    view.clear()
    view.revision = _REVISION
    return 0


@export(NTOSKRNL, "RtlSetDaclSecurityDescriptor")
def rtl_set_dacl_security_descriptor(k: "Kernel", descriptor: int, present: bool, dacl: int, defaulted: bool) -> int:
    view = SecurityDescriptor(k.memory, descriptor)
    control = view.control & ~(SE_DACL_PRESENT | SE_DACL_DEFAULTED)
    if present:
        control |= SE_DACL_PRESENT | (SE_DACL_DEFAULTED if defaulted else 0)
        view.dacl = dacl
    view.control = control
    return 0


@export(NTOSKRNL, "RtlGetDaclSecurityDescriptor")
def rtl_get_dacl_security_descriptor(k: "Kernel", descriptor: int, present: int, dacl: int, defaulted: int) -> int:
    control = k.memory.read_u16(descriptor + 2)
    has_dacl = bool(control & SE_DACL_PRESENT)
    k.memory.write_u8(present, has_dacl)
    if has_dacl:
        k.memory.write_u64(dacl, part(k, descriptor, "dacl"))
        k.memory.write_u8(defaulted, bool(control & SE_DACL_DEFAULTED))
    return 0


@export(NTOSKRNL, "RtlSetOwnerSecurityDescriptor")
def rtl_set_owner_security_descriptor(k: "Kernel", descriptor: int, owner: int, defaulted: bool) -> int:
    view = SecurityDescriptor(k.memory, descriptor)
    view.owner = owner
    view.control = view.control & ~_OWNER_DEFAULTED | (_OWNER_DEFAULTED if defaulted else 0)
    return 0


@export(NTOSKRNL, "RtlSetGroupSecurityDescriptor")
def rtl_set_group_security_descriptor(k: "Kernel", descriptor: int, group: int, defaulted: bool) -> int:
    view = SecurityDescriptor(k.memory, descriptor)
    view.group = group
    view.control = view.control & ~_GROUP_DEFAULTED | (_GROUP_DEFAULTED if defaulted else 0)
    return 0


@export(NTOSKRNL, "RtlGetOwnerSecurityDescriptor")
def rtl_get_owner_security_descriptor(k: "Kernel", descriptor: int, owner: int, defaulted: int) -> int:
    k.memory.write_u64(owner, part(k, descriptor, "owner"))
    k.memory.write_u8(defaulted, bool(k.memory.read_u16(descriptor + 2) & _OWNER_DEFAULTED))
    return 0


@export(NTOSKRNL, "RtlGetGroupSecurityDescriptor")
def rtl_get_group_security_descriptor(k: "Kernel", descriptor: int, group: int, defaulted: int) -> int:
    k.memory.write_u64(group, part(k, descriptor, "group"))
    k.memory.write_u8(defaulted, bool(k.memory.read_u16(descriptor + 2) & _GROUP_DEFAULTED))
    return 0


@export(NTOSKRNL, "RtlGetControlSecurityDescriptor")
def rtl_get_control_security_descriptor(k: "Kernel", descriptor: int, control: int, revision: int) -> int:
    found = k.memory.read_u8(descriptor)
    k.memory.write_u32(revision, found)
    if found != _REVISION:
        return STATUS_UNKNOWN_REVISION
    k.memory.write_u16(control, k.memory.read_u16(descriptor + 2))
    return 0


@export(NTOSKRNL, "RtlSetControlSecurityDescriptor")
def rtl_set_control_security_descriptor(k: "Kernel", descriptor: int, interest: U16, value: U16) -> int:
    """Of what is inherited and protected; the bits that say where the parts are belong to other routines."""
    if interest & ~_CONTROL or value & ~interest:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write_u16(descriptor + 2, k.memory.read_u16(descriptor + 2) & ~interest | value)
    return 0


@export(NTOSKRNL, "RtlValidSecurityDescriptor")
def rtl_valid_security_descriptor(k: "Kernel", descriptor: int) -> bool:
    return bool(descriptor) and k.memory.read_u8(descriptor) == _REVISION


@export(NTOSKRNL, "RtlLengthSecurityDescriptor")
def rtl_length_security_descriptor(k: "Kernel", descriptor: int) -> int:
    if k.memory.read_u16(descriptor + 2) & SE_SELF_RELATIVE:
        return 20 + _parts_length(k, descriptor)
    return SecurityDescriptor.SIZE + _parts_length(k, descriptor)


def _parts_length(k: "Kernel", descriptor: int) -> int:
    return sum((len(item) + 3) & ~3 for item in present_parts(k, descriptor).values())
