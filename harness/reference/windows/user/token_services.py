"""Tokens by handle."""

from struct import pack
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import U32
from harness.reference.machine.scheduler.thread import Process, Thread
from harness.reference.windows.io.system_services import service
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.ps.process_table import Impersonation
from harness.reference.windows.ntos.se.restricted_tokens import anonymous_token, filtered_token
from harness.reference.windows.ntos.se.token_objects import (
    IMPERSONATION,
    IMPERSONATION_LEVEL,
    Token,
    impersonate,
    make_token,
    token_information,
    token_of,
)
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, ObjectAttributes
from harness.reference.windows.user.query_answers import answer, body_of

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_TOKEN_ALL_ACCESS = 0xF_01FF
_THREAD_IMPERSONATION_TOKEN = 5


def _open(k: "Kernel", token: Object, access: int, attributes: int, handle_pointer: int) -> int:
    kernel = bool(attributes & OBJ_KERNEL_HANDLE)
    granted = _TOKEN_ALL_ACCESS if access & 0x1200_0000 else access
    k.memory.write_u64(handle_pointer, k.objects.open(token, kernel=kernel, access=granted))
    return 0


@service("OpenProcessTokenEx")
def open_process_token_ex(
    k: "Kernel", mode: int, process: int, access: U32, attributes: U32, handle_pointer: int
) -> int:
    """NtOpenProcessTokenEx."""
    del mode
    found = body_of(k, process, Process)
    assert isinstance(found, Process)
    return _open(k, token_of(k, found), access, attributes, handle_pointer)


@service("OpenProcessToken")
def open_process_token(k: "Kernel", mode: int, process: int, access: U32, handle_pointer: int) -> int:
    """NtOpenProcessToken."""
    del mode
    found = body_of(k, process, Process)
    assert isinstance(found, Process)
    return _open(k, token_of(k, found), access, 0, handle_pointer)


@service("OpenThreadTokenEx")
def open_thread_token_ex(
    k: "Kernel", mode: int, thread: int, access: U32, as_self: U32, attributes: U32, handle_pointer: int
) -> int:
    """NtOpenThreadTokenEx: NO_TOKEN of a thread that impersonates nobody."""
    del mode, as_self
    found = body_of(k, thread, Thread)
    assert isinstance(found, Thread)
    impersonation = k.processes.impersonations.get(found)
    if impersonation is None:
        return int(NtStatus.NO_TOKEN)
    return _open(k, impersonation.token, access, attributes, handle_pointer)


@service("OpenThreadToken")
def open_thread_token(k: "Kernel", mode: int, thread: int, access: U32, as_self: U32, handle_pointer: int) -> int:
    """NtOpenThreadToken."""
    return int(open_thread_token_ex(k, mode, thread, access, as_self, 0, handle_pointer))


@service("QueryInformationToken")
def query_information_token(
    k: "Kernel", mode: int, handle: int, kind: U32, buffer: int, length: U32, returned: int
) -> int:
    """NtQueryInformationToken; BUFFER_TOO_SMALL, and what is needed, for a short buffer."""
    del mode
    token = body_of(k, handle, Token)
    assert isinstance(token, Token)
    data = token_information(token, kind, buffer)
    if data is None:
        return int(NtStatus.INVALID_INFO_CLASS)
    if length < len(data):
        k.memory.write_u32(returned, len(data))
        return int(NtStatus.BUFFER_TOO_SMALL)
    return answer(k, data, buffer, length, returned, exact=False)


@service("DuplicateToken")
def duplicate_token(
    k: "Kernel", mode: int, handle: int, access: U32, attributes: int, effective: U32, kind: U32, new: int
) -> int:
    """NtDuplicateToken; an impersonation token has the level of the quality of service in the attributes."""
    del mode, effective
    token = body_of(k, handle, Token)
    assert isinstance(token, Token)
    view = ObjectAttributes(k.memory, attributes) if attributes else None
    quality = view.security_quality_of_service if view is not None else 0
    level = k.memory.read_u32(quality + 4) if quality else IMPERSONATION_LEVEL
    if token.type == IMPERSONATION and kind == IMPERSONATION and level > token.level:
        return int(NtStatus.BAD_IMPERSONATION_LEVEL)
    item = make_token(k, token.duplicate(kind, level))
    status = _open(k, item, access or _TOKEN_ALL_ACCESS, view.attributes if view is not None else 0, new)
    k.objects.dereference(item)
    return status


