"""Security descriptors and access lists as they lie in guest memory."""

from typing import TYPE_CHECKING

from harness.reference.machine.memory.structure import Field, Structure

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

SE_DACL_PRESENT, SE_DACL_DEFAULTED = 0x0004, 0x0008
SE_SACL_PRESENT, SE_SACL_DEFAULTED, SE_SELF_RELATIVE = 0x0010, 0x0020, 0x8000
_RELATIVE_OFFSETS = {"owner": 4, "group": 8, "sacl": 12, "dacl": 16}


class Acl(Structure):
    """ACL."""

    SIZE = 8
    revision = Field(0, "B")
    size = Field(2, "H")
    count = Field(4, "H")


class SecurityDescriptor(Structure):
    """SECURITY_DESCRIPTOR, absolute."""

    SIZE = 0x28
    revision = Field(0x00, "B")
    control = Field(0x02, "H")
    owner = Field(0x08)
    group = Field(0x10)
    sacl = Field(0x18)
    dacl = Field(0x20)


def sid_length(k: "Executive", sid: int) -> int:
    """The length of the SID at a guest address."""
    return 8 + 4 * k.memory.read_u8(sid + 1)


def sid_at(k: "Executive", sid: int) -> bytes:
    """The SID at a guest address."""
    return k.memory.read(sid, sid_length(k, sid))


def aces(k: "Executive", acl: int) -> list[int]:
    """The addresses of an ACL's entries, and of the first free byte."""
    places = [acl + Acl.SIZE]
    for _ in range(Acl(k.memory, acl).count):
        places.append(places[-1] + k.memory.read_u16(places[-1] + 2))
    return places


def part(k: "Executive", descriptor: int, name: str) -> int:
    """The address of owner, group, sacl or dacl, in an absolute or a self-relative descriptor; 0 if it is not there."""
    if k.memory.read_u16(descriptor + 2) & SE_SELF_RELATIVE:
        offset = k.memory.read_u32(descriptor + _RELATIVE_OFFSETS[name])
        return descriptor + offset if offset else 0
    return int(getattr(SecurityDescriptor(k.memory, descriptor), name))


def present_parts(k: "Executive", descriptor: int) -> dict[str, bytes]:
    """What a descriptor holds, part by part; an access list that is present and null is left out."""
    control = k.memory.read_u16(descriptor + 2)
    found: dict[str, bytes] = {}
    for name in ("owner", "group"):
        if at := part(k, descriptor, name):
            found[name] = sid_at(k, at)
    for name, flag in (("sacl", SE_SACL_PRESENT), ("dacl", SE_DACL_PRESENT)):
        if control & flag and (at := part(k, descriptor, name)):
            found[name] = k.memory.read(at, Acl(k.memory, at).size)
    return found
