"""Create, cleanup and close."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, NtStatus
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fs import deletions, volume_io
from harness.reference.windows.fs.finding import find
from harness.reference.windows.fs.opens import (
    OVERWRITES,
    Asked,
    CreateOptions,
    CreateResult,
    Found,
    OpenFile,
    commit,
    conflicts,
)
from harness.reference.windows.fs.sharing import WRITES, Access
from harness.reference.windows.fsrtl import oplock_keys
from harness.reference.windows.fsrtl.oplocks import Does, Oplock
from harness.reference.windows.io.captured import read_descriptor
from harness.reference.windows.io.constants import KERNEL_MODE, CreateOption, FileObjectFlags, StackFlags
from harness.reference.windows.io.parameters import Create
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.ps.process_table import Impersonation
from harness.reference.windows.ntos.se.security import (
    ADMINISTRATOR_SUBJECT,
    FILE_ALL_ACCESS,
    KERNEL_SUBJECT,
    MAXIMUM_ALLOWED,
    SYSTEM_SUBJECT,
    Subject,
    map_access,
)
from harness.reference.windows.ntos.se.token_objects import (
    IMPERSONATION_LEVEL,
    MANAGE_VOLUME_PRIVILEGE,
    TAKE_OWNERSHIP_PRIVILEGE,
    Token,
)
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.io.file_object import FileObject

_DESIRED_ACCESS = 16
"""Offset of DesiredAccess in IO_SECURITY_CONTEXT."""
_ACCESS_STATE = 8
_SECURITY_DESCRIPTOR = 0x40
"""Offset of SecurityDescriptor in ACCESS_STATE."""
_FORCE_ACCESS_CHECK = 0x01
_OPLOCK_FREE_RIGHTS = Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE
"""An open for no more than these breaks no oplock."""


def subject_of(driver: "FileSystemDriver", request: Request) -> Subject:
    """Who asks, for access checks: drivers are not held up."""
    if request.mode == KERNEL_MODE and not request.operation_flags & _FORCE_ACCESS_CHECK:
        return KERNEL_SUBJECT
    if driver.files.kind.plain:  # files have no descriptors there
        return KERNEL_SUBJECT
    impersonation = driver.kernel.processes.impersonations.get(request.thread)
    if impersonation is not None:
        return _client(impersonation)
    system = request.thread.process is driver.kernel.processes.system
    return SYSTEM_SUBJECT if system else ADMINISTRATOR_SUBJECT


def _client(impersonation: Impersonation) -> Subject:
    """Whom a thread impersonates; BAD_IMPERSONATION_LEVEL where it may only know who that is."""
    if impersonation.level < IMPERSONATION_LEVEL:
        raise StatusError(NtStatus.BAD_IMPERSONATION_LEVEL)
    token = impersonation.token.body
    assert isinstance(token, Token)
    return Subject(
        frozenset({token.user, *(sid for sid in token.groups if token.holds(sid))}),
        token.owner,
        token.group,
        deny_only=frozenset(sid for sid in token.groups if not token.holds(sid) and token.holds(sid, deny=True)),
        restricted=frozenset(token.restricted),
        privileged=token.enabled(TAKE_OWNERSHIP_PRIVILEGE),
        manages_volume=token.enabled(MANAGE_VOLUME_PRIVILEGE),
    )


def _asked(driver: "FileSystemDriver", request: Request, parameters: Create) -> Asked:
    file, memory = request.file, driver.kernel.memory
    assert file is not None
    related = file.view.related_file_object
    above: OpenFile | None = None
    options = parameters.options & 0x00FF_FFFF
    if related:
        other = driver.io.file_at(related)
        above = other.opened if other is not None else None
        if above is None and not options & CreateOptions.OPEN_BY_FILE_ID:
            raise StatusError(NtStatus.INVALID_PARAMETER)
    state = memory.read_u64(parameters.security_context + _ACCESS_STATE)
    given = memory.read_u64(state + _SECURITY_DESCRIPTOR) if state else 0
    return Asked(
        name=memory.read_unicode_string(file.address + 0x58),
        access=map_access(memory.read_u32(parameters.security_context + _DESIRED_ACCESS)),
        share=parameters.share,
        disposition=parameters.options >> 24,
        options=options,
        attributes=parameters.attributes,
        allocation=parameters.allocation,
        eas=memory.read(parameters.ea_buffer, parameters.ea_length) if parameters.ea_length else b"",
        descriptor=read_descriptor(memory, given),
        related=above,
        case_sensitive=bool(request.operation_flags & StackFlags.CASE_SENSITIVE),
        target_directory=bool(request.operation_flags & StackFlags.OPEN_TARGET_DIRECTORY),
        ignores_sharing=file.ignores_sharing,
        subject=subject_of(driver, request),
    )


def create(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_CREATE."""
    file = request.file
    if file is None:
        driver.kernel.bugcheck(BugCheck.NTFS_FILE_SYSTEM, message="IRP_MJ_CREATE came without a file object")
    parameters = Create.unpack(request.parameters)
    if driver.locked_by is not None:
        return int(NtStatus.ACCESS_DENIED), 0
    asked = _asked(driver, request, parameters)
    if not asked.name and not file.view.related_file_object:
        return _open_volume(driver, file, asked)
    status = int(NtStatus.SUCCESS)
    oplock_keys.attach(driver.io, request)
    while True:
        found = find(driver.files, asked)
        _check_oplock_options(driver, file, found, asked)
        event = _break_oplocks(driver, file, found, asked)
        if event is None:
            break
        if asked.options & CreateOptions.COMPLETE_IF_OPLOCKED:
            status = int(NtStatus.OPLOCK_BREAK_IN_PROGRESS)
            break
        assert found.stream is not None
        yield from driver.wait_for_break(found.stream, event, f"the oplock on {file.name} to be given up")
    opened = commit(driver.files, asked, found)
    _set_up(driver, file, opened, parameters)
    if found.target:
        file.replace_name(found.target)
    return status, int(opened.result)