@service("FilterToken")
def filter_token(
    k: "Kernel", mode: int, handle: int, flags: U32, disable: int, remove: int, restrict: int, new: int
) -> int:
    """NtFilterToken."""
    del mode
    token = body_of(k, handle, Token)
    assert isinstance(token, Token)
    item = make_token(k, filtered_token(k, token, flags, disable, remove, restrict))
    status = _open(k, item, _TOKEN_ALL_ACCESS, 0, new)
    k.objects.dereference(item)
    return status


@service("ImpersonateAnonymousToken")
def impersonate_anonymous_token(k: "Kernel", mode: int, handle: int) -> int:
    """NtImpersonateAnonymousToken."""
    del mode
    thread = body_of(k, handle, Thread)
    assert isinstance(thread, Thread)
    token = anonymous_token()
    impersonate(k, thread, Impersonation(make_token(k, token), token.level, False, False))
    return 0


@service("AdjustPrivilegesToken")
def adjust_privileges_token(
    k: "Kernel", mode: int, handle: int, disable_all: U32, new: int, length: U32, previous: int, returned: int
) -> int:
    """NtAdjustPrivilegesToken: NOT_ALL_ASSIGNED if the token lacks one of them."""
    del mode
    token = body_of(k, handle, Token)
    assert isinstance(token, Token)
    if disable_all & 0xFF:
        changes = dict.fromkeys(token.privileges, 0)
    else:
        entries = range(new + 4, new + 4 + 12 * k.memory.read_u32(new), 12)
        changes = {k.memory.read_u64(at): k.memory.read_u32(at + 8) for at in entries}
    before = {luid: token.privileges[luid] for luid in changes if luid in token.privileges}
    if previous:
        data = pack("<I", len(before)) + b"".join(pack("<QI", *item) for item in before.items())
        k.memory.write_u32(returned, len(data))
        if length < len(data):
            return int(NtStatus.BUFFER_TOO_SMALL)
        k.memory.write(previous, data)
    for luid, attributes in changes.items():
        if luid in token.privileges:
            token.privileges[luid] = token.privileges[luid] & ~2 | (attributes & 2)
    return 0 if len(before) == len(changes) else 0x106  # STATUS_NOT_ALL_ASSIGNED


@service("SetInformationThread")
def set_information_thread(k: "Kernel", mode: int, handle: int, kind: U32, buffer: int, length: U32) -> int:
    """NtSetInformationThread: ThreadPriority, ThreadBasePriority, ThreadImpersonationToken."""
    del mode
    thread = body_of(k, handle, Thread)
    assert isinstance(thread, Thread)
    if kind == _THREAD_IMPERSONATION_TOKEN:
        if length != 8:
            return int(NtStatus.INFO_LENGTH_MISMATCH)
        value = k.memory.read_u64(buffer)
        if not value:
            impersonate(k, thread, None)
            return 0
        token = body_of(k, value, Token)
        found = k.objects.lookup(value)
        assert isinstance(token, Token)
        assert found is not None
        if token.type != IMPERSONATION:
            return int(NtStatus.BAD_TOKEN_TYPE)
        k.objects.reference(found.object)
        impersonate(k, thread, Impersonation(found.object, token.level, False, False))
        return 0
    if kind in (2, 3):  # ThreadPriority, ThreadBasePriority
        if length != 4:
            return int(NtStatus.INFO_LENGTH_MISMATCH)
        value = k.memory.read_u32(buffer)
        target = value if kind == 2 else 8 + (value - (1 << 32) if value >> 31 else value)
        k.scheduler.set_priority(thread, max(1, min(31, target)))
        return 0
    return int(NtStatus.INVALID_INFO_CLASS)
