"""Access states, and the logon sessions that a driver wants to hear of."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.ntos.ps.notify_routines import register, remove
from harness.reference.windows.ntos.ps.process_objects import process_at, thread_at
from harness.reference.windows.ntos.se.access_check import map_generic
from harness.reference.windows.ntos.se.token_objects import (
    ADMINISTRATOR_LOGON,
    CHANGE_NOTIFY_PRIVILEGE,
    SYSTEM_LOGON,
    subject_context,
    token_in_context,
)

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

ACCESS_STATE_SIZE, AUX_DATA_SIZE = 0xA0, 0xE0
SUBJECT, _AUX_DATA = 0x20, 0x48
_HEAD = Struct("<QBBBBIIII")
_HAS_TRAVERSE = 1
_LOGON_ROUTINES = "logon-session"


def _fill(k: "Kernel", state: int, auxiliary: int, access: int, mapping: int) -> None:
    if mapping:
        words = k.memory.read_u32(mapping), k.memory.read_u32(mapping + 4), k.memory.read_u32(mapping + 8)
        access = map_generic((*words, k.memory.read_u32(mapping + 12)), access)
    data = k.memory.read(state + SUBJECT, 32)
    token = token_in_context(k, state + SUBJECT)
    flags = _HAS_TRAVERSE if token is not None and token.enabled(CHANGE_NOTIFY_PRIVILEGE) else 0
    k.memory.write(state, bytes(ACCESS_STATE_SIZE))
    k.memory.write(auxiliary, bytes(AUX_DATA_SIZE))
    k.memory.write(state, _HEAD.pack(auxiliary, 0, 0, 0, 0, flags, access, 0, access))
    k.memory.write(state + SUBJECT, data)
    k.memory.write_u64(state + _AUX_DATA, auxiliary)
    k.memory.write(auxiliary + 8, k.memory.read(mapping, 16) if mapping else bytes(16))


@export(NTOSKRNL, "SeCreateAccessState", max_irql=Irql.PASSIVE)
def se_create_access_state(k: "Kernel", state: int, auxiliary: int, access: U32, mapping: int) -> int:
    """An ACCESS_STATE of the calling thread, with generic rights mapped; SeDeleteAccessState gives it back."""
    data, tokens = subject_context(k, k.current)
    for token in tokens:
        k.objects.take(token)
    k.memory.write(state + SUBJECT, data)
    _fill(k, state, auxiliary, access, mapping)
    return 0


@export(NTOSKRNL, "SeCreateAccessStateEx", max_irql=Irql.PASSIVE)
def se_create_access_state_ex(
    k: "Kernel", thread: int, process: int, state: int, auxiliary: int, access: U32, mapping: int
) -> int:
    process_at(k, process, "SeCreateAccessStateEx")
    of = thread_at(k, thread, "SeCreateAccessStateEx") if thread else k.current
    data, tokens = subject_context(k, of)
    for token in tokens:
        k.objects.take(token)
    k.memory.write(state + SUBJECT, data)
    _fill(k, state, auxiliary, access, mapping)
    return 0


@export(NTOSKRNL, "SeDeleteAccessState", max_irql=Irql.PASSIVE)
def se_delete_access_state(k: "Kernel", state: int) -> int:
    for offset in (SUBJECT, SUBJECT + 16):
        item = k.objects.at(k.memory.read_u64(state + offset))
        if item is not None:
            k.objects.give_back(item)
        k.memory.write_u64(state + offset, 0)
    return 0


@export(NTOSKRNL, "SeSetAccessStateGenericMapping", max_irql=Irql.PASSIVE)
def se_set_access_state_generic_mapping(k: "Kernel", state: int, mapping: int) -> int:
    auxiliary = k.memory.read_u64(state + _AUX_DATA)
    k.memory.write(auxiliary + 8, k.memory.read(mapping, 16))
    return 0


@export(NTOSKRNL, "SeAppendPrivileges", max_irql=Irql.PASSIVE)
def se_append_privileges(k: "Kernel", state: int, privileges: int) -> int:
    """Three privileges have room in the access state itself; more are refused."""
    at, added = state + 0x50, k.memory.read_u32(privileges)
    count = k.memory.read_u32(at)
    if count + added > 3:
        return int(NtStatus.INSUFFICIENT_RESOURCES)
    k.memory.write(at + 8 + 12 * count, k.memory.read(privileges + 8, 12 * added))
    k.memory.write_u32(at, count + added)
    return 0


# -- logon sessions: the system's and the administrator's, which last as long as the machine runs


@export(NTOSKRNL, "SeMarkLogonSessionForTerminationNotification", max_irql=Irql.PASSIVE)
def se_mark_logon_session(k: "Kernel", luid: int) -> int:
    known = k.memory.read_u64(luid) in (SYSTEM_LOGON, ADMINISTRATOR_LOGON)
    return 0 if known else int(NtStatus.NOT_FOUND)


@export(NTOSKRNL, "SeMarkLogonSessionForTerminationNotificationEx", max_irql=Irql.PASSIVE)
def se_mark_logon_session_ex(k: "Kernel", luid: int, silo: int) -> int:
    return int(NtStatus.INVALID_PARAMETER) if silo else se_mark_logon_session(k, luid)


@export(NTOSKRNL, "SeRegisterLogonSessionTerminatedRoutine", max_irql=Irql.PASSIVE)
def se_register_logon_session_terminated_routine(k: "Kernel", routine: int) -> int:
    """The routine is not called while the machine runs: no session of it ends before."""
    return register(k, _LOGON_ROUTINES, routine)


@export(NTOSKRNL, "SeUnregisterLogonSessionTerminatedRoutine", max_irql=Irql.PASSIVE)
def se_unregister_logon_session_terminated_routine(k: "Kernel", routine: int) -> int:
    return int(NtStatus.NOT_FOUND) if remove(k, _LOGON_ROUTINES, routine) else 0
