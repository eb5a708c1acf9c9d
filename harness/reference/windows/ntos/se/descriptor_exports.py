"""Security descriptors and access lists, the rest: both forms, their parts, what new objects get, auditing."""

from struct import pack
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.windows.ntos.ex.driver_pool import free
from harness.reference.windows.ntos.se.descriptors import (
    SE_DACL_PRESENT,
    SE_SACL_DEFAULTED,
    SE_SACL_PRESENT,
    SE_SELF_RELATIVE,
    Acl,
    SecurityDescriptor,
    aces,
    part,
    present_parts,
    sid_at,
    sid_length,
)
from harness.reference.windows.ntos.se.token_objects import token_in_context

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_BAD_DESCRIPTOR_FORMAT, _INVALID_SECURITY_DESCR = 0xC00000E7, 0xC0000079
_ALLOTTED_SPACE_EXCEEDED, _INVALID_ACL = 0xC0000099, 0xC0000077
_BITS = {"owner": 1, "group": 2, "dacl": 4, "sacl": 8}
_PRESENT = {"sacl": SE_SACL_PRESENT, "dacl": SE_DACL_PRESENT}
_ORDER = ("sacl", "dacl", "owner", "group")


def pack_relative(parts: dict[str, bytes], control: int) -> bytes:
    """A self-relative descriptor of some parts."""
    control = control & ~(SE_DACL_PRESENT | SE_SACL_PRESENT) | SE_SELF_RELATIVE
    body, offsets = b"", dict.fromkeys(_ORDER, 0)
    for name in (item for item in _ORDER if item in parts):
        offsets[name] = 20 + len(body)
        body += parts[name] + bytes(-len(parts[name]) % 4)
        control |= _PRESENT.get(name, 0)
    head = pack("<BBHIIII", 1, 0, control, *(offsets[name] for name in ("owner", "group", "sacl", "dacl")))
    return head + body


def _give(k: "Kernel", data: bytes, *, paged: bool = True) -> int:
    where = k.blame.current()
    block = k.pool.allocate(len(data), "SeSd", paged=paged, owner=where.driver, allocated_by=where.address)
    k.memory.write(block, data)
    return block


def _control(k: "Kernel", descriptor: int) -> int:
    return k.memory.read_u16(descriptor + 2)


# -- access lists


@export(NTOSKRNL, "RtlAddAce")
def rtl_add_ace(k: "Kernel", acl: int, revision: U32, index: U32, entries: int, length: U32) -> int:
    """Whole entries, before the one of an index, or behind all of them."""
    del revision
    view, places = Acl(k.memory, acl), aces(k, acl)
    at, added = 0, 0
    while at < length:
        size = k.memory.read_u16(entries + at + 2)
        if size < 4 or at + size > length:
            return int(NtStatus.INVALID_PARAMETER)
        at, added = at + size, added + 1
    if places[-1] + length > acl + view.size:
        return int(NtStatus.BUFFER_TOO_SMALL)
    place = places[min(index, len(places) - 1)]
    rest = k.memory.read(place, places[-1] - place)
    k.memory.write(place, k.memory.read(entries, length) + rest)
    view.count += added
    return 0


@export(NTOSKRNL, "RtlDeleteAce")
def rtl_delete_ace(k: "Kernel", acl: int, index: U32) -> int:
    view, places = Acl(k.memory, acl), aces(k, acl)
    if index >= view.count:
        return int(NtStatus.INVALID_PARAMETER)
    rest = k.memory.read(places[index + 1], places[-1] - places[index + 1])
    k.memory.write(places[index], rest + bytes(places[index + 1] - places[index]))
    view.count -= 1
    return 0


@export(NTOSKRNL, "RtlFindAceByType")
def rtl_find_ace_by_type(k: "Kernel", acl: int, kind: U8, index_at: int) -> int:
    """The first entry of a type, from an index on, which becomes the entry's; null if there is none."""
    start = k.memory.read_u32(index_at) if index_at else 0
    for index, place in enumerate(aces(k, acl)[:-1]):
        if index >= start and k.memory.read_u8(place) == kind:
            if index_at:
                k.memory.write_u32(index_at, index)
            return place
    return 0


@export(NTOSKRNL, "RtlCopySidAndAttributesArray", max_irql=Irql.APC)
def rtl_copy_sid_and_attributes_array(
    k: "Kernel", count: U32, source: int, room: U32, target: int, sids: int, next_sid: int, left: int
) -> int:
    at = sids
    for index in range(count):
        sid = sid_at(k, k.memory.read_u64(source + 16 * index))
        if at + len(sid) > sids + room:
            return int(NtStatus.BUFFER_TOO_SMALL)
        k.memory.write(at, sid)
        attributes = k.memory.read_u32(source + 16 * index + 8)
        k.memory.write(target + 16 * index, pack("<QII", at, attributes, 0))
        at += (len(sid) + 3) & ~3
    k.memory.write_u64(next_sid, at)
    k.memory.write_u32(left, max(0, sids + room - at))
    return 0


# -- descriptors


