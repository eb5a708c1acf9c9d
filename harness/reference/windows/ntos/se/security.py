"""Security descriptors in their self-relative form, what files inherit, and the access check."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812

from harness.nt import NtStatus
from harness.reference.windows.ntos.status_error import StatusError

_HEADER = Struct("<BBHIIII")
_ACL = Struct("<BBHHH")
_ACE = Struct("<BBHI")
_DACL_PRESENT, _SACL_PRESENT, _SELF_RELATIVE = 0x0004, 0x0010, 0x8000
_DACL_PROTECTED, _SACL_PROTECTED = 0x1000, 0x2000
_DACL_AUTO_INHERITED = 0x0400
_OBJECT_INHERIT, _CONTAINER_INHERIT, _NO_PROPAGATE, _INHERIT_ONLY, _INHERITED = 1, 2, 4, 8, 0x10
_ALLOWED, _DENIED = 0, 1
FILE_ALL_ACCESS, STANDARD_RIGHTS = 0x001F_01FF, 0x001F_0000
MAXIMUM_ALLOWED, ACCESS_SYSTEM_SECURITY = 0x0200_0000, 0x0100_0000
READ_CONTROL, WRITE_DAC, WRITE_OWNER = 0x2_0000, 0x4_0000, 0x8_0000
OWNER_INFORMATION, GROUP_INFORMATION, DACL_INFORMATION, SACL_INFORMATION = 1, 2, 4, 8
_PARTS = OWNER_INFORMATION | GROUP_INFORMATION | DACL_INFORMATION | SACL_INFORMATION
_GENERIC = {0x8000_0000: 0x0012_0089, 0x4000_0000: 0x0012_0116, 0x2000_0000: 0x0012_00A0, 0x1000_0000: FILE_ALL_ACCESS}


def map_access(access: int) -> int:
    """Generic rights as the file rights they stand for."""
    for generic, specific in _GENERIC.items():
        if access & generic:
            access = access & ~generic | specific
    return access & 0xFFFF_FFFF


def sid(authority: int, *parts: int) -> bytes:
    """A SID."""
    head = bytes((1, len(parts))) + authority.to_bytes(6, "big")
    return head + b"".join(part.to_bytes(4, "little") for part in parts)


EVERYONE, SYSTEM, AUTHENTICATED_USERS = sid(1, 0), sid(5, 18), sid(5, 11)
ADMINISTRATORS, USERS = sid(5, 32, 544), sid(5, 32, 545)
ADMINISTRATOR, NOBODYS_GROUP = sid(5, 21, 1, 2, 3, 500), sid(5, 21, 1, 2, 3, 513)
CREATOR_OWNER, CREATOR_GROUP = sid(3, 0), sid(3, 1)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks: the SIDs of a token, the owner of what it makes, and whether access is checked at all."""

    sids: frozenset[bytes]
    owner: bytes = ADMINISTRATORS
    group: bytes = NOBODYS_GROUP
    kernel: bool = False
    deny_only: frozenset[bytes] = frozenset()
    """SIDs that count for denials alone."""
    restricted: frozenset[bytes] = frozenset()
    """Where there are any, they must be allowed it too."""
    privileged: bool = True
    """It may take ownership and read audit lists, whatever a descriptor says."""
    manages_volume: bool = True
    """It has SeManageVolumePrivilege."""


SYSTEM_SUBJECT = Subject(frozenset({SYSTEM, ADMINISTRATORS, EVERYONE, AUTHENTICATED_USERS}), SYSTEM, SYSTEM)
ADMINISTRATOR_SUBJECT = Subject(frozenset({ADMINISTRATOR, ADMINISTRATORS, USERS, EVERYONE, AUTHENTICATED_USERS}))
KERNEL_SUBJECT = Subject(SYSTEM_SUBJECT.sids, SYSTEM, SYSTEM, kernel=True)


