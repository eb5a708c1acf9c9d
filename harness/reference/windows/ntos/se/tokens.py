"""Tokens and subject contexts, as drivers reference and ask them."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.windows.ntos.ps.process_objects import process_at, thread_at
from harness.reference.windows.ntos.se.access_check import check_access
from harness.reference.windows.ntos.se.restricted_tokens import filtered_token
from harness.reference.windows.ntos.se.token_objects import (
    Token,
    effective_token,
    given_token,
    make_token,
    subject_context,
    token_in_context,
    token_information,
    token_of,
)

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.kernel import Kernel

_INTEGRITY_LEVEL = 25
_NUMBERS = (12, 21, _INTEGRITY_LEVEL, 29)
"""Classes of SeQueryInformationToken that answer with the number itself, not with a block.

Not TokenElevation: published drivers free its block, and take the integrity level as its number.
"""
_ALL_NECESSARY, _USED_FOR_ACCESS = 1, 0x8000_0000
_USER_MODE = 1


@export(NTOSKRNL, "PsReferencePrimaryToken", max_irql=Irql.APC)
def ps_reference_primary_token(k: "Kernel", process: int) -> int:
    token = token_of(k, process_at(k, process, "PsReferencePrimaryToken"))
    k.objects.take(token)
    return token.address


@export(NTOSKRNL, "PsDereferencePrimaryToken", "PsDereferenceImpersonationToken", max_irql=Irql.APC)
def ps_dereference_primary_token(k: "Kernel", token: int) -> int:
    if token:
        given_token(k, token, "PsDereferencePrimaryToken")
        item = k.objects.at(token)
        assert item is not None
        k.objects.give_back(item)
    return 0


# -- subject contexts


def _capture(k: "Kernel", thread: "Thread", context: int) -> None:
    data, tokens = subject_context(k, thread)
    for token in tokens:
        k.objects.take(token)
    k.memory.write(context, data)


@export(NTOSKRNL, "SeCaptureSubjectContext", max_irql=Irql.APC)
def se_capture_subject_context(k: "Kernel", context: int) -> int:
    _capture(k, k.current, context)
    return 0


@export(NTOSKRNL, "SeCaptureSubjectContextEx", max_irql=Irql.APC)
def se_capture_subject_context_ex(k: "Kernel", thread: int, process: int, context: int) -> int:
    """Of a process alone, without a thread, the primary token is captured."""
    if thread:
        _capture(k, thread_at(k, thread, "SeCaptureSubjectContextEx"), context)
        return 0
    of = process_at(k, process, "SeCaptureSubjectContextEx")
    token = token_of(k, of)
    k.objects.take(token)
    k.memory.write(context, bytes(16) + token.address.to_bytes(8, "little") + of.id.to_bytes(8, "little"))
    return 0


@export(NTOSKRNL, "SeReleaseSubjectContext", max_irql=Irql.APC)
def se_release_subject_context(k: "Kernel", context: int) -> int:
    for offset in (0, 16):
        item = k.objects.at(k.memory.read_u64(context + offset))
        if item is not None:
            k.objects.give_back(item)
    k.memory.write(context, bytes(32))
    return 0


@export(NTOSKRNL, "SeLockSubjectContext", "SeUnlockSubjectContext", max_irql=Irql.APC)
def se_lock_subject_context(k: "Kernel", context: int) -> int:
    k.memory.read(context, 32)
    return 0


# -- what a token says


@export(NTOSKRNL, "SeTokenIsAdmin", max_irql=Irql.APC)
def se_token_is_admin(k: "Kernel", token: int) -> bool:
    return given_token(k, token, "SeTokenIsAdmin").administrator


@export(NTOSKRNL, "SeTokenIsRestricted", max_irql=Irql.APC)
def se_token_is_restricted(k: "Kernel", token: int) -> bool:
    return bool(given_token(k, token, "SeTokenIsRestricted").restricted)


@export(NTOSKRNL, "SeTokenIsWriteRestricted", max_irql=Irql.APC)
def se_token_is_write_restricted(k: "Kernel", token: int) -> bool:
    return given_token(k, token, "SeTokenIsWriteRestricted").write_restricted


@export(NTOSKRNL, "SeTokenType", max_irql=Irql.APC)
def se_token_type(k: "Kernel", token: int) -> int:
    return given_token(k, token, "SeTokenType").type


@export(NTOSKRNL, "SeTokenImpersonationLevel", max_irql=Irql.APC)
def se_token_impersonation_level(k: "Kernel", token: int) -> int:
    return given_token(k, token, "SeTokenImpersonationLevel").level


@export(NTOSKRNL, "SeQueryAuthenticationIdToken", max_irql=Irql.APC)
def se_query_authentication_id_token(k: "Kernel", token: int, luid: int) -> int:
    k.memory.write_u64(luid, given_token(k, token, "SeQueryAuthenticationIdToken").logon)
    return 0


@export(NTOSKRNL, "SeQuerySessionIdToken", max_irql=Irql.APC)
def se_query_session_id_token(k: "Kernel", token: int, session: int) -> int:
    k.memory.write_u32(session, given_token(k, token, "SeQuerySessionIdToken").session)
    return 0


@export(NTOSKRNL, "SeQueryInformationToken", max_irql=Irql.APC)
def se_query_information_token(k: "Kernel", token: int, kind: U32, information: int) -> int:
    """A pool block that the caller frees; for the single-number classes the number itself."""
    body = given_token(k, token, "SeQueryInformationToken")
    data = token_information(body, kind, 0)
    if data is None:
        return int(NtStatus.INVALID_INFO_CLASS)
    if kind in _NUMBERS:
        k.memory.write(information, data[-4:])  # of a label the last authority of its SID
        return 0
    where = k.blame.current()
    block = k.pool.allocate(len(data), "SeTk", paged=True, owner=where.driver, allocated_by=where.address)
    k.memory.write(block, token_information(body, kind, block) or b"")
    k.memory.write_u64(information, block)
    return 0


# -- privileges and access


@export(NTOSKRNL, "SeSinglePrivilegeCheck", max_irql=Irql.PASSIVE)
def se_single_privilege_check(k: "Kernel", privilege: int, mode: U8) -> bool:
    """A kernel-mode caller holds every privilege; any other is asked for the token that counts in its thread."""
    token = effective_token(k, k.current).body
    return mode != _USER_MODE or (isinstance(token, Token) and token.enabled(privilege))


@export(NTOSKRNL, "SePrivilegeCheck", max_irql=Irql.PASSIVE)
def se_privilege_check(k: "Kernel", required: int, context: int, mode: U8) -> bool:
    """Of a PRIVILEGE_SET all (PRIVILEGE_SET_ALL_NECESSARY) or one; those that were used are marked."""
    if mode != _USER_MODE:
        return True
    token = token_in_context(k, context)
    if token is None:
        return False
    count, control = k.memory.read_u32(required), k.memory.read_u32(required + 4)
    found = 0
    for index in range(count):
        entry = required + 8 + 12 * index
        if token.enabled(k.memory.read_u64(entry)):
            found += 1
            k.memory.write_u32(entry + 8, k.memory.read_u32(entry + 8) | _USED_FOR_ACCESS)
    return found == count if control & _ALL_NECESSARY else found > 0


@export(NTOSKRNL, "SeFreePrivileges", max_irql=Irql.PASSIVE)
def se_free_privileges(k: "Kernel", privileges: int) -> int:
    """SeAccessCheck gives none out here: the access that it grants by privilege names none."""
    k.memory.read(privileges, 8)
    return 0


@export(NTOSKRNL, "SeAccessCheck", max_irql=Irql.PASSIVE)
def se_access_check(
    k: "Kernel",
    descriptor: int,
    context: int,
    locked: bool,
    desired: U32,
    previously_granted: U32,
    privileges: int,
    mapping: int,
    mode: U8,
    granted: int,
    status: int,
) -> bool:
    """By the descriptor's DACL and the token of the subject context; a kernel-mode caller is granted what it wants."""
    del locked
    if privileges:
        k.memory.write_u64(privileges, 0)
    words = tuple(k.memory.read_u32(mapping + offset) for offset in (0, 4, 8, 12))
    if mode != _USER_MODE:
        everything = words[3] if desired & 0x0200_0000 else 0
        outcome, access = 0, (desired & ~0x0200_0000) | everything | previously_granted
    elif not descriptor:
        outcome, access = int(NtStatus.ACCESS_DENIED), 0
    elif not desired:
        outcome, access = (0, previously_granted) if previously_granted else (int(NtStatus.ACCESS_DENIED), 0)
    else:
        token = token_in_context(k, context)
        assert len(words) == 4
        outcome, access = check_access(k, descriptor, token, desired, words) if token else (0xC0000022, 0)
        access |= previously_granted if not outcome else 0
    k.memory.write_u32(granted, access)
    k.memory.write_u32(status, outcome)
    return outcome == 0


@export(NTOSKRNL, "SeFilterToken", max_irql=Irql.PASSIVE)
def se_filter_token(
    k: "Kernel", existing: int, flags: U32, disable: int, remove: int, restrict: int, filtered: int
) -> int:
    """A token with less in it; the caller dereferences it (ObDereferenceObject)."""
    item = make_token(k, filtered_token(k, given_token(k, existing, "SeFilterToken"), flags, disable, remove, restrict))
    k.objects.take(item)
    k.objects.dereference(item)
    k.memory.write_u64(filtered, item.address)
    return 0