@export(NTOSKRNL, "RtlSetSaclSecurityDescriptor")
def rtl_set_sacl_security_descriptor(k: "Kernel", descriptor: int, present: U8, sacl: int, defaulted: U8) -> int:
    view = SecurityDescriptor(k.memory, descriptor)
    if view.control & SE_SELF_RELATIVE:
        return _INVALID_SECURITY_DESCR
    control = view.control & ~(SE_SACL_PRESENT | SE_SACL_DEFAULTED)
    if present:
        control |= SE_SACL_PRESENT | (SE_SACL_DEFAULTED if defaulted else 0)
        view.sacl = sacl
    view.control = control
    return 0


@export(NTOSKRNL, "RtlGetSaclSecurityDescriptor")
def rtl_get_sacl_security_descriptor(k: "Kernel", descriptor: int, present: int, sacl: int, defaulted: int) -> int:
    control = _control(k, descriptor)
    k.memory.write_u8(present, bool(control & SE_SACL_PRESENT))
    if control & SE_SACL_PRESENT:
        k.memory.write_u64(sacl, part(k, descriptor, "sacl"))
        k.memory.write_u8(defaulted, bool(control & SE_SACL_DEFAULTED))
    return 0


@export(NTOSKRNL, "RtlAbsoluteToSelfRelativeSD")
def rtl_absolute_to_self_relative_sd(k: "Kernel", absolute: int, relative: int, length_at: int) -> int:
    """BUFFER_TOO_SMALL and how much is needed; a descriptor that is self-relative already is refused."""
    if _control(k, absolute) & SE_SELF_RELATIVE:
        return _BAD_DESCRIPTOR_FORMAT
    data = pack_relative(present_parts(k, absolute), _control(k, absolute))
    room = k.memory.read_u32(length_at)
    k.memory.write_u32(length_at, len(data))
    if room < len(data):
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(relative, data)
    return 0


@export(NTOSKRNL, "RtlSelfRelativeToAbsoluteSD")
def rtl_self_relative_to_absolute_sd(
    k: "Kernel",
    relative: int,
    absolute: int,
    absolute_size: int,
    dacl: int,
    dacl_size: int,
    sacl: int,
    sacl_size: int,
    owner: int,
    owner_size: int,
    group: int,
    group_size: int,
) -> int:
    """Each part into a buffer of its own; BUFFER_TOO_SMALL and what each needs."""
    if not _control(k, relative) & SE_SELF_RELATIVE:
        return _BAD_DESCRIPTOR_FORMAT
    parts = present_parts(k, relative)
    places = {
        "dacl": (dacl, dacl_size),
        "sacl": (sacl, sacl_size),
        "owner": (owner, owner_size),
        "group": (group, group_size),
    }
    small = k.memory.read_u32(absolute_size) < SecurityDescriptor.SIZE
    k.memory.write_u32(absolute_size, SecurityDescriptor.SIZE)
    for name, (_, size_at) in places.items():
        needed = len(parts.get(name, b""))
        small |= k.memory.read_u32(size_at) < needed
        k.memory.write_u32(size_at, needed)
    if small:
        return int(NtStatus.BUFFER_TOO_SMALL)
    view = SecurityDescriptor(k.memory, absolute)
    view.clear()
    view.revision, view.control = 1, _control(k, relative) & ~SE_SELF_RELATIVE
    for name, data in parts.items():
        k.memory.write(places[name][0], data)
        setattr(view, name, places[name][0])
    return 0


def _valid(k: "Kernel", descriptor: int, length: int | None) -> bool:
    """Whether a self-relative descriptor holds together; with a length, within it."""
    if length is not None and length < 20:
        return False
    control = _control(k, descriptor)
    if k.memory.read_u8(descriptor) != 1 or not control & SE_SELF_RELATIVE:
        return False
    for name, offset in (("owner", 4), ("group", 8), ("sacl", 12), ("dacl", 16)):
        at = k.memory.read_u32(descriptor + offset)
        if not at or not control & _PRESENT.get(name, 0xFFFF):
            continue
        if at < 20 or (length is not None and at + 8 > length):
            return False
        acl = name in _PRESENT
        size = Acl(k.memory, descriptor + at).size if acl else sid_length(k, descriptor + at)
        if size < 8 or (length is not None and at + size > length):
            return False
    return True


@export(NTOSKRNL, "RtlValidRelativeSecurityDescriptor", max_irql=Irql.APC)
def rtl_valid_relative_security_descriptor(k: "Kernel", descriptor: int, length: U32, wanted: U32) -> bool:
    """With an owner and a group, if they are wanted."""
    if not _valid(k, descriptor, length):
        return False
    return not (wanted & 1 and not k.memory.read_u32(descriptor + 4)) and not (
        wanted & 2 and not k.memory.read_u32(descriptor + 8)
    )


@export(NTOSKRNL, "SeValidSecurityDescriptor", max_irql=Irql.PASSIVE)
def se_valid_security_descriptor(k: "Kernel", length: U32, descriptor: int) -> bool:
    return _valid(k, descriptor, length)


