"""Tokens with less in them: what SeFilterToken and NtFilterToken make of another one, and the one of nobody."""

from typing import TYPE_CHECKING

from harness.reference.windows.ntos.se.descriptors import sid_at
from harness.reference.windows.ntos.se.sids import sid_bytes
from harness.reference.windows.ntos.se.token_objects import (
    CHANGE_NOTIFY_PRIVILEGE,
    GROUP_DENY_ONLY,
    IMPERSONATION,
    Token,
)

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_DISABLE_MAX_PRIVILEGE, _SANDBOX_INERT, _LUA_TOKEN, _WRITE_RESTRICTED = 1, 2, 4, 8
_LUA_KEEPS = (CHANGE_NOTIFY_PRIVILEGE, 19, 25, 33, 34)
_ANONYMOUS, _NOBODY, _UNTRUSTED, _ANONYMOUS_LOGON = sid_bytes(5, 7), sid_bytes(0, 0), sid_bytes(16, 0), 0x3E6


def filtered_token(k: "Executive", token: Token, flags: int, disable: int, remove: int, restrict: int) -> Token:
    """A token of its own; `disable` and `restrict` are TOKEN_GROUPS, `remove` TOKEN_PRIVILEGES, each may be null."""
    less = token.duplicate(token.type, token.level)
    for sid in _sids(k, disable):
        if sid in less.groups:
            less.groups[sid] = GROUP_DENY_ONLY
    if flags & _DISABLE_MAX_PRIVILEGE:
        less.privileges = {key: value for key, value in less.privileges.items() if key == CHANGE_NOTIFY_PRIVILEGE}
    if flags & _LUA_TOKEN:
        less.privileges = {key: value for key, value in less.privileges.items() if key in _LUA_KEEPS}
        less.groups = {sid: GROUP_DENY_ONLY if value & 8 else value for sid, value in less.groups.items()}
        less.elevated = False
    if remove:
        for index in range(k.memory.read_u32(remove)):
            less.privileges.pop(k.memory.read_u64(remove + 4 + 12 * index), None)
    restricted = tuple(_sids(k, restrict))
    if restricted:
        less.restricted = restricted
        less.write_restricted = bool(flags & _WRITE_RESTRICTED)
    less.sandbox_inert |= bool(flags & _SANDBOX_INERT)
    return less


def anonymous_token() -> Token:
    """The token of NtImpersonateAnonymousToken: a member of no group, not even of Everyone, as is the default."""
    return Token(_ANONYMOUS, _NOBODY, _ANONYMOUS, _UNTRUSTED, _ANONYMOUS_LOGON, {}, {}, IMPERSONATION, elevated=False)


def _sids(k: "Executive", groups: int) -> list[bytes]:
    """The SIDs of a TOKEN_GROUPS; none of a null pointer."""
    if not groups:
        return []
    entries = range(groups + 8, groups + 8 + 16 * k.memory.read_u32(groups), 16)
    return [sid_at(k, k.memory.read_u64(entry)) for entry in entries]