@dataclass(frozen=True, slots=True)
class Ace:
    """An entry of an access list."""

    kind: int
    flags: int
    mask: int
    who: bytes
    raw: bytes = b""
    """The entry as it was, where it is of a kind that is only kept."""

    def pack(self) -> bytes:
        return self.raw or _ACE.pack(self.kind, self.flags, _ACE.size + len(self.who), self.mask) + self.who


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A security descriptor. An access list that is None is not there: of a DACL that means access for everybody."""

    owner: bytes = b""
    group: bytes = b""
    dacl: tuple[Ace, ...] | None = None
    sacl: tuple[Ace, ...] | None = None
    control: int = 0

    def pack(self) -> bytes:
        """Self-relative."""
        control = self.control & ~(_DACL_PRESENT | _SACL_PRESENT) | _SELF_RELATIVE
        parts: list[bytes] = []
        offsets: list[int] = []
        lists = [(self.sacl, _SACL_PRESENT), (self.dacl, _DACL_PRESENT)]
        at = _HEADER.size
        for entries, bit in lists:
            data = b""
            if entries is not None:
                control |= bit
                data = _pack_acl(entries)
            offsets.append(at if data else 0)
            parts.append(data)
            at += len(data)
        for data in (self.owner, self.group):
            offsets.append(at if data else 0)
            parts.append(data)
            at += len(data)
        sacl, dacl, owner, group = offsets
        return _HEADER.pack(1, 0, control, owner, group, sacl, dacl) + b"".join(parts)


def _pack_acl(entries: tuple[Ace, ...]) -> bytes:
    body = b"".join(entry.pack() for entry in entries)
    return _ACL.pack(2, 0, _ACL.size + len(body), len(entries), 0) + body


@lru_cache(maxsize=256)  # each create asks for that of a file and of the directories above it
def unpack(data: bytes) -> Descriptor:
    """Read a self-relative descriptor. INVALID_SECURITY_DESCR for what is none."""
    try:
        revision, _, control, owner, group, sacl, dacl = _HEADER.unpack_from(data)
        if revision != 1 or not control & _SELF_RELATIVE:
            raise StatusError(NtStatus.INVALID_SECURITY_DESCR)
        return Descriptor(
            _sid_at(data, owner),
            _sid_at(data, group),
            _acl_at(data, dacl) if control & _DACL_PRESENT else None,
            _acl_at(data, sacl) if control & _SACL_PRESENT else None,
            control,
        )
    except (IndexError, ValueError, StructError) as error:
        raise StatusError(NtStatus.INVALID_SECURITY_DESCR) from error


def _sid_at(data: bytes, offset: int) -> bytes:
    return data[offset : offset + 8 + 4 * data[offset + 1]] if offset else b""


def _acl_at(data: bytes, offset: int) -> tuple[Ace, ...] | None:
    if not offset:
        return None
    _, _, _, count, _ = _ACL.unpack_from(data, offset)
    entries, at = [], offset + _ACL.size
    for _ in range(count):
        kind, flags, size, mask = _ACE.unpack_from(data, at)
        if size < _ACE.size or at + size > len(data):
            raise ValueError(size)
        raw = data[at : at + size]
        simple = kind in (_ALLOWED, _DENIED)
        entries.append(
            Ace(kind, flags, map_access(mask), raw[_ACE.size :]) if simple else Ace(kind, flags, 0, b"", raw)
        )
        at += size
    return tuple(entries)


_BOTH = _OBJECT_INHERIT | _CONTAINER_INHERIT
ROOT_DESCRIPTOR = Descriptor(
    ADMINISTRATORS,
    SYSTEM,
    (
        Ace(_ALLOWED, _BOTH, FILE_ALL_ACCESS, ADMINISTRATORS),
        Ace(_ALLOWED, _BOTH, FILE_ALL_ACCESS, SYSTEM),
        Ace(_ALLOWED, _BOTH, 0x0013_01BF, AUTHENTICATED_USERS),
        Ace(_ALLOWED, _BOTH, 0x0012_00A9, USERS),
    ),
).pack()
"""What format gives the root directory of a volume."""


WORLD_DESCRIPTOR = Descriptor(EVERYONE, EVERYONE, (Ace(_ALLOWED, 0, FILE_ALL_ACCESS, EVERYONE),)).pack()
"""What the I/O manager answers for a file system that has no security."""


def inherited(above: Descriptor, subject: Subject, *, directory: bool) -> Descriptor:
    """What a new file gets where its creator says nothing."""
    return Descriptor(
        subject.owner, subject.group, tuple(_inherit(above.dacl or (), subject, directory)), None, _DACL_AUTO_INHERITED
    )


def assign(above: Descriptor, given: Descriptor, subject: Subject, *, directory: bool) -> Descriptor:
    """SeAssignSecurity: what a new file gets of what its creator says, and of the directory."""
    otherwise = inherited(above, subject, directory=directory)
    dacl = given.dacl if given.control & _DACL_PRESENT else otherwise.dacl
    return Descriptor(given.owner or subject.owner, given.group or subject.group, dacl, given.sacl, given.control)


def _inherit(entries: tuple[Ace, ...], subject: Subject, directory: bool) -> Iterator[Ace]:
    for entry in entries:
        wanted = _CONTAINER_INHERIT if directory else _OBJECT_INHERIT
        who = {CREATOR_OWNER: subject.owner, CREATOR_GROUP: subject.group}.get(entry.who, entry.who)
        if entry.flags & wanted:
            keep = entry.flags & _BOTH if directory and not entry.flags & _NO_PROPAGATE else 0
            yield Ace(entry.kind, keep | _INHERITED, entry.mask, who)
        elif directory and entry.flags & _OBJECT_INHERIT and not entry.flags & _NO_PROPAGATE:
            yield Ace(entry.kind, entry.flags & _BOTH | _INHERIT_ONLY | _INHERITED, entry.mask, entry.who)


def granted(descriptor: Descriptor, subject: Subject, above: Descriptor | None) -> int:
    """All rights that a descriptor gives to a subject; `above` is the directory's, whose rights count for some."""
    rights = _rights(descriptor, subject)
    if above is not None:
        there = _rights(above, subject)
        if there & 0x40:  # FILE_DELETE_CHILD
            rights |= 0x1_0000
        if there & 0x1:  # FILE_LIST_DIRECTORY
            rights |= 0x80
    return rights


