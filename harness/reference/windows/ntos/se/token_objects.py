"""Tokens: who a process runs as, whom a thread impersonates, and what is asked of them."""

from dataclasses import dataclass, replace
from struct import pack
from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.windows.ntos.ke.offsets import EPROCESS
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.ps.process_table import Impersonation
from harness.reference.windows.ntos.se.sids import sid_bytes
from harness.reference.windows.verifier.kept import IMPERSONATED

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Process, Thread
    from harness.reference.windows.ntos.executive import Executive

TOKEN_SIZE = 0x100
PRIMARY, IMPERSONATION = 1, 2
ANONYMOUS_LEVEL, IDENTIFICATION_LEVEL, IMPERSONATION_LEVEL, DELEGATION_LEVEL = range(4)
GROUP_ENABLED, GROUP_DENY_ONLY = 0x7, 0x10
_INTEGRITY_GROUP = 0x60
PRIVILEGE_ENABLED = 0x3
SYSTEM_LOGON, ADMINISTRATOR_LOGON = 0x3E7, 0x1_F17A
PROGRAM_SESSION = 1
"""The session of programs, and of their tokens; the system is in session 0."""
SECURITY_PRIVILEGE, TAKE_OWNERSHIP_PRIVILEGE, CHANGE_NOTIFY_PRIVILEGE = 8, 9, 23
MANAGE_VOLUME_PRIVILEGE = 28
_PRIVILEGES = (5, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 22, 23, 24, 25, 28, 29, 30, 33, 34, 35)
_OF_THE_SYSTEM_ONLY = (2, 3, 4, 7, 16, 21)
SYSTEM, ADMINISTRATORS = sid_bytes(5, 18), sid_bytes(5, 32, 544)
_ADMINISTRATOR, _NOBODYS_GROUP = sid_bytes(5, 21, 1, 2, 3, 500), sid_bytes(5, 21, 1, 2, 3, 513)
_EVERYONE, _AUTHENTICATED, _USERS = sid_bytes(1, 0), sid_bytes(5, 11), sid_bytes(5, 32, 545)
_INTEGRITY_SYSTEM, _INTEGRITY_HIGH = sid_bytes(16, 0x4000), sid_bytes(16, 0x3000)


@dataclass(slots=True, eq=False)
class Token:
    """What a TOKEN says. Groups and privileges are by SID or LUID, each with its attributes."""

    user: bytes
    group: bytes
    owner: bytes
    integrity: bytes
    logon: int
    groups: dict[bytes, int]
    privileges: dict[int, int]
    type: int = PRIMARY
    level: int = IMPERSONATION_LEVEL
    """SECURITY_IMPERSONATION_LEVEL, of an impersonation token."""
    restricted: tuple[bytes, ...] = ()
    write_restricted: bool = False
    sandbox_inert: bool = False
    elevated: bool = True
    session: int = 0
    identifier: int = 0
    """TokenId: given with the object."""

    def duplicate(self, kind: int, level: int) -> "Token":
        """A token of its own that says the same."""
        return replace(
            self,
            groups=dict(self.groups),
            privileges=dict(self.privileges),
            type=kind,
            level=level,
            identifier=0,
        )

    def holds(self, sid: bytes, *, deny: bool = False) -> bool:
        """Whether a SID counts for the token: of a group that is only there to be denied, for denials alone."""
        if sid == self.user:
            return True
        attributes = self.groups.get(sid, 0)
        return bool(attributes & 4) or (deny and bool(attributes & GROUP_DENY_ONLY))

    def enabled(self, privilege: int) -> bool:
        """Whether a privilege is held and enabled."""
        return bool(self.privileges.get(privilege, 0) & 2)

    @property
    def administrator(self) -> bool:
        return self.holds(ADMINISTRATORS)


def _system_token() -> Token:
    groups = {ADMINISTRATORS: 0xE, _EVERYONE: GROUP_ENABLED, _AUTHENTICATED: GROUP_ENABLED}
    privileges = dict.fromkeys(sorted((*_PRIVILEGES, *_OF_THE_SYSTEM_ONLY)), PRIVILEGE_ENABLED)
    return Token(SYSTEM, SYSTEM, ADMINISTRATORS, _INTEGRITY_SYSTEM, SYSTEM_LOGON, groups, privileges)


def _administrator_token() -> Token:
    """Programs here are an administrator's, elevated, and hold every privilege enabled."""
    groups = dict.fromkeys((_NOBODYS_GROUP, _EVERYONE, _USERS, _AUTHENTICATED), GROUP_ENABLED) | {ADMINISTRATORS: 0xF}
    privileges = dict.fromkeys(_PRIVILEGES, PRIVILEGE_ENABLED)
    return Token(
        _ADMINISTRATOR,
        _NOBODYS_GROUP,
        ADMINISTRATORS,
        _INTEGRITY_HIGH,
        ADMINISTRATOR_LOGON,
        groups,
        privileges,
        session=PROGRAM_SESSION,
    )


def make_token(k: "Executive", token: Token) -> Object:
    """A token object, with one reference: the caller's."""
    token.identifier = address = k.heap.allocate(TOKEN_SIZE)
    return k.objects.register(Object("Token", token, address, on_delete=lambda item: k.heap.free(item.address)))


