"""Impersonation: client contexts, and threads that act as somebody else for a while."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.ps.process_objects import thread_at
from harness.reference.windows.ntos.ps.process_table import Impersonation
from harness.reference.windows.ntos.se.token_objects import (
    DELEGATION_LEVEL,
    IDENTIFICATION_LEVEL,
    IMPERSONATION,
    IMPERSONATION_LEVEL,
    PRIMARY,
    Token,
    given_token,
    impersonate,
    make_token,
    token_of,
)

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.kernel import Kernel

_STATIC_TRACKING = 0


class ClientContext(Structure):
    """SECURITY_CLIENT_CONTEXT; its SECURITY_QUALITY_OF_SERVICE comes first."""

    SIZE = 0x48
    level = Field(0x04, "I")
    tracking = Field(0x08, "B")
    effective_only = Field(0x09, "B")
    token = Field(0x10)
    directly_access = Field(0x18, "B")
    direct_effective_only = Field(0x19, "B")
    server_is_remote = Field(0x1A, "B")
    token_identifier = Field(0x1C)
    authentication = Field(0x24)


def _set(k: "Kernel", thread: "Thread", token: int, level: int, copy: bool, effective: bool, function: str) -> None:
    given_token(k, token, function)
    item = k.objects.at(token)
    assert item is not None
    k.objects.reference(item)
    impersonate(k, thread, Impersonation(item, level, copy, effective))


@export(NTOSKRNL, "PsImpersonateClient", max_irql=Irql.PASSIVE)
def ps_impersonate_client(k: "Kernel", thread: int, token: int, copy: bool, effective: bool, level: U32) -> int:
    """Without a token the thread is itself again."""
    target = thread_at(k, thread, "PsImpersonateClient")
    if not token:
        impersonate(k, target, None)
        return 0
    _set(k, target, token, level, copy, effective, "PsImpersonateClient")
    return 0


@export(NTOSKRNL, "PsRevertToSelf", max_irql=Irql.PASSIVE)
def ps_revert_to_self(k: "Kernel") -> int:
    impersonate(k, k.current, None)
    return 0


@export(NTOSKRNL, "PsRevertThreadToSelf", max_irql=Irql.PASSIVE)
def ps_revert_thread_to_self(k: "Kernel", thread: int) -> int:
    impersonate(k, thread_at(k, thread, "PsRevertThreadToSelf"), None)
    return 0


@export(NTOSKRNL, "PsIsThreadImpersonating", max_irql=Irql.APC)
def ps_is_thread_impersonating(k: "Kernel", thread: int) -> bool:
    return thread_at(k, thread, "PsIsThreadImpersonating") in k.processes.impersonations


@export(NTOSKRNL, "PsReferenceImpersonationToken", max_irql=Irql.APC)
def ps_reference_impersonation_token(k: "Kernel", thread: int, copy: int, effective: int, level: int) -> int:
    """Null of a thread that impersonates nobody; the three outputs are left alone then."""
    found = k.processes.impersonations.get(thread_at(k, thread, "PsReferenceImpersonationToken"))
    if found is None:
        return 0
    k.memory.write_u8(copy, found.copy_on_open)
    k.memory.write_u8(effective, found.effective_only)
    k.memory.write_u32(level, found.level)
    k.objects.take(found.token)
    return found.token.address


@export(NTOSKRNL, "PsDisableImpersonation", max_irql=Irql.APC)
def ps_disable_impersonation(k: "Kernel", thread: int, state: int) -> bool:
    """The state that PsRestoreImpersonation takes: token, copy on open, effective only, level."""
    target = thread_at(k, thread, "PsDisableImpersonation")
    found = k.processes.impersonations.pop(target, None)
    if found is None:
        k.memory.write(state, bytes(16))
        return False
    flags = bytes((found.copy_on_open, found.effective_only, 0, 0))
    k.memory.write(state, found.token.address.to_bytes(8, "little") + flags + found.level.to_bytes(4, "little"))
    return True


@export(NTOSKRNL, "PsRestoreImpersonation", max_irql=Irql.APC)
def ps_restore_impersonation(k: "Kernel", thread: int, state: int) -> int:
    target = thread_at(k, thread, "PsRestoreImpersonation")
    item = k.objects.at(k.memory.read_u64(state))
    if item is not None:
        copy, effective = k.memory.read(state + 8, 2)
        level = k.memory.read_u32(state + 12)
        k.processes.impersonations[target] = Impersonation(item, level, bool(copy), bool(effective))
    return 0


@export(NTOSKRNL, "PsAssignImpersonationToken", max_irql=Irql.PASSIVE)
def ps_assign_impersonation_token(k: "Kernel", thread: int, handle: int) -> int:
    target = thread_at(k, thread, "PsAssignImpersonationToken")
    if not handle:
        impersonate(k, target, None)
        return 0
    found = k.objects.lookup(handle)
    if found is None:
        return int(NtStatus.INVALID_HANDLE)
    token = found.object.body
    if not isinstance(token, Token):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    if token.type != IMPERSONATION:
        return int(NtStatus.BAD_TOKEN_TYPE)
    _set(k, target, found.object.address, token.level, False, False, "PsAssignImpersonationToken")
    return 0


# -- client contexts


def _create(k: "Kernel", client: Object, level: int, direct: bool, quality: int, remote: bool, context: int) -> int:
    """`level` is that of an impersonating client; `direct`: the token is a primary one, or belongs to the thread."""
    wanted = k.memory.read_u32(quality + 4)
    tracking, effective = k.memory.read(quality + 8, 2)
    token = client.body
    assert isinstance(token, Token)
    if wanted > DELEGATION_LEVEL or (token.type == IMPERSONATION and wanted > level):
        return int(NtStatus.BAD_IMPERSONATION_LEVEL)
    if token.type == IMPERSONATION and remote and level != DELEGATION_LEVEL:
        return int(NtStatus.BAD_IMPERSONATION_LEVEL)
    item = client
    if tracking == _STATIC_TRACKING:
        item = make_token(k, token.duplicate(IMPERSONATION, wanted))
        direct = False
    k.objects.take(item)
    if item is not client:
        k.objects.dereference(item)
    view = ClientContext(k.memory, context)
    view.clear()
    k.memory.write(context, k.memory.read(quality, 10))
    view.token, view.directly_access, view.server_is_remote = item.address, int(direct), int(remote)
    view.direct_effective_only = effective
    view.token_identifier, view.authentication = token.identifier, token.logon
    return 0


@export(NTOSKRNL, "SeCreateClientSecurity", max_irql=Irql.PASSIVE)
def se_create_client_security(k: "Kernel", thread: int, quality: int, remote: bool, context: int) -> int:
    target = thread_at(k, thread, "SeCreateClientSecurity")
    found = k.processes.impersonations.get(target)
    client = found.token if found is not None else token_of(k, target.process)
    if found is not None and found.level < IDENTIFICATION_LEVEL:
        return int(NtStatus.BAD_IMPERSONATION_LEVEL)
    level = found.level if found is not None else IMPERSONATION_LEVEL
    return _create(k, client, level, True, quality, remote, context)


@export(NTOSKRNL, "SeCreateClientSecurityFromSubjectContext", max_irql=Irql.PASSIVE)
def se_create_client_security_from_subject_context(
    k: "Kernel", subject: int, quality: int, remote: bool, context: int
) -> int:
    client = k.objects.at(k.memory.read_u64(subject) or k.memory.read_u64(subject + 16))
    if client is None or not isinstance(client.body, Token):
        return int(NtStatus.INVALID_PARAMETER)
    level = k.memory.read_u32(subject + 8)
    return _create(k, client, level, client.body.type == PRIMARY, quality, remote, context)


@export(NTOSKRNL, "SeDeleteClientSecurity", max_irql=Irql.PASSIVE)
def se_delete_client_security(k: "Kernel", context: int) -> int:
    view = ClientContext(k.memory, context)
    item = k.objects.at(view.token)
    if item is not None:
        k.objects.give_back(item)
    view.token = 0
    return 0


@export(NTOSKRNL, "SeImpersonateClientEx", max_irql=Irql.PASSIVE)
def se_impersonate_client_ex(k: "Kernel", context: int, thread: int) -> int:
    """Without a thread the current one impersonates."""
    view = ClientContext(k.memory, context)
    target = thread_at(k, thread, "SeImpersonateClientEx") if thread else k.current
    effective = view.direct_effective_only if view.directly_access else view.effective_only
    _set(k, target, view.token, view.level, False, bool(effective), "SeImpersonateClientEx")
    return 0


@export(NTOSKRNL, "SeImpersonateClient", max_irql=Irql.PASSIVE)
def se_impersonate_client(k: "Kernel", context: int, thread: int) -> int:
    se_impersonate_client_ex(k, context, thread)
    return 0