def _rights(descriptor: Descriptor, subject: Subject) -> int:
    if descriptor.dacl is None or subject.kernel:
        return FILE_ALL_ACCESS | ACCESS_SYSTEM_SECURITY
    allowed = _allowed(descriptor, subject.sids, subject.deny_only)
    if subject.restricted:
        allowed &= _allowed(descriptor, subject.restricted, frozenset())
    return allowed | (WRITE_OWNER | ACCESS_SYSTEM_SECURITY | 0x0010_0000 if subject.privileged else 0)


def _allowed(descriptor: Descriptor, sids: frozenset[bytes], deny_only: frozenset[bytes]) -> int:
    allowed = denied = 0
    if descriptor.owner in sids:
        allowed |= READ_CONTROL | WRITE_DAC
    for entry in descriptor.dacl or ():
        if entry.flags & _INHERIT_ONLY:
            continue
        if entry.kind == _DENIED and (entry.who in sids or entry.who in deny_only):
            denied |= entry.mask & ~allowed
        elif entry.kind == _ALLOWED and entry.who in sids:
            allowed |= entry.mask & ~denied
    return allowed


def check(descriptor: Descriptor, subject: Subject, desired: int, above: Descriptor | None = None) -> int:
    """The access check: what is granted of `desired`, generic rights mapped. ACCESS_DENIED if something is not."""
    rights = granted(descriptor, subject, above)
    wanted = desired & ~MAXIMUM_ALLOWED
    if wanted & ~rights:
        raise StatusError(NtStatus.ACCESS_DENIED)
    return wanted | (rights & FILE_ALL_ACCESS if desired & MAXIMUM_ALLOWED else 0)


def selected(data: bytes, what: int) -> bytes:
    """The parts of a descriptor that SECURITY_INFORMATION asks for."""
    whole = unpack(data)
    return Descriptor(
        whole.owner if what & OWNER_INFORMATION else b"",
        whole.group if what & GROUP_INFORMATION else b"",
        whole.dacl if what & DACL_INFORMATION else None,
        whole.sacl if what & SACL_INFORMATION else None,
        whole.control & (_DACL_PROTECTED | _SACL_PROTECTED | _DACL_AUTO_INHERITED | 0x0800),
    ).pack()


def replaced(data: bytes, what: int, new: bytes) -> bytes:
    """A descriptor with the parts that SECURITY_INFORMATION names taken from another one."""
    old, given = unpack(data), unpack(new)
    bits = _DACL_PROTECTED | _DACL_AUTO_INHERITED
    return Descriptor(
        given.owner if what & OWNER_INFORMATION else old.owner,
        given.group if what & GROUP_INFORMATION else old.group,
        given.dacl if what & DACL_INFORMATION else old.dacl,
        given.sacl if what & SACL_INFORMATION else old.sacl,
        given.control & bits | old.control & ~bits if what & DACL_INFORMATION else old.control,
    ).pack()
