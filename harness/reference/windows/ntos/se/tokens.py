"""Tokens: of the processes of this machine, who run as the local system or as an administrator."""

from struct import pack
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, export
from harness.reference.windows.ntos.ke.offsets import EPROCESS
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.ps.process_objects import process_at
from harness.reference.windows.ntos.se.sids import sid_bytes

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Process
    from harness.reference.windows.kernel import Kernel

_TOKEN_SIZE = 0x100
_TOKEN_USER, _TOKEN_STATISTICS, _TOKEN_SESSION, _TOKEN_ELEVATION = 1, 10, 12, 20
_TOKEN_INTEGRITY, _TOKEN_APP_CONTAINER = 25, 29
_SYSTEM = sid_bytes(5, 18)
_ADMINISTRATOR = sid_bytes(5, 21, 1, 2, 3, 500)
_INTEGRITY_SYSTEM, _INTEGRITY_HIGH = 0x4000, 0x3000


def token_of(k: "Kernel", process: "Process") -> Object:
    """The primary token of a process."""
    if not process.token:
        process.token = k.heap.allocate(_TOKEN_SIZE)
        k.memory.write_u64(process.eprocess + EPROCESS.TOKEN, process.token)
        k.objects.register(Object("Token", process, process.token))
    found = k.objects.at(process.token)
    assert found is not None
    return found


@export(NTOSKRNL, "PsReferencePrimaryToken", max_irql=Irql.APC)
def ps_reference_primary_token(k: "Kernel", process: int) -> int:
    token = token_of(k, process_at(k, process, "PsReferencePrimaryToken"))
    k.objects.reference(token)
    return token.address


@export(NTOSKRNL, "PsDereferencePrimaryToken", "PsDereferenceImpersonationToken", max_irql=Irql.APC)
def ps_dereference_primary_token(k: "Kernel", token: int) -> int:
    item = k.objects.at(token)
    if item is not None:
        k.objects.dereference(item)
    return 0


@export(NTOSKRNL, "PsReferenceImpersonationToken", max_irql=Irql.APC)
def ps_reference_impersonation_token(
    k: "Kernel", thread: int, copy_on_open: int, effective_only: int, level: int
) -> int:
    """No thread impersonates."""
    del k, thread, copy_on_open, effective_only, level
    return 0


@export(NTOSKRNL, "SeCaptureSubjectContext", "SeCaptureSubjectContextEx", max_irql=Irql.APC)
def se_capture_subject_context(k: "Kernel", context: int) -> int:
    token = token_of(k, k.current.process)
    k.objects.reference(token)
    k.memory.write(context, pack("<QIIQQ", 0, 0, 0, token.address, k.current.process.id))
    return 0


@export(NTOSKRNL, "SeReleaseSubjectContext", max_irql=Irql.APC)
def se_release_subject_context(k: "Kernel", context: int) -> int:
    item = k.objects.at(k.memory.read_u64(context + 16))
    if item is not None:
        k.objects.dereference(item)
    k.memory.write(context, bytes(32))
    return 0


@export(NTOSKRNL, "SeLockSubjectContext", "SeUnlockSubjectContext", max_irql=Irql.APC)
def se_lock_subject_context(k: "Kernel", context: int) -> int:
    k.memory.read(context, 32)
    return 0


@export(NTOSKRNL, "SeTokenIsAdmin", max_irql=Irql.APC)
def se_token_is_admin(k: "Kernel", token: int) -> bool:
    return k.objects.at(token) is not None


@export(NTOSKRNL, "SeTokenIsRestricted", max_irql=Irql.APC)
def se_token_is_restricted(k: "Kernel", token: int) -> bool:
    k.memory.read(token, 1)
    return False


@export(NTOSKRNL, "SeTokenType", max_irql=Irql.APC)
def se_token_type(k: "Kernel", token: int) -> int:
    """TokenPrimary."""
    k.memory.read(token, 1)
    return 1


@export(NTOSKRNL, "SeSinglePrivilegeCheck", max_irql=Irql.PASSIVE)
def se_single_privilege_check(k: "Kernel", privilege: int, mode: U8) -> bool:
    """Every process of the machine holds every privilege."""
    del k, privilege, mode
    return True


@export(NTOSKRNL, "SeQueryAuthenticationIdToken", max_irql=Irql.APC)
def se_query_authentication_id_token(k: "Kernel", token: int, luid: int) -> int:
    k.memory.read(token, 1)
    k.memory.write_u64(luid, 0x3E7)  # SYSTEM_LUID
    return 0


@export(NTOSKRNL, "SeQuerySessionIdToken", max_irql=Irql.APC)
def se_query_session_id_token(k: "Kernel", token: int, session: int) -> int:
    k.memory.read(token, 1)
    k.memory.write_u32(session, 0)
    return 0


@export(NTOSKRNL, "SeQueryInformationToken", max_irql=Irql.APC)
def se_query_information_token(k: "Kernel", token: int, kind: U32, information: int) -> int:
    """A pool block the caller frees; for the single-number classes the number itself."""
    item = k.objects.at(token)
    if item is None:
        return int(NtStatus.INVALID_PARAMETER)
    system = item.body is k.processes.system
    if kind in (_TOKEN_SESSION, _TOKEN_ELEVATION, _TOKEN_APP_CONTAINER):
        k.memory.write_u32(information, 1 if kind == _TOKEN_ELEVATION else 0)
        return 0
    if kind == _TOKEN_USER:
        sid, attributes = (_SYSTEM if system else _ADMINISTRATOR), 0
    elif kind == _TOKEN_INTEGRITY:
        sid, attributes = sid_bytes(16, _INTEGRITY_SYSTEM if system else _INTEGRITY_HIGH), 0x60
    else:
        return int(NtStatus.INVALID_INFO_CLASS)
    where = k.blame.current()
    block = k.pool.allocate(16 + len(sid), "SeTk", paged=True, owner=where.driver, allocated_by=where.address)
    k.memory.write(block, pack("<QII", block + 16, attributes, 0) + sid)
    k.memory.write_u64(information, block)
    return 0


@export(NTOSKRNL, "SeAccessCheck", max_irql=Irql.APC)
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
    """Administrators and the system pass."""
    del descriptor, context, locked, mapping, mode
    if privileges:
        k.memory.write_u64(privileges, 0)
    k.memory.write_u32(granted, desired | previously_granted)
    k.memory.write_u32(status, 0)
    return True