@export(NTOSKRNL, "SeCaptureSecurityDescriptor", max_irql=Irql.PASSIVE)
def se_capture_security_descriptor(k: "Kernel", original: int, mode: U8, pool: U32, force: U8, captured: int) -> int:
    """A self-relative copy; a kernel-mode caller's own, unless a copy is forced."""
    if not original or (not mode and not force):
        k.memory.write_u64(captured, original)
        return 0
    data = pack_relative(present_parts(k, original), _control(k, original))
    k.memory.write_u64(captured, _give(k, data, paged=bool(pool & 1)))
    return 0


@export(NTOSKRNL, "SeReleaseSecurityDescriptor", max_irql=Irql.PASSIVE)
def se_release_security_descriptor(k: "Kernel", captured: int, mode: U8, force: U8) -> int:
    if captured and (mode or force):
        free(k, captured, None)
    return 0


@export(NTOSKRNL, "SeQuerySecurityDescriptorInfo", max_irql=Irql.PASSIVE)
def se_query_security_descriptor_info(k: "Kernel", wanted_at: int, out: int, length_at: int, descriptor_at: int) -> int:
    """The parts that are wanted, self-relative."""
    wanted, descriptor = k.memory.read_u32(wanted_at), k.memory.read_u64(descriptor_at)
    parts = present_parts(k, descriptor) if descriptor else {}
    chosen = {name: data for name, data in parts.items() if wanted & _BITS[name]}
    data = pack_relative(chosen, _control(k, descriptor) if descriptor else 0)
    room = k.memory.read_u32(length_at)
    k.memory.write_u32(length_at, len(data))
    if room < len(data):
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(out, data)
    return 0


@export(NTOSKRNL, "SeSetSecurityDescriptorInfo", max_irql=Irql.PASSIVE)
def se_set_security_descriptor_info(
    k: "Kernel", item: int, wanted_at: int, changes: int, descriptor_at: int, pool: U32, mapping: int
) -> int:
    """A new block with the parts replaced, in the place of the old one, which stays the caller's."""
    del item, mapping
    wanted, old = k.memory.read_u32(wanted_at), k.memory.read_u64(descriptor_at)
    if not old:
        return 0xC00000D7  # STATUS_NO_SECURITY_ON_OBJECT
    parts, given = present_parts(k, old), present_parts(k, changes)
    for name, bit in _BITS.items():
        if wanted & bit:
            parts.pop(name, None)
            if name in given:
                parts[name] = given[name]
    k.memory.write_u64(descriptor_at, _give(k, pack_relative(parts, _control(k, old)), paged=bool(pool & 1)))
    return 0


@export(NTOSKRNL, "SeAssignSecurity", max_irql=Irql.PASSIVE)
def se_assign_security(
    k: "Kernel", parent: int, explicit: int, new: int, directory: U8, subject: int, mapping: int, pool: U32
) -> int:
    """What is given, else the subject's owner and group and the parent's DACL; SeDeassignSecurity frees it."""
    del directory, mapping
    token = token_in_context(k, subject)
    if token is None:
        return int(NtStatus.NO_TOKEN)
    parts = {"owner": token.owner, "group": token.group}
    if parent and "dacl" in (inherited := present_parts(k, parent)):
        parts["dacl"] = inherited["dacl"]
    if explicit:
        parts |= present_parts(k, explicit)
    k.memory.write_u64(new, _give(k, pack_relative(parts, 0), paged=bool(pool & 1)))
    return 0


@export(NTOSKRNL, "SeDeassignSecurity", max_irql=Irql.PASSIVE)
def se_deassign_security(k: "Kernel", descriptor_at: int) -> int:
    descriptor = k.memory.read_u64(descriptor_at)
    if descriptor:
        free(k, descriptor, None)
    k.memory.write_u64(descriptor_at, 0)
    return 0


# -- auditing: no policy asks for it


@export(
    NTOSKRNL, "SeAuditingFileEvents", "SeAuditingFileOrGlobalEvents", "SeAuditingHardLinkEvents",
    "SeAuditingFileEventsWithContext", "SeAuditingHardLinkEventsWithContext", "SeAuditingAnyFileEventsWithContext",
    max_irql=Irql.PASSIVE,
)  # fmt: skip
def se_auditing_file_events(k: "Kernel", granted: U8, descriptor: int) -> bool:
    del k, granted, descriptor
    return False


@export(
    NTOSKRNL, "SeCloseObjectAuditAlarm", "SeDeleteObjectAuditAlarm", "SePrivilegeObjectAuditAlarm",
    "SeOpenObjectForDeleteAuditAlarm", "SeAuditHardLinkCreation", max_irql=Irql.PASSIVE,
)  # fmt: skip
def se_audit_nothing(k: "Kernel") -> int:
    del k
    return 0


@export(NTOSKRNL, "SeOpenObjectAuditAlarm", max_irql=Irql.PASSIVE)
def se_open_object_audit_alarm(
    k: "Kernel", kind: int, item: int, name: int, descriptor: int, state: int, created: U8, granted: U8, mode: U8,
    on_close: int,
) -> int:  # fmt: skip
    """Nothing is to be told at close either."""
    del kind, item, name, descriptor, state, created, granted, mode
    k.memory.write_u8(on_close, 0)
    return 0