def token_of(k: "Executive", process: "Process") -> Object:
    """The primary token of a process."""
    if not process.token:
        item = make_token(k, _system_token() if process is k.processes.system else _administrator_token())
        process.token = item.address
        k.memory.write_u64(process.eprocess + EPROCESS.TOKEN, process.token)
    found = k.objects.at(process.token)
    assert found is not None
    return found


def token_at(k: "Executive", address: int) -> Token | None:
    """The token at a guest address."""
    item = k.objects.at(address)
    return item.body if item is not None and isinstance(item.body, Token) else None


def given_token(k: "Executive", address: int, function: str) -> Token:
    """The token that a driver gave; a bug check if it is none."""
    token = token_at(k, address)
    if token is None:
        k.bugcheck(
            BugCheck.REFERENCE_BY_POINTER, 0, address,
            message=f"{function} was given {k.describe_address(address)}, which is no token",
        )  # fmt: skip
    return token


def impersonate(k: "Executive", thread: "Thread", impersonation: Impersonation | None) -> None:
    """Have a thread impersonate, or no longer; the reference that comes along goes when that ends."""
    _note_driver(k, thread, k.processes.impersonations.get(thread), impersonation)
    _replace(k, thread, impersonation)


def thread_ended(k: "Executive", thread: "Thread") -> None:
    """A thread acts as nobody any more. What a driver's own thread acted as was its own matter."""
    _replace(k, thread, None)
    if thread.system:
        k.holdings.forget((thread,))


def _replace(k: "Executive", thread: "Thread", impersonation: Impersonation | None) -> None:
    before = k.processes.impersonations.pop(thread, None)
    if impersonation is not None:
        k.processes.impersonations[thread] = impersonation
    if before is not None:
        k.objects.dereference(before.token)


def _note_driver(k: "Executive", thread: "Thread", before: Impersonation | None, now: Impersonation | None) -> None:
    """A driver that has a thread act as another owes it the token that was there before."""
    key = (thread,)
    if not k.holdings.count(IMPERSONATED, key):
        k.processes.clients_before[thread] = before.token if before is not None else None
        k.holdings.take(IMPERSONATED, key)
    if k.blame.current().driver is None or k.processes.clients_before[thread] is (now.token if now else None):
        k.holdings.forget(key)


def effective_token(k: "Executive", thread: "Thread") -> Object:
    """The token that access is checked with: whom the thread impersonates, else its process'."""
    impersonation = k.processes.impersonations.get(thread)
    return impersonation.token if impersonation is not None else token_of(k, thread.process)


def subject_context(k: "Executive", thread: "Thread") -> tuple[bytes, list[Object]]:
    """A SECURITY_SUBJECT_CONTEXT of a thread, and the tokens that it points to."""
    impersonation = k.processes.impersonations.get(thread)
    primary = token_of(k, thread.process)
    client, level = (impersonation.token.address, impersonation.level) if impersonation is not None else (0, 0)
    tokens = [primary] if impersonation is None else [impersonation.token, primary]
    return pack("<QIIQQ", client, level, 0, primary.address, thread.process.id), tokens


def token_in_context(k: "Executive", context: int) -> Token | None:
    """The token that counts in a SECURITY_SUBJECT_CONTEXT."""
    return token_at(k, k.memory.read_u64(context) or k.memory.read_u64(context + 16))


_HEADS = {1: 16, 4: 8, 5: 8, 25: 16}


def token_information(token: Token, kind: int, base: int) -> bytes | None:
    """What TOKEN_INFORMATION_CLASS `kind` says, for a buffer at `base`; None for a class that there is not."""
    sids = {1: token.user, 4: token.owner, 5: token.group, 25: token.integrity}
    if kind in sids:
        head = _HEADS[kind]
        attributes = _INTEGRITY_GROUP if kind == 25 else 0
        return pack("<QII", base + head, attributes, 0)[:head] + sids[kind]
    if kind in (2, 11):
        groups = token.groups if kind == 2 else dict.fromkeys(token.restricted, GROUP_ENABLED)
        return _groups(groups, base)
    if kind == 3:
        body = b"".join(pack("<QI", luid, attributes) for luid, attributes in token.privileges.items())
        return pack("<I", len(token.privileges)) + body
    numbers = {
        6: pack("<Q", 0),
        7: b"fltlab\0\0" + pack("<Q", 0),
        8: pack("<I", token.type),
        10: _statistics(token),
        12: pack("<I", token.session),
        15: pack("<I", token.sandbox_inert),
        18: pack("<I", 1),
        20: pack("<I", token.elevated),
        21: pack("<I", bool(token.restricted)),
        29: pack("<I", 0),
    }
    if token.type == IMPERSONATION:
        numbers[9] = pack("<I", token.level)
    return numbers.get(kind)


def _groups(groups: dict[bytes, int], base: int) -> bytes:
    at, entries, tail = base + 8 + 16 * len(groups), b"", b""
    for sid, attributes in groups.items():
        entries += pack("<QII", at + len(tail), attributes, 0)
        tail += sid
    return pack("<II", len(groups), 0) + entries + tail


def _statistics(token: Token) -> bytes:
    level = token.level if token.type == IMPERSONATION else 0
    head = pack("<QQqII", token.identifier, token.logon, (1 << 63) - 1, token.type, level)
    return head + pack("<IIIIQ", 0x1000, 0x1000, len(token.groups), len(token.privileges), token.identifier)