def _open_volume(driver: "FileSystemDriver", file: "FileObject", asked: Asked) -> tuple[int, int]:
    if asked.options & CreateOptions.DIRECTORY_FILE:
        raise StatusError(NtStatus.NOT_A_DIRECTORY)
    if asked.disposition not in (1, 3):
        raise StatusError(NtStatus.ACCESS_DENIED)
    file.add_flags(int(FileObjectFlags.VOLUME_OPEN))
    file.access = asked.access | FILE_ALL_ACCESS if asked.access & MAXIMUM_ALLOWED else asked.access
    return int(NtStatus.SUCCESS), int(CreateResult.OPENED)


def _breaks(driver: "FileSystemDriver", found: Found, asked: Asked) -> tuple[Does, Oplock] | None:
    """What a create does to a stream that somebody has an oplock on, and the oplock."""
    stream = found.stream
    state = driver.known_state(stream) if stream is not None else None
    if state is None or not state.oplock.holders:
        return None
    rights = found.access & ~_OPLOCK_FREE_RIGHTS
    does = Does.OPEN_TO_WRITE if found.access & (WRITES | Access.DELETE) else Does.OPEN
    if conflicts(found, asked):
        does = Does.SHARE_CONFLICT
    elif asked.disposition in OVERWRITES:
        does = Does.OVERWRITE
    elif not rights:
        return None
    return does, state.oplock


def _check_oplock_options(driver: "FileSystemDriver", file: "FileObject", found: Found, asked: Asked) -> None:
    """FILE_OPEN_REQUIRING_OPLOCK may break no oplock, FILE_RESERVE_OPFILTER must be the first handle of its file."""
    broken = _breaks(driver, found, asked)
    if asked.options & CreateOptions.OPEN_REQUIRING_OPLOCK and broken is not None:
        does, oplock = broken
        if oplock.would_break(does, file, oplock_keys.key_of(file)):
            raise StatusError(NtStatus.CANNOT_BREAK_OPLOCK)
    if asked.options & CreateOptions.RESERVE_OPFILTER:
        exact = found.access == Access.READ_ATTRIBUTES
        if found.stream is not None and (found.stream.handles or not exact):
            raise StatusError(NtStatus.OPLOCK_NOT_GRANTED)


def _break_oplocks(driver: "FileSystemDriver", file: "FileObject", found: Found, asked: Asked) -> Event | None:
    broken = _breaks(driver, found, asked)
    if broken is None:
        return None
    does, oplock = broken
    return oplock.check(does, file, oplock_keys.key_of(file))


def _set_up(driver: "FileSystemDriver", file: "FileObject", opened: OpenFile, parameters: Create) -> None:
    """Fill in the file object."""
    stream = opened.stream
    state = driver.state(stream)
    access = opened.access
    file.opened = opened
    file.access = access
    view = file.view
    view.read_access = int(bool(access & 0x21))
    view.write_access = int(bool(access & 0x06))
    view.delete_access = int(bool(access & 0x10000))
    view.shared_read, view.shared_write, view.shared_delete = (
        parameters.share & 1,
        parameters.share >> 1 & 1,
        parameters.share >> 2 & 1,
    )
    view.fs_context = state.address
    view.fs_context2 = file.address
    view.section_object_pointer = state.section_pointers
    if not opened.options & CreateOption.NO_INTERMEDIATE_BUFFERING and not stream.directory:
        file.add_flags(int(FileObjectFlags.CACHE_SUPPORTED))
    state.show_sizes()


def cleanup(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_CLEANUP: locks and oplocks go, the file may be deleted, cached data may go soon."""
    yield from ()
    file = request.file
    assert file is not None
    if driver.locked_by is file:
        volume_io.unlock(driver, file)
    if file.opened is None:
        return int(NtStatus.SUCCESS), 0
    stream = file.opened.stream
    state = driver.state(stream)
    state.locks.unlock_all(file)
    driver.notify.cleanup(file)
    deleted = not driver.dismounted and deletions.cleanup(driver.files, file.opened)
    link = file.opened.link
    if file.opened.delete_on_close and stream.directory and link is not None and link.delete_pending:
        driver.notify.directory_goes(stream.inode)
    file.opened.cleaned_up = True
    state.oplock.cleanup(file)
    cache = driver.cache_of(stream)
    if cache is not None:
        if deleted and not stream.handles and not cache.user_references:
            cache.truncate(0)
        cache.used_less()
    return int(NtStatus.SUCCESS), 0


def close(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_CLOSE."""
    file = request.file
    assert file is not None
    opened = file.opened
    if opened is None:
        return int(NtStatus.SUCCESS), 0
    if not opened.cleaned_up and not driver.dismounted:
        deletions.cleanup(driver.files, opened)
    last = not driver.is_open_elsewhere(opened.stream, file) if driver.dismounted else opened.stream.opens == 1
    if last:
        for context in driver.take_contexts(opened.stream):
            yield Call(context.free_callback, context.address)
    if not driver.dismounted:
        driver.files.close(opened)
    file.opened = None
    view = file.view
    view.fs_context = view.fs_context2 = view.section_object_pointer = 0  # one whose open is cancelled lives on
    if last:
        driver.forget(opened.stream)
    return int(NtStatus.SUCCESS), 0
