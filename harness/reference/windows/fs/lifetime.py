"""Create, cleanup and close."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs import directory
from harness.reference.windows.fs.errors import VolumeError
from harness.reference.windows.io.constants import CreateOption, FileObjectFlags
from harness.reference.windows.io.parameters import Create
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver

_GENERIC = {0x8000_0000: 0x0012_0089, 0x4000_0000: 0x0012_0116, 0x2000_0000: 0x0012_00A0, 0x1000_0000: 0x001F_01FF}
_MAXIMUM_ALLOWED = 0x0200_0000
_DESIRED_ACCESS = 16
"""Offset of DesiredAccess in IO_SECURITY_CONTEXT."""


def map_access(access: int) -> int:
    """Generic rights as the file rights they stand for."""
    for generic, specific in _GENERIC.items():
        if access & generic:
            access = access & ~generic | specific
    if access & _MAXIMUM_ALLOWED:
        access = access & ~_MAXIMUM_ALLOWED | 0x001F_01FF
    return access & 0xFFFF_FFFF


def create(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_CREATE."""
    file = request.file
    assert file is not None
    parameters = Create.unpack(request.parameters)
    memory = driver.kernel.memory
    access = map_access(memory.read_u32(parameters.security_context + _DESIRED_ACCESS))
    name = memory.read_unicode_string(file.address + 0x58)
    options, disposition = parameters.options & 0x00FF_FFFF, parameters.options >> 24
    if not name:
        file.add_flags(int(FileObjectFlags.VOLUME_OPEN))
        file.access = access
        return int(NtStatus.SUCCESS), 1
    try:
        opened = driver.files.create(
            name, access, parameters.share, disposition, options, parameters.attributes, parameters.allocation
        )
    except VolumeError as error:
        return int(error.status), 0
    if opened.result in (0, 3):  # superseded or overwritten: what is cached is no more
        cache = driver.cache_of(opened.node)
        if cache is not None:
            cache.truncate(0)
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
    view.fs_context = driver.stream_address(opened.node)
    view.fs_context2 = file.address
    view.section_object_pointer = driver.stream_address(opened.node) + 0x40
    if not options & CreateOption.NO_INTERMEDIATE_BUFFERING and not opened.node.directory:
        file.add_flags(int(FileObjectFlags.CACHE_SUPPORTED))
    if opened.result == 2:
        directory.changed(driver, opened.node, directory.Action.ADDED)
    yield from ()
    return int(NtStatus.SUCCESS), int(opened.result)


def cleanup(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_CLEANUP: locks go, the file may be deleted, cached data may go soon."""
    file = request.file
    assert file is not None
    if file.opened is None:
        return int(NtStatus.SUCCESS), 0
    node = file.opened.node
    driver.lock_table(node).unlock_all(driver, file)
    for watch in [watch for watch in driver.watches if watch.file is file]:
        driver.watches.remove(watch)
        driver.kernel.io.complete_later(watch, NtStatus.NOTIFY_CLEANUP, 0)
    try:
        deleted = driver.files.cleanup(file.opened)
    except VolumeError:
        # The file stays: a read-only or non-empty one cannot be deleted, and cleanup cannot fail.
        deleted = False
    cache = driver.cache_of(node)
    if deleted:
        directory.changed(driver, node, directory.Action.REMOVED)
        if cache is not None:
            cache.truncate(0)
    if cache is not None:
        cache.last_cleanup(file)
    yield from ()
    return int(NtStatus.SUCCESS), 0


def close(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_CLOSE."""
    file = request.file
    assert file is not None
    if file.opened is not None:
        node = file.opened.node
        driver.files.close(file.opened)
        file.opened = None
        if node.opens == 0:
            driver.forget(node)
    yield from ()
    return int(NtStatus.SUCCESS), 0
